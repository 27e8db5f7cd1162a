package main

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
)

func TestRunServesTheUsersOfAFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "users.txt")
	if err := os.WriteFile(path, []byte("\ufeffann@acme.example \r\n\n bob@acme.example ; Authentication , Fax\n\"sue@acme.example\";\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	out, in := io.Pipe()
	ended := make(chan error, 1)
	go func() { ended <- run(ctx, []string{"--listen", "127.0.0.1:0", "--accounts", path}, "adm1n-pw", in) }()
	text := ""
	for !strings.Contains(text, "curl") {
		piece := make([]byte, 1024)
		n, err := out.Read(piece)
		if err != nil {
			t.Fatal(err)
		}
		text += string(piece[:n])
	}
	url := regexp.MustCompile(`http://\S+/api/v2`).FindString(text)
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
	if strings.Contains(text, "adm1n-pw") {
		t.Errorf("a password is printed: %s", text)
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
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

func TestRunSaysWhatIsWrong(t *testing.T) {
	tests := []struct {
		name, password, want string
		args                 []string
	}{
		{"no password", "", "ODIN_PASSWORD", nil},
		{"no such file", "x", "no such file", []string{"--accounts", filepath.Join(t.TempDir(), "none")}},
		{"an argument too many", "x", "is not a flag", []string{"users.txt"}},
	}
	for _, test := range tests {
		if err := run(t.Context(), test.args, test.password, io.Discard); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: got %v, want %q", test.name, err, test.want)
		}
	}
}

// Every behaviour of the system can be had by a flag: what Options has, but the
// clock and a password, simulate --help lists.
func TestEveryOptionHasAFlag(t *testing.T) {
	set, err := parse([]string{"--strict", "--must-change", "--refresh=token", "--packs-hidden", "--short=1", "--no-rules=403", "--expires=-107", "--passcode=4-8", "--token-life=1m", "--page=5"})
	if err != nil {
		t.Fatal(err)
	}
	value := reflect.ValueOf(set.options)
	for i := range value.NumField() {
		if name := value.Type().Field(i).Name; value.Field(i).IsZero() && !slices.Contains([]string{"Now", "Password", "AdminPassword"}, name) {
			t.Errorf("no flag sets Options.%s", name)
		}
	}
}

func TestAPasscodeHasTwoLengths(t *testing.T) {
	for _, wrong := range []string{"8", "1-4", "6-4", "4-31", "x-y"} {
		if _, err := parse([]string{"--passcode=" + wrong}); err == nil {
			t.Errorf("--passcode=%s is taken", wrong)
		}
	}
}
