package wire

import (
	"slices"
	"strings"
	"sync"

	"github.com/rekey-host/rekey/sdk"
	"github.com/rekey-host/rekey/sdk/secret"
)

// Redactor scrubs secrets from texts. It finds a secret in the clear, in
// base64 (standard and URL alphabet, padded or not, also in the middle of a
// longer text as in a Basic header), in hex of either case, as UTF-16LE and
// that in base64 and hex, and all of these behind up to two layers of
// percent-encoding, backslash escapes (Go, JSON, C) and XML entities.
//
// A secret of two or three bytes is found only where it stands as a word of
// its own, because its letters stand in every text; one of a single byte only
// between quotes or after = or :, for the same reason. An empty one is nothing.
//
// It remembers the secrets of operations for a while: the last 4096 at least,
// which is more than can be in flight. Remembering is cheap; the forms are made
// when the first text has to be scrubbed. The zero Redactor is ready for use by
// many goroutines.
type Redactor struct {
	mu       sync.Mutex
	kept     table
	known    map[string]bool // of kept
	current  table
	previous table
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
				r.known = map[string]bool{}
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
		if !v.Present() {
			continue
		}
		if len(r.current.values) >= generation {
			r.previous, r.current = r.current, table{}
		}
		r.current.note(v)
	}
}

// Scrub returns the text with every secret that it remembers replaced.
func (r *Redactor) Scrub(text string) string {
	if text == "" {
		return ""
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	var hits []span
	for _, t := range []*table{&r.kept, &r.current, &r.previous} {
		if len(t.values) > 0 && len(text) >= t.shortest {
			t.index()
			eachView(view{text: text}, layers, func(v view) { hits = t.find(v, hits) })
		}
	}
	return cut(text, hits)
}

// Error returns a copy with scrubbed texts; nil for nil.
func (r *Redactor) Error(e *sdk.Error) *sdk.Error {
	if e == nil {
		return nil
	}
	c := *e
	c.Message, c.Native = r.Scrub(e.Message), r.Scrub(e.Native)
	c.Violations = slices.Clone(e.Violations)
	for i := range c.Violations {
		c.Violations[i].Native, c.Violations[i].Message = r.Scrub(c.Violations[i].Native), r.Scrub(c.Violations[i].Message)
	}
	return &c
}

// Receipt returns the receipt with scrubbed texts.
func (r *Redactor) Receipt(x sdk.Receipt) sdk.Receipt {
	x.Err, x.Ref, x.Stamp = r.Error(x.Err), r.Scrub(x.Ref), r.Scrub(x.Stamp)
	return x
}

// Finding returns the finding with scrubbed texts.
func (r *Redactor) Finding(f sdk.Finding) sdk.Finding {
	f.Message, f.Fix = r.Scrub(f.Message), r.Scrub(f.Fix)
	return f
}

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

// table finds the forms of a set of secrets in a text.
type table struct {
	values   []secret.Value
	shortest int // no form of any value has less bytes: a stamp costs no index
	indexed  int
	grams    map[uint32][]form // by the first four bytes
	maybe    *[1 << 10]uint64  // a bit for each gram, so that most places cost no lookup
	short    map[string]form   // forms of less than four bytes
}

// trimmed is how many bytes a form may have less than its value: base64 in the
// middle of a longer text loses its ends, but is a third longer.
const trimmed = 4

func (t *table) note(v secret.Value) {
	if n := max(1, len(v.Reveal())-trimmed); len(t.values) == 0 || n < t.shortest {
		t.shortest = n
	}
	t.values = append(t.values, v)
}

// index makes the forms of the secrets that came since the last call.
func (t *table) index() {
	for ; t.indexed < len(t.values); t.indexed++ {
		for _, f := range formsOf(t.values[t.indexed].Reveal()) {
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
	if t.grams == nil {
		t.grams, t.maybe = map[uint32][]form{}, new([1 << 10]uint64)
	}
	g := gram(f.text)
	for _, have := range t.grams[g] {
		if have.text == f.text {
			return
		}
	}
	t.grams[g] = append(t.grams[g], f)
	bit := mix(g)
	t.maybe[bit>>6] |= 1 << (bit & 63)
}

// find appends the pieces of the source text that hold a secret in this view.
func (t *table) find(v view, hits []span) []span {
	if t.grams != nil {
		for i := 0; i+4 <= len(v.text); i++ {
			g := gram(v.text[i:])
			if bit := mix(g); t.maybe[bit>>6]&(1<<(bit&63)) == 0 {
				continue
			}
			for _, f := range t.grams[g] {
				hits = f.at(v, i, hits)
			}
		}
	}
	for text, f := range t.short {
		for i := 0; ; i++ {
			n := strings.Index(v.text[i:], text)
			if n < 0 {
				break
			}
			i += n
			hits = f.at(v, i, hits)
		}
	}
	return hits
}

func gram(s string) uint32 {
	return uint32(s[0]) | uint32(s[1])<<8 | uint32(s[2])<<16 | uint32(s[3])<<24
}

// mix spreads a gram over the 16 bits of table.maybe.
func mix(g uint32) uint32 { return g * 2654435761 >> 16 }
