package hashlog

import (
	"errors"
	"fmt"
	"math"

	"github.com/rekey-host/rekey/host/journal"
)

// Check verifies the log of a run as its records come: that each is what was
// written, and stands where it was written; that what was signed, or kept elsewhere,
// is of this log. What does not fit is a problem of its Audit.
type Check struct {
	Audit  Audit
	Tree   Frontier // over the records so far
	LastAt int64    // µs since 1970, when the last of them was made
	HeadAt int64    // µs since 1970, when the newest valid signed head was signed

	Kept  Checkpoint // what was kept elsewhere
	Seen  *Frontier  // how far the log has come, as seen before; or nil
	Heads Heads      // the signed heads
	Key   *Verifier  // of their signatures; nil: it is not there
	Rules Rules      // what the records are about

	about   Problem        // the place of the present record
	rec     journal.Record // and its content
	places  places
	spoilt  map[int64]bool // users of whom a record cannot be trusted: one problem is enough
	heads   heads
	matches bool // the log has what was seen
}

// Rules are what knows the sense of records. Both are called in the order of the
// log, by one goroutine.
type Rules interface {
	// Take takes the content of a sound record. It may call Wrong.
	Take(r *journal.Record)
	// KeyOf returns the key of the user at a position; "" if it cannot be read.
	KeyOf(user int64) string
}

// Groups are the groups of a log, in order: fn's error ends it, and is returned.
type Groups func(fn func(g *Group) error) error

// Read reads the log from its beginning. The leaves of groups are computed while
// others are read.
func (c *Check) Read(names *NamesKey, groups Groups) error {
	c.spoilt = map[int64]bool{}
	c.heads.list = c.Heads
	if err := c.heads.more(); err != nil {
		return err
	}
	h := newHashing(names)
	defer h.stop()
	before := int64(0)
	err := groups(func(g *Group) error {
		if g.First < 1 {
			before += g.N
			return nil
		}
		c.putIn(&before)
		h.give(g)
		if len(h.waiting) == ahead {
			c.group(h)
		}
		return nil
	})
	for len(h.waiting) > 0 {
		c.group(h)
	}
	c.putIn(&before)
	return err
}

// putIn tells of records before the first, once.
func (c *Check) putIn(before *int64) {
	if *before > 0 {
		c.Audit.General("log: %d records were put in before the first", *before)
	}
	*before = 0
}

// Places is how many places of the log there are, those of missing records among
// them.
func (c *Check) Places() int64 { return c.places.next }

// Spoilt reports whether a record of the user cannot be trusted.
func (c *Check) Spoilt(user int64) bool { return c.spoilt[user] }

// group looks at the next group.
func (c *Check) group(h *hashing) {
	g := h.next()
	for i := range g.records {
		c.pass(&g.records[i])
	}
	if g.listed != nil && !errors.Is(g.listed, ErrFrame) {
		c.Audit.Add(Problem{Index: g.group.First - 1, Message: g.listed.Error()})
	}
	h.back(g)
}

// pass looks at a record, and at what was signed or kept of the log up to it.
func (c *Check) pass(r *checked) {
	c.record(r)
	c.heads.pass(&c.Tree)
	c.Kept.pass(&c.Tree)
	if c.Seen != nil && c.Seen.Size == c.Tree.Size {
		c.matches = c.Seen.Root() == c.Tree.Root()
	}
}

// record looks at the record at one place.
func (c *Check) record(r *checked) {
	place, f := r.ID-1, &r.frame
	c.about = Problem{Index: place, User: r.User}
	c.gap(place)
	c.Tree.Push(r.leaf)
	if r.err != nil {
		c.Wrong("%s: its bytes were changed: they are no record any more", r.Kind)
		c.spoilt[r.User] = true
		return
	}
	c.about.Step = int(f.Step)
	switch {
	case !r.sound():
		c.Wrong("%s: its bytes were changed", r.Kind)
		c.spoilt[r.User], c.spoilt[f.User] = true, true
		return
	case f.Index != place:
		if c.places.moved(f.Index, place) {
			c.Wrong("here stands what was written as record %d (%s): records were moved, dropped or put in", f.Index, f.Kind)
		}
	case f.Kind != r.Kind || f.User != r.User:
		c.Wrong("it is listed as %s of position %d, and is %s of position %d", r.Kind, r.User, f.Kind, f.User)
	}
	c.LastAt = f.At
	err := f.Records(&c.rec, func(rec *journal.Record) error {
		if rec.User == 0 || len(c.spoilt) == 0 || !c.spoilt[rec.User] {
			c.Rules.Take(rec)
		}
		return nil
	})
	if err != nil {
		c.Wrong("%s: its detail was changed", r.Kind)
	}
}

