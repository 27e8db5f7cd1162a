// Command simulate serves a simulated Kendox InfoShare until it is interrupted.
package main

import (
	"encoding/csv"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"

	"github.com/rekey-host/rekey/plugins/kendox/kendoxtest"
)

const usage = `usage: simulate --listen 127.0.0.1:8084 --accounts FILE [flags]

Serves a simulated Kendox InfoShare. FILE holds one user a line,

    login;password[;right]

as a CSV file, where right is "admin" for the service account, which gets the
three access rights that setting passwords needs. Blank lines, lines that start
with # and a first line of column names are skipped. If no line has "admin",
there is a service account "rekey" with the password "rekey".

The state, without secrets, is at http://ADDRESS/simulator/status, and is
printed when the simulator ends, too.

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
	listen := flags.String("listen", "127.0.0.1:8084", "address to listen on")
	accounts := flags.String("accounts", "", "file of users")
	o := options(flags)
	if err := flags.Parse(args); err != nil {
		return err
	}
	server := kendoxtest.New(*o)
	if err := load(server, *accounts); err != nil {
		return err
	}
	return serve(server, *listen, stdout)
}

// options are the flags that say how the server behaves.
func options(flags *flag.FlagSet) *kendoxtest.Options {
	options := &kendoxtest.Options{}
	flags.BoolVar(&options.Strict, "strict", false, "take only what the reference lists: JSON that says it is, parameters by their names and types; inferred")
	flags.BoolVar(&options.Loose, "loose", false, "SetUserPasswordHashed takes anything, as the sample in the reference suggests")
	flags.StringVar(&options.Tenant, "tenant", "", "the tenant that a logon has to name; documented")
	flags.BoolVar(&options.UTF16, "utf-16le", false, "hash passwords as UTF-16LE instead of UTF-8; neither is documented")
	flags.DurationVar(&options.Idle, "idle", 0, "after which a session ends (default 10m0s); documented")
	flags.IntVar(&options.Sessions, "sessions", 0, "most sessions of a user at once, 10055 above it; documented; 0: any number")
	flags.IntVar(&options.Licences, "licences", 0, "most sessions of all users at once, 10054 above it; 0: any number")
	flags.StringVar(&options.Code, "code", "123456", "the second factor's code")
	flags.StringVar(&options.Form, "error-form", kendoxtest.FormCode, "of an error's body: message, fault, text, or without it a code and a message; none is documented")
	flags.IntVar(&options.Status, "error-status", 500, "HTTP status of an error; not documented")
	flags.IntVar(&options.Rules.MinLength, "min-length", 0, "of SetUserPassword's values, 10081; the hashed call cannot check")
	flags.BoolVar(&options.Rules.Letter, "letter", false, "SetUserPassword wants a letter, 10082")
	flags.BoolVar(&options.Rules.Special, "special", false, "SetUserPassword wants a special character, 10083")
	flags.BoolVar(&options.Rules.Mixed, "mixed", false, "SetUserPassword wants upper and lower case, 10084")
	flags.BoolVar(&options.Rules.Digit, "digit", false, "SetUserPassword wants a digit, 10086")
	return options
}

func serve(server *kendoxtest.Server, listen string, stdout io.Writer) error {
	ended := make(chan os.Signal, 1)
	signal.Notify(ended, os.Interrupt, syscall.SIGTERM)
	defer signal.Stop(ended)
	if err := server.Start(listen); err != nil {
		return err
	}
	_, _ = fmt.Fprintln(stdout, "Kendox InfoShare at", server.URL())
	<-ended
	if err := server.Close(); err != nil {
		return err
	}
	encoder := json.NewEncoder(stdout)
	encoder.SetIndent("", "  ")
	return encoder.Encode(server.Status())
}

// load reads the users.
func load(server *kendoxtest.Server, name string) error {
	if name == "" {
		return errors.New("--accounts is missing; see --help")
	}
	file, err := os.Open(name)
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }() // it was only read, or nobody could do anything about it
	admins := 0
	rows := csv.NewReader(file)
	rows.Comma, rows.Comment, rows.FieldsPerRecord, rows.TrimLeadingSpace = ';', '#', -1, true
	for first := true; ; first = false {
		row, err := rows.Read()
		switch {
		case errors.Is(err, io.EOF):
			return finish(server, admins)
		case err != nil:
			return fmt.Errorf("%s: %w", name, err)
		case first && slices.Equal(row, []string{"login", "password"}):
			continue
		}
		admin, err := add(server, row)
		if err != nil {
			line, _ := rows.FieldPos(0)
			return fmt.Errorf("%s:%d: %w", name, line, err)
		}
		if admin {
			admins++
		}
	}
}

// finish adds the service account if the file has none.
func finish(server *kendoxtest.Server, admins int) error {
	if admins == 0 {
		server.Add(kendoxtest.User{Login: "rekey", Rights: kendoxtest.AllRights()}, "rekey")
	}
	return nil
}

func add(server *kendoxtest.Server, parts []string) (admin bool, err error) {
	if len(parts) < 2 || len(parts) > 3 {
		return false, fmt.Errorf("%d columns, want login;password[;right]", len(parts))
	}
	for i := range parts {
		parts[i] = strings.TrimSpace(parts[i])
	}
	user := kendoxtest.User{Login: parts[0], Name: parts[0]}
	switch {
	case parts[0] == "":
		return false, errors.New("the login is empty")
	case len(parts) == 3 && parts[2] == "admin":
		user.Rights, admin = kendoxtest.AllRights(), true
	case len(parts) == 3 && parts[2] != "":
		return false, fmt.Errorf("right %q, want admin or nothing", parts[2])
	}
	server.Add(user, parts[1])
	return admin, nil
}
