// Package simulatortest has the checks that every simulator's command passes.
package simulatortest

import (
	"context"
	"flag"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/rekey-host/rekey/plugins/internal/simulator"
)

// Write writes a file of accounts and returns its name.
func Write(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "accounts")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// Serve runs the program on a free port with a file of accounts, hands its
// address to ask, interrupts it, and returns the text that it printed.
func Serve(t *testing.T, program simulator.Program, accounts string, ask func(host string)) string {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	out, in := io.Pipe()
	ended := make(chan error, 1)
	go func() {
		err := program.Run(ctx, []string{"--listen", "127.0.0.1:0", "--accounts", accounts}, in, io.Discard)
		_ = in.CloseWithError(err)
		ended <- err
	}()
	piece := make([]byte, 4096)
	n, err := out.Read(piece) // the greeting is one write
	if err != nil {
		t.Fatal(err)
	}
	ask(regexp.MustCompile(`http://[0-9.:]+[0-9]`).FindString(string(piece[:n])))
	cancel()
	rest, err := io.ReadAll(out)
	if ended := <-ended; err != nil || ended != nil {
		t.Errorf("the program ended with %v, %v", err, ended)
	}
	return string(piece[:n]) + string(rest)
}

// Refuses checks that the program does not start with these arguments, and
// that the error says why.
func Refuses(t *testing.T, program simulator.Program, why string, args ...string) {
	t.Helper()
	ended, cancel := context.WithCancel(t.Context())
	cancel() // a program that does start ends at once
	err := program.Run(ended, append([]string{"--listen", "127.0.0.1:0"}, args...), io.Discard, io.Discard)
	if err == nil || !strings.HasSuffix(err.Error(), why) {
		t.Errorf("%q: got %v, want %s", args, err, why)
	}
}

// EveryOptionHasAFlag checks that every behaviour of the system has a flag with
// a description. Switches are set to true, other flags to values; together they
// have to fill the fields of options, except those that a flag may not set.
func EveryOptionHasAFlag(t *testing.T, system simulator.System, values map[string]string, options any, except ...string) {
	t.Helper()
	flags := flag.NewFlagSet("simulate", flag.ContinueOnError)
	system.Flags(flags)
	flags.VisitAll(func(one *flag.Flag) {
		if one.Usage == "" {
			t.Errorf("--%s says nothing", one.Name)
		}
		value, ok := values[one.Name]
		if !ok {
			value = "true"
		}
		if err := flags.Set(one.Name, value); err != nil {
			t.Error(err)
		}
	})
	filled(t, reflect.ValueOf(options).Elem(), except)
}

func filled(t *testing.T, options reflect.Value, except []string) {
	t.Helper()
	for i := range options.NumField() {
		name, value := options.Type().Field(i).Name, options.Field(i)
		switch {
		case slices.Contains(except, name):
		case value.Kind() == reflect.Struct:
			filled(t, value, except)
		case value.IsZero():
			t.Errorf("no flag sets Options.%s", name)
		}
	}
}
