package simulator

import (
	"bytes"
	"context"
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
)

// System is a simulated system as its command knows it. Its methods are called
// in the order given here.
type System interface {
	Flags(flags *flag.FlagSet)  // declares how the system can be told to behave
	Begin(secret string) error  // makes the system; the flags are parsed
	Line(fields []string) error // adds an account of the file
	Listen(address string) error
	Greeting() string // says how the system is reached; ends in a line end
	Close()
	Status() any // the state, without secrets
}

// Program is the command of one simulator.
type Program struct {
	System  System
	Usage   string // what the command serves, and what a line of --accounts is
	Address string // to listen on without --listen
	Secret  string // the environment variable of the administrator's password; "": the system needs no password
	Header  string // the first line of a file, which may be missing
	Comment rune   // begins the lines to skip; 0: every line counts
}

// Main runs the program until it is interrupted, and ends the process: with 2
// if it cannot serve.
func Main(program Program) {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	err := program.Run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "simulate:", err)
		os.Exit(2)
	}
}

// Run serves until ctx ends, then prints the state.
func (p Program) Run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	set, err := p.parse(args, stderr)
	if err != nil {
		return err
	}
	secret := ""
	if p.Secret != "" {
		if secret = os.Getenv(p.Secret); secret == "" {
			return errors.New(p.Secret + ": is not set; it is the administrator's password, here and for rekey")
		}
	}
	if err := p.System.Begin(secret); err != nil {
		return err
	}
	if err := p.load(set.accounts); err != nil {
		return err
	}
	if err := p.System.Listen(set.listen); err != nil {
		return err
	}
	_, _ = fmt.Fprint(stdout, p.System.Greeting())
	<-ctx.Done()
	p.System.Close()
	encoder := json.NewEncoder(stdout)
	encoder.SetIndent("", "  ")
	return encoder.Encode(p.System.Status())
}

// settings are the flags that every program has.
type settings struct{ listen, accounts string }

func (p Program) parse(args []string, stderr io.Writer) (settings, error) {
	var set settings
	flags := flag.NewFlagSet("simulate", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.Usage = func() { _, _ = fmt.Fprint(stderr, p.Usage, "\n"); flags.PrintDefaults() }
	flags.StringVar(&set.listen, "listen", p.Address, "`address` to serve on")
	flags.StringVar(&set.accounts, "accounts", "", "`file` of accounts; without it the system has only its own")
	p.System.Flags(flags)
	err := flags.Parse(args)
	if err == nil && flags.NArg() > 0 {
		err = fmt.Errorf("%q: is not a flag; see --help", flags.Arg(0))
	}
	return set, err
}

// load adds the accounts of a file. It reads lines as rekey does: blank lines
// and the header are skipped, spaces around values trimmed, and values that
// have a quote or a semicolon stand in quotes.
func (p Program) load(path string) error {
	if path == "" {
		return nil
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	rows := csv.NewReader(bytes.NewReader(bytes.TrimPrefix(text, []byte("\ufeff"))))
	rows.Comma, rows.Comment, rows.FieldsPerRecord, rows.LazyQuotes, rows.TrimLeadingSpace = ';', p.Comment, -1, true, true
	for first := true; ; first = false {
		fields, err := rows.Read()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		for i := range fields {
			fields[i] = strings.TrimSpace(fields[i])
		}
		if blank := len(fields) == 1 && fields[0] == ""; blank || first && p.header(fields) {
			continue
		}
		if err := p.System.Line(fields); err != nil {
			line, _ := rows.FieldPos(0)
			return fmt.Errorf("%s:%d: %w", path, line, err)
		}
	}
}

// header reports whether the first line of a file names the columns.
func (p Program) header(fields []string) bool {
	return p.Header != "" && slices.Equal(fields, strings.Split(p.Header, ";"))
}
