package main

import (
	"cmp"
	"flag"
	"os"
	"path/filepath"
	"reflect"
	"testing"

	"github.com/rekey-host/rekey/plugins/kendox/kendoxtest"
)

func write(t *testing.T, text string) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "accounts")
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

func TestLoadReadsUsers(t *testing.T) {
	s := kendoxtest.New(kendoxtest.Options{})
	if err := load(s, write(t, "# login;password;right\n\njdoe; old-0\nboss;old-1;admin\n")); err != nil {
		t.Fatal(err)
	}
	boss, _ := s.User("boss")
	jdoe, _ := s.User("jdoe")
	if !s.Accepts("jdoe", "old-0") || len(jdoe.Rights) != 0 || !s.Accepts("boss", "old-1") || len(boss.Rights) != 3 {
		t.Errorf("jdoe %+v, boss %+v", jdoe, boss)
	}
	if _, ok := s.User("rekey"); ok {
		t.Error("there is a second service account")
	}
}

func TestLoadAddsAServiceAccount(t *testing.T) {
	s := kendoxtest.New(kendoxtest.Options{})
	if err := load(s, write(t, "jdoe;old-0\n")); err != nil {
		t.Fatal(err)
	}
	if !s.Accepts("rekey", "rekey") {
		t.Error("there is no service account")
	}
}

func TestLoadNamesTheLine(t *testing.T) {
	for text, want := range map[string]string{
		"jdoe;x\n\njdoe\n": ":3: 1 columns, want login;password[;right]",
		" ;x\n":            ":1: the login is empty",
		"jdoe;x;root\n":    `:1: right "root", want admin or nothing`,
	} {
		name := write(t, text)
		if err := load(kendoxtest.New(kendoxtest.Options{}), name); err == nil || err.Error() != name+want {
			t.Errorf("load = %v, want %s", err, want)
		}
	}
}

func TestLoadReadsTheSampleOfTheScript(t *testing.T) {
	s := kendoxtest.New(kendoxtest.Options{})
	if err := load(s, "../../../../scripts/data/kendox_users.csv"); err != nil {
		t.Fatal(err)
	}
	if !s.Accepts("hayes; helen", "") || !s.Accepts("d'eon", "Le-Chevalier-1728") || !s.Accepts("ivy_%2f_&<ito>", "") {
		t.Error("a user of the sample is missing")
	}
	if _, ok := s.User("login"); ok {
		t.Error("the names of the columns became a user")
	}
}

// Every behaviour of the server can be had by a flag: what Options has, but the
// clock, simulate --help lists.
func TestEveryOptionHasAFlag(t *testing.T) {
	flags := flag.NewFlagSet("simulate", flag.ContinueOnError)
	o := options(flags)
	flags.VisitAll(func(f *flag.Flag) {
		v := map[string]string{"tenant": "x", "idle": "1m", "sessions": "2", "licences": "3", "code": "1", "error-form": "text", "error-status": "400", "min-length": "9"}[f.Name]
		if err := flags.Set(f.Name, cmp.Or(v, "true")); err != nil {
			t.Error(err)
		}
	})
	for _, value := range []reflect.Value{reflect.ValueOf(*o), reflect.ValueOf(o.Rules)} {
		for i := range value.NumField() {
			if name := value.Type().Field(i).Name; value.Field(i).IsZero() && name != "Now" {
				t.Errorf("no flag sets %s", name)
			}
		}
	}
}
