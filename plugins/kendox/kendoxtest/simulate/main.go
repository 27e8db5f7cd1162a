// Command simulate serves a simulated Kendox InfoShare to try rekey on.
package main

import (
	"errors"
	"flag"
	"fmt"

	"github.com/rekey-host/rekey/plugins/internal/simulator"
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
printed at the end, too.
`

func main() { simulator.Main(program(&infoshare{})) }

func program(system *infoshare) simulator.Program {
	return simulator.Program{System: system, Usage: usage, Address: "127.0.0.1:8084", Header: "login;password", Comment: '#'}
}

// infoshare is the simulated InfoShare as the command knows it.
type infoshare struct {
	*kendoxtest.Server
	options kendoxtest.Options
	admins  int // lines of service accounts
}

func (i *infoshare) Flags(flags *flag.FlagSet) {
	options := &i.options
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
}

func (i *infoshare) Begin(string) error {
	i.Server = kendoxtest.New(i.options)
	return nil
}

func (i *infoshare) Line(fields []string) error {
	if len(fields) < 2 || len(fields) > 3 {
		return fmt.Errorf("%d columns, want login;password[;right]", len(fields))
	}
	user := kendoxtest.User{Login: fields[0], Name: fields[0]}
	switch {
	case fields[0] == "":
		return errors.New("the login is empty")
	case len(fields) == 3 && fields[2] == "admin":
		user.Rights = kendoxtest.AllRights()
		i.admins++
	case len(fields) == 3 && fields[2] != "":
		return fmt.Errorf("right %q, want admin or nothing", fields[2])
	}
	i.Add(user, fields[1])
	return nil
}

// Listen adds the service account if the file lacks one, and listens.
func (i *infoshare) Listen(address string) error {
	if i.admins == 0 {
		i.Add(kendoxtest.User{Login: "rekey", Rights: kendoxtest.AllRights()}, "rekey")
	}
	return i.Server.Listen(address)
}

func (i *infoshare) Greeting() string { return "Kendox InfoShare at " + i.URL() + "\n" }
func (i *infoshare) Status() any      { return i.Server.Status() }
