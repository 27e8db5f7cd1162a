package hashlog

import (
	"fmt"

	"golang.org/x/mod/sumdb/tlog"
)

// Hash is one of a tree.
type Hash = tlog.Hash

// Tile is the root of 1,024 leaves, the nth such.
type Tile struct {
	N    int64
	Root Hash
}

// Leaves is the number of a tile's first leaf.
func (t Tile) Leaves() int64 { return t.N << tileLevel }

// Frontier is the right edge of a hash log: the roots of its complete
// subtrees, largest first. It is enough to append and to tell the
// root.
type Frontier struct {
	Size  int64 // how many leaves there are
	edges []Hash

	Keeps bool   // collects Tiles
	Tiles []Tile // those that were completed, since they were taken
}

// Push appends a leaf.
func (f *Frontier) Push(leaf Hash) {
	level := 0
	for n := f.Size; n&1 == 1; n >>= 1 {
		last := len(f.edges) - 1
		leaf = tlog.NodeHash(f.edges[last], leaf)
		f.edges = f.edges[:last]
		if level++; level == tileLevel && f.Keeps {
			f.Tiles = append(f.Tiles, Tile{f.Size >> tileLevel, leaf})
		}
	}
	f.edges = append(f.edges, leaf)
	f.Size++
}

// Clone returns a Frontier that grows by itself.
func (f *Frontier) Clone() Frontier {
	return Frontier{Size: f.Size, edges: append([]Hash(nil), f.edges...)}
}

// Root returns what tlog.TreeHash returns for the same leaves.
func (f *Frontier) Root() Hash {
	if f.Size == 0 {
		h, _ := tlog.TreeHash(0, nil)
		return h
	}
	h := f.edges[len(f.edges)-1]
	for i := len(f.edges) - 2; i >= 0; i-- {
		h = tlog.NodeHash(f.edges[i], h)
	}
	return h
}

// Bytes returns the edges one after the other.
func (f *Frontier) Bytes() []byte {
	b := make([]byte, 0, len(f.edges)*tlog.HashSize)
	for i := range f.edges {
		b = append(b, f.edges[i][:]...)
	}
	return b
}

// FrontierFrom reads what Bytes wrote.
func FrontierFrom(size int64, b []byte) (Frontier, error) {
	f := Frontier{Size: size}
	want := 0
	for n := size; n > 0; n &= n - 1 {
		want++
	}
	if size < 0 || len(b) != want*tlog.HashSize {
		return f, Unsound{fmt.Errorf("frontier of %d records: got %d bytes, want %d", size, len(b), want*tlog.HashSize)}
	}
	for ; len(b) > 0; b = b[tlog.HashSize:] {
		f.edges = append(f.edges, Hash(b[:tlog.HashSize]))
	}
	return f, nil
}
