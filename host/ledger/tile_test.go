package ledger

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/rekey-host/rekey/host/hashlog"
	"github.com/rekey-host/rekey/host/journal"
	"github.com/rekey-host/rekey/host/ledger/internal/rows"
	"github.com/rekey-host/rekey/sdk"
)

// TestProofsStandOnTheRootsThatAreKept: of all large subtrees, however the log
// and the plan came to be.
func TestProofsStandOnTheRootsThatAreKept(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	k := newKeys(t, s)
	const users = 2500
	r := newRun(t, s, k, users)
	id := r.ID()
	var recs []*journal.Record
	for user := int64(1); user <= users; user++ {
		if user%700 == 0 {
			r = reopened(t, s, k, r)
			must(t, s.Note(id, &journal.Record{Kind: journal.Reported}))
		}
		recs = append(recs, intent(r, user, 1, 0, "x"), outcome(user, 1, 0, sdk.Applied, ""), finished(user, journal.Done, ""))
		if user%7 == 6 || user == users { // before each that is opened again too
			commit(t, r, recs...)
			recs = nil
		}
	}
	commit(t, r, &journal.Record{Kind: journal.Ended, Detail: journal.Detail{State: journal.StateStopped}})
	must(t, r.Close())
	a := audited(t, s, id, "")
	for of, size := range map[rows.Tree]int64{rows.TreeOfLog: a.Size, rows.TreeOfPlan: users} {
		if kept := asked(t, s, id, fmt.Sprintf("SELECT count(*) FROM tile WHERE tree = %d", of)); kept != size>>10 {
			t.Errorf("tree %d: %d roots of %d leaves are kept", of, kept, size)
		}
	}
	proved := func(s *Store) hashlog.Bundle {
		ro, err := s.Read(id)
		must(t, err)
		defer ro.Close()
		text, err := ro.Prove("user-1200")
		must(t, err)
		key, err := s.VerifierKey()
		must(t, err)
		b, err := hashlog.VerifyBundle(bytes.NewReader(text), key, nil)
		must(t, err)
		return b
	}
	if b := proved(s); !b.OK || b.Records != 5 || b.Rows != 1 {
		t.Errorf("VerifyBundle() = %+v", b)
	}
	without := crashed(t, s)
	edit(t, without, id, "DELETE FROM tile WHERE n = 1")
	audited(t, without, id, "")
	if b := proved(without); !b.OK {
		t.Errorf("without a root: %+v", b)
	}
	for of := range 2 {
		changed := crashed(t, s)
		edit(t, changed, id, fmt.Sprintf("UPDATE tile SET root = zeroblob(32) WHERE n = 0 AND tree = %d", of))
		a, err := changed.Verify(id, "")
		must(t, err)
		if text := listed(a); a.OK || !strings.Contains(text, "tiles: a root that is kept of the leaves from 0 on was changed") {
			t.Errorf("tree %d: found %s", of, text)
		}
		if b := proved(changed); b.OK {
			t.Errorf("tree %d: a proof on a root that was changed holds", of)
		}
	}
}
