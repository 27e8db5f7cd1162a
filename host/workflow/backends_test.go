package workflow

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rekey-host/rekey/host/source"
	"github.com/rekey-host/rekey/host/visible"
	"github.com/rekey-host/rekey/sdk"
	"github.com/rekey-host/rekey/sdk/secret"
)

func TestBackendsAreCheckedAgainstTheirDescription(t *testing.T) {
	const users = "\nworkflow(users = rows([\"ann\"], key = \"login\"), rotate = lambda user: None)"
	for _, tt := range []struct{ name, text, want string }{
		{"sound", `b = backend("ldap", url = "ldaps://ds", bind_dn = "cn=x", bind_password = secret.env("P"), mode = "ad", insecure = False)`, ""},
		{"unknown", `b = backend("ldpa", url = "ldaps://ds")`, `w.star:1:13: backend: there is no backend "ldpa"; did you mean "ldap"?`},
		{"strange", `b = backend("okta")`, `w.star:1:13: backend: there is no backend "okta"; there is broken, ldap, mailer, memory, phones`},
		{"broken", `b = backend("broken")`, `w.star:1:13: backend: broken: its process does not answer`},
		{"no name", `b = backend()`, `w.star:1:5: backend: name is missing; name: which plugin; rekey backends lists them`},
		{"setting", `b = backend("ldap", url = "ldaps://ds", bnd_dn = "x")`, `w.star:1:41: backend: ldap has no setting "bnd_dn"; did you mean "bind_dn"?`},
		{"strange setting", `b = backend("ldap", url = "ldaps://ds", colour = "x")`, `w.star:1:41: backend: ldap has no setting "colour"; it has url, bind_dn, bind_password, mode, ca_file, insecure`},
		{"like an argument", `b = backend("ldap", url = "ldaps://ds", lable = "x")`, `w.star:1:41: backend: ldap has no setting "lable"; did you mean "label"?`},
		{"missing setting", `b = backend("ldap")`, `w.star:1:5: backend: url is missing; url: where the server is`},
		{"empty setting", `b = backend("ldap", url = "")`, `w.star:1:21: backend: url: is empty; url: where the server is`},
		{"wrong type", `b = backend("memory", create = "yes")`, `w.star:1:23: backend: create: want bool, got string`},
		{"wrong type of an element", `b = backend("memory", groups = [1])`, `w.star:1:23: backend: groups: element 1: want string, got int`},
		{"number", `b = backend("memory", history = 1 << 70)`, `w.star:1:23: backend: history: the number is too large`},
		{"duration", `b = backend("memory", latency = "fast")`, `w.star:1:23: backend: latency: "fast" is not a duration; write a number and a unit: "500ms", "90s", "10m", "1h30m"`},
		{"choice", `b = backend("ldap", url = "ldaps://ds", mode = "rfc3602")`, `w.star:1:41: backend: mode: "rfc3602" is none of rfc3062, ad; did you mean "rfc3062"?`},
		{"no URL", `b = backend("ldap", url = "ds.acme.example")`, `w.star:1:21: backend: url: is not a URL; write scheme://host/path`},
		{"a URL with a login", `b = backend("ldap", url = "ldaps://u:p@ds")`, `w.star:1:21: backend: url: the URL holds a login; give it in settings of its own`},
		{"a zero byte", `b = backend("ldap", url = "ldaps://ds", bind_dn = "a\x00")`, `w.star:1:41: backend: bind_dn: has a zero byte`},
		{"conflict", `b = backend("ldap", url = "ldaps://ds", ca_file = "a", insecure = True)`, `w.star:1:41: backend: ca_file and insecure cannot be given together`},
		{"a secret of the wrong type", `b = backend("ldap", url = "ldaps://ds", bind_password = 3)`,
			`w.star:1:41: backend: bind_password: want a secret reference, got int; write secret.env("NAME"), secret.file("path"), secret.prompt("label"), secret.command([…]) or secret.credential("name")`},
		{"a reference as text", `b = backend("ldap", url = "ldaps://ds", bind_dn = secret.env("P"))`, `w.star:1:41: backend: bind_dn: want string, got secret reference`},
		{"a dict that is no reference", `b = backend("ldap", url = "ldaps://ds", bind_password = {"$secret": "vault:x"})`,
			`w.star:1:41: backend: bind_password: the dict is no secret reference; write {"$secret": "env:NAME"}, with env, file, prompt or credential`},
		{"an empty reference", `b = secret.env("")`, `w.star:1:16: secret.env: name is empty`},
		{"the same label", "a = backend(\"memory\")\nb = backend(\"memory\")", `w.star:2:5: backend: two backends are labelled "memory"; give one of them another: label = "memory-2"`},
		{"other labels", "a = backend(\"memory\")\nb = backend(\"memory\", label = \"two\")", ""},
		{"a label with a colon", `b = backend("memory", label = "a:b")`, `w.star:1:23: backend: label "a:b" has a character that reports give a meaning; use letters, digits, _ and -`},
		{"a label with a line end", `b = backend("memory", label = "a\nb")`, `w.star:1:23: backend: label "a\nb" has a character that reports give a meaning; use letters, digits, _ and -`},
		{"above the concurrency", `b = backend("ldap", url = "ldaps://ds", concurrency = 9)`, `w.star:1:41: backend: concurrency = 9 is above the plugin's limit, 8`},
		{"above the rate", `b = backend("ldap", url = "ldaps://ds", rate = "101/s")`, `w.star:1:41: backend: rate = "101/s" is above the plugin's limit, 100/s`},
		{"no rate", `b = backend("memory", rate = "40")`, `w.star:1:23: backend: rate = "40" is not a rate; write N/s, N/m or N/h`},
		{"rate of nothing", `b = backend("memory", rate = "0/s")`, `w.star:1:23: backend: rate = "0/s" is not a rate; write N/s, N/m or N/h`},
		{"no number", `b = backend("memory", rate = "NaN/s")`, `w.star:1:23: backend: rate = "NaN/s" is not a rate; write N/s, N/m or N/h`},
		{"no time", `b = backend("memory", timeout = "0s")`, `w.star:1:23: backend: timeout is zero`},
		{"an empty time", `b = backend("memory", timeout = "")`, `w.star:1:23: backend: timeout: "" is not a duration; write a number and a unit: "500ms", "90s", "10m", "1h30m"`},
		{"a time before now", `b = backend("memory", timeout = "-1s")`, `w.star:1:23: backend: timeout: "-1s" is negative`},
		{"attempts", `b = backend("memory", attempts = 0)`, `w.star:1:23: backend: attempts = 0: want at least 1`},
		{"accounts of one that cannot list", `b = backend("ldap", url = "ldaps://ds").accounts()`, `w.star:1:5: BACKEND.accounts: backend "ldap" cannot list its accounts; list them in a file and use csv()`},
		{"accounts by a strange key", `b = backend("memory").accounts(attributes = ["dept"], key = "depth")`, `w.star:1:55: BACKEND.accounts: key = "depth" is no column that can tell users apart; did you mean "dept"?`},
		{"accounts by a secret", `b = backend("memory").accounts(attributes = ["pin"], secrets = ["pin"], key = "pin")`, `w.star:1:73: BACKEND.accounts: key = "pin" is no column that can tell users apart; did you mean "pin"?`},
		{"an attribute twice", `b = backend("memory").accounts(attributes = ["mail"])`, `w.star:1:32: BACKEND.accounts: attribute "mail" is a column already`},
		{"a secret that is not asked for", `b = backend("memory").accounts(secrets = ["pin"])`, `w.star:1:32: BACKEND.accounts: secret "pin" is not among attributes`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := problems(t, script(t, tt.text+users)); got != tt.want {
				t.Errorf("%s\n got %s\nwant %s", tt.text, got, tt.want)
			}
		})
	}
}

