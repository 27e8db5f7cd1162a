package ledger

import "github.com/rekey-host/rekey/host/hashlog"

// The roots of large subtrees are kept in the table tile, so that a proof about one
// record need not read all others: of the log, and of the plan. A ledger of format
// 1 has none of what it had; those are computed.

// treeOf says of which tree a tile is.
type treeOf int64

const (
	treeOfLog treeOf = iota
	treeOfPlan
)

// putTiles keeps roots.
func (l *log) putTiles(of treeOf, list []hashlog.Tile) error {
	for i := range list {
		if _, err := l.c.exec("INSERT OR REPLACE INTO tile VALUES (?,?,?)", int64(of), list[i].N, list[i].Root[:]); err != nil {
			return err
		}
	}
	return nil
}

// tiles returns the roots that are kept of a tree.
func (l *log) tiles(of treeOf) (map[int64]hashlog.Hash, error) {
	if !l.groups {
		return nil, nil
	}
	list := map[int64]hashlog.Hash{}
	return list, l.c.each("SELECT n, root FROM tile WHERE tree = ?", func(found row) error {
		if root := found.bytes(1); len(root) == len(hashlog.Hash{}) {
			list[found.int(0)] = hashlog.Hash(root)
		}
		return nil
	}, int64(of))
}
