package scrub

import (
	"encoding/binary"
	"hash/maphash"
	"strings"
)

// scratch is one search, and room for the next.
type scratch struct {
	tables []indexed
	least  int  // units of the shortest thing that is looked for
	wide   bool // whether there is a character outside of ASCII in it
	whole  bool // whether secrets are looked for that are found whole

	units   stream
	decoded builder
	runs    []run
	hits    []span

	queue []view
	left  int // bytes that may still be looked at
	seed  maphash.Seed
	seen  map[uint64]struct{}
}

func (s *scratch) begin(tables []indexed, q question) {
	s.tables, s.hits, s.queue = tables, s.hits[:0], s.queue[:0]
	s.least, s.wide, s.whole = window, false, !q.pieces
	for _, t := range tables {
		s.wide = s.wide || t.wide
		if s.whole && t.fewest > 0 {
			s.least = min(s.least, t.fewest)
		}
	}
	if s.seen == nil {
		s.seed, s.seen = maphash.MakeSeed(), map[uint64]struct{}{}
	}
	clear(s.seen)
}

// The bound of what is looked at: so many times the text, and some bytes; of
// long texts less.
const (
	budgetTimes = 64
	budgetMore  = 8 << 10
	budgetLong  = 512 << 10
)

// search looks at the text and at what it may stand for, the plainest first.
func (s *scratch) search(text string) {
	s.left = min(budgetTimes*len(text)+budgetMore, 8*len(text)+budgetLong)
	s.look(view{text: text})
	for at := 0; at < len(s.queue); at++ {
		s.open(s.queue[at])
	}
	clear(s.queue)
}

// look searches a view as it stands and queues it.
func (s *scratch) look(v view) {
	if s.left -= len(v.text) + 64; s.left < 0 {
		return
	}
	key := s.key(v)
	if _, ok := s.seen[key]; ok {
		return
	}
	s.seen[key] = struct{}{}
	s.find(v)
	if v.depth < layers && len(v.text) >= 2*s.least {
		s.queue = append(s.queue, v)
	}
}

// key tells a view from others: the same text from elsewhere is another one,
// and has its own hits.
func (s *scratch) key(v view) uint64 {
	const prime = 1099511628211
	key := maphash.String(s.seed, v.text)
	for i, from := range v.from {
		key = key*prime ^ uint64(from)<<32 ^ uint64(v.to[i])
	}
	if v.coded {
		key = ^key
	}
	return key
}

// open looks behind a view.
func (s *scratch) open(v view) {
	eachDecoded(v, false, s.look)
	if v.depth >= layers-1 {
		return
	}
	if w, ok := spaced(v); ok {
		s.look(w)
	}
	for _, base := range listBases(v.text, max(4, s.least)) {
		if w, ok := numbers(v, base, max(4, s.least)); ok {
			s.look(w)
		}
	}
	for _, c := range codes {
		s.decode(v, c)
	}
	s.widen(v)
}

// decode looks at what the runs of a code's letters stand for.
func (s *scratch) decode(v view, c *code) {
	s.runs = c.runs(v.text, (8*s.least+c.bits-1)/c.bits, s.runs)
	if len(s.runs) == 0 {
		return
	}
	for skip := range c.alignments() {
		b := &s.decoded
		b.reset(v)
		for _, r := range s.runs {
			c.decode(r, skip, b)
		}
		s.bytes(b)
	}
}

// bytes searches decoded bytes, and goes deeper where they are text.
func (s *scratch) bytes(b *builder) {
	w := b.view()
	w.coded = true
	if s.left -= len(w.text); s.left < 0 {
		return
	}
	s.find(w)
	s.widen(w)
	if texts := b.texts(s.least + 1); len(texts.text) > 0 {
		w := texts.view()
		w.coded = true
		s.look(w)
	}
}

// widen searches bytes as UTF-16, which is rich in zeros. Of ASCII in UTF-16 the
// normal form is that of ASCII.
func (s *scratch) widen(v view) {
	if !s.wide || 8*strings.Count(v.text, "\x00") < len(v.text) {
		return
	}
	for _, order := range [...]binary.ByteOrder{binary.LittleEndian, binary.BigEndian} {
		for at := range 2 {
			if s.left -= len(v.text); s.left < 0 {
				return
			}
			s.find(wide(v, order, at))
		}
	}
}

// find notes the secrets that stand in a view.
func (s *scratch) find(v view) {
	s.units.fold(v, s.wide)
	s.units.windows(s.findPiece)
	if s.whole {
		for _, t := range s.tables {
			s.findWhole(t.table, s.units, v.coded)
		}
	}
}

func (s *scratch) findPiece(w *roller, _ int) {
	key := w.key()
	for _, t := range s.tables {
		strong := t.pieces.has(key)
		if !strong && !t.weak.has(key) {
			continue
		}
		at := w.span()
		at.weak = !strong
		s.hits = append(s.hits, at)
	}
}

func (s *scratch) findWhole(t *table, in stream, coded bool) {
	for _, n := range t.lengths {
		for i := 0; i+n <= len(in); i++ {
			rule, ok := t.wholes[wholeKey(in[i:i+n])]
			if ok && rule.allows(in, i, i+n, coded) {
				s.hits = append(s.hits, span{from: int(in[i].from), to: int(in[i+n-1].to)})
			}
		}
	}
}
