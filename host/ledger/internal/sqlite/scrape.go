package sqlite

import (
	"bytes"
	"encoding/binary"
	"os"

	"github.com/rekey-host/rekey/host/hashlog"
)

// A group may lie on many pages, and a lost one would take all of it along.
// So where records are missing, all pages of the file are searched for them: a
// record is told by its sum, and says itself which it is.

// scraper finds records anywhere in a file.
type scraper struct{ *copier }

// scrape copies the records found anywhere in the file.
func (c *scraper) scrape() error {
	have, err := c.to.conn.count("SELECT count(*) FROM rec")
	if err != nil || have >= c.size || !c.known {
		return err
	}
	f, err := os.Open(c.o.At)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	p := pagesOf{f, make([]bool, info.Size()/pageSize+1)}
	for n := 2; n < len(p.seen); n++ { // rows first: they say where they go on
		for _, piece := range p.cells(n) {
			if err := c.sift(piece); err != nil {
				return err
			}
		}
	}
	for n := 2; n < len(p.seen); n++ { // and what no row leads to any more
		if err := c.sift(p.chain(n)); err != nil {
			return err
		}
	}
	return nil
}

// sift copies the whole records in a piece of a group, packed or not.
func (c *scraper) sift(piece []byte) error {
	for at := 0; ; {
		next := bytes.Index(piece[at:], []byte(hashlog.PackMark))
		if next < 0 {
			return c.frames(piece)
		}
		at += next
		taken, err := c.block(piece[at:])
		if err == nil && taken == 0 { // the bytes of something else
			at += len(hashlog.PackMark)
			continue
		}
		if err == nil {
			err = c.frames(piece[:at])
		}
		if err != nil {
			return err
		}
		piece, at = piece[at+taken:], 0
	}
}

// block copies the whole records of the block that a piece begins with, and returns
// how much of the piece that was; 0: it begins with none.
func (c *scraper) block(piece []byte) (taken int, err error) {
	return hashlog.Sift(piece, c.copier.whole, func(frame []byte) error {
		f, err := c.dec.Split(frame)
		if err == nil {
			err = c.record(f.Index+1, frame, true)
		}
		return err
	})
}

// frames copies the whole records in a piece of a group that is not packed.
func (c *scraper) frames(piece []byte) error {
	for len(piece) > 0 {
		var frame []byte
		if frame, piece = c.resync(piece); frame == nil {
			return nil
		}
		f, err := c.dec.Split(frame)
		if err == nil {
			err = c.record(f.Index+1, frame, true)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// pagesOf is the pages of a file, as the file format of SQLite has them.
type pagesOf struct {
	file *os.File
	seen []bool // pages that were read as the rest of a row
}

// page returns a page; nothing of one that the disk does not give back is there.
func (p *pagesOf) page(n int) []byte {
	page := make([]byte, pageSize)
	if _, err := p.file.ReadAt(page, int64(n-1)*pageSize); err != nil {
		clear(page)
	}
	return page
}

// chain returns what pages hold of which each begins with the number of the
// next, from an unread one on.
func (p *pagesOf) chain(n int) (text []byte) {
	for n > 1 && n < len(p.seen) && !p.seen[n] {
		p.seen[n] = true
		page := p.page(n)
		text = append(text, page[4:]...)
		n = int(binary.BigEndian.Uint32(page))
	}
	return text
}

// cells returns the rows on a leaf, with what follows of each elsewhere.
func (p *pagesOf) cells(n int) (rows [][]byte) {
	page := p.page(n)
	if page[0] != leafPage {
		return nil
	}
	for i := range int(binary.BigEndian.Uint16(page[3:])) {
		at := 8 + 2*i
		if at+2 > pageSize {
			break
		}
		if start := int(binary.BigEndian.Uint16(page[at:])); start < pageSize {
			rows = append(rows, p.row(page[start:]))
		}
	}
	return rows
}

// row returns a row that begins on a leaf: its length, its number, as much of it
// as belongs on a leaf, and where it goes on.
func (p *pagesOf) row(cell []byte) []byte {
	length, rest := sqliteVarint(cell)
	_, rest = sqliteVarint(rest)
	const most, least = pageSize - 35, (pageSize-12)*32/255 - 23
	if length <= most {
		return rest[:min(length, uint64(len(rest)))]
	}
	here := least + int((length-least)%(pageSize-4))
	if here > most {
		here = least
	}
	if here+4 > len(rest) {
		return rest
	}
	return append(append([]byte(nil), rest[:here]...), p.chain(int(binary.BigEndian.Uint32(rest[here:])))...)
}

// sqliteVarint reads a number of SQLite: seven bits a byte, the highest first.
func sqliteVarint(b []byte) (n uint64, rest []byte) {
	for i, c := range b[:min(len(b), 9)] {
		if i == 8 {
			return n<<8 | uint64(c), b[9:]
		}
		n = n<<7 | uint64(c&0x7f)
		if c < 0x80 {
			return n, b[i+1:]
		}
	}
	return n, nil
}
