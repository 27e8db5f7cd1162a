package ledger

import (
	"testing"
	"time"

	"github.com/rekey-host/rekey/host/hashlog"
	"github.com/rekey-host/rekey/host/journal"
)

func TestKeyNameIsOneWordOfPrintableLetters(t *testing.T) {
	for host, want := range map[string]string{
		"":           "rekey",
		"host":       "rekey-host",
		"a b":        "rekey-a-b",
		"a+b":        "rekey-a-b",
		"a~b!c":      "rekey-a~b!c",
		"a\x7fb":     "rekey-a-b",
		"h\u00e9":    "rekey-h",
		"x.example.": "rekey-x.example.",
	} {
		if got := (&keyring{stateDir: &stateDir{host: host}}).keyName(); got != want {
			t.Errorf("keyName() of %q = %q, want %q", host, got, want)
		}
	}
}

// TestCommitThatCannotBeSignedIsNone: nobody takes it for one that is.
func TestCommitThatCannotBeSignedIsNone(t *testing.T) {
	s := newStore(t)
	k := newKeys(t, s)
	r := newRun(t, s, k, 1)
	must(t, r.Close())
	must(t, replace(s.dir+"/audit.key", []byte("nonsense")))
	s = opened(t, s.dir, "test host")
	again, err := s.Lock(r.ID(), k)
	must(t, err)
	defer again.Close()
	if err := again.Commit([]*journal.Record{{Kind: journal.Revealed}}); err == nil {
		t.Error("Commit() gave no error")
	}
	if a, err := s.Verify(r.ID(), ""); err != nil || a.Size != 2 {
		t.Errorf("the log has %d records, %v", a.Size, err)
	}
}

// TestAHeadIsOfARunWithASizeAndARoot.
func TestAHeadIsOfARunWithASizeAndARoot(t *testing.T) {
	root := "uU0nuZNNPgilLlLX2n2r+sSE7+N6U4DukIj3rOLvzek="
	for _, c := range []struct {
		text string
		run  string
		size int64
		ok   bool
	}{
		{"rekey/run/rx\n0\n" + root + "\n", "rx", 0, true},
		{"rekey/run/rx\n7\n" + root + "\n\n— signature\n", "rx", 7, true},
		{"rekey/run/rx\n-1\n" + root + "\n", "", 0, false},
		{"rekey/run/rx\nseven\n" + root + "\n", "", 0, false},
		{"rekey/run/rx\n99999999999999999999\n" + root + "\n", "", 0, false},
		{"rekey/run/rx\n7\nnot a root\n", "", 0, false},
		{"rekey/run/rx\n7\n" + root, "", 0, false},
		{"other/run/rx\n7\n" + root + "\n", "", 0, false},
		{"", "", 0, false},
	} {
		run, size, _, err := hashlog.ParseHead(c.text)
		if (err == nil) != c.ok || c.ok && (run != c.run || size != c.size) || hashlog.HeadOf(c.text) != c.run {
			t.Errorf("%q: run %q, size %d, %v; want %q, %d, %v", c.text, run, size, err, c.run, c.size, c.ok)
		}
	}
}

// TestAHeadIsSignedAWhileAfterTheLast, and at once where something has come to an
// end.
func TestAHeadIsSignedAWhileAfterTheLast(t *testing.T) {
	s := newStore(t)
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	s.now = func() time.Time { return now }
	r := newRun(t, s, newKeys(t, s), 9)
	signed := func() int64 {
		t.Helper()
		return asked(t, s, r.ID(), "SELECT max(size) FROM head")
	}
	commit(t, r, &journal.Record{Kind: journal.Revealed}) // at once
	last := r.writer.tree.Size
	if signed() != last {
		t.Fatalf("%d of %d records are signed", signed(), last)
	}
	now = now.Add(headEvery - time.Nanosecond)
	if commit(t, r, finished(1, journal.Failed, "X")); signed() != last {
		t.Error("a head was signed before its time")
	}
	now = now.Add(time.Nanosecond)
	if commit(t, r, finished(2, journal.Failed, "X")); signed() != last+2 {
		t.Errorf("%d of %d records are signed when it is time", signed(), last+2)
	}
	for _, kind := range []journal.Kind{journal.Stopped, journal.Reported, journal.Accepted} {
		if commit(t, r, &journal.Record{Kind: kind}); signed() != r.writer.tree.Size {
			t.Errorf("%s: %d of %d records are signed", kind, signed(), r.writer.tree.Size)
		}
	}
	if commit(t, r, &journal.Record{Kind: journal.Started}); signed() == r.writer.tree.Size {
		t.Error("a start was signed at once")
	}
	if commit(t, r, &journal.Record{Kind: journal.Reopened, User: 1}); signed() != r.writer.tree.Size {
		t.Error("that a user was put back was not signed at once: who is killed before the start leaves what nobody signed")
	}
	size, head, err := r.SignHead()
	if err != nil || signed() != size || size != r.writer.tree.Size {
		t.Errorf("SignHead() = %d, %s, %v", size, head, err)
	}
}

// TestARunForReadingHasAHeadIfItHasAState.
func TestARunForReadingHasAHeadIfItHasAState(t *testing.T) {
	s := newStore(t)
	k := newKeys(t, s)
	r := newRun(t, s, k, 1)
	size, head, err := r.SignHead()
	must(t, err)
	must(t, r.Close())
	read := func() (int64, string, error) {
		ro, err := s.Read(r.ID())
		must(t, err)
		defer ro.Close()
		return ro.SignHead()
	}
	if gotSize, got, err := read(); err != nil || gotSize != size || got != head {
		t.Errorf("SignHead() = %d, %s, %v; want %d, %s", gotSize, got, err, size, head)
	}
	edit(t, s, r.ID(), "DELETE FROM state")
	if size, head, err := read(); err == nil {
		t.Errorf("without a state: SignHead() = %d, %s", size, head)
	}
}
