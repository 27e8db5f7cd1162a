package ledger

import (
	"fmt"

	"golang.org/x/mod/sumdb/tlog"
)

// frontier is the right edge of a hash log: the roots of its complete
// subtrees, largest first. It is all that is needed to append and to tell the
// root.
type frontier struct {
	size  int64
	edges []tlog.Hash

	keeps bool   // the roots of subtrees as large as those that a forest keeps
	tiles []tile // these, since somebody took them
}

// push appends a leaf.
func (f *frontier) push(leaf tlog.Hash) {
	level := 0
	for n := f.size; n&1 == 1; n >>= 1 {
		last := len(f.edges) - 1
		leaf = tlog.NodeHash(f.edges[last], leaf)
		f.edges = f.edges[:last]
		if level++; level == tileLevel && f.keeps {
			f.tiles = append(f.tiles, tile{f.size >> tileLevel, leaf})
		}
	}
	f.edges = append(f.edges, leaf)
	f.size++
}

// clone returns a frontier that grows by itself.
func (f *frontier) clone() frontier {
	return frontier{size: f.size, edges: append([]tlog.Hash(nil), f.edges...)}
}

// root returns what tlog.TreeHash returns for the same leaves.
func (f *frontier) root() tlog.Hash {
	if f.size == 0 {
		h, _ := tlog.TreeHash(0, nil)
		return h
	}
	h := f.edges[len(f.edges)-1]
	for i := len(f.edges) - 2; i >= 0; i-- {
		h = tlog.NodeHash(f.edges[i], h)
	}
	return h
}

// bytes returns the edges one after the other.
func (f *frontier) bytes() []byte {
	b := make([]byte, 0, len(f.edges)*tlog.HashSize)
	for i := range f.edges {
		b = append(b, f.edges[i][:]...)
	}
	return b
}

// frontierFrom reads what bytes wrote.
func frontierFrom(size int64, b []byte) (frontier, error) {
	f := frontier{size: size}
	want := 0
	for n := size; n > 0; n &= n - 1 {
		want++
	}
	if size < 0 || len(b) != want*tlog.HashSize {
		return f, unsound{fmt.Errorf("frontier of %d records: got %d bytes, want %d", size, len(b), want*tlog.HashSize)}
	}
	for ; len(b) > 0; b = b[tlog.HashSize:] {
		f.edges = append(f.edges, tlog.Hash(b[:tlog.HashSize]))
	}
	return f, nil
}
