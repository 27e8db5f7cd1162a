package hashlog

import (
	"encoding/binary"
	"math/bits"

	"github.com/rekey-host/rekey/host/journal"
)

// Group is the records of a commit, or a part of them if they are many: First to
// First+N-1, which have Lo to Hi as the smallest and the largest user among them (0
// without one). Body is the stored frames, each with an unsigned varint length
// before it.
type Group struct {
	First, N, Lo, Hi int64
	Listed           int64 // its Span, as it was kept
	Body             []byte

	Alone bool         // one record kept by itself
	Kind  journal.Kind // of that, as it is listed
}

// The most that one group has. It is read as a whole, so it is not to be too large.
const (
	MaxGroup = 4096
	MaxBody  = 1 << 20
)

// Add appends a record.
func (g *Group) Add(user int64, frame []byte) {
	g.count(user)
	g.Body = binary.AppendUvarint(g.Body, uint64(len(frame)))
	g.Body = append(g.Body, frame...)
}

// count takes a record into account.
func (g *Group) count(user int64) {
	g.N++
	if user > 0 {
		if g.Hi == 0 || user < g.Lo {
			g.Lo = user
		}
		g.Hi = max(g.Hi, user)
	}
}

// Full reports whether the next record is for another group.
func (g *Group) Full() bool { return g.N >= MaxGroup || len(g.Body) >= MaxBody }

// Span is the class of the group's range of users: the bit length of Hi-Lo.
func (g *Group) Span() int64 { return int64(bits.Len64(uint64(g.Hi - g.Lo))) }

// AsListed returns an error for a group listed with other numbers than
// its own: no search would find it.
func (g *Group) AsListed() error {
	if g.Alone {
		return nil // Each tells how it is listed
	}
	is, list := Group{}, Frames{g.Body}
	for frame := list.Next(); frame != nil; frame = list.Next() {
		_, user, ok := peek(frame)
		if !ok {
			return NotAsWritten("record %d: %w", g.First-1+is.N, ErrFrame)
		}
		is.count(user)
	}
	switch {
	case is.N != g.N:
		return NotAsWritten("its group is listed with %d records, and has %d", g.N, is.N)
	case is.Lo != g.Lo || is.Hi != g.Hi || is.Span() != g.Listed:
		return NotAsWritten("its group is listed under the users at positions %d to %d, and has those at %d to %d", g.Lo, g.Hi, is.Lo, is.Hi)
	}
	return nil
}

// Stored is one record as it is stored.
type Stored struct {
	ID   int64        // its place in the log, from 1
	Kind journal.Kind // as it is listed
	User int64
	Body []byte // the frame
}

// Each calls fn for the records of a group. An error of fn ends it, and is
// returned.
func (g *Group) Each(fn func(r *Stored) error) error {
	list := Frames{g.Body}
	r := Stored{ID: g.First}
	for r.Body = list.Next(); r.Body != nil; r.Body = list.Next() {
		if r.Kind, r.User, _ = peek(r.Body); g.Alone {
			r.Kind, r.User = g.Kind, g.Lo
		}
		if err := fn(&r); err != nil {
			return err
		}
		r.ID++
	}
	if r.ID != g.First+g.N {
		return NotAsWritten("of the records %d to %d there are %d", g.First-1, g.First+g.N-2, r.ID-g.First)
	}
	return nil
}

// Frames takes the body of a group apart. What cannot be taken apart is its
// last.
type Frames struct{ Rest []byte }

// Next returns the next frame; nil at the end.
func (f *Frames) Next() []byte {
	if len(f.Rest) == 0 {
		return nil
	}
	n, head := binary.Uvarint(f.Rest)
	if head <= 0 || n > uint64(len(f.Rest)-head) {
		broken := f.Rest
		f.Rest = nil
		return broken
	}
	end := head + int(n)
	frame := f.Rest[head:end:end]
	f.Rest = f.Rest[end:]
	return frame
}

// peek returns kind and user of a stored frame.
func peek(frame []byte) (kind journal.Kind, user int64, ok bool) {
	if len(frame) < 2 || frame[0] != frameVersion {
		return 0, 0, false
	}
	r := reader{rest: frame[2:]}
	r.uint() // index
	r.int()  // at
	user = r.uint()
	return journal.Kind(frame[1]), user, !r.bad
}
