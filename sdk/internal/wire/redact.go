package wire

import (
	"hash/maphash"
	"slices"
	"strings"
	"sync"

	"github.com/rekey-host/rekey/sdk"
	"github.com/rekey-host/rekey/sdk/secret"
)

// Redactor scrubs secrets from texts. It finds a secret in the clear, in
// base64 (standard and URL alphabet, padded or not, and from five bytes on also
// in the middle of a longer text as in a Basic header), in hex of either case, as UTF-16LE and
// that in base64 and hex, and all of these behind up to two layers of
// percent-encoding, backslash escapes (Go, JSON, C) and XML entities.
//
// A secret of two or three bytes is found only where it stands as a word of
// its own, because its letters stand in every text; one of a single byte only
// between quotes or after = or :, for the same reason. An empty one is nothing.
//
// It remembers the secrets of operations for a while: the last 4096 at least,
// which is more than can be in flight. Remembering is cheap and waits for
// nobody who scrubs; the forms are made when the first text has to be scrubbed
// that is long enough to hold one. The zero Redactor is ready for use by many
// goroutines.
type Redactor struct {
	mu       sync.Mutex
	known    map[string]bool // of kept
	kept     *table
	current  *table
	previous *table

	finding sync.Mutex // of the forms of the tables
}

// generation is how many secrets of operations a table takes.
const generation = 4096

// Keep remembers secrets for good: those of settings.
func (r *Redactor) Keep(values ...secret.Value) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, v := range values {
		if s := v.Reveal(); s != "" && !r.known[s] {
			if r.known == nil {
				r.known, r.kept = map[string]bool{}, &table{}
			}
			r.known[s] = true
			r.kept.note(v)
		}
	}
}

// Note remembers the secrets of an operation for a while.
func (r *Redactor) Note(values ...secret.Value) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, v := range values {
		if v.Empty() {
			continue
		}
		if r.current == nil || len(r.current.values) >= generation {
			r.previous, r.current = r.current, &table{}
		}
		r.current.note(v)
	}
}

// Scrub returns the text with every secret that it remembers replaced.
func (r *Redactor) Scrub(text string) string {
	if text == "" {
		return ""
	}
	tables := r.tables(len(text))
	if len(tables) == 0 {
		return text
	}
	r.finding.Lock()
	defer r.finding.Unlock()
	for _, t := range tables {
		t.index(t.fresh)
	}
	var hits []span
	eachView(view{text: text}, layers, func(v view) {
		for _, t := range tables {
			hits = t.find(v, hits)
		}
	})
	return cut(text, hits)
}

// fresh is a table and the secrets that it holds now.
type fresh struct {
	*table
	fresh []secret.Value
}

// tables returns those with a form that fits a text of n bytes.
func (r *Redactor) tables(n int) []fresh {
	r.mu.Lock()
	defer r.mu.Unlock()
	var out []fresh
	for _, t := range []*table{r.kept, r.current, r.previous} {
		if t != nil && t.shortest <= n {
			out = append(out, fresh{t, t.values})
		}
	}
	return out
}

// Error returns a copy with scrubbed texts, each on one line; nil for nil.
func (r *Redactor) Error(e *sdk.Error) *sdk.Error {
	if e == nil {
		return nil
	}
	c := *e
	c.Message, c.Native = r.line(e.Message), r.line(e.Native)
	c.Violations = slices.Clone(e.Violations)
	for i := range c.Violations {
		c.Violations[i].Native, c.Violations[i].Message = r.line(c.Violations[i].Native), r.line(c.Violations[i].Message)
	}
	return &c
}

// Receipt returns the receipt with scrubbed texts, each on one line.
func (r *Redactor) Receipt(x sdk.Receipt) sdk.Receipt {
	x.Err, x.Ref, x.Stamp = r.Error(x.Err), r.line(x.Ref), r.line(x.Stamp)
	return x
}

// Finding returns the finding with scrubbed texts, each on one line.
func (r *Redactor) Finding(f sdk.Finding) sdk.Finding {
	f.Message, f.Fix = r.line(f.Message), r.line(f.Fix)
	return f
}

