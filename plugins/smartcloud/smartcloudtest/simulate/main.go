// Command simulate serves a simulated SmartCloud to try rekey on.
//
//	CLOUD_PASSWORD=secret simulate --listen 127.0.0.1:8081 --accounts users.txt
//
// The file has one line an account, login;temporary. The temporary value is
// the account's present password and has to be changed at the first login.
// The administrator's password is $CLOUD_PASSWORD.
package main

import (
	"bytes"
	"context"
	"encoding/csv"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/rekey-host/rekey/plugins/smartcloud/smartcloudtest"
)

type settings struct {
	listen, accounts, state string
	options                 smartcloudtest.Options
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Getenv("CLOUD_PASSWORD"), os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "simulate:", err)
		os.Exit(2)
	}
}

// run serves until ctx ends.
func run(ctx context.Context, args []string, password string, out io.Writer) error {
	set, err := parse(args)
	if err != nil {
		return err
	}
	if password == "" {
		return errors.New("CLOUD_PASSWORD: is not set; it is the administrator's password, here and for rekey")
	}
	accounts, err := readAccounts(set.accounts, set.state)
	if err != nil {
		return err
	}
	set.options.AdminPassword = password
	simulator := smartcloudtest.New(set.options, accounts...)
	if err := simulator.Listen(set.listen); err != nil {
		return err
	}
	defer simulator.Close()
	_, _ = fmt.Fprintf(out, "SmartCloud simulator: url = %s, admin = %s, password from CLOUD_PASSWORD\n", simulator.URL(), set.options.Admin)
	_, _ = fmt.Fprintf(out, "%d accounts, %s; numbers at %s/simulator; stop it with Ctrl-C\n", len(accounts), set.state, simulator.URL())
	_, _ = fmt.Fprintf(out, "try a password: curl -u LOGIN '%s/api/bss/resource/subscriber?_namedQuery=getSubscriberByEmailAddress&emailAddress=LOGIN'\n", simulator.URL())
	<-ctx.Done()
	return nil
}

func parse(args []string) (settings, error) {
	var set settings
	options := &set.options
	flags := flag.NewFlagSet("simulate", flag.ContinueOnError)
	flags.StringVar(&set.listen, "listen", "127.0.0.1:8081", "`address` to serve on")
	flags.StringVar(&set.accounts, "accounts", "", "`file` of login;temporary lines")
	flags.StringVar(&options.Admin, "admin", "admin@acme.example", "the administrator's `e-mail`")
	flags.StringVar(&set.state, "state", smartcloudtest.Pending, "`state` of the accounts: PENDING, ACTIVE, SUSPENDED, SOFT_DELETED")
	flags.BoolVar(&options.Strict, "strict", false, "take only what the documents list: no final slash, CustomerId as a number, JSON that says it is; inferred")
	flags.StringVar(&options.Spelling, "spelling", "A", "of the keys of errors: A (ResponseCode) or B (responseCode); both are in clients")
	flags.BoolVar(&options.RepeatAllowed, "repeat-allowed", false, "the present password may be set again; inferred")
	flags.BoolVar(&options.StayPending, "stay-pending", false, "a change leaves a PENDING account PENDING; inferred")
	flags.IntVar(&options.MaxPage, "max-page", 0, "most subscribers of a page, however many are asked for; 0: no limit")
	flags.IntVar(&options.Budget.Limit, "budget", 0, "most requests in a period, 503 above it; 0: no limit")
	flags.DurationVar(&options.Budget.Period, "period", 0, "the period of --budget")
	flags.BoolVar(&options.Budget.RetryAfter, "retry-after", false, "tell how long to wait with a 503")
	err := flags.Parse(args)
	if err == nil && flags.NArg() > 0 {
		err = fmt.Errorf("%q: is not a flag", flags.Arg(0))
	}
	return set, err
}

// readAccounts reads login;temporary lines as rekey does: blank lines and a
// header line are skipped, spaces around values trimmed, values that have a
// semicolon stand in quotes. The temporary value may be empty.
func readAccounts(path, state string) ([]smartcloudtest.Account, error) {
	if path == "" {
		return nil, nil
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	reader := csv.NewReader(bytes.NewReader(bytes.TrimPrefix(text, []byte("\ufeff"))))
	reader.Comma, reader.FieldsPerRecord, reader.LazyQuotes, reader.TrimLeadingSpace = ';', -1, true, true
	var list []smartcloudtest.Account
	for {
		fields, err := reader.Read()
		switch line, _ := reader.FieldPos(0); {
		case errors.Is(err, io.EOF):
			return list, nil
		case err != nil:
			return nil, fmt.Errorf("%s: %w", path, err)
		case len(fields) < 2 || strings.TrimSpace(fields[0]) == "":
			return nil, fmt.Errorf("%s:%d: is not login;temporary", path, line)
		case line == 1 && fields[0] == "login":
			continue
		}
		login, temporary := strings.TrimSpace(fields[0]), strings.TrimSpace(strings.Join(fields[1:], ";"))
		list = append(list, smartcloudtest.Account{Login: login, Password: temporary, OneTime: temporary != "", State: state})
	}
}
