package workflow

import (
	"cmp"
	"slices"
	"sync"

	"github.com/rekey-host/rekey/host/diag"
)

// notes collect problems. They are safe for concurrent use.
type notes struct {
	mu    sync.Mutex
	found []diag.Problem
}

// add notes problems, each place and message once.
func (n *notes) add(problems ...diag.Problem) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, x := range problems {
		x.Message = oneLine(x.Message) // it may quote whatever a script gave
		same := func(problem diag.Problem) bool {
			return x.File == problem.File && x.Line == problem.Line && x.Column == problem.Column && x.Message == problem.Message
		}
		if !slices.ContainsFunc(n.found, same) {
			n.found = append(n.found, x)
		}
	}
}

// at reports whether something was noted of the line of a problem.
func (n *notes) at(place diag.Problem) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return slices.ContainsFunc(n.found, func(one diag.Problem) bool { return one.File == place.File && one.Line == place.Line })
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
	var list diag.Problems
	for _, problem := range n.all(rank) {
		list.Add(problem)
	}
	return list.Err()
}

// all returns what was noted, by the rank of its file and by line.
func (n *notes) all(rank func(file string) int) []diag.Problem {
	n.mu.Lock()
	defer n.mu.Unlock()
	sortByPlace(n.found, rank)
	return slices.Clone(n.found)
}

func sortByPlace(list []diag.Problem, rank func(file string) int) {
	slices.SortStableFunc(list, func(one, other diag.Problem) int {
		return cmp.Or(cmp.Compare(rank(one.File), rank(other.File)), cmp.Compare(one.Line, other.Line), cmp.Compare(one.Column, other.Column))
	})
}

// errReported ends an evaluation whose problems have all been noted.
type errReported struct{}

func (errReported) Error() string { return "see the problems above" }