// line scrubs first: a secret may have line ends.
func (r *Redactor) line(text string) string { return Line(r.Scrub(text)) }

// span is a piece of a text.
type span struct{ from, to int }

// cut replaces pieces of a text, which may overlap.
func cut(text string, pieces []span) string {
	if len(pieces) == 0 {
		return text
	}
	slices.SortFunc(pieces, func(a, b span) int { return a.from - b.from })
	var out strings.Builder
	end := 0
	for i := 0; i < len(pieces); {
		from, to := pieces[i].from, pieces[i].to
		for i++; i < len(pieces) && pieces[i].from <= to; i++ {
			to = max(to, pieces[i].to)
		}
		out.WriteString(text[end:from])
		out.WriteString(secret.Redacted)
		end = to
	}
	out.WriteString(text[end:])
	return out.String()
}

// table finds the forms of a set of secrets in a text. Of forms it holds hashes:
// they are small, and secrets that begin alike cost no more than others.
type table struct {
	values   []secret.Value // only appended to
	shortest int            // bytes of the shortest form

	indexed int
	seed    maphash.Seed
	rules   map[uint64]rule  // by the hash of a form
	lengths []int            // of forms, in order
	maybe   *[1 << 15]uint64 // a bit for the first four bytes of each form, so that most places cost no hash
	short   map[string]form  // forms of less than four bytes
}

func (t *table) note(v secret.Value) {
	if n := shortest(v.Reveal()); len(t.values) == 0 || n < t.shortest {
		t.shortest = n
	}
	t.values = append(t.values, v)
}

// index makes the forms of the secrets that came since the last call.
func (t *table) index(values []secret.Value) {
	for ; t.indexed < len(values); t.indexed++ {
		for _, f := range formsOf(values[t.indexed].Reveal()) {
			t.add(f)
		}
	}
}

func (t *table) add(f form) {
	if len(f.text) < 4 {
		if t.short == nil {
			t.short = map[string]form{}
		}
		t.short[f.text] = f
		return
	}
	if t.rules == nil {
		t.seed, t.rules, t.maybe = maphash.MakeSeed(), map[uint64]rule{}, new([1 << 15]uint64)
	}
	hash := maphash.String(t.seed, f.text)
	if have, ok := t.rules[hash]; ok && have <= f.rule {
		return
	}
	t.rules[hash] = f.rule
	if at, ok := slices.BinarySearch(t.lengths, len(f.text)); !ok {
		t.lengths = slices.Insert(t.lengths, at, len(f.text))
	}
	bit := mix(f.text)
	t.maybe[bit>>6] |= 1 << (bit & 63)
}

// find appends the pieces of the source text that hold a secret in this view.
func (t *table) find(v view, hits []span) []span {
	for i := 0; t.maybe != nil && i+4 <= len(v.text); i++ {
		if bit := mix(v.text[i:]); t.maybe[bit>>6]&(1<<(bit&63)) != 0 {
			hits = t.at(v, i, hits)
		}
	}
	for text, f := range t.short {
		for i := 0; ; i++ {
			n := strings.Index(v.text[i:], text)
			if n < 0 {
				break
			}
			i += n
			if f.rule.allows(v.text, i, i+len(text)) {
				hits = append(hits, span{v.source(i), v.source(i + len(text))})
			}
		}
	}
	return hits
}

// at appends the forms that stand at place i of a view.
func (t *table) at(v view, i int, hits []span) []span {
	for _, n := range t.lengths {
		if i+n > len(v.text) {
			break
		}
		if rule, ok := t.rules[maphash.String(t.seed, v.text[i:i+n])]; ok && rule.allows(v.text, i, i+n) {
			hits = append(hits, span{v.source(i), v.source(i + n)})
		}
	}
	return hits
}

// mix spreads the first four bytes of a text over the 21 bits of table.maybe.
func mix(s string) uint32 {
	return (uint32(s[0]) | uint32(s[1])<<8 | uint32(s[2])<<16 | uint32(s[3])<<24) * 2654435761 >> 11
}
