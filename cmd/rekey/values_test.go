package main_test

import (
	"fmt"
	"strings"
	"testing"
)

// TestPlainPasswordsAreWarnedOf at check and at plan: in the ledger they stand in
// clear.
func TestPlainPasswordsAreWarnedOf(t *testing.T) {
	const column = `column "pw" is used as a password and is not among secrets: it stands in the ledger in clear; add secrets = ["pw"]`
	const text = `a text of the script or of a parameter is used as a password: it stands in the ledger in clear, and is the same for everybody`
	for name, c := range map[string]struct {
		body string
		want string // "": no warning
	}{
		"a column":               {`step.set(b, user.login, user.pw)`, column},
		"a column by its name":   {`step.set(b, user.login, user["pw"])`, column},
		"a column as a keyword":  {`step.set(b, account = user.login, value = user.pw)`, column},
		"by way of a name":       {"value = user.pw\n    step.set(b, user.login, value)", column},
		"of two names":           {"first = user.pw\n    second = first\n    step.set(b, user.login, second)", column},
		"in a piece":             {`step.set(b, user.login, "x" + user.pw)`, column},
		"formatted":              {`step.set(b, user.login, "%s!" % user.pw)`, column},
		"as the old one":         {`step.change(b, user.login, old = user.pw, new = step.generate())`, column},
		"a try":                  {`return None if step.try_set(b, user.login, user.pw).ok else failed("x")`, column},
		"in a function":          {`give(step, user)`, column},
		"a literal":              {`step.set(b, user.login, "Welcome-1")`, text},
		"a constant":             {`step.set(b, user.login, WELCOME)`, text},
		"a parameter":            {`step.set(b, user.login, GIVEN)`, text},
		"a secret":               {`step.set(b, user.login, user.hidden)`, ""},
		"a secret by a name":     {"value = user.hidden\n    step.set(b, user.login, value)", ""},
		"generated":              {`step.set(b, user.login, step.generate())`, ""},
		"a name of two meanings": {"value = user.hidden\n    if user.pw:\n        value = step.generate()\n    step.set(b, user.login, value)", ""},
		"a column elsewhere":     {"print(user.pw)\n    step.set(b, user.login, user.hidden)", ""},
	} {
		t.Run(name, func(t *testing.T) {
			p := newPlace(t)
			p.write("users.csv", "login,pw,hidden\nann,a-1,b-1\nbob,a-2,b-2\n")
			p.write("r.star", `
b = backend("memory")
WELCOME = "Welcome-1"
GIVEN = param.string("given", default = "Welcome-2")
_both = [WELCOME, GIVEN]

def give(step, user):
    step.set(b, user.login, user.pw)

def rotate(user, step):
    `+c.body+`

workflow(users = csv("users.csv", key = "login", secrets = ["hidden"]), rotate = rotate)
`)
			for _, args := range [][]string{{"check", "r.star"}, {"plan", "r.star", "--new"}, {"run", "r.star", "--yes", "--new"}} {
				r := p.must(0, args...)
				if warned := strings.Contains(r.stderr, "warning"); warned != (c.want != "") || !strings.Contains(r.stderr, c.want) {
					t.Errorf("%q: %s\nwant %q", args, r.stderr, c.want)
				}
				if c.want != "" && !strings.Contains(r.stderr, "r.star:") {
					t.Errorf("%q: no place: %s", args, r.stderr)
				}
			}
		})
	}
}

