// Command simulate serves a simulated Odin over BroadWorks to try rekey on.
//
//	ODIN_PASSWORD=secret simulate --listen 127.0.0.1:8082 --accounts users.txt
//
// The file has one user id a line. After a semicolon may follow the services
// that the user has, separated by commas; without it the user has both that
// SIP and voicemail need. The administrator's password is $ODIN_PASSWORD.
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
	"strconv"
	"strings"
	"syscall"

	"github.com/rekey-host/rekey/plugins/broadworks/broadworkstest"
)

type settings struct {
	listen, accounts string
	options          broadworkstest.Options
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Getenv("ODIN_PASSWORD"), os.Stdout); err != nil {
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
		return errors.New("ODIN_PASSWORD: is not set; it is the administrator's password, here and for rekey")
	}
	users, err := readUsers(set.accounts)
	if err != nil {
		return err
	}
	set.options.Password = password
	simulator := broadworkstest.New(set.options, users...)
	if err := simulator.Listen(set.listen); err != nil {
		return err
	}
	defer simulator.Close()
	options := set.options
	_, _ = fmt.Fprintf(out, "Odin simulator: url = %s, user = %s, password from ODIN_PASSWORD, provider = %s, group = %s\n", simulator.URL(), options.Login, options.Provider, options.Group)
	_, _ = fmt.Fprintf(out, "%d users; numbers at %s/simulator; stop it with Ctrl-C\n", len(users), strings.TrimSuffix(simulator.URL(), "/api/v2"))
	_, _ = fmt.Fprintf(out, "try a web password: curl -d '{\"username\":\"USER\",\"password\":\"PASSWORD\"}' %s/auth/token\n", simulator.URL())
	<-ctx.Done()
	return nil
}

func parse(args []string) (settings, error) {
	var set settings
	options := &set.options
	flags := flag.NewFlagSet("simulate", flag.ContinueOnError)
	flags.StringVar(&set.listen, "listen", "127.0.0.1:8082", "`address` to serve on")
	flags.StringVar(&set.accounts, "accounts", "", "`file` of user ids, one a line")
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
	flags.IntVar(&options.Paged, "page", 0, "answer lists of users in pages of so many; 0: at once")
	err := flags.Parse(args)
	if err == nil && flags.NArg() > 0 {
		err = fmt.Errorf("%q: is not a flag", flags.Arg(0))
	}
	return set, err
}

// readUsers reads lines as rekey does: blank ones are skipped, spaces around
// values trimmed, an id that has a quote or a semicolon stands in quotes.
func readUsers(path string) ([]broadworkstest.User, error) {
	if path == "" {
		return nil, nil
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	reader := csv.NewReader(bytes.NewReader(bytes.TrimPrefix(text, []byte("\ufeff"))))
	reader.Comma, reader.FieldsPerRecord, reader.LazyQuotes, reader.TrimLeadingSpace = ';', -1, true, true
	var list []broadworkstest.User
	for {
		fields, err := reader.Read()
		if errors.Is(err, io.EOF) {
			return list, nil
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		if id := strings.TrimSpace(fields[0]); id != "" {
			list = append(list, broadworkstest.User{ID: id, Extension: fmt.Sprint(1000 + len(list)), Services: services(fields[1:])})
		}
	}
}

// services are those that a line lists; nil: it says nothing of them.
func services(fields []string) []string {
	if len(fields) == 0 {
		return nil
	}
	list := []string{}
	for name := range strings.SplitSeq(fields[0], ",") {
		if name = strings.TrimSpace(name); name != "" {
			list = append(list, name)
		}
	}
	return list
}
