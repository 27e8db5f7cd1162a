package sqlite

import (
	"encoding/binary"
	"io"
	"os"

	"github.com/rekey-host/rekey/host/hashlog"

	"github.com/rekey-host/rekey/host/ledger/internal/files"
)

// Where an inner page of a table is lost, its rows are still on pages of their
// own, the leaves. A copy of the file gets a root for the table, with them
// all: what of it are rows of this table their sums tell.

// orphans finds the rows of a table of which an inner page is lost.
type orphans struct{ *copier }

// leafPage and innerPage are how pages of tables begin.
const (
	leafPage  = 0x0d
	innerPage = 0x05
)

// family is how many leaves one root takes: each needs 15 bytes of it at most.
const family = 200

// each calls fn for the rows on all leaves of the file, those of other tables
// among them, in no order. It does nothing if the table has all its rows.
func (c *orphans) each(table, query string, want int64, fn func(row) error) error {
	copied := table
	if table == "sheet" {
		copied = "plan" // its rows are copied there
	}
	have, err := c.to.conn.count("SELECT count(*) FROM " + copied)
	if err != nil || have >= want || !c.known {
		return err
	}
	leaves, err := c.leaves()
	if err != nil {
		return err
	}
	root, err := c.behead(table)
	if err != nil {
		return err
	}
	for len(leaves) > 0 {
		n := min(len(leaves), family)
		if err := c.adopt(root, leaves[:n], query, fn); err != nil {
			return err
		}
		leaves = leaves[n:]
	}
	return nil
}

// leaves copies the file, once, and returns the numbers of its leaves.
func (c *orphans) leaves() ([]uint32, error) {
	if !files.Exists(c.scratch) {
		if err := files.Copy(c.scratch, c.o.At); err != nil {
			return nil, err
		}
	}
	f, err := os.Open(c.o.At)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var list []uint32
	page := make([]byte, pageSize)
	for n := uint32(1); ; n++ {
		if _, err := io.ReadFull(f, page); err != nil {
			return list, nil // all behind an unreadable place stays lost
		}
		if n > 1 && page[0] == leafPage {
			list = append(list, n)
		}
	}
}

// behead gives the copy the first page of an empty ledger with the table, and
// returns the page of the table's root there: the same in all of that format.
func (c *orphans) behead(table string) (root int64, err error) {
	layout := schema
	if table == "rec" {
		layout = schemaOfRows
	}
	db, err := c.o.openBeheaded(c.scratch, layout)
	if err != nil {
		return 0, err
	}
	defer db.close()
	return db.count("SELECT rootpage FROM sqlite_schema WHERE name = ?", table)
}

// adopt reads leaves under a root made for them. A page that turns out to be no leaf
// after all hides no other.
func (c *orphans) adopt(root int64, leaves []uint32, query string, fn func(row) error) error {
	if err := c.writeRoot(root, leaves); err != nil {
		return err
	}
	db, err := openConn(c.scratch, immutable, c.o.temp)
	if err != nil {
		return err
	}
	defer db.close()
	var stopped error
	err = db.each(query, func(found row) error {
		if stopped = fn(found); stopped != nil {
			return hashlog.ErrDone
		}
		return nil
	})
	if stopped != nil || err == nil || len(leaves) == 1 {
		return stopped
	}
	half := len(leaves) / 2
	if err := c.adopt(root, leaves[:half], query, fn); err != nil {
		return err
	}
	return c.adopt(root, leaves[half:], query, fn)
}

// writeRoot writes a page as the file format of SQLite has it: a header of 12
// bytes that ends with the last child, places of the others, and these from the
// end on: the number of a page, and the largest number of a row on it, which
// no full reading asks for.
func (c *orphans) writeRoot(root int64, leaves []uint32) error {
	page := make([]byte, pageSize)
	page[0] = innerPage
	at := pageSize
	last := leaves[len(leaves)-1]
	others := leaves[:len(leaves)-1]
	if len(others) == 0 { // a root has a child beside the last
		others = leaves
	}
	for i, leaf := range others {
		cell := binary.AppendUvarint(binary.BigEndian.AppendUint32(nil, leaf), uint64(min(i+1, 100)))
		at -= len(cell)
		copy(page[at:], cell)
		binary.BigEndian.PutUint16(page[12+2*i:], uint16(at))
	}
	binary.BigEndian.PutUint16(page[3:], uint16(len(others)))
	binary.BigEndian.PutUint16(page[5:], uint16(at))
	binary.BigEndian.PutUint32(page[8:], last)
	f, err := os.OpenFile(c.scratch, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = f.WriteAt(page, (root-1)*pageSize)
	return err
}
