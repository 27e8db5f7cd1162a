package main

import (
	"strings"
	"testing"

	"github.com/rekey-host/rekey/plugins/internal/simulator/simulatortest"
	"github.com/rekey-host/rekey/plugins/openiam/openiamtest"
)

func TestTheIdentitiesOfAFileAreServed(t *testing.T) {
	system := &identities{}
	path := simulatortest.Write(t, "# principal;password;user;managed system;domain\n\njdoe; old-0 ;u1\njdoe110;old-1;u1;110\npartner;old-2;;;PARTNERS\n")
	told := simulatortest.Serve(t, program(system), path, func(string) {})
	for key, want := range map[openiamtest.Key][2]string{
		{Principal: "jdoe"}:                        {"u1", "old-0"},
		{Principal: "jdoe110", System: "110"}:      {"u1", "old-1"},
		{Principal: "partner", Domain: "PARTNERS"}: {"user of partner", "old-2"},
	} {
		if got, ok := system.Identity(key); !ok || got.UserID != want[0] || got.Password != want[1] {
			t.Errorf("%v = %q, %q, %t; want %q", key, got.UserID, got.Password, ok, want)
		}
	}
	if !strings.HasPrefix(told, "OpenIAM at "+system.URL()+"\n") || !strings.Contains(told, `"principal": "jdoe110"`) || strings.Contains(told, "old-0") {
		t.Errorf("it printed, without passwords or not: %s", told)
	}
}

func TestALineThatIsNoIdentityIsRefused(t *testing.T) {
	for text, want := range map[string]string{
		"jdoe;x\n\njdoe\n": ":3: 1 columns, want principal;password[;user[;managed system[;domain]]]",
		" ;x\n":            ":1: the principal is empty",
	} {
		simulatortest.Refuses(t, program(&identities{}), want, "--accounts", simulatortest.Write(t, text))
	}
}

func TestEveryOptionHasAFlag(t *testing.T) {
	system := &identities{}
	simulatortest.EveryOptionHasAFlag(t, system, map[string]string{"namespace": "urn:x", "auth-namespace": "urn:y", "user": "svc", "failed-logons": "7"},
		&system.options, "Now", "Password")
}

func TestTheSampleOfTheScriptIsServed(t *testing.T) {
	system := &identities{}
	simulatortest.Serve(t, program(system), "../../../../scripts/data/openiam_accounts.csv", func(string) {})
	for _, key := range []openiamtest.Key{{Principal: "aberg"}, {Principal: "AB1001", System: "120"}, {Principal: "ffox", Domain: "PARTNERS"}} {
		if _, ok := system.Identity(key); !ok {
			t.Errorf("identity %+v of the sample is missing", key)
		}
	}
}
