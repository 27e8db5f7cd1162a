package main

import (
	"context"
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

func write(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "users.txt")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestRunServesTheAccountsOfAFile(t *testing.T) {
	path := write(t, "\ufefflogin;temporary\r\nann@acme.example ; temp;0rary \r\n\n  bob@acme.example;\nsue@acme.example;\"two;\"\"2\"\n")
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	out, in := io.Pipe()
	ended := make(chan error, 1)
	go func() { ended <- run(ctx, []string{"--listen", "127.0.0.1:0", "--accounts", path}, "adm1n-pw", in) }()
	text := make([]byte, 0, 1024)
	for !strings.Contains(string(text), "curl") {
		piece := make([]byte, 1024)
		n, err := out.Read(piece)
		if err != nil {
			t.Fatal(err)
		}
		text = append(text, piece[:n]...)
	}
	url := regexp.MustCompile(`http://[0-9.:]+`).FindString(string(text))
	for who, want := range map[string]int{"ann@acme.example:temp;0rary": 200, "bob@acme.example:": 401, `sue@acme.example:two;"2`: 200, "login:temporary": 401, "admin@acme.example:adm1n-pw": 200} {
		login, password, _ := strings.Cut(who, ":")
		r, _ := http.NewRequestWithContext(t.Context(), "GET", url+"/api/bss/resource/subscriber?_namedQuery=getSubscriberByEmailAddress&emailAddress="+login, nil)
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
	if strings.Contains(string(text), "adm1n-pw") || strings.Contains(string(text), "0rary") {
		t.Errorf("a password is printed: %s", text)
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

func TestRunSaysWhatIsWrong(t *testing.T) {
	tests := []struct {
		name, password, want string
		args                 []string
	}{
		{"no password", "", "CLOUD_PASSWORD", nil},
		{"no such file", "x", "no such file", []string{"--accounts", filepath.Join(t.TempDir(), "none")}},
		{"a line without a semicolon", "x", ":2: is not login;temporary", []string{"--accounts", write(t, "a;b\nc\n")}},
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
	set, err := parse([]string{"--strict", "--spelling=B", "--repeat-allowed", "--stay-pending", "--max-page=5", "--budget=3", "--period=1m", "--retry-after"})
	if err != nil {
		t.Fatal(err)
	}
	value := reflect.ValueOf(set.options)
	for i := range value.NumField() {
		if name := value.Type().Field(i).Name; value.Field(i).IsZero() && !slices.Contains([]string{"Now", "AdminPassword"}, name) {
			t.Errorf("no flag sets Options.%s", name)
		}
	}
}
