package main

import (
	"strings"
	"testing"

	"github.com/rekey-host/rekey/plugins/internal/simulator/simulatortest"
)

func TestTheUsersOfAFileAreServed(t *testing.T) {
	system := &infoshare{}
	told := simulatortest.Serve(t, program(system), simulatortest.Write(t, "# login;password;right\n\njdoe; old-0\nboss;old-1;admin\n"), func(string) {})
	boss, _ := system.User("boss")
	jdoe, _ := system.User("jdoe")
	if !system.Accepts("jdoe", "old-0") || len(jdoe.Rights) != 0 || !system.Accepts("boss", "old-1") || len(boss.Rights) != 3 {
		t.Errorf("jdoe %+v, boss %+v", jdoe, boss)
	}
	if _, ok := system.User("rekey"); ok {
		t.Error("there is a second service account")
	}
	if !strings.HasPrefix(told, "Kendox InfoShare at "+system.URL()+"\n{") || strings.Contains(told, "old-0") {
		t.Errorf("it printed, without passwords or not: %s", told)
	}
}

func TestAFileWithoutAServiceAccountGetsOne(t *testing.T) {
	system := &infoshare{}
	simulatortest.Serve(t, program(system), simulatortest.Write(t, "jdoe;old-0\n"), func(string) {})
	if !system.Accepts("rekey", "rekey") {
		t.Error("there is no service account")
	}
}

func TestALineThatIsNoUserIsRefused(t *testing.T) {
	for text, want := range map[string]string{
		"jdoe;x\n\njdoe\n": ":3: 1 columns, want login;password[;right]",
		" ;x\n":            ":1: the login is empty",
		"jdoe;x;root\n":    `:1: right "root", want admin or nothing`,
	} {
		simulatortest.Refuses(t, program(&infoshare{}), want, "--accounts", simulatortest.Write(t, text))
	}
}

func TestTheSampleOfTheScriptIsServed(t *testing.T) {
	system := &infoshare{}
	simulatortest.Serve(t, program(system), "../../../../scripts/data/kendox_users.csv", func(string) {})
	if !system.Accepts("hayes; helen", "") || !system.Accepts("d'eon", "Le-Chevalier-1728") || !system.Accepts("ivy_%2f_&<ito>", "") {
		t.Error("a user of the sample is missing")
	}
	if _, ok := system.User("login"); ok {
		t.Error("the names of the columns became a user")
	}
}

func TestEveryOptionHasAFlag(t *testing.T) {
	system := &infoshare{}
	simulatortest.EveryOptionHasAFlag(t, system, map[string]string{"tenant": "x", "idle": "1m", "sessions": "2", "licences": "3", "code": "1", "error-form": "text", "error-status": "400", "min-length": "9"},
		&system.options, "Now")
}
