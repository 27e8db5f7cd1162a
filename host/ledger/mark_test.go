package ledger

import (
	"bytes"
	"fmt"
	"hash/crc32"
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/rekey-host/rekey/host/hashlog"
)

// slot is a slot of a mark that says something, with its sum.
func slot(text string) []byte {
	line := fmt.Appendf(nil, "%s %08x", text, crc32.ChecksumIEEE([]byte(text)))
	return append(line, bytes.Repeat([]byte(" "), markSlot-len(line))...)
}

func TestASlotOfAMarkIsReadWholeOrNotAtAll(t *testing.T) {
	var tree hashlog.Frontier
	for range 3 {
		tree.Push([32]byte{1})
	}
	m := mark{"rx", tree, birth{7, 8}}
	sound := m.line()
	if len(sound) != markSlot || sound[markSlot-1] != '\n' {
		t.Fatalf("a slot has %d bytes", len(sound))
	}
	if got, err := parseMark(sound); err != nil || got.run != "rx" || got.tree.Root() != tree.Root() || got.tree.Size != 3 || got.self != m.self {
		t.Errorf("%+v, %v", got, err)
	}
	edges := fmt.Sprintf("%x", tree.Bytes())
	if _, err := parseMark(slot(markFormat + " rx 3 " + edges + " 7 8")); err != nil {
		t.Errorf("what the test makes is no mark: %v", err)
	}
	for name, bad := range map[string][]byte{
		"nothing":                  nil,
		"one word":                 []byte("x"),
		"torn":                     append(bytes.Clone(sound[:40]), bytes.Repeat([]byte(" "), markSlot-40)...),
		"a byte that was changed":  bytes.Replace(sound, []byte(" rx "), []byte(" ry "), 1),
		"another format":           slot("rekey-mark/2 rx 3 " + edges + " 7 8"),
		"a field too few":          slot(markFormat + " rx 3 " + edges + " 7"),
		"a field too many":         slot(markFormat + " rx 3 " + edges + " 7 8 9"),
		"a size that is none":      slot(markFormat + " rx x " + edges + " 7 8"),
		"edges that are none":      slot(markFormat + " rx 3 xx 7 8"),
		"edges of another size":    slot(markFormat + " rx 4 " + edges + " 7 8"),
		"a number that is none":    slot(markFormat + " rx 3 " + edges + " x 8"),
		"a moment that is none":    slot(markFormat + " rx 3 " + edges + " 7 x"),
		"a size below any":         slot(markFormat + " rx -1  7 8"),
		"nothing but a sum of all": []byte(" 00000000"),
	} {
		if got, err := parseMark(bad); err == nil {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

// TestAMarkIsTheNewestSoundSlotOfItsOwnRun.
func TestAMarkIsTheNewestSoundSlotOfItsOwnRun(t *testing.T) {
	line := func(run string, size int64) []byte {
		var tree hashlog.Frontier
		for tree.Size < size {
			tree.Push([32]byte{1})
		}
		m := mark{run, tree, birth{7, 8}}
		return m.line()
	}
	junk := bytes.Repeat([]byte("x"), markSlot)
	for _, c := range []struct {
		name  string
		slots [][]byte
		size  int64
		slot  int
	}{
		{"nothing", nil, 0, -1},
		{"half a slot", [][]byte{line("rx", 2)[:100]}, 0, -1},
		{"the first", [][]byte{line("rx", 2)}, 2, 0},
		{"the newest in the middle", [][]byte{line("rx", 2), line("rx", 9), line("rx", 5)}, 9, 1},
		{"the newest at the end", [][]byte{line("rx", 2), line("rx", 5), line("rx", 9)}, 9, 2},
		{"the newest is torn", [][]byte{line("rx", 2), junk, line("rx", 5)}, 5, 2},
		{"another run's", [][]byte{line("rx", 2), line("ry", 9), line("rx", 5)}, 5, 2},
		{"another run's alone", [][]byte{line("ry", 2), line("ry", 9)}, 0, -1},
		{"nothing but what is torn", [][]byte{junk, junk, junk}, 0, -1},
	} {
		path := t.TempDir() + "/mark"
		must(t, os.WriteFile(path, bytes.Join(c.slots, nil), 0o600))
		f, err := os.Open(path)
		must(t, err)
		if m, slot := readMark(f, "rx"); m.tree.Size != c.size || slot != c.slot {
			t.Errorf("%s: %d records in slot %d, want %d in %d", c.name, m.tree.Size, slot, c.size, c.slot)
		}
		must(t, f.Close())
	}
}

// TestAFileKnowsWhenItWasMade where its file system does: by that it is told from
// another that has its number.
func TestAFileKnowsWhenItWasMade(t *testing.T) {
	path := t.TempDir() + "/x"
	must(t, os.WriteFile(path, nil, 0o600))
	var st unix.Statx_t
	must(t, unix.Statx(unix.AT_FDCWD, path, 0, unix.STATX_INO|unix.STATX_BTIME, &st))
	want := birth{ino: st.Ino}
	if st.Mask&unix.STATX_BTIME != 0 {
		want.born = st.Btime.Sec*1e9 + int64(st.Btime.Nsec)
	}
	if got, err := birthOf(path); err != nil || got != want {
		t.Errorf("%v, %v, want %v", got, err, want)
	}
}

// TestAMarkThatIsWrittenKeepsItsFirstSlot, which is the one that was synced.
func TestAMarkThatIsWrittenKeepsItsFirstSlot(t *testing.T) {
	s := newStore(t)
	r := newRun(t, s, newKeys(t, s), 9)
	first, err := os.ReadFile(s.markFile(r.ID()))
	must(t, err)
	for user := int64(1); user < 9; user++ {
		commit(t, r, finished(user, "failed", "X"))
		text, err := os.ReadFile(s.markFile(r.ID()))
		must(t, err)
		if !bytes.HasPrefix(text, first[:markSlot]) {
			t.Fatalf("after %d commits the first slot is another", user)
		}
		mk, m, err := s.openMark(r.ID(), os.O_RDONLY)
		must(t, err)
		if mk.close(); m.tree.Size != r.writer.tree.Size || m.tree.Root() != r.writer.tree.Root() {
			t.Errorf("after %d commits it says %d records of %d", user, m.tree.Size, r.writer.tree.Size)
		}
		if n := strings.Count(string(text), markFormat); n > markSlots {
			t.Errorf("%d slots", n)
		}
	}
}
