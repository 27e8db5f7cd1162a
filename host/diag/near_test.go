package diag_test

import (
	"testing"

	"github.com/rekey-host/rekey/host/diag"
)

func TestDistanceCountsEdits(t *testing.T) {
	for _, tt := range []struct {
		a, b string
		want int
	}{{"", "", 0}, {"a", "", 1}, {"nmae", "name", 1}, {"naem", "name", 1}, {"login", "logon", 1}, {"é", "e", 1}, {"kitten", "sitting", 3}} {
		if got := diag.Distance(tt.a, tt.b); got != tt.want {
			t.Errorf("distance(%q, %q) = %d, want %d", tt.a, tt.b, got, tt.want)
		}
	}
}

// TestProblemsAreShownOneWay: place, message and fix, as far as they are known.
func TestProblemsAreShownOneWay(t *testing.T) {
	for want, problem := range map[string]diag.Problem{
		"message":                        {Message: "message"},
		"message; fix":                   {Message: "message", Fix: "fix"},
		"users.csv: message; fix":        {File: "users.csv", Message: "message", Fix: "fix"},
		"users.csv:3: message":           {File: "users.csv", Line: 3, Message: "message"},
		"users.csv:3:14: message; fix":   {File: "users.csv", Line: 3, Column: 14, Message: "message", Fix: "fix"},
		"users.csv: no column has a use": {File: "users.csv", Column: 14, Message: "no column has a use"},
	} {
		if got := problem.String(); got != want {
			t.Errorf("%+v is %q, want %q", problem, got, want)
		}
	}
	placed := diag.Problem{Message: "message", Fix: "fix"}.At(diag.Problem{File: "users.csv", Line: 3, Message: "old"})
	if got := placed.String(); got != "users.csv:3: message; fix" {
		t.Errorf("at a place: %q", got)
	}
}

func TestEveryCandidateOfEqualDistanceIsNamed(t *testing.T) {
	for _, tt := range []struct {
		name       string
		candidates []string
		want       string
	}{
		{"far", []string{"csv"}, ""},
		{"nmae", []string{"name", "mail"}, `did you mean "name"?`},
		{"ste", []string{"set", "step", "site", "stem", "state"}, `did you mean "set", "step", "site" or "stem"?`},
		{"ab", []string{"abc", "abd", "abc"}, `did you mean "abc" or "abd"?`},
		{"NAME", []string{"named", "name"}, `did you mean "name"?`},
		{"x", []string{"y"}, ""}, {"", []string{"", "a"}, ""},
	} {
		if got := diag.DidYouMean(tt.name, tt.candidates); got != tt.want {
			t.Errorf("%s of %v: %s, want %s", tt.name, tt.candidates, got, tt.want)
		}
	}
}