// Wrong adds a problem of the present record.
func (c *Check) Wrong(format string, args ...any) {
	c.about.Message = fmt.Sprintf(format, args...)
	c.Audit.Add(c.Named(c.about))
}

// Named adds the user's key to a problem.
func (c *Check) Named(p Problem) Problem {
	if p.User > 0 {
		if key := c.Rules.KeyOf(p.User); key != "" {
			p.Key = key
		}
	}
	return p
}

// gap notes a gap before a place. In the tree, nothing stands for it,
// so that what follows keeps its place.
func (c *Check) gap(place int64) {
	const far = 1 << 20
	if place-c.places.next > far {
		c.Audit.General("log: records %d to %d are missing", c.places.next, place-1)
		c.places.next = place
	}
	if place < c.places.next {
		c.Audit.Add(Problem{Index: place, Message: "it stands there a second time"})
		return
	}
	for ; c.places.next < place; c.places.next++ {
		c.Audit.Add(Problem{Index: c.places.next, Message: "it is missing"})
		c.Tree.Push(Hash{})
	}
	c.places.next = place + 1
}

// places follows where records stand.
type places struct {
	next  int64
	shift int64 // how far records stand from where they were written
}

// moved reports whether the record stands in another way out of place than the
// one before it: of a whole tail that moved only the first is a problem.
func (p *places) moved(written, place int64) bool {
	same := written-place == p.shift
	p.shift = written - place
	return !same
}

// CompareHeads checks the signatures of the heads, and their claims about the log
// just read.
func (c *Check) CompareHeads() error {
	err := c.Heads(math.MinInt64, func(h Head) error {
		run, said, _, err := ParseHead(h.Note)
		switch {
		case err != nil || said != h.Size || run != c.Audit.Run:
			c.Audit.General("signed head at %d records: its text was changed", h.Size)
		case c.Key != nil && !c.Key.Signed(h.Note):
			c.Audit.General("signed head at %d records: its signature does not fit", h.Size)
		case h.Size > c.Tree.Size:
			c.Audit.General("signed head at %d records: the log has only %d now: its end was cut off", h.Size, c.Tree.Size)
		case c.heads.breaks == 0 || h.Size < c.heads.breaks:
			c.Audit.Signed, c.HeadAt = h.Size, h.At
		}
		return nil
	})
	if c.heads.breaks > 0 && c.Audit.OK {
		c.Audit.General("log: records are not what was signed%s", c.heads.since())
	}
	return err
}

// CompareKept compares the log with a checkpoint kept elsewhere.
func (c *Check) CompareKept() {
	kept := &c.Kept
	c.Audit.ConsistencyOnly = !kept.given
	switch {
	case !kept.given:
		return
	case kept.run != "" && kept.run != c.Audit.Run:
		c.Audit.General("checkpoint: it is of run %s", kept.run)
		return
	case kept.text != "" && c.Key != nil && !c.Key.Signed(kept.text):
		c.Audit.General("checkpoint: it is not signed with this state directory's audit key")
	}
	switch {
	case kept.matched:
	case kept.size == -1:
		c.Audit.General("checkpoint: the log never had this head%s", c.heads.since())
	case !kept.seen:
		c.Audit.General("checkpoint: the log had %d records when it was taken and has %d now: its end was cut off", kept.size, c.Tree.Size)
	default:
		c.Audit.General("checkpoint: some record before %d is not what it was when the checkpoint was taken%s", kept.size, c.heads.since())
	}
}

// CompareSeen compares the log with its known size.
func (c *Check) CompareSeen() {
	switch {
	case c.Seen == nil || c.matches:
	case c.Seen.Size > c.Tree.Size:
		c.Audit.General("log: it has %d records, and had %d here: its end was cut off, or an older copy was put back", c.Tree.Size, c.Seen.Size)
	case c.Audit.OK:
		c.Audit.General("log: its first %d records are not those that it had here: another copy was put in its place", c.Seen.Size)
	}
}

// CompareTiles compares kept roots of a tree with those of the same one that
// was computed.
func (c *Check) CompareTiles(kept map[int64]Hash, tree *Frontier) {
	if !c.Audit.OK { // a fault of the leaves is one of these too
		return
	}
	for _, t := range tree.Tiles {
		if root, ok := kept[t.N]; ok && root != t.Root {
			c.Audit.General("tiles: a root that is kept of the leaves from %d on was changed: proofs fail", t.Leaves())
		}
	}
}
