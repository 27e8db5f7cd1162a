package ledger

import "golang.org/x/mod/sumdb/tlog"

// The roots of large subtrees are kept in the table tile, so that a proof about one
// record need not read all others: of the log, and of the plan. A ledger of format
// 1 has none of what it had; those are computed.

// treeOf says of which tree a tile is.
type treeOf int64

const (
	treeOfLog treeOf = iota
	treeOfPlan
)

// tile is the root of the leaves from n<<tileLevel on.
type tile struct {
	n    int64
	root tlog.Hash
}

// putTiles keeps roots.
func (l *log) putTiles(of treeOf, list []tile) error {
	for i := range list {
		if _, err := l.c.exec("INSERT OR REPLACE INTO tile VALUES (?,?,?)", int64(of), list[i].n, list[i].root[:]); err != nil {
			return err
		}
	}
	return nil
}

// tiles returns the roots that are kept of a tree.
func (l *log) tiles(of treeOf) (map[int64]tlog.Hash, error) {
	if !l.groups {
		return nil, nil
	}
	list := map[int64]tlog.Hash{}
	return list, l.c.each("SELECT n, root FROM tile WHERE tree = ?", func(found row) error {
		if root := found.bytes(1); len(root) == tlog.HashSize {
			list[found.int(0)] = tlog.Hash(root)
		}
		return nil
	}, int64(of))
}

// compareTiles compares the roots that are kept with those of the tree that was
// computed.
func (v *verification) compareTiles(of treeOf, tree *frontier) error {
	kept, err := v.log.tiles(of)
	if err != nil || !v.audit.OK { // what is wrong with the leaves is with these
		return err
	}
	for _, t := range tree.tiles {
		if root, ok := kept[t.n]; ok && root != t.root {
			v.audit.general("tiles: a root that is kept of the leaves from %d on was changed: proofs fail", t.n<<tileLevel)
		}
	}
	return nil
}
