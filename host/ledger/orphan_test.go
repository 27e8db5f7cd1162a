package ledger

import (
	"errors"
	"os"
	"testing"
)

// manyPages is how many users a plan has whose leaves are more than one root
// takes.
const manyPages = 9_000

// rootOf returns the number of the page at which a table begins.
func rootOf(t bench, s *Store, id, table string) int64 {
	t.Helper()
	c := rawly(t, s, id)
	defer c.close()
	root, err := c.count("SELECT rootpage FROM sqlite_schema WHERE name = ?", table)
	must(t, err)
	return root
}

// onPage overwrites the beginning of a page.
func onPage(t bench, path string, page int64, with []byte) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	must(t, err)
	_, err = f.WriteAt(with, (page-1)*pageSize)
	must(t, errors.Join(err, f.Close()))
}

// someLeaf returns the number of a leaf in the middle of a file.
func someLeaf(t bench, path string) int64 {
	t.Helper()
	text, err := os.ReadFile(path)
	must(t, err)
	for n := len(text) / pageSize / 3; n < len(text)/pageSize; n++ {
		if text[n*pageSize] == leafPage {
			return int64(n + 1)
		}
	}
	t.Fatal("there is no leaf")
	return 0
}

// TestUsersUnderALostInnerPageAreFound on the leaves, whose rows are there: all of
// them, each once, and a leaf that is none after all hides no other.
func TestUsersUnderALostInnerPageAreFound(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	r := newRun(t, s, newKeys(t, s), manyPages)
	must(t, r.Close())
	path := s.runFile(r.ID())
	root, leaf := rootOf(t, s, r.ID(), "sheet"), someLeaf(t, path)
	rest := func() (users int) {
		t.Helper()
		r, err := s.Rest(r.ID())
		must(t, err)
		defer r.Close()
		seen := map[string]bool{}
		must(t, r.Each(Filter{}, OrderSource, func(u User) error {
			if seen[u.Key] {
				t.Errorf("%s is there twice", u.Key)
			}
			if seen[u.Key] = true; u.Key == planned(int(u.Seq)).Key {
				users++
			}
			return nil
		}))
		return users
	}
	onPage(t, path, root, make([]byte, pageSize))
	if got := rest(); got != manyPages {
		t.Errorf("without the root of the sheets: %d users are found, want %d", got, manyPages)
	}
	junk := make([]byte, pageSize)
	for i := range junk {
		junk[i] = byte(i*7 + 3)
	}
	junk[0] = leafPage
	onPage(t, path, leaf, junk)
	if got := rest(); got == manyPages || got < manyPages-200 {
		t.Errorf("and without one leaf: %d users are found of %d", got, manyPages)
	}
	if left := filesIn(t, s.temp()); len(left) > 0 {
		t.Errorf("left are %v", left)
	}
}
