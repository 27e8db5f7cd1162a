// Package rows is what is kept of a run, as the ledger hands it to its storage and
// takes it back. It knows nothing of where that is.
package rows

import (
	"math"

	"github.com/rekey-host/rekey/host/hashlog"
)

// Run is what is written once, when a run is made.
type Run struct {
	Header  string
	Names   hashlog.NamesKey
	Total   int64
	Ordered bool // the plan is in the order of the source
	Waves   []hashlog.Wave
	Room    int64 // bytes that there are of all; not written
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
// a byte of 1 for each user that is.
const (
	BlockBits = 10
	BlockSize = 1 << BlockBits
)

// Block is the bytes of the positions from N<<BlockBits on.
type Block struct {
	N     int64
	Bytes []byte
}

// Span is the positions from one to another.
type Span struct{ From, To int64 }

// All returns all positions.
func All() []Span { return []Span{{math.MinInt64, math.MaxInt64}} }

// One returns a single position.
func One(pos int64) []Span { return []Span{{pos, pos}} }

// Tree says of which tree a tile is.
type Tree int64

// The trees: of the records, and of the rows of the plan.
const (
	TreeOfLog Tree = iota
	TreeOfPlan
)

// Change is what is put at once. What is nil stays as it is.
type Change struct {
	Group    *hashlog.Group // behind the others
	Blocks   []Block        // in place of those that are there
	Statuses []Status       // of users who have none
	Reopened []int64        // users who lose theirs
	Tree     Tree           // of the tiles
	Tiles    []hashlog.Tile
	State    *State
	Head     *hashlog.Head
	Forget   bool // the wrapped key goes, and no byte of it stays
}
