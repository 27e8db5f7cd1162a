package sqlite

import (
	"os"

	"modernc.org/sqlite"

	"github.com/rekey-host/rekey/host/ledger/internal/rows"
)

// Files keeps each run in a file of its own.
type Files struct {
	temp string // directory for passing files
}

// NewFiles returns what keeps runs in files. It makes the locks of this process those
// of open files: without, whoever closes a run's file in this process, a copy for a
// backup say, would drop the database's. Not to be had everywhere.
func NewFiles(temp string) Files {
	_, _ = sqlite.OFDLocking(true)
	return Files{temp}
}

// Open opens a database for reading: where nothing can be written beside it, as a file
// that no one changes. A copy has no name any more when Open returns.
func (f Files) Open(path string, how rows.How) (*DB, error) {
	open := func() (*conn, error) { return openReader(path, f.temp) }
	switch how {
	case rows.Still, rows.Proven:
		open = func() (*conn, error) { return openConn(path, immutable, f.temp) }
	case rows.Aside:
		open = func() (*conn, error) { return openCopy(path) }
	}
	c, err := open()
	if err != nil {
		return nil, err
	}
	if how == rows.Proven {
		if err := sound(c); err != nil {
			_ = c.close()
			return nil, err
		}
	}
	return newDB(c), nil
}

// OpenToWrite opens a database for whoever applies the run.
func (f Files) OpenToWrite(path string) (*DB, error) {
	c, err := openConn(path, readWrite, f.temp)
	if err != nil {
		return nil, err
	}
	return newDB(c), nil
}

// OpenInPassing opens a database for whoever notes something in a run that another
// may apply: only who applies it writes into the database's own file meanwhile, and
// notices if anybody else did.
func (f Files) OpenInPassing(path string) (*DB, error) {
	d, err := f.OpenToWrite(path)
	if err != nil {
		return nil, err
	}
	if err := d.conn.run("PRAGMA wal_autocheckpoint = 0"); err != nil {
		_ = d.Close()
		return nil, err
	}
	return d, nil
}

// Begin makes the database of a draft.
func (f Files) Begin(path string) (*Draft, error) { return newDraft(path, f.temp) }

// Pairs makes a list of numbers by numbers, in the directory for temporary files of
// whoever reads the database.
func (f Files) Pairs(path string, fill func(add func(key, value int64) error) error) (*Multimap, error) {
	return newMultimap(path, f.temp, fill)
}

// Rescue copies the readable parts into a ledger of format 1, and names the losses.
func (f Files) Rescue(wreck *rows.Wreck) (lost []string, err error) {
	return rescue(&damaged{wreck, f.temp})
}

// Tidy folds in what a killed process left, or one that a reader kept from doing
// it.
func (f Files) Tidy(path string) {
	c, err := openConn(path, readWrite, f.temp)
	if err != nil {
		return
	}
	if c.run(foldPatience) == nil {
		_, _ = c.one("PRAGMA wal_checkpoint(TRUNCATE)")
	}
	_ = c.close()
}

// Remove removes a database with all that lies beside it.
func (Files) Remove(path string) {
	for _, suffix := range []string{"", "-wal", "-shm", "-journal"} {
		_ = os.Remove(path + suffix)
	}
}
