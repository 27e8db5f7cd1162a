package workflow

import (
	"cmp"
	"slices"
	"sync"

	"github.com/rekey-host/rekey/host/source"
)

// notes collect problems. They are safe for concurrent use.
type notes struct {
	mu    sync.Mutex
	found []source.Problem
}

// add notes problems, each place and message once.
func (n *notes) add(problems ...source.Problem) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, x := range problems {
		same := func(y source.Problem) bool {
			return x.File == y.File && x.Line == y.Line && x.Column == y.Column && x.Message == y.Message
		}
		if !slices.ContainsFunc(n.found, same) {
			n.found = append(n.found, x)
		}
	}
}

// any reports whether something was noted.
func (n *notes) any() bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return len(n.found) > 0
}

// err returns what was noted, by the rank of its file and by line; nil if
// nothing was.
func (n *notes) err(rank func(file string) int) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	slices.SortStableFunc(n.found, func(a, b source.Problem) int {
		return cmp.Or(cmp.Compare(rank(a.File), rank(b.File)), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
	var list source.Problems
	for _, x := range n.found {
		list.Add(x)
	}
	return list.Err()
}