func TestBackendSpecHoldsWhatTheScriptSaysAndTheDefaults(t *testing.T) {
	w := mustLoad(t, script(t, `
a = backend("ldap", label = "ds", url = "ldaps://ds", bind_password = secret.prompt("of cn=admin"), ca_file = "ca.pem", rate = "120/m", concurrency = 4, timeout = "2s", attempts = 2, patience = "1h")
b = backend("memory", latency = "5ms", groups = ["x"], history = 9)
c = backend("ldap", label = "json", **{"url": "ldaps://x", "bind_password": {"$secret": "file:pw"}, "bind_dn": None})
d = backend("ldap", label = "plain", url = "ldaps://x", bind_password = "hunter2")
workflow(users = b.accounts(), backend = b)`))
	want := []BackendSpec{
		{Name: "ldap", Label: "ds", Rate: 2, Concurrency: 4, Timeout: 2 * time.Second, Attempts: 2, Patience: time.Hour,
			Values: map[string]any{"url": "ldaps://ds", "mode": "rfc3062", "ca_file": "ca.pem"}, Secrets: map[string]SecretRef{"bind_password": {Kind: "prompt", Name: "of cn=admin"}}},
		{Name: "memory", Label: "memory", Timeout: 30 * time.Second, Attempts: 5, Patience: 10 * time.Minute,
			Values: map[string]any{"create": true, "latency": 5 * time.Millisecond, "history": int64(9), "groups": []string{"x"}}, Secrets: map[string]SecretRef{}},
		{Name: "ldap", Label: "json", Timeout: 5 * time.Second, Attempts: 5, Patience: 10 * time.Minute,
			Values: map[string]any{"url": "ldaps://x", "mode": "rfc3062"}, Secrets: map[string]SecretRef{"bind_password": {Kind: "file", Name: "pw"}}},
		{Name: "ldap", Label: "plain", Timeout: 5 * time.Second, Attempts: 5, Patience: 10 * time.Minute,
			Values: map[string]any{"url": "ldaps://x", "mode": "rfc3062"}, Secrets: map[string]SecretRef{"bind_password": {Kind: "literal", Value: secret.New("hunter2")}}},
	}
	same := cmp.Comparer(func(a, b secret.Value) bool { return a.Reveal() == b.Reveal() })
	if diff := cmp.Diff(want, w.Backends, same); diff != "" {
		t.Error(diff)
	}
	if w.Default != "memory" || len(w.Warnings) != 1 || !strings.Contains(w.Warnings[0].String(), "w.star:5:57: backend: bind_password stands in the script") {
		t.Errorf("default %q, warnings %v", w.Default, w.Warnings)
	}
}

