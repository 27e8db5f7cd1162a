package scrub

import (
	"slices"
	"strings"
	"sync"

	"github.com/rekey-host/rekey/sdk/secret"
)

// MaxText is the most bytes of a text that scrubbing reads. The rest is cut off.
const MaxText = 64 << 10

// Redactor scrubs secrets from texts.
//
// It remembers the secrets of operations for a while: the last 4096 at least,
// which is more than can be in flight. Remembering is cheap and waits for
// no caller that scrubs; secrets are folded when the first text long enough to
// hold one has to be scrubbed. The zero Redactor is ready for use by many
// goroutines.
type Redactor struct {
	mu       sync.Mutex
	known    map[string]bool // of kept
	kept     *table
	current  *table
	previous *table
	noted    uint64 // how many secrets of operations came

	finding   sync.RWMutex // of what the tables have indexed
	room      int          // slots that the pieces of a generation took
	scratches sync.Pool    // of *scratch
}

// generation is how many secrets of operations a table takes.
const generation = 4096

// Keep remembers secrets for good: those of settings.
func (r *Redactor) Keep(values ...secret.Value) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, value := range values {
		if text := value.Reveal(); text != "" && !r.known[text] {
			if r.known == nil {
				r.known, r.kept = map[string]bool{}, &table{}
			}
			r.known[text] = true
			r.kept.note(value)
		}
	}
}

// Note remembers the secrets of an operation for a while.
func (r *Redactor) Note(values ...secret.Value) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, value := range values {
		if value.Empty() {
			continue
		}
		if r.current == nil || len(r.current.values) >= generation {
			r.previous, r.current = r.current, &table{passing: true}
		}
		r.current.note(value)
		r.noted++
	}
}

// Noted returns how many secrets of operations came so far. What was written when it
// was another number can be scrubbed of those of its time as long as it has grown by
// less than 4096.
func (r *Redactor) Noted() uint64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.noted
}

// Scrub returns the text with every secret that it remembers replaced.
func (r *Redactor) Scrub(text string) string { return r.scrub(text, question{}) }

// ScrubName is Scrub for what names something: of it only pieces of eight
// characters are replaced, so that a short secret that happens to be a word
// does not make another name of it. Where the requested name stands
// in the text, it stays.
func (r *Redactor) ScrubName(text, asked string) string {
	if asked != "" && strings.EqualFold(text, asked) {
		return text
	}
	return r.scrub(text, question{pieces: true, asked: asked})
}

// ScrubBetween is Scrub for one piece of what comes in pieces: of a secret that
// began in what was before, or ends in what comes after, it cuts out the part in
// the text.
func (r *Redactor) ScrubBetween(before, text, after string) string {
	return r.scrub(text, question{before: before, after: after})
}

// question is what a text is searched for.
type question struct {
	pieces bool   // no short secrets
	asked  string // a name that may stand in it
	before string // what stood before it
	after  string // what comes after
}

func (r *Redactor) scrub(text string, question question) string {
	rest := ""
	if len(text) > MaxText {
		text, rest = strings.ToValidUTF8(text[:MaxText], ""), "…"
	}
	if text == "" {
		return text
	}
	whole := question.before + text + question.after
	tables := r.tables(len(whole))
	if len(tables) == 0 {
		return text + rest
	}
	r.index(tables)
	return cut(whole, r.find(whole, tables, question), len(question.before), len(question.before)+len(text)) + rest
}

// index folds the secrets that came since the last text.
func (r *Redactor) index(tables []indexed) {
	if r.allIndexed(tables) {
		return
	}
	r.finding.Lock()
	defer r.finding.Unlock()
	for _, indexed := range tables {
		if indexed.passing {
			indexed.pieces.reserve(r.room)
		}
		indexed.index(indexed.values)
		if indexed.passing {
			r.room = len(indexed.pieces.slots)
		}
	}
}

func (r *Redactor) allIndexed(tables []indexed) bool {
	r.finding.RLock()
	defer r.finding.RUnlock()
	for _, indexed := range tables {
		if indexed.indexed < len(indexed.values) {
			return false
		}
	}
	return true
}

// find returns the pieces of the text that hold secrets.
func (r *Redactor) find(text string, tables []indexed, question question) []span {
	s, ok := r.scratches.Get().(*scratch)
	if !ok {
		s = &scratch{}
	}
	defer r.scratches.Put(s)
	r.finding.RLock()
	defer r.finding.RUnlock()
	s.begin(tables, question)
	s.search(text)
	return spare(text, question.asked, slices.Clone(s.hits)) // s serves the next text at once
}

// indexed is a table and the secrets that it holds now.
type indexed struct {
	*table
	values []secret.Value
}

// tables returns those with a secret that fits a text of count bytes.
func (r *Redactor) tables(count int) []indexed {
	r.mu.Lock()
	defer r.mu.Unlock()
	var out []indexed
	for _, t := range [...]*table{r.kept, r.current, r.previous} {
		if t != nil && t.shortest <= count {
			out = append(out, indexed{t, t.values})
		}
	}
	return out
}