// TestPasswordsOfAnyColumnAreLookedAt at plan: what secrets= forgets, and what
// may be no password.
func TestPasswordsOfAnyColumnAreLookedAt(t *testing.T) {
	for value, c := range map[string]struct {
		exit int
		want string
	}{
		"#NAME?":      {2, `users.csv:2: column "pw" holds #NAME?, the error text of a spreadsheet`},
		"########":    {2, `users.csv:2: column "pw" holds nothing but #`},
		"p\ufffd":     {2, `users.csv:2: column "pw" has a replacement character`},
		"1.23457E+11": {0, `users.csv:2: the password in column "pw" is a number as a spreadsheet shortens it`},
		"NULL":        {0, `users.csv:2: the password in column "pw" is "NULL"`},
		"N/A":         {0, `users.csv:2: the password in column "pw" is "N/A"`},
		"-":           {0, `users.csv:2: the password in column "pw" is "-"`},
	} {
		for _, body := range []string{"step.set(b, user.login, user.pw)", "step.change(b, user.login, old = user.pw, new = step.generate())", `step.set(b, user.login, "x" + user.pw)`} {
			p := newPlace(t)
			p.write("users.csv", "login,pw\nann,"+value+"\n")
			p.write("r.star", "b = backend(\"memory\")\ndef rotate(user, step):\n    "+body+"\nworkflow(users = csv(\"users.csv\", key = \"login\"), rotate = rotate)\n")
			if r := p.must(c.exit, "run", "r.star", "--yes"); !strings.Contains(r.stderr, c.want) {
				t.Errorf("%s, %q: %s", body, value, r.stderr)
			}
		}
	}
}

// TestOneValueForSeveralUsersIsWarnedOf where users get it, and not where it is
// what they had.
func TestOneValueForSeveralUsersIsWarnedOf(t *testing.T) {
	script := `
b = backend("memory")
def rotate(user, step):
    BODY
workflow(users = USERS, rotate = rotate)
`
	const file = `csv("users.csv", key = "login", secrets = ["pw"])`
	for name, c := range map[string]struct {
		body, users, list string
		want              string
	}{
		"two of a file":     {`step.set(b, user.login, user.pw)`, file, "login,pw\nann,x-1\nbob,x-2\ncy,x-1\n", `users.csv:4: column "pw" gives user "cy" the value that user "ann" has on line 2`},
		"all of a file":     {`step.set(b, user.login, user.pw)`, file, "login,pw\nann,x-1\nbob,x-1\ncy,x-1\n", `so it is 2 times in all`},
		"of the script":     {`step.set(b, user.login, user.pw)`, `rows([{"login": "ann", "pw": "x"}, {"login": "bob", "pw": "x"}], key = "login", secrets = ["pw"])`, "", `rows:2: column "pw" gives user "bob" the value`},
		"the new of two":    {`step.change(b, user.login, old = user.old, new = user.pw)`, `csv("users.csv", key = "login", secrets = ["pw", "old"])`, "login,pw,old\nann,x-1,o\nbob,x-1,o\n", `column "pw" gives`},
		"the old of two":    {`step.change(b, user.login, old = user.pw, new = step.generate())`, file, "login,pw\nann,x-1\nbob,x-1\n", ""},
		"different ones":    {`step.set(b, user.login, user.pw)`, file, "login,pw\nann,x-1\nbob,x-2\n", ""},
		"spaces around one": {`step.set(b, user.login, user.pw)`, file, "login,pw\nann, x-1\nbob,x-2 \ncy,\" x-3 \"\n", `users.csv:2: spaces around a secret were trimmed, as they are around every value: 2 times in all; quote the value to keep them`},
		"spaces of others":  {`step.set(b, user.login, user.pw)`, file, "login,pw\n ann ,x-1\nbob ,x-2\n", ""},
	} {
		t.Run(name, func(t *testing.T) {
			p := newPlace(t)
			p.write("users.csv", c.list)
			p.write("r.star", strings.NewReplacer("BODY", c.body, "USERS", c.users).Replace(script))
			for _, args := range [][]string{{"plan", "r.star"}, {"run", "r.star", "--yes", "--new"}} {
				r := p.must(0, args...)
				said := r.stdout + r.stderr
				if strings.Contains(said, "warning") != (c.want != "") || !strings.Contains(said, c.want) {
					t.Errorf("%q: %s\nwant %q", args, said, c.want)
				}
				if strings.Contains(said, "x-1") {
					t.Errorf("%q: the value is shown: %s", args, said)
				}
			}
		})
	}
}

