package engine

import (
	"strings"
	"testing"
	"time"

	"github.com/rekey-host/rekey/sdk"
)

// TestASilenceIsToldAndThenRemindedOf.
func TestASilenceIsToldAndThenRemindedOf(t *testing.T) {
	start := time.Now()
	type bad struct {
		at, wait time.Duration
		broken   bool // by a good answer before it
		told     bool
	}
	const s, m = time.Second, time.Minute
	for name, calls := range map[string][]bad{
		"short":                        {{0, s, false, false}, {9 * s, s, false, false}},
		"ten seconds":                  {{0, s, false, false}, {10 * s, s, false, true}, {11 * s, s, false, false}, {10*m + 9*s, s, false, false}, {10*m + 10*s, s, false, true}, {10*m + 11*s, s, false, false}},
		"a long wait ahead":            {{0, 10 * s, false, true}, {s, 10 * s, false, false}},
		"broken and silent again":      {{0, 10 * s, false, true}, {61 * s, 10 * s, true, true}},
		"broken, but just told":        {{0, 10 * s, false, true}, {30 * s, 10 * s, true, false}, {60 * s, 10 * s, false, true}},
		"broken before it was told of": {{0, s, false, false}, {9 * s, s, true, false}, {18 * s, s, false, false}, {19 * s, s, false, true}},
	} {
		var q silence
		for i, c := range calls {
			if c.broken {
				q.broken()
			}
			if got := q.lasts(start.Add(c.at), c.wait); got != c.told {
				t.Errorf("%s: bad answer %d: told %v, want %v", name, i+1, got, c.told)
			}
		}
	}
}

// TestWhatIsWaitedForIsNamed, with what the target says, if that is a refusal
// and the circuit has not said so already.
func TestWhatIsWaitedForIsNamed(t *testing.T) {
	for _, c := range []struct {
		name string
		err  *sdk.Error
		open bool
		want string
	}{
		{"a reason", sdk.Errorf(sdk.RateLimited, "slow down"), false, "backend a: RateLimited (slow down); the next"},
		{"none", &sdk.Error{Code: sdk.RateLimited}, false, "backend a: RateLimited; the next"},
		{"an open circuit", sdk.Errorf(sdk.Unreachable, "gone"), true, ""}, {"no answer", nil, false, ""},
	} {
		cr := idle(t.Context())
		told := ""
		cr.Notice = func(text string) { told = text }
		l := queued(0)
		l.backend.Label = "a"
		for range circuitLimit {
			if c.open {
				l.circuit.observe(c.err)
			}
		}
		if cr.tellWait(l, c.err, time.Minute); !strings.HasPrefix(told, c.want) || (told == "") != (c.want == "") {
			t.Errorf("%s: told %q, want %q", c.name, told, c.want)
		}
	}
}
