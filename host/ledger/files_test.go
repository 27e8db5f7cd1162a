package ledger

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
)

func TestListsAreToldFromOtherOutputs(t *testing.T) {
	s := newStore(t)
	must(t, s.WroteList("/out/list.csv", "1", "passwords", List{Run: "r1", Values: 7}))
	must(t, s.Wrote("/out/report.csv", "2", "report"))
	for path, want := range map[string]List{"/out/list.csv": {Run: "r1", Values: 7}, "/out/report.csv": {}, "/out/none": {}} {
		if got, ok := s.Listed(path); got != want || ok != (want != List{}) {
			t.Errorf("Listed(%s) = %+v, %v", path, got, ok)
		}
	}
}

// TestNoteIsOfItsOwnPath: one that was put in another's place says nothing.
func TestNoteIsOfItsOwnPath(t *testing.T) {
	s := newStore(t)
	must(t, s.Wrote("/out/a", "1", "report"))
	text, err := os.ReadFile(s.noteFile("/out/a"))
	must(t, err)
	must(t, os.WriteFile(s.noteFile("/out/b"), text, 0o600))
	if own := s.Owns("/out/b"); own != nil {
		t.Errorf("Owns() = %v", own)
	}
}

// TestAttemptsAreRememberedUpToABound, the first and the last of them.
func TestAttemptsAreRememberedUpToABound(t *testing.T) {
	s := newStore(t)
	var want []string
	for n := range attempts {
		want = append(want, string(rune('A'+n)))
		must(t, s.Writes("/out/a", want[n], "report"))
	}
	if got := s.Owns("/out/a"); !slices.Equal(got, want) {
		t.Fatalf("Owns() = %v", got)
	}
	must(t, s.Writes("/out/a", "z", "report"))
	if got := s.Owns("/out/a"); !slices.Equal(got, append(slices.Delete(want, 1, 2), "z")) {
		t.Fatalf("Owns() = %v", got)
	}
}

// TestFileThatCannotBeReplacedStays, and nothing is left beside it.
func TestFileThatCannotBeReplacedStays(t *testing.T) {
	dir := t.TempDir()
	full := filepath.Join(dir, "full")
	must(t, os.MkdirAll(filepath.Join(full, "x"), 0o700))
	if err := replace(full, []byte("text")); err == nil {
		t.Error("a directory was replaced")
	}
	if err := replace(filepath.Join(dir, "none", "x"), nil); err == nil {
		t.Error("a file was made in no directory")
	}
	must(t, replace(filepath.Join(dir, "file"), []byte("text")))
	if text, err := os.ReadFile(filepath.Join(dir, "file")); err != nil || string(text) != "text" {
		t.Errorf("written was %q, %v", text, err)
	}
	if left := filesIn(t, dir); !slices.Equal(left, []string{"file", "full"}) {
		t.Errorf("left are %v", left)
	}
}
