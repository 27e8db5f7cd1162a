// Command simulate serves a simulated SmartCloud to try rekey on.
//
//	CLOUD_PASSWORD=secret simulate --listen 127.0.0.1:8081 --accounts users.txt
package main

import (
	"errors"
	"flag"
	"fmt"
	"strings"

	"github.com/rekey-host/rekey/plugins/internal/simulator"
	"github.com/rekey-host/rekey/plugins/smartcloud/smartcloudtest"
)

const usage = `usage: CLOUD_PASSWORD=secret simulate --accounts FILE [flags]

Serves a simulated SmartCloud. FILE holds one account a line,

    login;temporary

where temporary is the account's present password, which has to be changed at
the first login; it may be empty. Blank lines and a first line of column names
are skipped. The administrator's password is $CLOUD_PASSWORD. The state, without
secrets, is at http://ADDRESS/simulator, and is printed at the end, too.
`

func main() { simulator.Main(program(&cloud{})) }

func program(system *cloud) simulator.Program {
	return simulator.Program{System: system, Usage: usage, Address: "127.0.0.1:8081", Secret: "CLOUD_PASSWORD", Header: "login;temporary"}
}

// cloud is the simulated SmartCloud as the command knows it.
type cloud struct {
	*smartcloudtest.Simulator
	options  smartcloudtest.Options
	state    string // of the accounts
	accounts int
}

func (c *cloud) Flags(flags *flag.FlagSet) {
	options := &c.options
	flags.StringVar(&options.Admin, "admin", "admin@acme.example", "the administrator's `e-mail`")
	flags.StringVar(&c.state, "state", smartcloudtest.Pending, "`state` of the accounts: PENDING, ACTIVE, SUSPENDED, SOFT_DELETED")
	flags.BoolVar(&options.Strict, "strict", false, "take only what the documents list: no final slash, CustomerId as a number, JSON that says it is; inferred")
	flags.StringVar(&options.Spelling, "spelling", "A", "of the keys of errors: A (ResponseCode) or B (responseCode); both are in clients")
	flags.BoolVar(&options.RepeatAllowed, "repeat-allowed", false, "the present password may be set again; inferred")
	flags.BoolVar(&options.StayPending, "stay-pending", false, "a change leaves a PENDING account PENDING; inferred")
	flags.IntVar(&options.MaxPage, "max-page", 0, "most subscribers of a page, however many are asked for; 0: no limit")
	flags.IntVar(&options.Budget.Limit, "budget", 0, "most requests in a period, 503 above it; 0: no limit")
	flags.DurationVar(&options.Budget.Period, "period", 0, "the period of --budget")
	flags.BoolVar(&options.Budget.RetryAfter, "retry-after", false, "tell how long to wait with a 503")
}

func (c *cloud) Begin(secret string) error {
	c.options.AdminPassword = secret
	c.Simulator = smartcloudtest.New(c.options)
	return nil
}

// Line adds an account. A temporary value may have semicolons without quotes.
func (c *cloud) Line(fields []string) error {
	if len(fields) < 2 || fields[0] == "" {
		return errors.New("is not login;temporary")
	}
	temporary := strings.Join(fields[1:], ";")
	c.Add(smartcloudtest.Account{Login: fields[0], Password: temporary, OneTime: temporary != "", State: c.state})
	c.accounts++
	return nil
}

func (c *cloud) Greeting() string {
	return fmt.Sprintf(`SmartCloud simulator: url = %s, admin = %s, password from CLOUD_PASSWORD
%d accounts, %s; numbers at %s/simulator; stop it with Ctrl-C
try a password: curl -u LOGIN '%s/api/bss/resource/subscriber?_namedQuery=getSubscriberByEmailAddress&emailAddress=LOGIN'
`, c.URL(), c.options.Admin, c.accounts, c.state, c.URL(), c.URL())
}

func (c *cloud) Status() any { return c.Simulator.Status() }
