package workflow

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/rekey-host/rekey/host/workflow/tree"
)

// TestFormattingTwiceChangesNothing, with every script of the language's tests.
func TestFormattingTwiceChangesNothing(t *testing.T) {
	paths, err := filepath.Glob("testdata/lang/*.star")
	if err != nil || len(paths) < 15 {
		t.Fatalf("scripts: %q, %v", paths, err)
	}
	formatted := 0
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		once, bad := tree.Format(path, text)
		if bad != nil {
			if tree.New(path, path, text).Parse() == nil {
				t.Errorf("%s: %v", path, bad)
			}
			continue
		}
		formatted++
		twice, bad := tree.Format(path, once)
		if bad != nil || string(twice) != string(once) {
			t.Errorf("%s: the second time changes it: %v", path, bad)
		}
	}
	if formatted < 10 {
		t.Errorf("%d scripts could be formatted", formatted)
	}
}