// lister lists accounts, and maybe breaks after them.
type lister struct {
	accounts []sdk.Account
	err      error
	asked    []string
}

func (l *lister) Accounts(_ context.Context, filter string, attributes, _ []string, yield func(sdk.Account) error) error {
	l.asked = append([]string{filter}, attributes...)
	for _, a := range l.accounts {
		if err := yield(a); err != nil {
			return err
		}
	}
	return l.err
}

func TestAccountsOfABackendAreUsers(t *testing.T) {
	text := `b = backend("memory")
workflow(users = b.accounts(filter = "(uid=*)", attributes = ["dept", "pin"], secrets = ["pin"]), backend = b, order_by = ["dept"], select = lambda u: u.status == "active")`
	ann := sdk.Account{Account: "uid=ann", ID: "1", Login: "ann", Name: "Ann", Mail: "a@x", Status: sdk.StatusActive, Attributes: map[string]string{"dept": "ops", "pin": "1234"}}
	with := func(change func(*sdk.Account)) sdk.Account { a := ann; change(&a); return a }
	for _, tt := range []struct {
		name     string
		accounts []sdk.Account
		err      error
		keys     []string
		want     string
	}{
		{"two", []sdk.Account{ann, with(func(a *sdk.Account) { a.Login = "bob" })}, nil, []string{"ann", "bob"}, ""},
		{"none", nil, nil, nil, ""},
		{"it breaks", []sdk.Account{ann}, errors.New("connection reset"), []string{"ann"}, `accounts of memory: cannot be listed: connection reset`},
		{"no key", []sdk.Account{with(func(a *sdk.Account) { a.Login = " " })}, nil, nil,
			`accounts of memory:1: account "uid=ann" has no "login", which is the key; mend it there, or leave it out by filter=`},
		{"control character", []sdk.Account{with(func(a *sdk.Account) { a.Name = "A\nB" })}, nil, nil,
			`accounts of memory:1: account "uid=ann": control character in "name"; mend it there, or leave it out by filter=`},
		{"empty secret", []sdk.Account{with(func(a *sdk.Account) { a.Attributes = nil }), ann}, nil, []string{"ann"},
			`accounts of memory:1: account "uid=ann": secret attribute "pin" is empty; mend it there, or leave it out by filter=`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := mustLoad(t, script(t, text))
			l := &lister{accounts: tt.accounts, err: tt.err}
			w.Attach(func(label string) Lister { return l })
			var keys []string
			got := ""
			err := w.Users.Rows(context.Background(), func(r source.Row) error { keys = append(keys, r.Key); return nil })
			if err != nil {
				got = err.Error()
			}
			if !slices.Equal(keys, tt.keys) || got != tt.want {
				t.Errorf("Rows = %q, %s\nwant %q, %s", keys, got, tt.keys, tt.want)
			}
			if diff := cmp.Diff([]string{"(uid=*)", "dept", "pin"}, l.asked); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// TestHomesStandInPathsOnly: what else begins with a tilde is the target's.
func TestHomesStandInPathsOnly(t *testing.T) {
	o := script(t, `b = backend("ldap", url = "ldap://x", ca_file = "~/ca.pem", bind_dn = "~/cn=x", bind_password = secret.file("~/pw"))
workflow(users = csv("~/u.csv", key = "login"), rotate = lambda: None, reports = [report.csv("~/r.csv"), report.csv("~/s", encrypt_to = ["age1x"])])`)
	o.Home = o.WorkDir
	put(t, o.WorkDir, "u.csv", "login\nann\n")
	w := mustLoad(t, o)
	b, home := w.Backends[0], o.WorkDir
	got := []any{b.Values["ca_file"], b.Values["bind_dn"], b.Secrets["bind_password"].Name, w.Reports[0].Path, w.Reports[1].Path}
	if diff := cmp.Diff([]any{home + "/ca.pem", "~/cn=x", home + "/pw", home + "/r.csv", home + "/s.age"}, got); diff != "" {
		t.Error(diff)
	}
	if n := len(rowsOf(t, w)); n != 1 {
		t.Errorf("%d users, want 1", n)
	}
}

// TestCellsOfAccounts: what a directory tells of one becomes the cells of its
// row, or the reason why it is none.
func TestCellsOfAccounts(t *testing.T) {
	text := `b = backend("memory")
workflow(users = b.accounts(attributes = ["dept", "pin"], secrets = ["pin"], key = "KEY"), backend = b)`
	ann := sdk.Account{Account: "uid=ann", ID: "1", Login: "ann", Name: "Ann", Mail: "a@x", Status: sdk.StatusDisabled,
		Attributes: map[string]string{"dept": "ops", "pin": "1234", "more": "x"}, Lists: map[string][]string{}}
	for _, tt := range []struct {
		name, key string
		change    func(*sdk.Account)
		want      string
	}{
		{"all", "login", func(*sdk.Account) {}, "ann: string 1, string ann, string Ann, string a@x, string disabled, string ops, <1234>"},
		{"another key", "id", func(*sdk.Account) {}, "1: string 1, string ann, string Ann, string a@x, string disabled, string ops, <1234>"},
		{"an attribute as the key", "dept", func(*sdk.Account) {}, "ops: string 1, string ann, string Ann, string a@x, string disabled, string ops, <1234>"},
		{"several values", "login", func(a *sdk.Account) { a.Lists["dept"] = []string{"ops", "dev"} }, "ann: string 1, string ann, string Ann, string a@x, string disabled, [string ops string dev], <1234>"},
		{"one value", "login", func(a *sdk.Account) { a.Lists["dept"] = []string{"ops"} }, "ann: string 1, string ann, string Ann, string a@x, string disabled, string ops, <1234>"},
		{"several values of the key", "dept", func(a *sdk.Account) { a.Lists["dept"] = []string{"ops", "dev"} }, "ops: string 1, string ann, string Ann, string a@x, string disabled, string ops, <1234>"},
		{"several values of a secret", "login", func(a *sdk.Account) { a.Lists["pin"] = []string{"1234", "5678"} }, "ann: string 1, string ann, string Ann, string a@x, string disabled, string ops, <1234>"},
		{"nothing of what may be missing", "login", func(a *sdk.Account) {
			*a = sdk.Account{Account: "x", Login: "x", Attributes: map[string]string{"pin": "1"}}
		}, "x: string , string x, string , string , string " + sdk.Account{}.Status.String() + ", string , <1>"},

		{"a control character in one of several", "login", func(a *sdk.Account) { a.Lists["dept"] = []string{"ops", "d\x00"} }, `account "uid=ann": control character in "dept"`},
		{"half a letter in one of several", "login", func(a *sdk.Account) { a.Lists["dept"] = []string{"ops", "\xc3"} }, `account "uid=ann": control character in "dept"`},
		{"a control character", "login", func(a *sdk.Account) { a.Mail = "a\x7f" }, `account "uid=ann": control character in "mail"`},
		{"half a letter", "login", func(a *sdk.Account) { a.Attributes = map[string]string{"dept": "\xc3", "pin": "1"} }, `account "uid=ann": control character in "dept"`},
		{"an empty secret", "login", func(a *sdk.Account) { a.Attributes = map[string]string{"dept": "x"} }, `account "uid=ann": secret attribute "pin" is empty`},
		{"a scrubbed login", "id", func(a *sdk.Account) { a.Login = "x" + secret.Redacted }, `account "uid=ann": a password that this run uses, or a part of it, stands in its name, which cannot be told for that`},
		{"a scrubbed key", "dept", func(a *sdk.Account) { a.Attributes = map[string]string{"dept": secret.Redacted, "pin": "1"} }, `account "uid=ann": a password that this run uses, or a part of it, stands in its name, which cannot be told for that`},
		{"a key that begins with what is not seen", "login", func(a *sdk.Account) { a.Login = "\u200bann" }, `account "uid=ann": its key has ` + visible.Name('\u200b')},
		{"a key that has it within", "login", func(a *sdk.Account) { a.Login = "an\u200bn" }, `account "uid=ann": its key has ` + visible.Name('\u200b')},
		{"no key", "mail", func(a *sdk.Account) { a.Mail = "" }, `account "uid=ann" has no "mail", which is the key`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := mustLoad(t, script(t, strings.Replace(text, "KEY", tt.key, 1)))
			account := ann
			account.Lists = map[string][]string{}
			tt.change(&account)
			w.Attach(func(string) Lister { return &lister{accounts: []sdk.Account{account}} })
			got := ""
			err := w.Users.Rows(context.Background(), func(r source.Row) error {
				var cells []string
				for _, c := range r.Cells {
					cells = append(cells, shownValue(c))
				}
				got = r.Key + ": " + strings.Join(cells, ", ")
				if r.File != "accounts of memory" || r.Line != 1 {
					t.Errorf("the row is of %s:%d", r.File, r.Line)
				}
				return nil
			})
			if err != nil {
				got = strings.TrimSuffix(strings.TrimPrefix(err.Error(), "accounts of memory:1: "), "; mend it there, or leave it out by filter=")
			}
			if got != tt.want {
				t.Errorf("got  %s\nwant %s", got, tt.want)
			}
		})
	}
}

// TestAccountsOfARunThatEndsAreNoFlawOfTheBackend.
func TestAccountsOfARunThatEndsAreNoFlawOfTheBackend(t *testing.T) {
	w := mustLoad(t, script(t, "b = backend(\"memory\")\nworkflow(users = b.accounts(), backend = b)"))
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	w.Attach(func(string) Lister { return &lister{err: ctx.Err()} })
	if err := w.Users.Rows(ctx, func(source.Row) error { return nil }); !errors.Is(err, ctx.Err()) || strings.Contains(err.Error(), "listed") {
		t.Errorf("Rows = %v, want %v as it is", err, ctx.Err())
	}
}

func TestAccountsNeedAnOpenBackend(t *testing.T) {
	w := mustLoad(t, script(t, "b = backend(\"memory\")\nworkflow(users = b.accounts(), backend = b)"))
	err := w.Users.Rows(context.Background(), func(source.Row) error { return nil })
	if err == nil || err.Error() != "accounts of memory: the backend is not open" {
		t.Errorf("Rows = %v", err)
	}
	stop := errors.New("stop")
	w.Attach(func(string) Lister { return &lister{accounts: []sdk.Account{{Account: "a", Login: "a"}}} })
	if err := w.Users.Rows(context.Background(), func(source.Row) error { return stop }); !errors.Is(err, stop) {
		t.Errorf("Rows = %v, want the error of yield", err)
	}
}
