package lang

import (
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/rekey-host/rekey/host/diag"
)

func TestUnknownNamesSuggestTheNearest(t *testing.T) {
	columns := []string{"login", "team", "temporary"}
	for _, tt := range []struct{ name, want string }{
		{"logn", `the users have no column "logn"; did you mean "login"?`},
		{"LOGIN", `the users have no column "LOGIN"; did you mean "login"?`},
		{"zzz", `the users have no column "zzz"; it has login, team, temporary`},
		{"", `the users have no column ""; it has login, team, temporary`},
	} {
		if got := NoColumn(tt.name, columns).Error(); got != tt.want {
			t.Errorf("%q: %s, want %s", tt.name, got, tt.want)
		}
	}
	if got := NoWave("cannary", []string{"canary", "all"}).Error(); got != `there is no wave "cannary"; did you mean "canary"?` {
		t.Error(got)
	}
	if got := NoWave("pilot", []string{"canary", "all"}).Error(); got != `there is no wave "pilot"; it has "canary" or "all"` {
		t.Error(got)
	}
	if got := New().NoMember("step", "sett").Error(); got != `step has no "sett"; did you mean "set"?` {
		t.Error(got)
	}
	if got := New().NoMember("step", "bicycle").Error(); got != `step has no "bicycle"` {
		t.Error(got)
	}
}

func TestNamesOutOfTheirPlaceSayWhereTheyBelong(t *testing.T) {
	table := New()
	for _, tt := range []struct {
		name  string
		at    Phase
		hook  string
		wants string
	}{
		{"csv", InRotate, "rotate", "csv cannot be used in rotate; make it at top level and give it a name"},
		{"skip", AtTop, "w.star", "skip cannot be used in the top level; use it in select, rotate"},
		{"done", InSelect, "select", "done cannot be used in select; use it in rotate"},
	} {
		if got := table.Lookup(tt.name).Misplaced(tt.at, tt.hook).Error(); got != tt.wants {
			t.Errorf("%s: %s, want %s", tt.name, got, tt.wants)
		}
	}
	if got := table.Lookup("report.letters").ComesLater().Error(); got != "report.letters comes later; until then use report.csv() and a mail merge" {
		t.Error(got)
	}
}

func TestListed(t *testing.T) {
	for want, names := range map[string][]string{"nothing": nil, "a": {"a"}, "a or b": {"a", "b"}, "a, b or c": {"a", "b", "c"}} {
		if got := Listed(names); got != want {
			t.Errorf("Listed(%v) = %q", names, got)
		}
	}
}

// TestNearestIsOneOfThem, the name itself where it is one, and never a name of
// which hardly a letter is the same.
func TestNearestIsOneOfThem(t *testing.T) {
	words := rapid.SliceOfN(rapid.StringMatching(`[a-c]{1,6}`), 0, 8)
	rapid.Check(t, func(t *rapid.T) {
		known := words.Draw(t, "known")
		name := rapid.StringMatching(`[a-d]{0,6}`).Draw(t, "name")
		got := diag.Nearest(name, known)
		has := false
		for _, w := range known {
			has = has || w == got
			if w == name && got != name {
				t.Fatalf("diag.Nearest(%q, %q) = %q", name, known, got)
			}
		}
		if got != "" && !has {
			t.Fatalf("diag.Nearest(%q, %q) = %q, which is none of them", name, known, got)
		}
		if got != "" && !strings.ContainsAny(strings.ToLower(name), strings.ToLower(got)) {
			t.Fatalf("diag.Nearest(%q, %q) = %q: not a letter is the same", name, known, got)
		}
	})
}
