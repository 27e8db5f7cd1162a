package backendtest

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
)

// TestLiesAreCaughtInOtherLanguages, each by the check that names it; and the same
// backend passes without one.
func TestLiesAreCaughtInOtherLanguages(t *testing.T) {
	t.Cleanup(func() {
		left, _ := filepath.Glob("/tmp/rekey-kit-*")
		for _, name := range left {
			_ = os.Remove(name)
		}
	})
	for language, beside := range map[string][]string{"py": {"../python/rekey.py"}, "js": {"../node/rekey.js", "../node/node_modules"}} {
		program := placed(t, "testdata/rekey-backend-liar."+language, beside)
		for lie, check := range map[string]string{
			"cut":    "faults/sets tell the truth",
			"verify": "faults/verify tells the truth",
			"find":   "faults/find says nothing of an account",
			"list":   "faults/a list is never short in silence",
			"stamp":  "set/stamps differ",
			"egress": "describe/makes sense",
			"file":   checkOfShards,
			"child":  "close/leaves no process",
		} {
			t.Run(language+" "+lie, func(t *testing.T) {
				t.Parallel()
				o := Options{Target: banked}
				if found := findingsOf(t, o, startWired(t, command{path: program, args: []string{lie}}), check); len(found[check]) == 0 {
					t.Errorf("the check %q found nothing", check)
				}
			})
		}
		t.Run(language+" honest", func(t *testing.T) {
			t.Parallel()
			found := findingsOf(t, Options{Target: banked}, startWired(t, command{path: program, args: []string{"no"}}))
			for check, problems := range found {
				t.Errorf("%s: %q", check, problems)
			}
		})
	}
}

// placed is a program in a directory of its own, with what it finds beside it.
func placed(t *testing.T, program string, beside []string) string {
	t.Helper()
	dir := t.TempDir()
	for _, name := range append(beside, program) {
		from, err := filepath.Abs(name)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := os.Stat(from); err != nil {
			t.Fatal(errors.Join(errors.New("make packages"), err))
		}
		to := filepath.Join(dir, filepath.Base(name))
		if filepath.Ext(name) == "" {
			err = os.Symlink(from, to)
		} else {
			var text []byte
			if text, err = os.ReadFile(from); err == nil {
				err = os.WriteFile(to, text, 0o700)
			}
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return filepath.Join(dir, filepath.Base(program))
}
