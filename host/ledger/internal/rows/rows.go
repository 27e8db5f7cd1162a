// Package rows is the data kept of a run, as the ledger hands it to its storage and
// takes it back. It knows nothing of the place.
package rows

import (
	"math"

	"github.com/rekey-host/rekey/host/hashlog"
	"github.com/rekey-host/rekey/host/journal"
)

// Run is the part written once, when a run is made.
type Run struct {
	Header  string
	Names   hashlog.NamesKey
	Total   int64
	Ordered bool // the plan is in the order of the source
	Waves   []hashlog.Wave
	Key     Key
	Room    int64 // bytes that there are of all; not written
	Merges  bool  // a frame may be two records: no older rekey reads it; not written
}

// Key is the wrapped data key of a run, which is forgotten before the run is.
type Key struct {
	Wrapped []byte
	There   bool
	Err     error // why it cannot be read, where all else of the run can; not written
}

// State is where a run stands. It is written anew with each commit.
type State struct {
	Size     int64  // of the log
	Frontier []byte // of the log
	Standing string
}

// Status is the status of a user who is not plainly done.
type Status struct {
	Pos    int64
	Number int64
	Code   string
	Rec    int64 // id of the record that says so
}

// A user whose status has nothing else to say than that it is done has no Status,
// but a byte in a Block: of each BlockSize positions one, the first at place 0, with
// a byte of 1 for each such user.
const (
	BlockBits = 10
	BlockSize = 1 << BlockBits
)

// Block is the bytes of the positions from N<<BlockBits on.
type Block struct {
	N     int64
	Bytes []byte
}

// Span is the numbers from one to another, both included.
type Span struct{ From, To int64 }

// All returns all positions.
func All() []Span { return []Span{{math.MinInt64, math.MaxInt64}} }

// Behind returns the numbers behind one.
func Behind(n int64) Span { return Span{min(n, math.MaxInt64-1) + 1, math.MaxInt64} }

// Down returns the numbers from one down to the least: the newest come first.
func Down(from int64) Span { return Span{from, math.MinInt64} }

// One returns a single position.
func One(pos int64) []Span { return []Span{{pos, pos}} }

// Tree says of which tree a tile is.
type Tree int64

// The trees: of the records, and of the rows of the plan.
const (
	TreeOfLog Tree = iota
	TreeOfPlan
)

// Change is a set of changes put at once. A nil part stays as it is.
type Change struct {
	Group    *hashlog.Group // behind the others
	Blocks   []Block        // in place of the present ones
	Statuses []Status       // of users who have none
	Reopened []int64        // users who lose theirs
	Tree     Tree           // of the tiles
	Tiles    []hashlog.Tile
	State    *State
	Head     *hashlog.Head
	Forget   bool // the wrapped key goes, and no byte of it stays
}

// Wanted selects rows of the plan by something else than where they are: those with
// one of some keys, which are folded, or, without keys, those behind one of the source,
// at most that many, in the order of the source.
type Wanted struct {
	Keys  []string
	After int64
	Most  int
}

// How says how a run is opened for reading.
type How int

// The ways of opening a run for reading.
const (
	Live   How = iota // others may add to it meanwhile
	Still             // no one changes it
	Proven            // no one changes it, and all of it has been read: an unreadable part is an error
	Aside             // a copy, as whoever opens it next will find it
)

// Staged is a row of a draft whose place is not known before all are.
type Staged struct {
	hashlog.Row
	Fold    string // the key, folded
	Hidden  [32]byte
	Order   []byte // sorts bytewise, before the number in the source
	Skipped bool
}

// Found is what a draft becomes a run by, besides its plan.
type Found struct {
	Run   Run
	Group *hashlog.Group // the first records
	Tiles []hashlog.Tile // of the plan
	State State
	Head  hashlog.Head
}

// Wreck is a run of which anything may be damaged.
type Wreck struct {
	At     string // where it is
	Dir    string // private, for passing files
	Copy   string // where what can be read is copied to
	Marked int64  // records that the log had at least, as far as is known
	Rules  Rules
}

// Rules are what knows the sense of rows, while they are copied.
type Rules interface {
	// Header returns the header to keep, and whether it equals the text.
	Header(text string) (kept string, whole bool, err error)
	// Waves takes the waves, before all records.
	Waves(list []hashlog.Wave)
	// Number is the number of the status that a Finished record gives, Done that of
	// users who are done. Final reports whether it is one.
	Number(r *journal.Record) int64
	Done() int64
	Final(number int64) bool
	// Apply takes a record into account. was is the number of the status of a user who
	// is put back.
	Apply(r *journal.Record, was int64)
	// Count takes a status into account whose record is lost.
	Count(user, number int64)
	// Keeps reports whether a text says where the run stands.
	Keeps(standing string) bool
	// Standing says so, as far as the records tell.
	Standing() (string, error)
}
