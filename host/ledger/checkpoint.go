package ledger

import (
	"errors"
	"fmt"
	"strings"

	"github.com/rekey-host/rekey/host/hashlog"
)

// Contains returns nil if the run's log has, or once had as it grew, the head of
// a text that Checkpoint returned.
func (r *Run) Contains(text string) error {
	_, size, root, err := hashlog.ParseHead(strings.ReplaceAll(text, "\r\n", "\n"))
	if err != nil {
		return err
	}
	return r.reading(func(c storage) error {
		have, err := r.rootAt(c, size)
		switch {
		case errors.Is(err, errOlder):
			return fmt.Errorf("the ledger of run %s is older than it: the checkpoint has %d records; put the newest copy of the run back", r.id, size)
		case err == nil && have != root:
			return fmt.Errorf("the ledger of run %s is another than the one it is of: its first %d records differ; put the right one back", r.id, size)
		}
		return err
	})
}

// errOlder is why a log has no head of a size.
var errOlder = errors.New("the log has fewer records")

// rootAt returns the root that the log had at a size: from the head that was
// signed then, else from the records.
func (r *Run) rootAt(c storage, size int64) (hashlog.Hash, error) {
	now, err := sizeOf(c)
	if err == nil && size > now {
		err = errOlder
	}
	if err != nil {
		return hashlog.Hash{}, err
	}
	found, err := c.Head(size)
	if err != nil {
		return hashlog.Hash{}, err
	}
	if found != nil {
		if run, n, root, err := hashlog.ParseHead(found.Note); err == nil && run == r.id && n == size {
			return root, nil
		}
	}
	var tree hashlog.Frontier
	err = r.extend(c, &tree, size, nil)
	return tree.Root(), err
}
