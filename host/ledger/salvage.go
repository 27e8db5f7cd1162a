package ledger

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/rekey-host/rekey/host/hashlog"
	"github.com/rekey-host/rekey/host/ledger/internal/rows"
)

// remains are what a process still has of a run whose files are gone.
type remains struct{ *writer }

// maxNamed is how many users are named.
const maxNamed = 10

// sentLast names the users whose values were sent last, and of whom the ledger
// does not say what became of it.
func (w *remains) sentLast() string {
	users := slices.Clone(w.last)
	for pos, u := range w.watch.lives.open {
		if u.history().Doubtful() != nil {
			users = append(users, pos)
		}
	}
	if len(users) == 0 {
		return "this process had sent nothing"
	}
	return "sent, or about to be: " + w.named(users)
}

// named lists users, each once, the first of them by name.
func (w *remains) named(users []int64) string {
	slices.Sort(users)
	users = slices.Compact(users)
	var names []string
	for _, pos := range users[:min(len(users), maxNamed)] {
		names = append(names, w.keyOf(pos))
	}
	text := strings.Join(names, ", ")
	if more := len(users) - len(names); more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return text
}

func (w *remains) keyOf(pos int64) string {
	key, err := keyAt(w.db, pos)
	if err != nil || key == "" {
		return fmt.Sprintf("the user at position %d", pos)
	}
	return key
}

// holdsAll checks that a copy has the whole log.
func (w *remains) holdsAll(path string) error {
	c, err := w.run.store.kept.Open(path, rows.Still)
	if err != nil {
		return err
	}
	defer c.Close()
	var tree hashlog.Frontier
	if err := w.run.extend(c, &tree, w.tree.Size, nil); err != nil {
		return err
	}
	if tree.Root() != w.tree.Root() {
		return errors.New("the copy is another log")
	}
	return nil
}
