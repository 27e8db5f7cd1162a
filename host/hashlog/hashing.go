package hashlog

// hashing takes the records of groups apart and computes their leaves, in
// goroutines of its own: most of a verification goes on there.
type hashing struct {
	work    chan *hashed
	waiting []*hashed // in the order of the log
	idle    []*hashed
}

// hashers is how many goroutines hash, ahead how many groups are on their way.
const (
	hashers = 2
	ahead   = 2 * hashers
)

// hashed is a group on its way.
type hashed struct {
	group   Group
	records []checked
	listed  error // what Group.AsListed returns
	done    chan struct{}
}

// checked is a record with its leaf.
type checked struct {
	Stored
	frame Frame
	leaf  Hash
	err   error // not a record
}

func newHashing(names *NamesKey) *hashing {
	h := &hashing{work: make(chan *hashed, ahead)}
	for range hashers {
		go func() {
			enc, dec := Encoder{Key: names}, Decoder{}
			for g := range h.work {
				g.hash(&enc, &dec)
				g.done <- struct{}{}
			}
		}()
	}
	return h
}

// stop ends the goroutines.
func (h *hashing) stop() { close(h.work) }

// give takes a group.
func (h *hashing) give(g *Group) {
	var next *hashed
	if n := len(h.idle); n > 0 {
		next, h.idle = h.idle[n-1], h.idle[:n-1]
	} else {
		next = &hashed{done: make(chan struct{}, 1)}
	}
	next.group = *g
	h.waiting = append(h.waiting, next)
	h.work <- next
}

// next returns the first group that waits. It is good until it is given back.
func (h *hashing) next() *hashed {
	first := h.waiting[0]
	h.waiting = h.waiting[1:]
	<-first.done
	return first
}

// back takes a group back to use its memory for another one.
func (h *hashing) back(g *hashed) { h.idle = append(h.idle, g) }

func (g *hashed) hash(enc *Encoder, dec *Decoder) {
	g.records = g.records[:0]
	_ = g.group.Each(func(r *Stored) error { // that there are fewer is known from listed
		g.records = append(g.records, checked{Stored: *r})
		g.records[len(g.records)-1].check(enc, dec)
		return nil
	})
	g.listed = g.group.AsListed()
}

// check takes a record apart and computes its leaf.
func (c *checked) check(enc *Encoder, dec *Decoder) {
	if c.frame, c.err = dec.Split(c.Body); c.err != nil {
		c.leaf = enc.leafOf(c.Body, [32]byte{})
		return
	}
	c.leaf = enc.Leaf(&c.frame, c.Body)
}

// sound reports whether the record has its sum.
func (c *checked) sound() bool { return string(c.leaf[:sumSize]) == string(c.frame.sum(c.Body)) }
