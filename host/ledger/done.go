package ledger

import (
	"fmt"

	"github.com/rekey-host/rekey/host/journal"
)

// A user whose status has nothing else to say than that it is done has no row in
// the table user, but a byte in the table done: of each blockSize positions one
// row, the first at place 0, with a byte of 1 for each user that is.
const (
	blockBits = 10
	blockSize = 1 << blockBits
)

// plain reports whether a Finished record says nothing but that the user is done.
func plain(r *journal.Record) bool { return r.Detail.Status == journal.Done && r.Code == "" }

// isDone is the condition that the byte of the row p of the plan is set.
func (l *log) isDone() string {
	if !l.groups {
		return "0"
	}
	return fmt.Sprintf("(substr(d.bytes, (p.pos & %d) + 1, 1) IS x'01')", blockSize-1)
}

// plan is the table of the plan as p, with the statuses of its users as u and d.
func (l *log) plan() string {
	from := "plan p LEFT JOIN user u ON u.pos = p.pos"
	if l.groups {
		from += fmt.Sprintf(" LEFT JOIN done d ON d.n = p.pos >> %d", blockBits)
	}
	return from
}

// statuses reads those of users, some at a time.
type statuses struct {
	from, to int64            // of whom they were read
	done     map[int64][]byte // by the place of the row
	rows     map[int64]row    // status and code, of those in the table user
}

// read reads the statuses of the users from one position to another, unless it
// has.
func (s *statuses) read(l *log, from, to int64) error {
	if from >= s.from && to <= s.to {
		return nil
	}
	*s = statuses{from: from, to: max(to, from+blockSize)}
	from, to = s.from, s.to
	err := l.c.each("SELECT pos, status, code FROM user WHERE pos BETWEEN ? AND ?", func(found row) error {
		if s.rows == nil {
			s.rows = map[int64]row{}
		}
		s.rows[found.int(0)] = row{found[1], found[2]}
		return nil
	}, from, to)
	if err != nil || !l.groups {
		return err
	}
	s.done = map[int64][]byte{}
	return l.c.each("SELECT n, bytes FROM done WHERE n BETWEEN ? AND ?", func(found row) error {
		s.done[found.int(0)] = found.bytes(1)
		return nil
	}, from>>blockBits, to>>blockBits)
}

// of returns the status of a user, and its code.
func (s *statuses) of(pos int64) (n statusNumber, code string) {
	if found, ok := s.rows[pos]; ok {
		return statusNumber(found.int(0)), found.text(1)
	}
	if bytes, at := s.done[pos>>blockBits], int(pos&(blockSize-1)); at < len(bytes) && bytes[at] == 1 {
		return numDone, ""
	}
	return noStatus, ""
}

// listed reports whether the user is in the table user.
func (s *statuses) listed(pos int64) bool { _, ok := s.rows[pos]; return ok }

// eachDone calls fn for the blocks of the table done.
func (l *log) eachDone(fn func(n int64, bytes []byte) error) error {
	if !l.groups {
		return nil
	}
	return l.c.each("SELECT n, bytes FROM done ORDER BY n", func(found row) error { return fn(found.int(0), found.bytes(1)) })
}

// done follows the table done as it is written.
type done struct {
	blocks map[int64]*block
	log    *log
}

// block is one row.
type block struct {
	bytes   []byte
	changed bool
}

// maxBlocks is how many blocks are kept in memory.
const maxBlocks = 64

// block returns the block of a position.
func (d *done) block(pos int64) (*block, error) {
	n := pos >> blockBits
	if b := d.blocks[n]; b != nil {
		return b, nil
	}
	b := &block{bytes: make([]byte, blockSize)}
	if d.log.groups {
		found, err := d.log.c.one("SELECT bytes FROM done WHERE n = ?", n)
		if err != nil {
			return nil, err
		}
		if found != nil {
			copy(b.bytes, found.bytes(0))
		}
	}
	if d.blocks == nil {
		d.blocks = map[int64]*block{}
	}
	d.blocks[n] = b
	return b, nil
}

// has reports whether a user is plainly done.
func (d *done) has(pos int64) (bool, error) {
	b, err := d.block(pos)
	return err == nil && b.bytes[pos&(blockSize-1)] == 1, err
}

// set makes a user plainly done; clear undoes that.
func (d *done) set(pos int64) error   { return d.write(pos, 1) }
func (d *done) clear(pos int64) error { return d.write(pos, 0) }

func (d *done) write(pos int64, value byte) error {
	b, err := d.block(pos)
	if err == nil && b.bytes[pos&(blockSize-1)] != value {
		b.bytes[pos&(blockSize-1)], b.changed = value, true
	}
	return err
}

// flush writes the blocks that were changed. It is called behind the groups,
// which see to it that there is a table.
func (d *done) flush() error {
	for n, b := range d.blocks {
		if !b.changed {
			continue
		}
		if _, err := d.log.c.exec("INSERT OR REPLACE INTO done VALUES (?,?)", n, b.bytes); err != nil {
			return err
		}
		b.changed = false
	}
	if len(d.blocks) > maxBlocks {
		clear(d.blocks)
	}
	return nil
}