// TestGivenValuesAreHeldAgainstTheBlocklist of the workflow's policy at plan; no
// list is asked that the script does not name.
func TestGivenValuesAreHeldAgainstTheBlocklist(t *testing.T) {
	const list = "8BE3C943B1609FFFBFC51AAD666D0A04ADF83C9D:7\n" + // Password
		"F3BBBD66A63D4BF1747940578EC3D0103530E21D:17\n" // hunter2
	for name, c := range map[string]struct{ policy, value, want string }{
		"common":           {`policy(blocklist = True)`, "Password", `users.csv:2: the password in column "pw" is a common password`},
		"breached":         {`policy(blocklist = "hibp:breached.txt")`, "hunter2", `users.csv:2: the password in column "pw" is a `},
		"neither":          {`policy(blocklist = "hibp:breached.txt")`, "Tq7-vAlue-x", ""},
		"without a list":   {`policy()`, "Password", ""},
		"without a wish":   {`policy(blocklist = False)`, "Password", ""},
		"without a policy": {`None`, "Password", ""},
	} {
		t.Run(name, func(t *testing.T) {
			p := newPlace(t)
			p.write("breached.txt", list)
			p.write("users.csv", "login,pw\nann,"+c.value+"\n")
			p.write("r.star", fmt.Sprintf(`
b = backend("memory")
def rotate(user, step):
    step.set(b, user.login, user.pw)
workflow(users = csv("users.csv", key = "login", secrets = ["pw"]), rotate = rotate, policy = %s)
`, c.policy))
			r := p.must(0, "plan", "r.star")
			said := r.stdout + r.stderr
			if strings.Contains(said, "warning") != (c.want != "") || !strings.Contains(said, c.want) || strings.Contains(said, c.value) {
				t.Errorf("%s\nwant %q", said, c.want)
			}
		})
	}
}

// TestHalfALetterIsNoName cuts letters where scripts do.
func TestHalfALetterIsNoName(t *testing.T) {
	for name, c := range map[string]struct{ body, want string }{
		"an account":            {`step.set(b, user.first[0] + user.login, step.generate())`, "r.star:4:"},
		"an account, lower":     {`step.set(b, (user.first[0] + user.login).lower(), step.generate())`, "r.star:4:"},
		"an account of a find":  {`step.find(b, user.first[:1] + user.login)`, "r.star:4:"},
		"a reason":              {`return failed(user.first[0])`, "r.star:4:"},
		"a reason to skip":      {`return skip("of " + user.first[:1])`, "r.star:4:"},
		"letters as they are":   {`step.set(b, list(user.first.codepoints())[0] + user.login, step.generate())`, ""},
		"a reason with letters": {`return skip("of " + user.first)`, ""},
	} {
		t.Run(name, func(t *testing.T) {
			p := newPlace(t)
			p.write("r.star", fmt.Sprintf(`
b = backend("memory")
def rotate(user, step):
    %s
workflow(users = rows([{"login": "aho", "first": "Émile"}], key = "login"), rotate = rotate)
`, c.body))
			exit := 2
			if c.want == "" {
				exit = 0
			}
			if r := p.must(exit, "run", "r.star", "--yes"); !strings.Contains(r.stderr, strings.TrimSuffix(c.want, ":")) || exit == 2 && !strings.Contains(r.stderr, "half a letter") {
				t.Errorf("%s\nwant %s", r.stderr, c.want)
			}
		})
	}
	p := newPlace(t)
	p.write("r.star", `
def wave(user):
    return user.first[0]
workflow(users = rows([{"login": "aho", "first": "Émile"}], key = "login"), backend = backend("memory"), wave = wave, waves = {"a": wave_rule()})
`)
	if r := p.must(2, "run", "r.star", "--yes"); !strings.Contains(r.stderr, "half a letter") {
		t.Errorf("a wave: %s", r.stderr)
	}
}
