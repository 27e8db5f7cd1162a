package main

import (
	"net/http"
	"strings"
	"testing"

	"github.com/rekey-host/rekey/plugins/internal/simulator/simulatortest"
)

func TestTheAccountsOfAFileAreServed(t *testing.T) {
	t.Setenv("CLOUD_PASSWORD", "adm1n-pw")
	path := simulatortest.Write(t, "\ufefflogin;temporary\r\nann@acme.example ; temp;0rary \r\n\n  bob@acme.example;\nsue@acme.example;\"two;\"\"2\"\n")
	told := simulatortest.Serve(t, program(&cloud{}), path, func(host string) {
		for who, want := range map[string]int{"ann@acme.example:temp;0rary": 200, "bob@acme.example:": 401, `sue@acme.example:two;"2`: 200, "login:temporary": 401, "admin@acme.example:adm1n-pw": 200} {
			login, password, _ := strings.Cut(who, ":")
			r, _ := http.NewRequestWithContext(t.Context(), "GET", host+"/api/bss/resource/subscriber?_namedQuery=getSubscriberByEmailAddress&emailAddress="+login, nil)
			r.SetBasicAuth(login, password)
			answer, err := http.DefaultClient.Do(r)
			if err != nil {
				t.Fatal(err)
			}
			_ = answer.Body.Close()
			if answer.StatusCode != want {
				t.Errorf("%s: got %d, want %d", login, answer.StatusCode, want)
			}
		}
	})
	if !strings.Contains(told, "3 accounts, PENDING;") || strings.Contains(told, "adm1n-pw") || strings.Contains(told, "0rary") {
		t.Errorf("it printed, without passwords or not: %s", told)
	}
}

func TestTheSampleOfTheScriptIsServed(t *testing.T) {
	t.Setenv("CLOUD_PASSWORD", "x")
	system := &cloud{}
	simulatortest.Serve(t, program(system), "../../../../scripts/data/smartcloud_accounts.txt", func(string) {})
	if value, oneTime := system.Password("dilek.yilmaz@acme.example"); value != "Welcome;2you" || !oneTime {
		t.Error("an account of the sample is missing")
	}
}

func TestALineThatIsNoAccountIsRefused(t *testing.T) {
	t.Setenv("CLOUD_PASSWORD", "x")
	simulatortest.Refuses(t, program(&cloud{}), ":2: is not login;temporary", "--accounts", simulatortest.Write(t, "a;b\nc\n"))
	simulatortest.Refuses(t, program(&cloud{}), ":1: is not login;temporary", "--accounts", simulatortest.Write(t, " ;b\n"))
}

func TestEveryOptionHasAFlag(t *testing.T) {
	system := &cloud{}
	simulatortest.EveryOptionHasAFlag(t, system, map[string]string{"admin": "a@b", "state": "ACTIVE", "spelling": "B", "max-page": "5", "budget": "3", "period": "1m"},
		&system.options, "Now", "AdminPassword", "Weights")
}
