package hashlog

import (
	"fmt"

	"golang.org/x/mod/sumdb/tlog"
)

// tileLevel is the height of the subtrees whose roots a Forest keeps: of 1,024
// leaves 32 bytes.
const tileLevel = 10

// Forest answers for the inner hashes of a log, which are not stored: it keeps
// the roots of large subtrees and computes the small ones from their leaves.
// It is a tlog.HashReader.
type Forest struct {
	size   int64
	leaves func(from, to int64, yield func(Hash)) error // of the records [from, to)
	Kept   map[int64]Hash                               // roots that need not be computed
	high   [][]Hash                                     // by level above tileLevel
	at     int64                                        // the tile whose leaves are in low
	low    []Hash
}

// NewForest returns the forest of a log of that size. leaves calls yield for the
// leaves of the records [from, to), in order.
func NewForest(size int64, leaves func(from, to int64, yield func(Hash)) error) *Forest {
	return &Forest{size: size, leaves: leaves, at: -1}
}

// Build reads all leaves once of which no root is kept.
func (f *Forest) Build() error {
	const width = int64(1) << tileLevel
	var level []Hash
	for from := int64(0); from+width <= f.size; from += width {
		if root, ok := f.Kept[from>>tileLevel]; ok {
			level = append(level, root)
			continue
		}
		var tile Frontier
		if err := f.leaves(from, from+width, tile.Push); err != nil {
			return err
		}
		if tile.Size != width {
			return fmt.Errorf("log: %d of the records %d to %d are there", tile.Size, from, from+width-1)
		}
		level = append(level, tile.Root())
	}
	for len(level) > 0 {
		f.high = append(f.high, level)
		var next []Hash
		for i := 0; i+1 < len(level); i += 2 {
			next = append(next, tlog.NodeHash(level[i], level[i+1]))
		}
		level = next
	}
	return nil
}

// ReadHashes returns the hashes at indexes of tlog.StoredHashIndex.
func (f *Forest) ReadHashes(indexes []int64) ([]Hash, error) {
	out := make([]Hash, len(indexes))
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
func (f *Forest) small(from, to int64) (Hash, error) {
	tile := from >> tileLevel
	if tile != f.at {
		f.low = f.low[:0]
		start := tile << tileLevel
		err := f.leaves(start, min(start+1<<tileLevel, f.size), func(h Hash) { f.low = append(f.low, h) })
		if err != nil {
			return Hash{}, err
		}
		f.at = tile
	}
	var sub Frontier
	for i := from - tile<<tileLevel; i < to-tile<<tileLevel; i++ {
		if i >= int64(len(f.low)) {
			return Hash{}, fmt.Errorf("log: record %d is missing", from+i)
		}
		sub.Push(f.low[i])
	}
	return sub.Root(), nil
}

// prove returns the proof that a record is in the log.
func (f *Forest) prove(index int64) (tlog.RecordProof, error) {
	return tlog.ProveRecord(f.size, index, f)
}
