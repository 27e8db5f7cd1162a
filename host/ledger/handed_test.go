package ledger

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/rekey-host/rekey/host/journal"
	"github.com/rekey-host/rekey/sdk"
)

// TestHandedIsWhatABackendMayLogInWith: the newest first, without what was
// certainly refused, and without what other verbs sent.
func TestHandedIsWhatABackendMayLogInWith(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	k := newKeys(t, s)
	r := newRun(t, s, k, 5)
	over := func(user int64, step, try int, backend, value string) *journal.Record {
		made := intent(r, user, step, try, value)
		made.Verb, made.Backend = journal.Handover, backend
		return made
	}
	came := func(user int64, try int, o sdk.Outcome, c sdk.Code) *journal.Record {
		made := outcome(user, 1, try, o, c)
		made.Verb, made.Backend = journal.Handover, "a"
		return made
	}
	commit(t, r, over(1, 1, 0, "a", "one"), intent(r, 2, 1, 0, "never"), over(3, 1, 0, "a", "two"))
	commit(t, r, came(1, 0, sdk.Applied, ""), came(3, 0, sdk.Refused, sdk.PolicyViolation))
	commit(t, r, over(3, 1, 1, "a", "three"), over(4, 1, 0, "b", "four"), came(3, 1, sdk.Unknown, sdk.ConnectionLost))
	commit(t, r, over(5, 1, 0, "c", "before"), over(5, 2, 0, "c", "five"))
	after := outcome(5, 2, 0, sdk.Applied, "")
	after.Verb, after.Backend = journal.Handover, "c"
	commit(t, r, after)
	must(t, r.Close())
	again, err := s.Lock(r.ID(), k)
	must(t, err)
	defer again.Close()
	values, err := again.Handed()
	must(t, err)
	got := map[string][]string{}
	for backend, list := range values {
		for _, value := range list {
			got[backend] = append(got[backend], value.Reveal())
		}
	}
	if d := cmp.Diff(map[string][]string{"a": {"three", "one"}, "b": {"four"}, "c": {"five"}}, got); d != "" {
		t.Errorf("Handed (-want +got):\n%s", d)
	}
}
