// Command simulate serves a simulated Odin over BroadWorks to try rekey on.
//
//	ODIN_PASSWORD=secret simulate --listen 127.0.0.1:8082 --accounts users.txt
package main

import (
	"errors"
	"flag"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/rekey-host/rekey/plugins/broadworks/broadworkstest"
	"github.com/rekey-host/rekey/plugins/internal/simulator"
)

const usage = `usage: ODIN_PASSWORD=secret simulate --accounts FILE [flags]

Serves a simulated Odin. FILE holds one user a line,

    user id[;services]

where services are those that the user has, separated by commas; without them
the user has both that SIP and voicemail need. Blank lines are skipped. The
administrator's password is $ODIN_PASSWORD. The state, without secrets, is at
http://ADDRESS/simulator, and is printed at the end, too.
`

func main() { simulator.Main(program(&odin{})) }

func program(system *odin) simulator.Program {
	return simulator.Program{System: system, Usage: usage, Address: "127.0.0.1:8082", Secret: "ODIN_PASSWORD"}
}

// odin is the simulated Odin as the command knows it.
type odin struct {
	*broadworkstest.Simulator
	options broadworkstest.Options
	users   int
}

func (o *odin) Flags(flags *flag.FlagSet) {
	options := &o.options
	flags.StringVar(&options.Login, "user", "admin", "who administers")
	flags.StringVar(&options.Provider, "provider", "Acme", "the service provider")
	flags.StringVar(&options.Group, "group", "Sales", "the group of all users")
	flags.DurationVar(&options.TokenLife, "token-life", 0, "how long a login lasts; 0: for ever")
	flags.BoolVar(&options.Strict, "strict", false, "take only JSON that says it is; inferred")
	flags.BoolVar(&options.MustChange, "must-change", false, "402: the administrator's password has to be changed first; seen in the web interface")
	flags.StringVar(&options.Refresh, "refresh", "", "which `path` renews a login: token or session; both without it")
	flags.BoolVar(&options.PacksHidden, "packs-hidden", false, "/users/services/assigned leaves out what a service pack brings; inferred")
	flags.IntVar(&options.Short, "short", 0, "generators answer so many `values` fewer than asked for")
	flags.IntVar(&options.NoRules, "no-rules", 0, "answer every page of rules with this `status`, such as 403 or 404")
	flags.IntVar(&options.Paged, "page", 0, "answer lists of users in pages of so many; 0: at once")
	flags.Func("expires", "passwordExpiresDays in `days`, a string if negative as the platform writes it; never without it", func(text string) error {
		days, err := strconv.Atoi(text)
		options.Expires = &days
		return err
	})
	rules := broadworkstest.DefaultRules()
	options.Rules = &rules
	flags.Func("passcode", "least and greatest length of a passcode, `4-6` without it; the schema has 2-15 and 3-30", func(text string) error {
		code := &rules.GroupPasscode
		if count, err := fmt.Sscanf(text, "%d-%d", &code.MinCodeLength, &code.MaxCodeLength); count != 2 || err != nil || code.MinCodeLength < 2 || code.MinCodeLength > code.MaxCodeLength || code.MaxCodeLength > 30 {
			return errors.New("want two lengths, such as 4-6")
		}
		return nil
	})
}

func (o *odin) Begin(secret string) error {
	o.options.Password = secret
	o.Simulator = broadworkstest.New(o.options)
	return nil
}

func (o *odin) Line(fields []string) error {
	if fields[0] == "" {
		return errors.New("the user id is empty")
	}
	o.Add(broadworkstest.User{ID: fields[0], Extension: fmt.Sprint(1000 + o.users), Services: services(fields[1:])})
	o.users++
	return nil
}

// services are those that a line lists; nil: it says nothing of them.
func services(fields []string) []string {
	if len(fields) == 0 {
		return nil
	}
	list := strings.Split(fields[0], ",")
	for i := range list {
		list[i] = strings.TrimSpace(list[i])
	}
	return slices.DeleteFunc(list, func(name string) bool { return name == "" })
}

func (o *odin) Greeting() string {
	return fmt.Sprintf(`Odin simulator: url = %s, user = %s, password from ODIN_PASSWORD, provider = %s, group = %s
%d users; numbers at %s/simulator; stop it with Ctrl-C
try a web password: curl -d '{"username":"USER","password":"PASSWORD"}' %s/auth/token
`, o.URL(), o.options.Login, o.options.Provider, o.options.Group, o.users, o.Host(), o.URL())
}

func (o *odin) Status() any { return o.Simulator.Status() }
