package hashlog

import (
	"fmt"
	"testing"

	"golang.org/x/mod/sumdb/tlog"
)

// allHashes is the reference: every hash kept, as tlog keeps them.
type allHashes []tlog.Hash

func (s allHashes) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	out := make([]tlog.Hash, len(indexes))
	for i, n := range indexes {
		out[i] = s[n]
	}
	return out, nil
}

func leaves(n int) (list []tlog.Hash) {
	for i := range n {
		list = append(list, tlog.RecordHash(fmt.Appendf(nil, "record %d", i)))
	}
	return list
}

func TestFrontierRootIsTreeHash(t *testing.T) {
	var all allHashes
	var f Frontier
	for n, leaf := range leaves(600) {
		want, err := tlog.TreeHash(int64(n), all)
		must(t, err)
		if got := f.Root(); got != want {
			t.Fatalf("root of %d records = %v, want %v", n, got, want)
		}
		again, err := FrontierFrom(f.Size, f.Bytes())
		must(t, err)
		if again.Root() != want {
			t.Fatalf("root of %d records differs after bytes", n)
		}
		more, err := tlog.StoredHashesForRecordHash(int64(n), leaf, all)
		must(t, err)
		all = append(all, more...)
		f.Push(leaf)
	}
}

func TestFrontierOfAnotherSizeIsRefused(t *testing.T) {
	for _, c := range []struct{ size, bytes int64 }{{-1, 0}, {1, 0}, {2, 64}, {3, 32}, {0, 32}} {
		if _, err := FrontierFrom(c.size, make([]byte, c.bytes)); err == nil {
			t.Errorf("FrontierFrom(%d, %d bytes) gave no error", c.size, c.bytes)
		}
	}
}

func TestForestProvesWhatTlogProves(t *testing.T) {
	t.Parallel()
	list := leaves(5000)
	var all allHashes
	for n, leaf := range list {
		more, err := tlog.StoredHashesForRecordHash(int64(n), leaf, all)
		must(t, err)
		all = append(all, more...)
	}
	for _, size := range []int64{1, 2, 1000, 1024, 1025, 2048, 4097, 5000} {
		f := NewForest(size, func(from, to int64, yield func(tlog.Hash)) error {
			for i := from; i < to; i++ {
				yield(list[i])
			}
			return nil
		})
		must(t, f.Build())
		root, err := tlog.TreeHash(size, all)
		must(t, err)
		for n := int64(0); n < size; n += 1 + size/37 {
			proof, err := tlog.ProveRecord(size, n, f)
			must(t, err)
			if err := tlog.CheckRecord(proof, size, root, n, list[n]); err != nil {
				t.Fatalf("record %d of %d: %v", n, size, err)
			}
		}
	}
}

func BenchmarkFrontier(b *testing.B) {
	leaf := tlog.RecordHash(nil)
	var f Frontier
	for b.Loop() {
		f.Push(leaf)
	}
}

// TestForestHasNoHashThatTheLogHasNot: of what is missing it says so.
func TestForestHasNoHashThatTheLogHasNot(t *testing.T) {
	list := leaves(5000)
	forestOf := func(size, there int64) *Forest {
		return NewForest(size, func(from, to int64, yield func(tlog.Hash)) error {
			for i := from; i < min(to, there); i++ {
				yield(list[i])
			}
			return nil
		})
	}
	f := forestOf(4096, 5000)
	must(t, f.Build())
	for _, c := range []struct {
		level int
		n     int64
		fine  bool
	}{{9, 7, true}, {9, 8, false}, {10, 3, true}, {10, 4, false}, {11, 1, true}, {11, 2, false}, {12, 0, true}, {12, 1, false}, {13, 0, false}, {0, 4095, true}, {0, 4096, false}} {
		got, err := f.ReadHashes([]int64{tlog.StoredHashIndex(c.level, c.n)})
		if (err == nil) != c.fine {
			t.Errorf("level %d place %d: %v", c.level, c.n, err)
			continue
		}
		var want Frontier
		for i := c.n << c.level; c.fine && i < (c.n+1)<<c.level; i++ {
			want.Push(list[i])
		}
		if c.fine && got[0] != want.Root() {
			t.Errorf("level %d place %d: another hash", c.level, c.n)
		}
	}
	if err := forestOf(4096, 2000).Build(); err == nil {
		t.Error("a Forest was built of a log that lacks records")
	}
	if _, err := forestOf(1000, 500).ReadHashes([]int64{tlog.StoredHashIndex(0, 500)}); err == nil {
		t.Error("there is a hash of a record that is missing")
	}
}
