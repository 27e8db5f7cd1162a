package ledger

import (
	"fmt"
	"strings"
	"testing"

	"github.com/rekey-host/rekey/host/hashlog"
	"github.com/rekey-host/rekey/host/journal"
)

// TestEachHeadThatTheLogHadIsKnown: as a hash alone, as SIZE:HASH, and as a
// signed head, the first as well as the last; one of another size is none.
func TestEachHeadThatTheLogHadIsKnown(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	r := story(t, s, newKeys(t, s))
	var tree hashlog.Frontier
	must(t, r.reading(func(c storage) error {
		return r.leaves(c, 0, storySize, func(_ int64, leaf hashlog.Hash, _ bool) error {
			tree.Push(leaf)
			size, root := tree.Size, tree.Root()
			head := hashlog.HeadString(size, root)
			_, hash, _ := strings.Cut(head, ":")
			for _, kept := range []string{head, hash} {
				audited(t, s, r.ID(), kept)
			}
			if err := r.Contains(hashlog.HeadText(r.ID(), size, root)); err != nil {
				t.Errorf("Contains() of %d records: %v", size, err)
			}
			a, err := s.Verify(r.ID(), hashlog.HeadString(size%storySize+1, root))
			must(t, err)
			if a.OK {
				t.Errorf("the head of %d records is one of another size", size)
			}
			return nil
		})
	}))
	for text, want := range map[string]string{
		"0:" + strings.Repeat("ab", 32): "checkpoint: the log had 0 records when it was taken",
		hashlog.HeadString(storySize+1, hashlog.Hash{}): fmt.Sprintf("checkpoint: the log had %d records when it was taken and has %d now: its end was cut off",
			storySize+1, storySize),
	} {
		a, err := s.Verify(r.ID(), text)
		must(t, err)
		if !strings.Contains(listed(a), want) {
			t.Errorf("Verify(%q) found %q, want %q", text, listed(a), want)
		}
	}
	if err := r.Contains(hashlog.HeadText(r.ID(), storySize+1, tree.Root())); err == nil || !strings.Contains(err.Error(), "is older than it") {
		t.Errorf("Contains() of a longer log: %v", err)
	}
}

// TestContainsAsksTheSignedHeadElseTheRecords: a head of another run or size in
// its place is none.
func TestContainsAsksTheSignedHeadElseTheRecords(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	k := newKeys(t, s)
	other := story(t, s, k)
	foreign, err := other.Checkpoint()
	must(t, err)
	for _, c := range []struct {
		name string
		how  string
		fine bool
	}{
		{"the records are gone", "DELETE FROM REC WHERE ID = 4", true},
		{"records and heads are gone", "DELETE FROM REC WHERE ID = 4; DELETE FROM head", false},
		{"the heads are gone", "DELETE FROM head", true},
		{"the head is another run's", "UPDATE head SET note = '" + foreign + "' WHERE size = 24", true},
		{"the head is one of another size", "UPDATE head SET note = (SELECT note FROM head WHERE size = 3) WHERE size = 24", true},
		{"the head is none", "UPDATE head SET note = 'x' WHERE size = 24", true},
	} {
		r := story(t, s, k)
		text, err := r.Checkpoint()
		must(t, err)
		must(t, r.Close())
		for _, q := range strings.Split(c.how, "; ") {
			edit(t, s, r.ID(), q)
		}
		ro, err := s.Read(r.ID())
		must(t, err)
		if err := ro.Contains(text); (err == nil) != c.fine {
			t.Errorf("%s: Contains() = %v", c.name, err)
		}
		must(t, ro.Close())
	}
}

// TestManyHeadsAreAllCompared: they are loaded a few hundred at a time.
func TestManyHeadsAreAllCompared(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	r := newRun(t, s, newKeys(t, s), 1)
	for range 600 {
		commit(t, r, &journal.Record{Kind: journal.Revealed})
	}
	a := audited(t, s, r.ID(), "")
	if a.Size != 602 || a.Unsigned() != 0 {
		t.Fatalf("Verify() = %+v", a)
	}
	must(t, r.Close())
	for _, c := range []struct{ how, want, since string }{
		{"UPDATE head SET note = replace(note, '\n600\n', '\n601\n') WHERE size = 600", "signed head at 600 records: its text was changed", "599 to 600"},
		{"UPDATE head SET note = 'x' WHERE size = 300", "signed head at 300 records: its text was changed", "599 to 599"},
		{"UPDATE head SET note = (SELECT note FROM head WHERE size = 301) WHERE size = 300", "signed head at 300 records: its text was changed", "599 to 599"},
	} {
		copied := crashed(t, s)
		edit(t, copied, r.ID(), c.how)
		a, err := copied.Verify(r.ID(), "")
		must(t, err)
		if text := listed(a); text != c.want+"\n" {
			t.Errorf("%s: found %q, want only %q", c.how, text, c.want)
		}
		rewrite(600)(t, copied, r.ID()) // a head that says nothing narrows nothing down
		a, err = copied.Verify(r.ID(), a.Head)
		must(t, err)
		if text, want := listed(a), "one of records "+c.since+"\n"; !strings.Contains(text, want) {
			t.Errorf("%s, and a record rewritten: found %q, want %q", c.how, text, want)
		}
	}
	rewrite(600)(t, s, r.ID())
	a, err := s.Verify(r.ID(), "")
	must(t, err)
	if want := "; the signed heads say it is one of records 599 to 599"; !strings.Contains(listed(a), want) || a.Signed != 599 {
		t.Errorf("found %q, %d signed; want %q", listed(a), a.Signed, want)
	}
}
