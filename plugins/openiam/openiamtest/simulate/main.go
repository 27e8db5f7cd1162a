// Command simulate serves a simulated OpenIAM to try rekey on.
package main

import (
	"cmp"
	"errors"
	"flag"
	"fmt"
	"os"
	"strings"

	"github.com/rekey-host/rekey/plugins/internal/simulator"
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
are printed at the end, too.
`

// passwordVariable holds the password of the UsernameToken: no secret is a flag.
const passwordVariable = "OPENIAM_PASSWORD"

func main() { simulator.Main(program(&identities{})) }

func program(system *identities) simulator.Program {
	return simulator.Program{System: system, Usage: usage, Address: "127.0.0.1:8083", Comment: '#'}
}

// identities is the simulated OpenIAM as the command knows it.
type identities struct {
	*openiamtest.Server
	options         openiamtest.Options
	documented      bool
	changes, length string
}

// Flags says how the server behaves. "Documented" is what OpenIAM's wiki says;
// without the flag the server does as its sources of 2011.
func (i *identities) Flags(flags *flag.FlagSet) {
	options := &i.options
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
	flags.BoolVar(&i.documented, "documented", false, "all that the documentation says, at once: --return-resets --check-status --blank-sets --home-system --constants --policy-code")
	flags.StringVar(&i.changes, "changes", "1", `value of PASSWORD_CHANGE_ALLOWED; "" switches the change counter off`)
	flags.StringVar(&i.length, "length", "8-12", "least and greatest length of a password")
}

func (i *identities) Begin(string) error {
	if i.documented {
		i.options = i.options.Documented()
	}
	if i.options.User != "" {
		i.options.Password = os.Getenv(passwordVariable)
	}
	i.Server = openiamtest.New(i.options)
	lowest, highest, _ := strings.Cut(i.length, "-")
	i.SetPolicy("GLOBAL", openiamtest.DefaultPolicy().With("PASSWORD_CHANGE_ALLOWED", i.changes).With("PWD_LEN", lowest, highest))
	return nil
}

func (i *identities) Line(fields []string) error {
	if len(fields) < 2 || len(fields) > 5 {
		return fmt.Errorf("%d columns, want principal;password[;user[;managed system[;domain]]]", len(fields))
	}
	if fields[0] == "" {
		return errors.New("the principal is empty")
	}
	parts := append(fields, "", "", "")
	key := openiamtest.Key{Principal: parts[0], System: parts[3], Domain: parts[4]}
	i.Add(openiamtest.User{ID: cmp.Or(parts[2], "user of "+parts[0])}, key, parts[1])
	return nil
}

func (i *identities) Greeting() string { return "OpenIAM at " + i.URL() + "\n" }
func (i *identities) Status() any      { return i.Server.Status() }
