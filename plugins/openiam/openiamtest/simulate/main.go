// Command simulate serves a simulated OpenIAM until it is interrupted.
package main

import (
	"bufio"
	"cmp"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/rekey-host/rekey/plugins/openiam/openiamtest"
)

const usage = `usage: simulate --listen 127.0.0.1:8083 --accounts FILE [flags]

Serves a simulated OpenIAM: ProvisionControllerService and the services beside
it. FILE holds one identity a line,

    principal;password[;user[;managed system[;domain]]]

and lines of the same user are identities of one person. Blank lines and lines
that start with # are skipped. Without a user every line is a person of its
own; without a managed system it is 0, OpenIAM itself; without a domain it is
USR_SEC_DOMAIN.

Statuses and the audit log, without secrets, are at
http://ADDRESS/simulator/status and http://ADDRESS/simulator/audit; the statuses
are printed when the simulator ends, too.

`

func main() {
	if err := run(os.Args[1:], os.Stdout, os.Stderr); err != nil {
		if !errors.Is(err, flag.ErrHelp) {
			fmt.Fprintln(os.Stderr, "simulate:", err)
			os.Exit(1)
		}
	}
}

func run(args []string, stdout, stderr io.Writer) error {
	flags := flag.NewFlagSet("simulate", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.Usage = func() { _, _ = fmt.Fprint(stderr, usage); flags.PrintDefaults() }
	listen := flags.String("listen", "127.0.0.1:8083", "address to listen on")
	accounts := flags.String("accounts", "", "file of identities")
	o := options(flags)
	documented := flags.Bool("documented", false, "all that the documentation says, at once: --return-resets --check-status --blank-sets --home-system --constants --policy-code")
	changes := flags.String("changes", "1", `value of PASSWORD_CHANGE_ALLOWED; "" switches the change counter off`)
	length := flags.String("length", "8-12", "least and greatest length of a password")
	if err := flags.Parse(args); err != nil {
		return err
	}
	lowest, highest, _ := strings.Cut(*length, "-")
	if *documented {
		*o = o.Documented()
	}
	if o.User != "" {
		o.Password = os.Getenv(passwordVariable)
	}
	server := openiamtest.New(*o)
	server.SetPolicy("GLOBAL", openiamtest.DefaultPolicy().With("PASSWORD_CHANGE_ALLOWED", *changes).With("PWD_LEN", lowest, highest))
	if err := load(server, *accounts); err != nil {
		return err
	}
	return serve(server, *listen, stdout)
}

// passwordVariable holds the password of the UsernameToken: no secret is a flag.
const passwordVariable = "OPENIAM_PASSWORD"

// options are the flags that say how the server behaves. "Documented" is what
// OpenIAM's wiki says; without the flag the server does as its sources of 2011.
func options(flags *flag.FlagSet) *openiamtest.Options {
	options := &openiamtest.Options{}
	flags.BoolVar(&options.Strict, "strict", false, "take only requests that keep to the schema and to SOAP 1.1 to the letter; inferred")
	flags.BoolVar(&options.ReturnResets, "return-resets", false, "a reset answers with the new password; documented")
	flags.BoolVar(&options.CheckStatus, "check-status", false, "a user who is not active is refused with userStatus; documented")
	flags.BoolVar(&options.BlankSets, "blank-sets", false, "setPassword without a password makes one under the policy; documented")
	flags.BoolVar(&options.HomeSystem, "home-system", false, "a request without managedSystemId means system 0; the documentation lists no such field")
	flags.BoolVar(&options.Constants, "constants", false, "failures have the names of the documentation, such as PRINCIPAL_NOT_FOUND")
	flags.BoolVar(&options.PolicyCode, "policy-code", false, "a broken rule is failPasswordPolicy, whichever it is; documented")
	flags.BoolVar(&options.NoCompanions, "no-companions", false, "only the provisioning service is there")
	flags.BoolVar(&options.NoWSDL, "no-wsdl", false, "?wsdl is not published")
	flags.BoolVar(&options.BasicFields, "basic-fields", false, "the older schema: no passThruAttributes, no requestor fields")
	flags.StringVar(&options.Namespace, "namespace", "", "of the provisioning operations; the documentation shows http://www.openiam.org/service/connector")
	flags.StringVar(&options.AuthNamespace, "auth-namespace", "", "of AuthenticationService")
	flags.StringVar(&options.User, "user", "", "want a WS-Security UsernameToken of this user; its password is "+passwordVariable+"; inferred")
	flags.IntVar(&options.FailedLogons, "failed-logons", 3, "wrong logons that lock; below 0: never")
	return options
}

func serve(server *openiamtest.Server, listen string, stdout io.Writer) error {
	ended := make(chan os.Signal, 1)
	signal.Notify(ended, os.Interrupt, syscall.SIGTERM)
	defer signal.Stop(ended)
	if err := server.Start(listen); err != nil {
		return err
	}
	_, _ = fmt.Fprintln(stdout, "OpenIAM at", server.URL())
	<-ended
	if err := server.Close(); err != nil {
		return err
	}
	encoder := json.NewEncoder(stdout)
	encoder.SetIndent("", "  ")
	return encoder.Encode(server.Status())
}

// load reads the identities.
func load(server *openiamtest.Server, name string) error {
	if name == "" {
		return errors.New("--accounts is missing; see --help")
	}
	file, err := os.Open(name)
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }() // it was only read, or nobody could do anything about it
	lines := bufio.NewScanner(file)
	for index := 1; lines.Scan(); index++ {
		line := strings.TrimSpace(lines.Text())
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		if err := add(server, strings.Split(line, ";")); err != nil {
			return fmt.Errorf("%s:%d: %w", name, index, err)
		}
	}
	return lines.Err()
}

func add(server *openiamtest.Server, parts []string) error {
	if len(parts) < 2 || len(parts) > 5 {
		return fmt.Errorf("%d columns, want principal;password[;user[;managed system[;domain]]]", len(parts))
	}
	for len(parts) < 5 {
		parts = append(parts, "")
	}
	for i := range parts {
		parts[i] = strings.TrimSpace(parts[i])
	}
	if parts[0] == "" {
		return errors.New("the principal is empty")
	}
	key := openiamtest.Key{Principal: parts[0], System: parts[3], Domain: parts[4]}
	server.Add(openiamtest.User{ID: cmp.Or(parts[2], "user of "+parts[0])}, key, parts[1])
	return nil
}
