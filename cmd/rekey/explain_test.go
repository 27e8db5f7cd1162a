package main_test

import (
	"encoding/json"
	"strings"
	"testing"
)

const explainedScript = `load("lib/teams.star", "frozen")
b = backend("htpasswd", path = "u.htpasswd", create = True)
def select(user):
    if frozen(user.team):
        return skip("frozen: " + user.team)
    return True
def rotate(user, step):
    password = step.generate()
    step.set(b, user.login, password)
    if user.team == "odd":
        return failed("not that team")
    step.verify(b, user.login, password)
workflow(users = csv("users.csv", key = "login"), select = select, rotate = rotate, order_by = ["login"],
    waves = {"canary": wave_rule(take = 2), "rest": wave_rule()}, policy = policy(length = 24))
`

// TestExplainOneUser: whether it is selected and by which line, its place, its steps, and
// whose the rules of its value are; nothing is recorded.
func TestExplainOneUser(t *testing.T) {
	p := newPlace(t)
	p.write("s.star", explainedScript)
	p.write("lib/teams.star", "def frozen(team):\n    return team == \"ice\"\n")
	p.write("users.csv", "login,team\nzoe,it\nann,it\ncyd,ice\nbob,it\ndan,odd\n")
	for user, want := range map[string][]string{
		"cyd": {"cyd, users.csv:4, in s.star\n", `selected  no: frozen: ice  (s.star:5: return skip("frozen: " + user.team))`},
		"bob": {"selected  yes  (s.star:6: return True)", "wave      canary, place 2 of 2 there and 2 of 4 in all\n", "step 1    generate 24 characters\n", "the script wants exactly 24 characters\n",
			"htpasswd takes 72 bytes at most\n", "step 2    set htpasswd bob\n", "step 3    verify htpasswd bob\n", "ends      done, if each step succeeds\n"},
		"zoe": {"wave      rest, place 2 of 2 there and 4 of 4 in all\n"},
		"dan": {"ends      partial, if each step succeeds: not that team\n"},
	} {
		said := p.must(0, "explain", "s.star", "--user", user).stdout
		for _, part := range want {
			if !strings.Contains(said, part) {
				t.Errorf("%s: it does not say %q:\n%s", user, part, said)
			}
		}
	}
	var made struct {
		Selected bool
		Decided  struct {
			File string
			Line int
		}
		Wave  string
		Place int
		Steps []struct {
			Verb  string
			Rules []struct{ Owner, Rule string }
		}
	}
	text := p.must(0, "explain", "s.star", "--user", "ann", "--json").stdout
	if err := json.Unmarshal([]byte(text), &made); err != nil || !made.Selected || made.Decided.Line != 6 || made.Wave != "canary" || made.Place != 1 || len(made.Steps) != 3 || made.Steps[0].Rules[0].Owner != "the script" {
		t.Errorf("%v: %s", err, text)
	}
	if r := p.must(2, "explain", "s.star", "--user", "anne"); !strings.Contains(r.stderr, `users.csv has no user "anne" among its 5; did you mean "ann"?`) {
		t.Errorf("an unknown user: %s", r.stderr)
	}
	if list := p.must(0, "runs").stdout; strings.Contains(list, "s.star") {
		t.Errorf("a run is left:\n%s", list)
	}
}
