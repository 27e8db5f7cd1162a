package main

import (
	"cmp"
	"flag"
	"os"
	"path/filepath"
	"reflect"
	"testing"

	"github.com/rekey-host/rekey/plugins/openiam/openiamtest"
)

func TestLoadReadsIdentities(t *testing.T) {
	name := filepath.Join(t.TempDir(), "accounts")
	text := "# principal;password;user;managed system;domain\n\njdoe; old-0 ;u1\njdoe110;old-1;u1;110\npartner;old-2;;;PARTNERS\n"
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	s := openiamtest.New(openiamtest.Options{})
	if err := load(s, name); err != nil {
		t.Fatal(err)
	}
	for key, want := range map[openiamtest.Key][2]string{
		{Principal: "jdoe"}:                        {"u1", "old-0"},
		{Principal: "jdoe110", System: "110"}:      {"u1", "old-1"},
		{Principal: "partner", Domain: "PARTNERS"}: {"user of partner", "old-2"},
	} {
		if got, ok := s.Identity(key); !ok || got.UserID != want[0] || got.Password != want[1] {
			t.Errorf("%v = %q, %q, %t; want %q", key, got.UserID, got.Password, ok, want)
		}
	}
}

func TestLoadNamesTheLine(t *testing.T) {
	name := filepath.Join(t.TempDir(), "accounts")
	for text, want := range map[string]string{
		"jdoe;x\n\njdoe\n": name + ":3: 1 columns, want principal;password[;user[;managed system[;domain]]]",
		" ;x\n":            name + ":1: the principal is empty",
	} {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := load(openiamtest.New(openiamtest.Options{}), name); err == nil || err.Error() != want {
			t.Errorf("load = %v, want %s", err, want)
		}
	}
}

// Every behaviour of a server can be had by a flag: what Options has, but the
// clock and a password, simulate --help lists.
func TestEveryOptionHasAFlag(t *testing.T) {
	flags := flag.NewFlagSet("simulate", flag.ContinueOnError)
	o := options(flags)
	flags.VisitAll(func(f *flag.Flag) {
		if f.Usage == "" {
			t.Errorf("--%s says nothing", f.Name)
		}
		v := map[string]string{"namespace": "urn:x", "auth-namespace": "urn:y", "user": "svc", "failed-logons": "7"}[f.Name]
		if err := flags.Set(f.Name, cmp.Or(v, "true")); err != nil {
			t.Error(err)
		}
	})
	for value, i := reflect.ValueOf(*o), 0; i < value.NumField(); i++ {
		name := value.Type().Field(i).Name
		if value.Field(i).IsZero() && name != "Now" && name != "Password" {
			t.Errorf("no flag sets Options.%s", name)
		}
	}
}

func TestLoadReadsTheSampleOfTheScript(t *testing.T) {
	s := openiamtest.New(openiamtest.Options{})
	if err := load(s, "../../../../scripts/data/openiam_accounts.csv"); err != nil {
		t.Fatal(err)
	}
	for _, key := range []openiamtest.Key{{Principal: "aberg"}, {Principal: "AB1001", System: "120"}, {Principal: "ffox", Domain: "PARTNERS"}} {
		if _, ok := s.Identity(key); !ok {
			t.Errorf("identity %+v of the sample is missing", key)
		}
	}
}
