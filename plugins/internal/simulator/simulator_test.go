package simulator_test

import (
	"errors"
	"flag"
	"io"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/rekey-host/rekey/plugins/internal/simulator"
	"github.com/rekey-host/rekey/plugins/internal/simulator/simulatortest"
)

// fake is a system that keeps the lines that it is given.
type fake struct {
	simulator.Server
	secret, mode string
	lines        []string
}

func (f *fake) Flags(flags *flag.FlagSet) { flags.StringVar(&f.mode, "mode", "", "how it behaves") }
func (f *fake) Begin(secret string) error { f.secret = secret; return nil }
func (f *fake) Greeting() string          { return "fake at " + f.Host() + "\n" }
func (f *fake) Status() any               { return map[string]int{"accounts": len(f.lines)} }

func (f *fake) Line(fields []string) error {
	if fields[0] == "wrong" {
		return errors.New("is wrong")
	}
	f.lines = append(f.lines, strings.Join(fields, "|"))
	return nil
}

func (f *fake) Listen(address string) error {
	return f.Serve(address, simulator.ServeJSON(f.Status))
}

func program(system *fake) simulator.Program {
	return simulator.Program{System: system, Secret: "FAKE_PASSWORD", Header: "login;password", Comment: '#'}
}

func TestAProgramServesTheAccountsOfAFile(t *testing.T) {
	t.Setenv("FAKE_PASSWORD", "adm1n-pw")
	system := &fake{}
	path := simulatortest.Write(t, "\ufefflogin;password\r\n# a comment\r\nann ; one \r\n\n  \nbob;\nsue;\"two;\"\"2\"\nlogin;password\n")
	var page []byte
	told := simulatortest.Serve(t, program(system), path, func(host string) {
		answer, err := http.Get(host)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = answer.Body.Close() }()
		page, _ = io.ReadAll(answer.Body)
	})
	if want := []string{"ann|one", "bob|", `sue|two;"2`, "login|password"}; !slices.Equal(system.lines, want) || system.secret != "adm1n-pw" {
		t.Errorf("the system was given %q and %q, want %q", system.lines, system.secret, want)
	}
	if state := "{\n  \"accounts\": 4\n}\n"; told != "fake at "+system.Host()+"\n"+state || string(page) != state {
		t.Errorf("it printed %q and showed %q, want the greeting and %q", told, page, state)
	}
}

func TestAProgramSaysWhatIsWrong(t *testing.T) {
	simulatortest.Refuses(t, program(&fake{}), "FAKE_PASSWORD: is not set; it is the administrator's password, here and for rekey")
	t.Setenv("FAKE_PASSWORD", "x")
	none := filepath.Join(t.TempDir(), "none")
	simulatortest.Refuses(t, program(&fake{}), "no such file or directory", "--accounts", none)
	simulatortest.Refuses(t, program(&fake{}), ":3: is wrong", "--accounts", simulatortest.Write(t, "ann;x\n\nwrong;x\n"))
	simulatortest.Refuses(t, program(&fake{}), `"users.txt": is not a flag; see --help`, "users.txt")
	simulatortest.Refuses(t, program(&fake{}), "not defined: -modes", "--modes", "x")
	simulatortest.Refuses(t, program(&fake{}), "give another address", "--listen", "127.0.0.1:x")
}

func TestHelpSaysWhatIsServed(t *testing.T) {
	var told strings.Builder
	one := program(&fake{})
	one.Usage = "Serves nothing.\n"
	if err := one.Run(t.Context(), []string{"--help"}, io.Discard, &told); !errors.Is(err, flag.ErrHelp) {
		t.Errorf("--help ends with %v", err)
	}
	for _, want := range []string{"Serves nothing.\n", "-listen", "-accounts", "-mode"} {
		if !strings.Contains(told.String(), want) {
			t.Errorf("--help does not say %s:\n%s", want, told.String())
		}
	}
}
