package ledger

import (
	"fmt"

	"golang.org/x/mod/sumdb/tlog"
)

// tileLevel is the height of the subtrees whose roots a forest keeps: of 1,024
// leaves 32 bytes.
const tileLevel = 10

// forest answers for the inner hashes of a log that nobody stored: it keeps
// the roots of large subtrees and computes the small ones from their leaves.
// It is a tlog.HashReader.
type forest struct {
	size   int64
	leaves func(from, to int64, yield func(tlog.Hash)) error // of the records [from, to)
	kept   map[int64]tlog.Hash                               // roots that need not be computed
	high   [][]tlog.Hash                                     // by level above tileLevel
	at     int64                                             // the tile whose leaves are in low
	low    []tlog.Hash
}

func newForest(size int64, leaves func(from, to int64, yield func(tlog.Hash)) error) *forest {
	return &forest{size: size, leaves: leaves, at: -1}
}

// build reads all leaves once of which no root is kept.
func (f *forest) build() error {
	const width = int64(1) << tileLevel
	var level []tlog.Hash
	for from := int64(0); from+width <= f.size; from += width {
		if root, ok := f.kept[from>>tileLevel]; ok {
			level = append(level, root)
			continue
		}
		var tile frontier
		if err := f.leaves(from, from+width, tile.push); err != nil {
			return err
		}
		if tile.size != width {
			return fmt.Errorf("log: %d of the records %d to %d are there", tile.size, from, from+width-1)
		}
		level = append(level, tile.root())
	}
	for len(level) > 0 {
		f.high = append(f.high, level)
		var next []tlog.Hash
		for i := 0; i+1 < len(level); i += 2 {
			next = append(next, tlog.NodeHash(level[i], level[i+1]))
		}
		level = next
	}
	return nil
}

// ReadHashes returns the hashes at indexes of tlog.StoredHashIndex.
func (f *forest) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	out := make([]tlog.Hash, len(indexes))
	for i, index := range indexes {
		level, n := tlog.SplitStoredHashIndex(index)
		if level >= tileLevel {
			if level-tileLevel >= len(f.high) || n >= int64(len(f.high[level-tileLevel])) {
				return nil, fmt.Errorf("log: no hash at level %d place %d", level, n)
			}
			out[i] = f.high[level-tileLevel][n]
			continue
		}
		h, err := f.small(n<<level, (n+1)<<level)
		if err != nil {
			return nil, err
		}
		out[i] = h
	}
	return out, nil
}

// small computes the root of a subtree within one tile.
func (f *forest) small(from, to int64) (tlog.Hash, error) {
	tile := from >> tileLevel
	if tile != f.at {
		f.low = f.low[:0]
		start := tile << tileLevel
		err := f.leaves(start, min(start+1<<tileLevel, f.size), func(h tlog.Hash) { f.low = append(f.low, h) })
		if err != nil {
			return tlog.Hash{}, err
		}
		f.at = tile
	}
	var sub frontier
	for i := from - tile<<tileLevel; i < to-tile<<tileLevel; i++ {
		if i >= int64(len(f.low)) {
			return tlog.Hash{}, fmt.Errorf("log: record %d is missing", from+i)
		}
		sub.push(f.low[i])
	}
	return sub.root(), nil
}
