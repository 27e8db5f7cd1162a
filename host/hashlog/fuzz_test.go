package hashlog

import (
	"bytes"
	"strings"
	"testing"
)

// edited returns a text with small changes: a byte is another, is missing, or comes
// twice; the text ends early.
func edited(text []byte) (list [][]byte) {
	for at := 0; at < len(text); at += 1 + len(text)/16 {
		flipped := bytes.Clone(text)
		flipped[at] ^= 1
		list = append(list, flipped, append(bytes.Clone(text[:at]), text[at+1:]...), append(bytes.Clone(text[:at+1]), text[at:]...), text[:at])
	}
	return list
}

func FuzzCheckpoint(f *testing.F) {
	var tree Frontier
	for _, l := range leaves(5) {
		tree.Push(l)
	}
	text := HeadText("rabc", tree.Size, tree.Root())
	for _, s := range append(edited([]byte(text)), []byte(text), []byte("7:ab"), []byte("x"), []byte("rekey/run/x\n1\n\n")) {
		f.Add(string(s))
	}
	f.Fuzz(func(t *testing.T, changed string) {
		_, _ = ParseCheckpoint(changed)
		run, size, root, err := ParseHead(changed)
		if err == nil && HeadOf(changed) != strings.ReplaceAll(run, "\r", "") && HeadOf(changed) != run {
			t.Fatalf("HeadOf(%q) = %q, want %q", changed, HeadOf(changed), run)
		}
		if err == nil && run == "rabc" && size == tree.Size && root == tree.Root() && !strings.HasPrefix(HeadText(run, size, root), text) {
			t.Fatalf("%q passes as the head", changed)
		}
	})
}

// FuzzPlanRow reads a row that is handed over in a bundle.
func FuzzPlanRow(f *testing.F) {
	var k NamesKey
	private, _ := (&Encoder{Key: &k}).appendRowPrivate(nil, &Row{Seq: 3, Key: "ann", Reason: "a reason", Cells: []byte("cells")})
	public := appendRowPublic(nil, 3, 3, 0)
	for _, s := range edited(private) {
		f.Add(public, s)
	}
	for _, s := range edited(public) {
		f.Add(s, private)
	}
	f.Fuzz(func(t *testing.T, public, changed []byte) {
		b := &bundleCheck{}
		v, err := b.rowOf(&leaf{Public: public, Private: changed})
		if err == nil && v.Key == "ann" && v.Reason == "a reason" && len(changed) != len(private) {
			t.Fatalf("%q is read as the row", changed)
		}
	})
}
