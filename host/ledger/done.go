package ledger

import (
	"github.com/rekey-host/rekey/host/hashlog"
	"github.com/rekey-host/rekey/host/journal"
	"github.com/rekey-host/rekey/host/ledger/internal/rows"
)

// plain reports whether a Finished record says nothing but that the user is done.
func plain(r *journal.Record) bool { return r.Detail.Status == journal.Done && r.Code == "" }

// blockOf returns the block that a position is in, and the place there.
func blockOf(pos int64) (n int64, at int) {
	return pos >> rows.BlockBits, int(pos & (rows.BlockSize - 1))
}

// statuses reads those of users, some at a time.
type statuses struct {
	from, to int64            // of whom they were read
	done     map[int64][]byte // blocks, by their number
	list     map[int64]rows.Status
}

// read reads the statuses of the users from one position to another, unless it
// has.
func (s *statuses) read(v storage, from, to int64) error {
	if from >= s.from && to <= s.to {
		return nil
	}
	*s = statuses{from: from, to: max(to, from+rows.BlockSize), done: map[int64][]byte{}, list: map[int64]rows.Status{}}
	return v.Statuses([]rows.Span{{From: s.from, To: s.to}}, s.status, s.block)
}

// status and block take what Statuses reads.
func (s *statuses) status(found rows.Status) error { s.list[found.Pos] = found; return nil }
func (s *statuses) block(b rows.Block) error       { s.done[b.N] = b.Bytes; return nil }

// readOnly reads the statuses of some users, in place of others. The byte of a user
// it reads for all, once: it is for users who stand anywhere, and for one moment.
func (s *statuses) readOnly(v storage, users []hashlog.PlannedRow) error {
	if s.done == nil {
		s.done = map[int64][]byte{}
		if err := v.Statuses(rows.All(), nil, s.block); err != nil {
			return err
		}
	}
	var of []rows.Span
	for i := range users {
		if !s.plain(users[i].Pos) {
			of = append(of, rows.Span{From: users[i].Pos, To: users[i].Pos})
		}
	}
	s.list = map[int64]rows.Status{}
	return v.Statuses(of, s.status, nil)
}

// of returns the status of a user, and its code.
func (s *statuses) of(pos int64) (is statusNumber, code string) {
	if found, ok := s.list[pos]; ok {
		return statusNumber(found.Number), found.Code
	}
	if s.plain(pos) {
		return numDone, ""
	}
	return noStatus, ""
}

// plain reports whether the byte of a user is set.
func (s *statuses) plain(pos int64) bool {
	n, at := blockOf(pos)
	bytes := s.done[n]
	return at < len(bytes) && bytes[at] == 1
}

// listed reports whether the user has a status other than plainly done.
func (s *statuses) listed(pos int64) bool { _, ok := s.list[pos]; return ok }

// done follows the blocks of users who are plainly done, as they are written.
type done struct {
	blocks map[int64]*block
	db     storage
}

// block is one of them.
type block struct {
	bytes   []byte
	changed bool
}

// maxBlocks is how many blocks are kept in memory.
const maxBlocks = 64

// block returns the block with a number.
func (d *done) block(n int64) (*block, error) {
	if b := d.blocks[n]; b != nil {
		return b, nil
	}
	b := &block{bytes: make([]byte, rows.BlockSize)}
	first := n << rows.BlockBits
	err := d.db.Statuses(rows.One(first), nil, func(found rows.Block) error {
		copy(b.bytes, found.Bytes)
		return nil
	})
	if err != nil {
		return nil, err
	}
	if d.blocks == nil {
		d.blocks = map[int64]*block{}
	}
	d.blocks[n] = b
	return b, nil
}

// has reports whether a user is plainly done.
func (d *done) has(pos int64) (bool, error) {
	n, at := blockOf(pos)
	b, err := d.block(n)
	return err == nil && b.bytes[at] == 1, err
}

// set makes a user plainly done; clear undoes that.
func (d *done) set(pos int64) error   { return d.write(pos, 1) }
func (d *done) clear(pos int64) error { return d.write(pos, 0) }

func (d *done) write(pos int64, value byte) error {
	n, at := blockOf(pos)
	b, err := d.block(n)
	if err == nil && b.bytes[at] != value {
		b.bytes[at], b.changed = value, true
	}
	return err
}

// changed returns the blocks that were, since the last call.
func (d *done) changed() (list []rows.Block) {
	for n, b := range d.blocks {
		if b.changed {
			list = append(list, rows.Block{N: n, Bytes: b.bytes})
			b.changed = false
		}
	}
	if len(d.blocks) > maxBlocks {
		d.blocks = nil // the bytes of the list stay
	}
	return list
}
