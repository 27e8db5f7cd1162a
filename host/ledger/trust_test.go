package ledger

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rekey-host/rekey/sdk/strict"
)

// stranger is somebody who is neither root nor the user of these tests.
const stranger = 65534

// given makes a place another's; only root can.
func given(t *testing.T, path string) {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("only root gives files away; CI runs as root")
	}
	must(t, os.Lchown(path, stranger, -1))
}

// TestAStateDirectoryOfSomebodyElse: nobody but root and who runs rekey may be
// able to put a file where the runs are, or to put other directories there.
func TestAStateDirectoryOfSomebodyElse(t *testing.T) {
	for _, x := range []struct {
		place string // below the directory that holds the one above the state directory
		mode  os.FileMode
		want  string // of the message; "": it is opened
		fix   string // with PLACE and STATE
	}{
		{"above/state", 0o700, "", ""},
		{"above/state", 0o755, "", ""},
		{"above/state", 0o775, "its group may write it", "chmod -R g-w STATE"},
		{"above/state", 0o777, "its group and everybody else may write it", "chmod -R go-w STATE"},
		{"above/state", 0o777 | os.ModeSticky, "its group and everybody else may write it", "chmod -R go-w STATE"},
		{"above/state", 0, "it belongs to ", "chown -R root STATE"},
		{"above/state/runs", 0o777, "its group and everybody else may write it", "chmod -R go-w STATE"},
		{"above/state/runs", 0, "it belongs to ", "chown -R root STATE"},
		{"above/state/marks", 0o777, "its group and everybody else may write it", "chmod -R go-w STATE"},
		{"above/state/tmp", 0o702, "everybody may write it", "chmod -R o-w STATE"},
		{"above/state/files", 0o720, "its group may write it", "chmod -R g-w STATE"},
		{"above", 0o755, "", ""},
		{"above", 0o775, "its group may write it", "chmod g-w PLACE"},
		{"above", 0o777, "its group and everybody else may write it", "chmod go-w PLACE"},
		{"above", 0o777 | os.ModeSticky, "", ""}, // as /tmp
		{"above", 0, "it belongs to ", "chown root PLACE"},
		{".", 0o777, "its group and everybody else may write it", "chmod go-w PLACE"},
		{".", 0, "it belongs to ", "chown root PLACE"},
	} {
		t.Run(fmt.Sprintf("%s %v", x.place, x.mode), func(t *testing.T) {
			top := filepath.Join(t.TempDir(), "top")
			state := filepath.Join(top, "above", "state")
			s, err := Open(state, Options{})
			must(t, err)
			must(t, errors.Join(makePrivateDir(s.marks()), makePrivateDir(filepath.Join(state, "files"))))
			place := filepath.Join(top, x.place)
			if x.mode == 0 {
				given(t, place)
			} else {
				must(t, os.Chmod(place, x.mode))
			}
			_, err = Open(state, Options{})
			var p *strict.Problem
			fix := strings.NewReplacer("PLACE", place, "STATE", state).Replace(x.fix)
			switch {
			case x.want == "" && err != nil:
				t.Errorf("%v, want nothing", err)
			case x.want != "" && (!errors.As(err, &p) || p.Path != place || !strings.Contains(p.Message, x.want) || p.Fix != fix):
				t.Errorf("%v, want %s: %s…; %s", err, place, x.want, fix)
			}
		})
	}
}

// TestAStateDirectoryIsNotMadeWhereOthersCouldReplaceIt: nor is anything left.
func TestAStateDirectoryIsNotMadeWhereOthersCouldReplaceIt(t *testing.T) {
	open := filepath.Join(t.TempDir(), "open")
	must(t, errors.Join(os.Mkdir(open, 0o700), os.Chmod(open, 0o777)))
	var p *strict.Problem
	if _, err := Open(filepath.Join(open, "state"), Options{}); !errors.As(err, &p) || p.Path != open {
		t.Errorf("%v, want %s", err, open)
	}
	if list, _ := os.ReadDir(open); len(list) > 0 {
		t.Errorf("%v was made", list)
	}
}

