package piles_test

import (
	"bytes"
	"encoding/binary"
	"os"
	"testing"

	"github.com/rekey-host/rekey/host/internal/piles"
)

// TestAPileHasWhatWasPutOntoIt, in its order, in memory and in the file alike.
func TestAPileHasWhatWasPutOntoIt(t *testing.T) {
	for _, things := range []int{0, 1, 7, 8, 9, 1000} {
		dir := t.TempDir()
		p := piles.New(dir, 3, 64)
		want := make([][]byte, 3)
		for i := range things {
			thing := binary.BigEndian.AppendUint64(nil, uint64(i))
			n := i * i % 3 // one of them gets nothing
			if err := p.Add(n, thing); err != nil {
				t.Fatal(err)
			}
			want[n] = append(want[n], thing...)
		}
		var b []byte
		for n := range p.Len() {
			var err error
			if b, err = p.Read(b, n); err != nil || !bytes.Equal(b, want[n]) {
				t.Errorf("%d things: pile %d has %d bytes, %v; want %d", things, n, len(b), err, len(want[n]))
			}
		}
		if left, err := os.ReadDir(dir); err != nil || len(left) > 0 || p.InFile() != (len(want[0]) >= 64 || len(want[1]) >= 64) {
			t.Errorf("%d things: in a file: %v; its name: %v, %v", things, p.InFile(), left, err)
		}
		if err := p.Close(); err != nil || p.Close() != nil {
			t.Error(err)
		}
	}
}

// TestAPileThatCannotBeWrittenStaysInMemory, and says so.
func TestAPileThatCannotBeWrittenStaysInMemory(t *testing.T) {
	p := piles.New(t.TempDir()+"/none", 1, 16)
	failed := 0
	var want []byte
	for i := range 100 {
		thing := binary.BigEndian.AppendUint64(nil, uint64(i))
		if p.Add(0, thing) != nil {
			failed++
		}
		want = append(want, thing...)
	}
	if got, err := p.Read(nil, 0); err != nil || !bytes.Equal(got, want) || failed != 99 || p.InFile() {
		t.Errorf("%d bytes of %d, %v; %d errors", len(got), len(want), err, failed)
	}
}
