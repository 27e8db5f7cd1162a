package scrub

import (
	"cmp"
	"slices"
	"unicode/utf8"

	"github.com/rekey-host/rekey/sdk/secret"
)

// table finds a set of secrets. Of pieces it holds hashes: they are small, and
// secrets that begin alike cost no more than others.
type table struct {
	values   []secret.Value // only appended to
	shortest int            // bytes of the shortest text that may hold one
	passing  bool           // of a generation: another as large follows

	indexed int
	folded  map[string]struct{} // what was indexed: of a user's operations several have one secret
	pieces  set
	weak    set             // pieces that count beside others only
	wholes  map[uint64]rule // by wholeKey of the normal form
	lengths []int           // of wholes in units, in order
	fewest  int             // characters of a whole; 0: no whole
	wide    bool            // whether a secret has characters outside of ASCII
}

func (t *table) note(value secret.Value) {
	if count := shortest(value.Reveal()); len(t.values) == 0 || count < t.shortest {
		t.shortest = count
	}
	t.values = append(t.values, value)
}

// shortest is at most how many bytes a text has that holds a secret: what has
// no blanks counts, and of other alphabets nothing, because a form in fewer
// bytes may exist.
func shortest(text string) int {
	count := 0
	for i := 0; i < len(text) && count < window; i++ {
		if text[i] > ' ' && text[i] != '+' && text[i] < utf8.RuneSelf {
			count++
		}
	}
	return max(1, count)
}

// index folds the secrets that came since the last call.
func (t *table) index(values []secret.Value) {
	var f stream
	if t.folded == nil {
		t.folded = map[string]struct{}{}
	}
	for ; t.indexed < len(values); t.indexed++ {
		name := values[t.indexed].Reveal()
		if _, ok := t.folded[name]; ok {
			continue
		}
		t.folded[name] = struct{}{}
		t.wide = t.wide || !ascii(name)
		for _, text := range plainForms(name) {
			t.add(&f, text)
		}
	}
}

func ascii(text string) bool {
	for i := range len(text) {
		if text[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

// add indexes one form of a secret.
func (t *table) add(stream *stream, text string) {
	stream.fold(view{text: text}, true)
	worded, pieces := stream.worded(), 0
	stream.windows(func(w *roller, at int) {
		if at > dense && at%window != 0 {
			return
		}
		if worded && ordinary(w.units()) {
			t.weak.add(w.key())
			return
		}
		t.pieces.add(w.key())
		pieces++
	})
	if seen := count(*stream, visible); pieces == 0 && seen > 0 {
		t.addWhole(*stream)
		t.fewest = min(cmp.Or(t.fewest, seen), seen)
	}
}

func visible(letter rune) bool { return letter != ' ' && !mark(letter) }

// dense is how many units of a secret are indexed at every place; of the rest
// every eighth window is, which covers any longer piece without a gap.
const dense = 4096

func (t *table) addWhole(units stream) {
	if t.wholes == nil {
		t.wholes = map[uint64]rule{}
	}
	t.wholes[wholeKey(units)] = ruleOf(units)
	if at, ok := slices.BinarySearch(t.lengths, len(units)); !ok {
		t.lengths = slices.Insert(t.lengths, at, len(units))
	}
}

func wholeKey(units stream) (key uint64) {
	for _, unit := range units {
		key = (key + uint64(unit.is)) * factor
	}
	return mix(key)
}

// rule says where a secret found whole counts.
type rule uint8

const (
	anywhere    rule = iota
	amongOthers      // not next to a letter, of letters; not next to a digit, of digits
	asWord           // not next to a letter or a digit
	quoted           // between quotes, or after = or : and before the end of the word
)

func ruleOf(units stream) rule {
	switch letters, digits := count(units, letter), count(units, digit); {
	case len(units) == 1:
		return quoted
	case len(units) < 4:
		return asWord
	case letters == len(units), digits == len(units):
		return amongOthers
	}
	return anywhere
}

func count(units stream, is func(rune) bool) (count int) {
	for _, unit := range units {
		if is(unit.is) {
			count++
		}
	}
	return count
}

// allows reports whether the rule lets units from..to of a stream count. What
// was decoded from an alphabet of bytes has no words, but chance in it.
func (r rule) allows(units stream, from, to int, coded bool) bool {
	before, after := barrier, barrier
	if from > 0 {
		before = units[from-1].is
	}
	if to < len(units) {
		after = units[to].is
	}
	switch {
	case coded && to-from > 4:
		return true
	case coded && r >= asWord:
		return to-from > 1 && before == barrier && after == barrier
	case r == amongOthers:
		is := digit
		if letter(units[from].is) {
			is = letter
		}
		return !is(before) && !is(after)
	case r == asWord:
		return !wordly(before) && !wordly(after)
	case r == quoted:
		return slices.Contains([]rune("\"'`=:"), before) && !wordly(after)
	}
	return true
}

func wordly(char rune) bool { return letter(char) || digit(char) || char == '_' }

// set is a set of hashes.
type set struct {
	slots []uint64 // 0: free
	n     int
}

func (s *set) add(key uint64) {
	if 2*s.n >= len(s.slots) {
		s.grow()
	}
	count := s.place(key)
	if s.slots[count] == 0 {
		s.slots[count] = key
		s.n++
	}
}

func (s *set) has(key uint64) bool { return s.n > 0 && s.slots[s.place(key)] == key }

// place is where the key is, or would be.
func (s *set) place(key uint64) uint64 {
	mask := uint64(len(s.slots) - 1)
	count := key & mask
	for s.slots[count] != 0 && s.slots[count] != key {
		count = (count + 1) & mask
	}
	return count
}

// reserve gives an empty set its room at once. Growing costs as much as filling.
func (s *set) reserve(slots int) {
	if len(s.slots) == 0 && slots > 0 {
		s.slots = make([]uint64, slots)
	}
}

func (s *set) grow() {
	old := s.slots
	s.slots, s.n = make([]uint64, max(64, 2*len(old))), 0
	for _, key := range old {
		if key != 0 {
			s.add(key)
		}
	}
}
