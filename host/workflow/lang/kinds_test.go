package lang

import (
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// containers are the kinds whose values hold others.
func containers() map[Kind]Kind {
	return map[Kind]Kind{KindTexts: KindText, KindTypes: KindText, KindBackends: KindBackend, KindReports: KindReport, KindWaves: KindWave, KindList: "", KindDict: ""}
}

func TestKindsOfParametersAcceptSomething(t *testing.T) {
	for _, e := range New().Entries() {
		for _, p := range e.Params {
			if e.Use == Function && p.Kind != KindAny && len(p.Kind.Types()) == 0 {
				t.Errorf("%s: no value is of the kind of %s, %s", e.Name, p.Name, p.Kind)
			}
			if p.Kind == "" {
				t.Errorf("%s: parameter %s has no kind", e.Name, p.Name)
			}
		}
		if e.Use == Function && e.Gives == "" {
			t.Errorf("%s: nothing says what it gives", e.Name)
		}
	}
}

func TestContainersKnowTheirElements(t *testing.T) {
	for k, want := range containers() {
		if got := k.Element(); got != want {
			t.Errorf("%s holds %q, want %q", k, got, want)
		}
		if !k.Takes("list") && !k.Takes("dict") {
			t.Errorf("%s takes neither a list nor a dict", k)
		}
	}
	for _, e := range New().Entries() {
		for _, p := range e.Params {
			if _, holds := containers()[p.Kind]; !holds && p.Kind.Element() != "" {
				t.Errorf("%s: %s of %s is taken for a container", e.Name, p.Kind, p.Name)
			}
		}
	}
}

func TestMismatchSaysWhatIsWanted(t *testing.T) {
	for k, want := range map[Kind]string{
		KindText:     "want string, got int",
		KindDuration: `want a duration such as "10m", got int`,
		KindRate:     `want a rate such as "40/s", got int`,
		KindFailures: `want a number such as 5 or a percentage such as "1%", got int`,
		KindSource:   "want a source of users such as csv(), got int",
		KindPolicy:   "want what policy() makes, got int",
		KindBackend:  "want what backend() makes, got int",
		KindWave:     "want what wave_rule() makes, got int",
		KindReport:   "want a report such as report.csv(), got int",
		KindValue:    "want secret or string, got int",
		KindHook:     "want function, got int",
	} {
		if got := k.Mismatch("int"); got != want {
			t.Errorf("%s: %q, want %q", k, got, want)
		}
	}
}

// TestDefaultsAreOfTheirKind: what a signature shows can be written.
func TestDefaultsAreOfTheirKind(t *testing.T) {
	typeOf := func(text string) string {
		switch {
		case strings.HasPrefix(text, `"`):
			return "string"
		case text == "True" || text == "False":
			return "bool"
		case strings.HasPrefix(text, "["):
			return "list"
		case strings.HasPrefix(text, "{"):
			return "dict"
		}
		return "int"
	}
	for _, e := range New().Entries() {
		for _, p := range e.Params {
			if p.Required() || p.Default == "None" || p.Default == Unset {
				continue
			}
			if !p.Kind.Takes(typeOf(p.Default)) {
				t.Errorf("%s: the default of %s, %s, is none of %s", e.Name, p.Name, p.Default, p.Kind)
			}
		}
	}
}

func TestTakesNone(t *testing.T) {
	for _, tt := range []struct {
		param Param
		want  bool
	}{
		{Param{Name: "a", Default: "None"}, true}, {Param{Name: "a", Default: Unset}, true}, {Param{Name: "quote", Default: `"\""`}, true},
		{Param{Name: "a"}, false}, {Param{Name: "a", Default: "[]"}, false}, {Param{Name: "a", Default: `""`}, false},
	} {
		if got := tt.param.TakesNone(); got != tt.want {
			t.Errorf("%+v takes None: %v", tt.param, got)
		}
	}
}

// TestPhasesSayWhere of each set of phases by the names of those in it.
func TestPhasesSayWhere(t *testing.T) {
	names := map[Phase]string{AtTop: "top level", InSelect: "select", InWave: "wave", InRotate: "rotate", InRow: "row functions"}
	rapid.Check(t, func(t *rapid.T) {
		set := Phase(rapid.IntRange(1, int(Anywhere)).Draw(t, "phases"))
		got := set.String()
		if set == InHooks || set == Anywhere {
			return
		}
		for one, name := range names {
			if has := slices.Contains(strings.Split(got, ", "), name); has != (set&one != 0) {
				t.Fatalf("%b is shown as %q", set, got)
			}
		}
	})
	if InHooks.String() != "hooks" || Anywhere.String() != "anywhere" {
		t.Errorf("%s, %s", InHooks, Anywhere)
	}
}
