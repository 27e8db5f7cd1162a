package ledger

import (
	"errors"
	"fmt"
	"os"
	"testing"

	"github.com/rekey-host/rekey/host/hashlog"
	"github.com/rekey-host/rekey/host/journal"
	"github.com/rekey-host/rekey/sdk"
)

// many applies a run of 100 users in two commits: each tenth was refused, each fifth of
// the others was verified too.
func many(t bench, r *Run) {
	t.Helper()
	var intents, ends []*journal.Record
	for user := int64(1); user <= 100; user++ {
		intents = append(intents, intent(r, user, 1, 0, fmt.Sprint("value", user)))
		if user%10 == 0 {
			ends = append(ends, outcome(user, 1, 0, sdk.Refused, sdk.Conflict), finished(user, journal.Failed, sdk.Conflict))
			continue
		}
		ends = append(ends, outcome(user, 1, 0, sdk.Applied, ""))
		if user%5 == 0 {
			ends = append(ends, &journal.Record{Kind: journal.Answer, User: user, Step: 2, Verb: "verify", Backend: "b", Outcome: sdk.Applied, Detail: journal.Detail{Verdict: "accepted"}})
		}
		ends = append(ends, finished(user, journal.Done, ""))
	}
	commit(t, r, intents...)
	commit(t, r, ends...)
}

// hasEnded compares what is read of such a run.
func hasEnded(t *testing.T, r *Run) {
	t.Helper()
	counts, err := r.Counts()
	must(t, err)
	if counts.Done != 90 || counts.Failed != 10 {
		t.Errorf("%+v", counts)
	}
	must(t, r.Each(Filter{}, OrderApply, func(u User) error {
		want := "[intent outcome finished]"
		if u.Pos%5 == 0 && u.Pos%10 != 0 {
			want = "[intent outcome answer finished]"
		}
		var kinds []journal.Kind
		for _, rec := range u.History {
			kinds = append(kinds, rec.Kind)
			if (rec.Detail.Status != "") != (rec.Kind == journal.Finished) || (rec.Detail.Attempt == 1) != (rec.Kind == journal.Outcome || rec.Kind == journal.Finished) {
				t.Errorf("%s: %s of %+v", u.Key, rec.Kind, rec.Detail)
			}
		}
		if last := u.History[len(u.History)-1]; fmt.Sprint(kinds) != want || last.Detail.Status != u.Status {
			t.Errorf("%s is %s: %v, %s", u.Key, u.Status, kinds, last.Detail.Status)
		}
		return nil
	}))
}

// TestAPlainEndStandsInTheFrameBefore, in a ledger of the format, and is read as the
// record that it is: by who looks, verifies, goes on or rescues.
func TestAPlainEndStandsInTheFrameBefore(t *testing.T) {
	t.Parallel()
	for name, of := range map[string]struct {
		change func(bench, *Store, string)
		size   int64
	}{"of the format": {func(bench, *Store, string) {}, 2 + 100 + 100 + 10 + 10}, "older": {asGroups, 2 + 100 + 200 + 10}} {
		t.Run(name, func(t *testing.T) {
			s := newStore(t)
			k := newKeys(t, s)
			r := newRun(t, s, k, 100)
			must(t, r.Close())
			of.change(t, s, r.ID())
			r, err := s.Lock(r.ID(), k)
			must(t, err)
			defer func() { r.Close() }()
			many(t, r)
			hasEnded(t, r)
			must(t, r.Confirm())
			if size, _, err := r.SignHead(); err != nil || size != of.size {
				t.Errorf("%d records, %v, want %d", size, err, of.size)
			}
			r = reopened(t, s, k, r)
			hasEnded(t, r)
			audited(t, s, r.ID(), "")
			if list, err := r.OpenUsers(0, 0, 200); err != nil || len(list) != 0 {
				t.Errorf("%d users are open, %v", len(list), err)
			}
			commit(t, r, &journal.Record{Kind: journal.Reopened, User: 10})
			if err := r.Commit([]*journal.Record{finished(1, journal.Done, "")}); !errors.Is(err, ErrContradiction) {
				t.Errorf("a second status: %v", err)
			}
			must(t, r.Close())
			audited(t, s, r.ID(), "")
			standsAsBefore(t, s, r.ID())
		})
	}
}

// TestASpoiltStatusOfAFrameIsNamed: what the tables and the records say has to agree.
func TestASpoiltStatusOfAFrameIsNamed(t *testing.T) {
	s := newStore(t)
	r := newRun(t, s, newKeys(t, s), 100)
	many(t, r)
	must(t, r.Close())
	edit(t, s, r.ID(), "DELETE FROM done")
	a, err := s.Verify(r.ID(), "")
	must(t, err)
	if a.OK || len(a.Problems) == 0 || a.Problems[0].Message != "its status is missing from the table of users" {
		t.Errorf("%v", a.Problems)
	}
}

// TestTheFrameOfAnEndThatWasChangedIsNamed, with its user.
func TestTheFrameOfAnEndThatWasChangedIsNamed(t *testing.T) {
	s := newStore(t)
	r := newRun(t, s, newKeys(t, s), 100)
	many(t, r)
	must(t, r.Close())
	var id int64
	for _, p := range recordsOf(t, rawly(t, s, r.ID())) {
		f, err := (&hashlog.Decoder{}).Split(p.frame)
		must(t, err)
		if _, two := f.TakeEnd(); two && p.user == 7 {
			id = p.id
		}
	}
	if id == 0 {
		t.Fatal("no frame is two records")
	}
	editRecord(t, s, r.ID(), id, func(frame []byte) []byte {
		frame[len(frame)-1] ^= 1
		return frame
	})
	a, err := s.Verify(r.ID(), "")
	must(t, err)
	if a.OK || len(a.Problems) == 0 || a.Problems[0].User != 7 {
		t.Errorf("%v", a.Problems)
	}
}

// TestAUserTakesFewBytes on the disk: the plan, a value, what became of it and a status.
func TestAUserTakesFewBytes(t *testing.T) {
	const users = 20_000
	s := newStore(t)
	var plan []PlannedUser
	for user := range users {
		plan = append(plan, PlannedUser{Key: fmt.Sprintf("user%07d", user), Row: fmt.Appendf(nil, "%47d", user)})
	}
	r, err := draftOf(t, s, newKeys(t, s), plan).Freeze([]WavePlan{{Name: "all"}})
	must(t, err)
	for first := int64(1); first <= users; first += 256 {
		var intents, ends []*journal.Record
		for user := first; user < min(first+256, users+1); user++ {
			begun := intent(r, user, 1, 0, fmt.Sprintf("value of %8d", user))
			begun.Account = fmt.Sprintf("user%07d", user)
			ended := outcome(user, 1, 0, sdk.Applied, "")
			ended.Account = begun.Account
			intents, ends = append(intents, begun), append(ends, ended, finished(user, journal.Done, ""))
		}
		commit(t, r, append(intents, ends...)...)
	}
	must(t, r.Close())
	info, err := os.Stat(s.runFile(r.ID()))
	must(t, err)
	if each := info.Size() / users; each > 220 {
		t.Errorf("%d bytes a user", each)
	}
}
