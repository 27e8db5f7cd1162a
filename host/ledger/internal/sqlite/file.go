package sqlite

import (
	"errors"
	"os"
	"strings"

	"modernc.org/sqlite"

	"github.com/rekey-host/rekey/host/ledger/internal/files"
)

// foldPatience is how long folding in waits for readers. Whoever reads longer
// folds the run in itself when it is done.
const foldPatience = "PRAGMA busy_timeout = 2000"

// OthersFold is for databases of whoever does not apply the run: only who does writes
// into the database's own file while it is applied, and notices if anybody else did.
func (d *DB) OthersFold() error { return d.conn.run("PRAGMA wal_autocheckpoint = 0") }

// Fold takes the write-ahead file into the database and empties it: earlier
// versions of pages are gone then. whole is false if somebody reads the run.
func (d *DB) Fold() (whole bool, err error) {
	if err := d.conn.run(foldPatience); err != nil {
		return false, err
	}
	found, err := d.conn.one("PRAGMA wal_checkpoint(TRUNCATE)")
	if err == nil {
		err = d.conn.run(patience)
	}
	return err == nil && found != nil && found.int(0) == 0, err
}

// Patience is how many milliseconds a statement waits for another process.
func (d *DB) Patience() int64 {
	ms, err := d.conn.count("PRAGMA busy_timeout")
	if err != nil {
		return 0
	}
	return ms
}

// Tidy folds in what a process left that was killed, or that a reader kept from doing
// it.
func Tidy(path, temp string) {
	c, err := openConn(path, readWrite, temp)
	if err != nil {
		return
	}
	if c.run(foldPatience) == nil {
		_, _ = c.one("PRAGMA wal_checkpoint(TRUNCATE)")
	}
	_ = c.close()
}

// Remove removes a database with all that lies beside it.
func Remove(path string) {
	for _, suffix := range []string{"", "-wal", "-shm", "-journal"} {
		_ = os.Remove(path + suffix)
	}
}

// Sound returns an error if a page of the database is damaged, also one that
// has no records, as those of the plan.
func (d *DB) Sound() error {
	return d.conn.each("PRAGMA quick_check(1)", func(found row) error {
		if text := found.text(0); text != "ok" {
			return errors.New(strings.Join(strings.Fields(text), " "))
		}
		return nil
	})
}

// CopyTo copies the database as of one moment into a new file, 0600 and synced.
func (d *DB) CopyTo(path string) error {
	f, err := files.OpenPrivate(path, os.O_RDWR|os.O_CREATE|os.O_TRUNC)
	if err != nil {
		return err
	}
	_ = f.Close()
	source, ok := d.conn.raw.(interface {
		NewBackup(uri string) (*sqlite.Backup, error)
	})
	if !ok {
		return errors.New("the driver makes no copies")
	}
	b, err := source.NewBackup(fileURI(path, readWrite))
	if err != nil {
		return err
	}
	for more := true; more && err == nil; {
		more, err = b.Step(-1)
	}
	if ferr := b.Finish(); err == nil {
		err = ferr
	}
	if err != nil {
		return err
	}
	return files.Sync(path)
}
