package htpasswd

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rekey-host/rekey/sdk"
	"github.com/rekey-host/rekey/sdk/secret"
)

// TestAnotherProgramsChangeIsSeen at once, also by whoever has set and verified a
// moment ago: whatever the program does, its change has the same size.
func TestAnotherProgramsChangeIsSeen(t *testing.T) {
	write := func(t *testing.T, path, content string) {
		if err := os.WriteFile(path, []byte(content), 0o640); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		name   string
		change func(t *testing.T, path, content string)
	}{
		{"in place", write},
		{"in place, with the time of before", func(t *testing.T, path, content string) {
			info, err := os.Stat(path)
			if err != nil {
				t.Fatal(err)
			}
			write(t, path, content)
			if err := os.Chtimes(path, time.Time{}, info.ModTime()); err != nil {
				t.Fatal(err)
			}
		}},
		{"by another file", func(t *testing.T, path, content string) {
			write(t, path+".new", content)
			if err := os.Rename(path+".new", path); err != nil {
				t.Fatal(err)
			}
		}},
		{"by a link to another file", func(t *testing.T, path, content string) {
			write(t, path+".new", content)
			if err := os.Remove(path); err != nil {
				t.Fatal(err)
			}
			if err := os.Symlink(filepath.Base(path)+".new", path); err != nil {
				t.Fatal(err)
			}
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			i, path := open(t, "alice:h\nbob:h\n", "hash", "apr1", "cost", int64(10))
			for range 20 {
				if r := i.Apply(t.Context(), set("alice", "mine")); r.Outcome != sdk.Applied {
					t.Fatal(r.Err)
				}
				wantVerdict(t, i, "alice", "mine", sdk.Accepted)
				was := content(t, path)
				theirs, err := i.hasher.hash([]byte("theirs"))
				if err != nil {
					t.Fatal(err)
				}
				line, rest, _ := strings.Cut(was, "\n")
				mine := strings.TrimPrefix(line, "alice:")
				c.change(t, path, strings.ReplaceAll(line, mine, theirs)+"\n"+rest)
				wantVerdict(t, i, "alice", "mine", sdk.Rejected)
				wantVerdict(t, i, "alice", "theirs", sdk.Accepted)
				if r := i.Apply(t.Context(), set("bob", "x")); r.Outcome != sdk.Applied {
					t.Fatal(r.Err)
				}
				wantVerdict(t, i, "alice", "theirs", sdk.Accepted)
			}
		})
	}
}

// TestAnAccountThatWasAddedIsFound in the file that is kept, as often as one is.
func TestAnAccountThatWasAddedIsFound(t *testing.T) {
	i, path := open(t, "alice:h", "hash", "apr1", "cost", int64(10), "create", true)
	for _, name := range []string{"zoë", "adam", "eve", "alice", "zoë"} {
		if r := i.Apply(t.Context(), set(name, "of "+name)); r.Outcome != sdk.Applied {
			t.Fatal(r.Err)
		}
		if !i.file.sure {
			t.Errorf("%s: the file is not kept", name)
		}
		wantVerdict(t, i, name, "of "+name, sdk.Accepted)
	}
	for _, name := range []string{"zoë", "adam", "eve", "alice"} {
		wantVerdict(t, i, name, "of "+name, sdk.Accepted)
	}
	if n := strings.Count(content(t, path), "\n"); n != 4 {
		t.Errorf("%d lines, want 4:\n%s", n, content(t, path))
	}
}

// TestAFileThatIsTakenAwayIsMissed, and seen when it is back.
func TestAFileThatIsTakenAwayIsMissed(t *testing.T) {
	i, path := open(t, "alice:h\n", "hash", "apr1", "cost", int64(10))
	if r := i.Apply(t.Context(), set("alice", "one")); r.Outcome != sdk.Applied {
		t.Fatal(r.Err)
	}
	if err := os.Rename(path, path+".away"); err != nil {
		t.Fatal(err)
	}
	if _, err := i.Verify(t.Context(), "alice", "", secret.New("one")); sdk.AsError(err, "").Code != sdk.InvalidConfig {
		t.Errorf("got %v, want InvalidConfig", err)
	}
	if err := os.Rename(path+".away", path); err != nil {
		t.Fatal(err)
	}
	wantVerdict(t, i, "alice", "one", sdk.Accepted)
}
