package ledger

import (
	"github.com/rekey-host/rekey/host/hashlog"
	"github.com/rekey-host/rekey/host/ledger/internal/rows"
	"github.com/rekey-host/rekey/host/ledger/internal/sqlite"
)

// storage keeps one run. The ledger knows what is kept and why, the storage where: a
// second one implements these calls. Users are asked for as a group, so that a storage
// on another machine costs a round trip a group. It is used by one goroutine at a time.
//
// Where an iterator calls a function, hashlog.ErrDone ends it without an error.
type storage interface {
	// Again forgets what was read: others may have changed what is kept.
	Again()
	// Moment calls fn: all that it reads is of one moment.
	Moment(fn func() error) error
	// Within calls fn, and keeps all that it puts, durably, or nothing of it.
	Within(fn func() error) error
	// Put puts a change, within Within.
	Put(c *rows.Change) error

	// Run returns what was written once, Key the wrapped data key while there is one,
	// State where the run stands; nil: that is missing.
	Run() (rows.Run, error)
	Key() (wrapped []byte, there bool, err error)
	State() (*rows.State, error)
	// Heads calls fn for the signed heads over more records than that, in order. Head
	// returns the newest over at most that many; nil: there is none.
	Heads(after int64, fn func(h hashlog.Head) error) error
	Head(most int64) (*hashlog.Head, error)
	// Tiles returns the roots that are kept of a tree.
	Tiles(of rows.Tree) (map[int64]hashlog.Hash, error)

	// Groups calls fn for the groups that have records from one place on to another,
	// [from, to) from 0, in the order of the log.
	Groups(from, to int64, fn func(g *hashlog.Group) error) error
	// Histories calls fn for those of the users that have records, with these, in the
	// order of the list. With sums, each record is compared with its sum.
	Histories(users []int64, sums *hashlog.Encoder, fn func(user int64, records []hashlog.Stored) error) error
	// Statuses calls fn and block for the users at some positions that have a status:
	// each has the one or the other. Either may be nil.
	Statuses(of []rows.Span, fn func(s rows.Status) error, block func(b rows.Block) error) error

	// Sheets calls fn for the plan from one position to another, in order; the first
	// and the last sheet may have more rows.
	Sheets(from, to int64, fn func(s *hashlog.Sheet) error) error
	// BySource calls fn for the rows behind one of the source, at most that many, in
	// the order of the source.
	BySource(after int64, most int, fn func(p *hashlog.PlannedRow) error) error
	// Find returns the positions of the users with one of some keys, which are folded.
	Find(folds []string) ([]int64, error)

	finding
	// CopyTo copies all as of one moment into a new file, durably. Sound returns an
	// error if anything in it cannot be read.
	CopyTo(path string) error
	Sound() error
	Close() error
}

// finding is what tells whether records are found by their users: a storage that
// finds them by an index may have lost some of it.
type finding interface {
	// Last returns the id of the last record, LastUser the last position that has
	// records.
	Last() (int64, error)
	LastUser() (int64, error)
	// Indexed counts the records that can be found by user, Unlisted the groups behind
	// a record that cannot. Quick reports whether Indexed is, for a log of that size.
	Indexed() (int64, error)
	Unlisted(after int64) (int64, error)
	Quick(size int64) bool
}

// written is the storage of whoever adds to a run.
type written interface {
	storage
	// Shred makes what goes from now on go without a byte that stays. It is called
	// outside Within.
	Shred() error
	// Fold makes one file of the run; whole is false while somebody reads it.
	// OthersFold leaves that to whoever applies the run. KeepNames keeps Close from it.
	Fold() (whole bool, err error)
	OthersFold() error
	KeepNames()
}

// openStorage opens the storage of a run for reading, as it is at a path.
func (s *stateDir) openStorage(path string) (storage, error) {
	return asStorage(sqlite.Open(path, s.temp()))
}

// openStill opens one that nobody changes, openAside a copy of it as whoever opens it
// next will find it.
func (s *stateDir) openStill(path string) (storage, error) {
	return asStorage(sqlite.OpenStill(path, s.temp()))
}
func (s *stateDir) openAside(path string) (storage, error) { return asStorage(sqlite.OpenCopy(path)) }

// openToWrite opens one to add to it.
func (s *stateDir) openToWrite(path string) (written, error) {
	db, err := sqlite.OpenToWrite(path, s.temp())
	if err != nil {
		return nil, err
	}
	return db, nil
}

// asStorage is a storage that was opened; nil if it was not.
func asStorage(db *sqlite.DB, err error) (storage, error) {
	if err != nil {
		return nil, err
	}
	return db, nil
}
