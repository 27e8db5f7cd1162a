package ledger

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/rekey-host/rekey/host/ledger/internal/files"
)

// prunedFile lists the runs that were removed, a line each: they have no log of their
// own any more.
func (s *stateDir) prunedFile() string { return filepath.Join(s.dir, "pruned.jsonl") }

// NotePruned adds a line about a run that is about to be removed. It is durable when
// NotePruned returns.
func (s *Store) NotePruned(line []byte) (err error) {
	file, err := files.OpenPrivate(s.prunedFile(), os.O_WRONLY|os.O_CREATE|os.O_APPEND)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	if _, err := file.Write(slices.Concat([]byte("\n"), line, []byte("\n"))); err != nil { // a killed process may have left half a line
		return err
	}
	return errors.Join(file.Sync(), syncDir(s.dir))
}

// Pruned calls line for the lines of NotePruned, the oldest first. A line that a killed
// process left unfinished is not among them.
func (s *Store) Pruned(line func([]byte) error) error {
	file, err := os.Open(s.prunedFile())
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer file.Close()
	lines := bufio.NewScanner(file)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		if text := lines.Bytes(); len(text) > 0 && text[len(text)-1] == '}' {
			if err := line(text); err != nil {
				return err
			}
		}
	}
	if err := lines.Err(); err != nil {
		return fmt.Errorf("%s: %w", s.prunedFile(), err)
	}
	return nil
}