// TestKeysOfSomebodyElse: files of keys, what holds them and what leads to them
// belong to root or to who runs rekey, and nobody else may write there. The
// name is that of an identity, of a list of recipients, and of a link to one.
func TestKeysOfSomebodyElse(t *testing.T) {
	for _, x := range []struct {
		place string
		mode  os.FileMode // 0: it is given away
		want  string
	}{
		{"dir/file", 0, "it belongs to "},
		{"dir", 0, "it belongs to "},
		{"dir", 0o777, "chmod go-w "},
		{"dir", 0o775, "chmod g-w "},
		{"dir", 0o777 | os.ModeSticky, ""},
		{".", 0o777, "chmod go-w "},
		{".", 0, "it belongs to "},
		{"link", 0, "it belongs to "},
	} {
		for _, named := range []string{"dir/file", "link"} {
			if x.place == "link" && named != "link" {
				continue
			}
			t.Run(fmt.Sprintf("%s %s %v", named, x.place, x.mode), func(t *testing.T) {
				top := filepath.Join(t.TempDir(), "top")
				must(t, errors.Join(os.Mkdir(top, 0o700), os.Mkdir(filepath.Join(top, "dir"), 0o700), os.Symlink("dir/file", filepath.Join(top, "link"))))
				recipient, err := CreateIdentity(filepath.Join(top, "dir", "file"))
				must(t, err)
				own := filepath.Join(t.TempDir(), "identity")
				_, err = CreateIdentity(own)
				must(t, err)
				place, name := filepath.Join(top, x.place), filepath.Join(top, named)
				if x.mode == 0 {
					given(t, place)
				} else {
					must(t, os.Chmod(place, x.mode))
				}
				_, err = OpenKeys(name)
				checkKept(t, "identity", err, x.want)
				must(t, os.WriteFile(filepath.Join(top, "dir", "file"), []byte(recipient), 0o600))
				_, _, err = LoadKeys(own, []string{name})
				checkKept(t, "recipients", err, x.want)
			})
		}
	}
}

func checkKept(t *testing.T, what string, err error, want string) {
	t.Helper()
	if (err != nil) != (want != "") || err != nil && !strings.Contains(err.Error(), want) {
		t.Errorf("%s: %v, want %q", what, err, want)
	}
}

// TestKeysThroughAPipe: what a shell hands over has no name that another could
// take.
func TestKeysThroughAPipe(t *testing.T) {
	text, recipient, err := GenerateIdentity(time.Now())
	must(t, err)
	r, w, err := os.Pipe()
	must(t, err)
	defer r.Close()
	_, err = w.Write(text)
	must(t, errors.Join(err, w.Close()))
	k, err := OpenKeys(fmt.Sprintf("/dev/fd/%d", r.Fd()))
	if err != nil || len(k.PublicKeys()) != 1 || k.PublicKeys()[0] != recipient {
		t.Errorf("%v, %v", k.PublicKeys(), err)
	}
}

// TestKeysWithoutAName: a file that was opened and removed is nobody's to
// replace. One that has another name is looked at under that.
func TestKeysWithoutAName(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "id")
	text, recipient, err := GenerateIdentity(time.Now())
	must(t, err)
	must(t, os.WriteFile(path, text, 0o600))
	f, err := os.Open(path)
	must(t, err)
	defer f.Close()
	handed := fmt.Sprintf("/proc/self/fd/%d", f.Fd())
	must(t, os.Link(path, path+"2"))
	must(t, os.Remove(path))
	if k, err := OpenKeys(handed); err == nil {
		t.Errorf("its other name was not looked at: %v", k.PublicKeys())
	}
	must(t, os.Remove(path+"2"))
	k, err := OpenKeys(handed)
	if err != nil || len(k.PublicKeys()) != 1 || k.PublicKeys()[0] != recipient {
		t.Errorf("%v, %v", k.PublicKeys(), err)
	}
}
