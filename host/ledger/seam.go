package ledger

import (
	"github.com/rekey-host/rekey/host/hashlog"
	"github.com/rekey-host/rekey/host/ledger/internal/rows"
	"github.com/rekey-host/rekey/host/ledger/internal/sqlite"
)

// keeper is where runs are kept. The ledger knows the content and its sense, the keeper
// how: a second one implements this and the interfaces that it returns. Where a run
// is, is a text that only the keeper reads: to SQLite a path.
type keeper interface {
	// Open opens a run for reading.
	Open(at string, how rows.How) (storage, error)
	// OpenToWrite opens a run to add to it, for whoever applies it, or in passing.
	OpenToWrite(at string) (written, error)
	OpenInPassing(at string) (written, error)
	// Begin begins a run that does not exist before its draft is published.
	Begin(at string) (draft, error)
	// Rescue copies the readable parts of a damaged run, and names the losses.
	Rescue(wreck *rows.Wreck) (lost []string, err error)
	// Pairs keeps numbers by numbers, beside a run and as long as they are open: there
	// may be millions. fill is called to add them.
	Pairs(at string, fill func(add func(key, value int64) error) error) (pairs, error)
	// Tidy ends what a killed process left of a run, or one that a reader kept from
	// doing it. Remove removes all of a run.
	Tidy(at string)
	Remove(at string)
}

// storage reads one run. Users are asked for as a group, so that a storage on another
// machine costs a round trip a group. It is used by one goroutine at a time.
//
// Where an iterator calls a function, hashlog.ErrDone ends it without an error.
type storage interface {
	// Moment calls fn: all that it reads is of one moment.
	Moment(fn func() error) error

	// Run returns what was written once, and the wrapped data key. State returns where
	// the run stands, or nil.
	Run() (rows.Run, error)
	State() (*rows.State, error)
	// Heads calls fn for the signed heads over that many records, in the order of the
	// span.
	Heads(of rows.Span, fn func(h hashlog.Head) error) error
	// Tiles returns the kept roots of a tree.
	Tiles(of rows.Tree) (map[int64]hashlog.Hash, error)

	// Groups calls fn for the groups that have records from one place on to another,
	// [from, to) from 0, in the order of the log.
	Groups(from, to int64, fn func(g *hashlog.Group) error) error
	// Histories calls fn for those of the users that have records, with these, in the
	// order of the list. With sums, each record is compared with its sum.
	Histories(users []int64, sums *hashlog.Encoder, fn func(user int64, records []hashlog.Stored) error) error
	// Lacks counts what Histories would not find of the records behind one, of a log of
	// that size: a storage that finds them by an index may have lost some of it. Asked
	// quickly, it does not count what would take longer than a few histories.
	Lacks(after, size int64, quickly bool) (int64, error)
	// Ends returns the id of the last record, and the last position with records.
	Ends() (record, user int64, err error)
	// Statuses calls fn and block for the users at some positions that have a status:
	// each has the one or the other. Either may be nil.
	Statuses(of []rows.Span, fn func(s rows.Status) error, block func(b rows.Block) error) error

	// Sheets calls fn for the plan from one position to another, in order; the first
	// and the last sheet may have more rows. Rows calls fn for the wanted rows.
	Sheets(from, to int64, fn func(s *hashlog.Sheet) error) error
	Rows(of rows.Wanted, fn func(p *hashlog.PlannedRow) error) error

	// CopyTo copies all as of one moment to where nothing is, durably.
	CopyTo(at string) error
	Close() error
}

// written is the storage of whoever adds to a run.
type written interface {
	storage
	// Within calls fn, and keeps all that it puts, durably, or nothing of it. Put puts a
	// change, within Within.
	Within(fn func() error) error
	Put(c *rows.Change) error
	// Fold leaves no earlier version of anything; whole is false while another process reads
	// the run, which keeps it from that.
	Fold() (whole bool, err error)
	// Abandon is Close where what bears the run's name is another's by now.
	Abandon() error
}

// draft is a run that does not exist yet.
type draft interface {
	// Sheets is that of storage, for the sheets so far. Row returns a row of the
	// source, of which key and line are certain to be there; nil: it was not put.
	Sheets(from, to int64, fn func(s *hashlog.Sheet) error) error
	Row(seq int64) (*hashlog.Row, error)
	// PutSheet puts the next sheet, Stage a row whose place is not known before all are.
	// Sort puts the staged ones behind that many, in their order.
	PutSheet(s *hashlog.Sheet) error
	Stage(s *rows.Staged) error
	Sort(front int64) error
	// Publish puts all but the plan, makes all of it whole, and closes the draft.
	Publish(f *rows.Found) error
	Close() error
}

// pairs are numbers by numbers. Of returns those of a key.
type pairs interface {
	Of(key int64) ([]int64, error)
	Close() error
}

// inSQLite keeps each run in a file of its own.
type inSQLite struct{ sqlite.Files }

func newKeeper(temp string) keeper { return inSQLite{sqlite.NewFiles(temp)} }

// Open opens the database of a run for reading.
func (k inSQLite) Open(at string, how rows.How) (storage, error) {
	return asIs[storage](k.Files.Open(at, how))
}

// OpenToWrite opens the database of a run to apply.
func (k inSQLite) OpenToWrite(at string) (written, error) {
	return asIs[written](k.Files.OpenToWrite(at))
}

// OpenInPassing opens the database of a run to add a note to.
func (k inSQLite) OpenInPassing(at string) (written, error) {
	return asIs[written](k.Files.OpenInPassing(at))
}

// Begin begins the database of a run.
func (k inSQLite) Begin(at string) (draft, error) { return asIs[draft](k.Files.Begin(at)) }

// Pairs keeps numbers beside the database of a run.
func (k inSQLite) Pairs(at string, fill func(add func(key, value int64) error) error) (pairs, error) {
	return asIs[pairs](k.Files.Pairs(at, fill))
}

// asIs is what was opened; nil if it was not.
func asIs[As any, Is any](is *Is, err error) (as As, _ error) {
	if err != nil {
		return as, err
	}
	return any(is).(As), nil
}

// isDamage reports whether an error of a storage says that it does not hold what was
// written to it; inWords describes the damage, or is "".
func isDamage(err error) bool  { return sqlite.Damaged(err) }
func inWords(err error) string { return sqlite.Reason(err) }
