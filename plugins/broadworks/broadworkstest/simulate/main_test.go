package main

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/rekey-host/rekey/plugins/internal/simulator/simulatortest"
)

func TestTheUsersOfAFileAreServed(t *testing.T) {
	t.Setenv("ODIN_PASSWORD", "adm1n-pw")
	path := simulatortest.Write(t, "\ufeffann@acme.example \r\n\n bob@acme.example ; Authentication , Fax\n\"sue@acme.example\";\n")
	told := simulatortest.Serve(t, program(&odin{}), path, func(host string) {
		url := host + "/api/v2"
		var login struct{ Token string }
		ask(t, "POST", url+"/auth/token", "", `{"username":"admin","password":"adm1n-pw"}`, &login)
		for id, want := range map[string]string{"ann@acme.example": "Authentication Voice Messaging User", "bob@acme.example": "Authentication Fax", "sue@acme.example": ""} {
			var got struct {
				UserServices []struct{ ServiceName string }
			}
			ask(t, "GET", url+"/users/services/assigned?userId="+id, login.Token, "", &got)
			var names []string
			for _, s := range got.UserServices {
				names = append(names, s.ServiceName)
			}
			if strings.Join(names, " ") != want {
				t.Errorf("%s: got %q, want %q", id, names, want)
			}
		}
	})
	if !strings.Contains(told, "3 users;") || strings.Contains(told, "adm1n-pw") {
		t.Errorf("it printed, without passwords or not: %s", told)
	}
}

func ask(t *testing.T, method, url, token, body string, into any) {
	t.Helper()
	r, _ := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	r.Header.Set("Authorization", "Bearer "+token)
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = answer.Body.Close() }()
	if err := json.NewDecoder(answer.Body).Decode(into); err != nil || answer.StatusCode != 200 {
		t.Fatalf("%s: %d, %v", url, answer.StatusCode, err)
	}
}

func TestALineThatIsNoUserIsRefused(t *testing.T) {
	t.Setenv("ODIN_PASSWORD", "x")
	simulatortest.Refuses(t, program(&odin{}), ":2: the user id is empty", "--accounts", simulatortest.Write(t, "ann\n;Fax\n"))
}

func TestEveryOptionHasAFlag(t *testing.T) {
	system := &odin{}
	simulatortest.EveryOptionHasAFlag(t, system, map[string]string{"user": "x", "provider": "x", "group": "x", "refresh": "token", "short": "1", "no-rules": "403",
		"expires": "-107", "passcode": "4-8", "token-life": "1m", "page": "5"}, &system.options, "Now", "Password")
}

func TestAPasscodeHasTwoLengths(t *testing.T) {
	for _, wrong := range []string{"8", "1-4", "6-4", "4-31", "x-y"} {
		simulatortest.Refuses(t, program(&odin{}), "want two lengths, such as 4-6", "--passcode="+wrong)
	}
}
