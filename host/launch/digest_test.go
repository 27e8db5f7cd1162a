package launch_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/rekey-host/rekey/host/launch"
)

// TestWhatLiesBesideAScript is part of it in a folder of its own, and elsewhere
// may change as it likes: a backend may keep its accounts there.
func TestWhatLiesBesideAScript(t *testing.T) {
	t.Parallel()
	for name, part := range map[string]bool{launch.FolderPrefix + "acme-1": true, "anywhere": false} {
		dir := filepath.Join(t.TempDir(), name)
		write := func(name, text string) string {
			path := filepath.Join(dir, name)
			if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, []byte(text), 0o700); err != nil {
				t.Fatal(err)
			}
			return path
		}
		script := write("rekey-backend-acme", "#!/bin/sh\n")
		digest := func() string {
			got, script, err := launch.Digest(script)
			if err != nil || !script {
				t.Fatalf("%s: a script: %v, %v", name, script, err)
			}
			return got
		}
		bare := digest()
		write("lib/module", "one")
		if changed := digest() != bare; changed != part {
			t.Errorf("%s: a module beside it: the digest changed %v, want %v", name, changed, part)
		}
		before := digest()
		write("__pycache__/module", "cached")
		if digest() != before {
			t.Errorf("%s: a cache of Python is part of it", name)
		}
		write("rekey-backend-acme", "#!/bin/sh\nexit 1\n")
		if digest() == before {
			t.Errorf("%s: the script itself is not part of it", name)
		}
	}
}
