package sqlite

import (
	"errors"
	"os"
	"strings"

	"modernc.org/sqlite"

	"github.com/rekey-host/rekey/host/hashlog"
	"github.com/rekey-host/rekey/host/ledger/internal/files"
	"github.com/rekey-host/rekey/host/ledger/internal/rows"
)

// DB is the database of one run. It is used by one goroutine at a time.
type DB struct {
	*handle
	*records
	*plan
	*changes
}

func newDB(c *conn) *DB {
	h := &handle{conn: c}
	r := &records{handle: h}
	r.users.records = r
	return &DB{h, r, &plan{h}, &changes{h}}
}

func openReader(path, temp string) (*conn, error) {
	c, err := openConn(path, readOnly, temp)
	if err == nil {
		if _, err = c.count("SELECT count(*) FROM sqlite_schema"); err == nil {
			return c, nil
		}
		_ = c.close()
	}
	if !cannotOpen(err) {
		return nil, err
	}
	if info, serr := os.Stat(path + "-wal"); serr != nil || info.Size() == 0 {
		return openConn(path, immutable, temp)
	}
	return openCopy(path)
}

func openCopy(path string) (*conn, error) {
	made, err := files.MakePassing("", "rekey-read-")
	if err != nil {
		return nil, err
	}
	defer made.Remove()
	copied := made.File("copy.db")
	for _, suffix := range []string{"", "-wal"} {
		if err := files.Copy(copied+suffix, path+suffix); err != nil {
			return nil, err
		}
	}
	c, err := openConn(copied, readWrite, made.Dir)
	if err != nil {
		return nil, err
	}
	if _, err = c.count("SELECT count(*) FROM sqlite_schema"); err != nil {
		_ = c.close()
		return nil, err
	}
	keepNames(c)
	return c, nil
}

// keepNames keeps SQLite from removing what bears the name of its write-ahead
// file.
func keepNames(c *conn) {
	if x, ok := c.raw.(sqlite.FileControl); ok {
		_, _ = x.FileControlPersistWAL("main", 1)
	}
}

// Close closes the database. The last of all processes to do so folds in
// the write-ahead file, and removes that.
func (d *DB) Close() error { return d.conn.close() }

// Abandon closes the database, and keeps SQLite from removing what bears the name of
// its write-ahead file.
func (d *DB) Abandon() error {
	keepNames(d.conn)
	return d.conn.close()
}

// Moment calls fn: all that it reads is of one moment. It may not be in another.
func (d *DB) Moment(fn func() error) error {
	if _, err := d.conn.exec("BEGIN"); err != nil {
		return err
	}
	err := fn()
	if err == nil && !d.users.told {
		if _, err = d.conn.exec("COMMIT"); err == nil {
			return nil
		}
	}
	d.users.undone()
	if rerr := d.conn.rollback(); err == nil {
		err = rerr
	}
	return err
}

// Within calls fn, and keeps all that it puts, or nothing.
func (d *DB) Within(fn func() error) error {
	err := d.conn.within(fn)
	if err != nil {
		d.tables.known = false
		d.users.forget()
		d.users.undone()
	}
	return err
}

// Run returns what was written once.
func (d *DB) Run() (rows.Run, error) {
	found, err := d.conn.one("SELECT format, header, names, total, ordered FROM run")
	if err != nil {
		return rows.Run{}, err
	}
	if err := readable(found, 2); err != nil {
		return rows.Run{}, err
	}
	r := rows.Run{Header: found.text(1), Names: hashlog.NamesKey(found.bytes(2)), Total: found.int(3), Ordered: found.int(4) == 1, Merges: found.int(0) >= formatOfPacks}
	err = d.conn.each("SELECT name, first, last FROM wave ORDER BY n", func(w row) error {
		r.Waves = append(r.Waves, hashlog.Wave{Name: w.text(0), First: w.int(1), Last: w.int(2)})
		return nil
	})
	r.Key = d.key()
	if err == nil {
		r.Room, err = d.conn.count("SELECT page_count * page_size FROM pragma_page_count(), pragma_page_size()")
	}
	return r, err
}

// key returns the wrapped data key.
func (d *DB) key() (k rows.Key) {
	var found row
	if found, k.Err = d.conn.one("SELECT wrapped FROM key"); found != nil {
		k.Wrapped, k.There = found.bytes(0), true
	}
	return k
}

// State returns where the run stands, or nil.
func (d *DB) State() (*rows.State, error) {
	found, err := d.conn.one("SELECT size, frontier, standing FROM state")
	if err != nil || found == nil {
		return nil, err
	}
	return &rows.State{Size: found.int(0), Frontier: found.bytes(1), Standing: found.text(2)}, nil
}

// Heads calls fn for the signed heads over that many records, in the order of the span.
// hashlog.ErrDone ends it.
func (d *DB) Heads(of rows.Span, fn func(h hashlog.Head) error) error {
	query := "SELECT size, at, note FROM head WHERE size BETWEEN ? AND ? ORDER BY size"
	if of.From > of.To {
		query, of = query+" DESC", rows.Span{From: of.To, To: of.From}
	}
	return d.conn.each(query, func(found row) error {
		return fn(hashlog.Head{Size: found.int(0), At: found.int(1), Note: found.text(2)})
	}, of.From, of.To)
}

// Tiles returns the roots of kept large subtrees of a tree. A ledger of
// format 1 has none.
func (d *DB) Tiles(of rows.Tree) (map[int64]hashlog.Hash, error) {
	t, err := d.has()
	if err != nil || !t.groups {
		return nil, err
	}
	list := map[int64]hashlog.Hash{}
	return list, d.conn.each("SELECT n, root FROM tile WHERE tree = ?", func(found row) error {
		if root := found.bytes(1); len(root) == len(hashlog.Hash{}) {
			list[found.int(0)] = hashlog.Hash(root)
		}
		return nil
	}, int64(of))
}

// Statuses calls fn for the users at some positions who have a status and are not
// plainly done, and block for the blocks that those who are may be in: for each span
// first block and then fn, in order. Either may be nil.
func (d *DB) Statuses(of []rows.Span, fn func(s rows.Status) error, block func(b rows.Block) error) error {
	t, err := d.has()
	for i := 0; i < len(of) && err == nil; i++ {
		if t.groups && block != nil {
			err = d.conn.each("SELECT n, bytes FROM done WHERE n BETWEEN ? AND ? ORDER BY n", func(found row) error {
				return block(rows.Block{N: found.int(0), Bytes: found.bytes(1)})
			}, of[i].From>>rows.BlockBits, of[i].To>>rows.BlockBits)
		}
		if err == nil && fn != nil {
			err = d.conn.each("SELECT pos, status, code, rec FROM user WHERE pos BETWEEN ? AND ? ORDER BY pos", func(found row) error {
				return fn(rows.Status{Pos: found.int(0), Number: found.int(1), Code: found.text(2), Rec: found.int(3)})
			}, of[i].From, of[i].To)
		}
	}
	return err
}

// foldPatience is how long folding in waits for readers. Whoever reads longer
// folds the run in itself when it is done.
const foldPatience = "PRAGMA busy_timeout = 2000"

// Fold takes the write-ahead file into the database and empties it: earlier
// versions of pages are gone then. whole is false if another process reads the run.
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

// sound returns an error if a page of the database is damaged, also one that
// has no records, as those of the plan.
func sound(c *conn) error {
	return c.each("PRAGMA quick_check(1)", func(found row) error {
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
