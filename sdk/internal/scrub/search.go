package scrub

import (
	"encoding/binary"
	"hash/maphash"
	"strings"
)

// scratch is one search, and room for the next.
type scratch struct {
	tables []indexed
	least  int  // units of the shortest thing looked for
	wide   bool // whether there is a character outside of ASCII in it
	whole  bool // whether to look for secrets found whole

	units   stream
	decoded builder
	runs    []run
	hits    []span

	queue []view
	left  int // bytes that may still be looked at
	seed  maphash.Seed
	seen  map[uint64]struct{}
}

func (s *scratch) begin(tables []indexed, question question) {
	s.tables, s.hits, s.queue = tables, s.hits[:0], s.queue[:0]
	s.least, s.wide, s.whole = window, false, !question.pieces
	for _, indexed := range tables {
		s.wide = s.wide || indexed.wide
		if s.whole && indexed.fewest > 0 {
			s.least = min(s.least, indexed.fewest)
		}
	}
	if s.seen == nil {
		s.seed, s.seen = maphash.MakeSeed(), map[uint64]struct{}{}
	}
	clear(s.seen)
}

// The bound of the search: so many times the text, and some bytes; of
// long texts less.
const (
	budgetTimes = 64
	budgetMore  = 8 << 10
	budgetLong  = 512 << 10
)

// search looks at the text and at its decoded forms, the plainest first.
func (s *scratch) search(text string) {
	s.left = min(budgetTimes*len(text)+budgetMore, 8*len(text)+budgetLong)
	s.look(view{text: text})
	for at := 0; at < len(s.queue); at++ {
		s.open(s.queue[at])
	}
	clear(s.queue)
}

// look searches a view as it stands and queues it.
func (s *scratch) look(view view) {
	if s.left -= len(view.text) + 64; s.left < 0 {
		return
	}
	key := s.key(view)
	if _, ok := s.seen[key]; ok {
		return
	}
	s.seen[key] = struct{}{}
	s.find(view)
	if view.depth < layers && len(view.text) >= 2*s.least {
		s.queue = append(s.queue, view)
	}
}

// key tells a view from others: the same text from elsewhere is another one,
// and has its own hits.
func (s *scratch) key(view view) uint64 {
	const prime = 1099511628211
	key := maphash.String(s.seed, view.text)
	for i, from := range view.from {
		key = key*prime ^ uint64(from)<<32 ^ uint64(view.to[i])
	}
	if view.coded {
		key = ^key
	}
	return key
}

// open looks behind a view.
func (s *scratch) open(view view) {
	eachDecoded(view, false, s.look)
	if view.depth >= layers-1 {
		return
	}
	if w, ok := spaced(view); ok {
		s.look(w)
	}
	for _, base := range listBases(view.text, max(4, s.least)) {
		if w, ok := numbers(view, base, max(4, s.least)); ok {
			s.look(w)
		}
	}
	for _, code := range codes {
		s.decode(view, code)
	}
	s.widen(view)
}

// decode looks at what the runs of a code's letters stand for.
func (s *scratch) decode(view view, code *code) {
	s.runs = code.runs(view.text, (8*s.least+code.bits-1)/code.bits, s.runs)
	if len(s.runs) == 0 {
		return
	}
	for skip := range code.alignments() {
		builder := &s.decoded
		builder.reset(view)
		for _, run := range s.runs {
			code.decode(run, skip, builder)
		}
		s.bytes(builder)
	}
}

// bytes searches decoded bytes, and goes deeper where they are text.
func (s *scratch) bytes(builder *builder) {
	view := builder.view()
	view.coded = true
	if s.left -= len(view.text); s.left < 0 {
		return
	}
	s.find(view)
	s.widen(view)
	if texts := builder.texts(s.least + 1); len(texts.text) > 0 {
		view := texts.view()
		view.coded = true
		s.look(view)
	}
}

// widen searches bytes as UTF-16, which is rich in zeros. Of ASCII in UTF-16 the
// normal form is that of ASCII.
func (s *scratch) widen(view view) {
	if !s.wide || 8*strings.Count(view.text, "\x00") < len(view.text) {
		return
	}
	for _, order := range [...]binary.ByteOrder{binary.LittleEndian, binary.BigEndian} {
		for at := range 2 {
			if s.left -= len(view.text); s.left < 0 {
				return
			}
			s.find(wide(view, order, at))
		}
	}
}

// find notes the secrets that stand in a view.
func (s *scratch) find(view view) {
	s.units.fold(view, s.wide)
	s.units.windows(s.findPiece)
	if s.whole {
		for _, indexed := range s.tables {
			s.findWhole(indexed.table, s.units, view.coded)
		}
	}
}

func (s *scratch) findPiece(roller *roller, _ int) {
	key := roller.key()
	for _, indexed := range s.tables {
		strong := indexed.pieces.has(key)
		if !strong && !indexed.weak.has(key) {
			continue
		}
		at := roller.span()
		at.weak = !strong
		s.hits = append(s.hits, at)
	}
}

func (s *scratch) findWhole(table *table, in stream, coded bool) {
	for _, count := range table.lengths {
		for i := 0; i+count <= len(in); i++ {
			rule, ok := table.wholes[wholeKey(in[i:i+count])]
			if ok && rule.allows(in, i, i+count, coded) {
				s.hits = append(s.hits, span{from: int(in[i].from), to: int(in[i+count-1].to)})
			}
		}
	}
}
