package launch

import (
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// backlog holds the lines that wait to be scrubbed, which takes longer than a
// plugin needs to write them: the newest, of the older ones the number. Who puts a
// line never waits.
type backlog struct {
	noted   func() uint64 // how many secrets have come so far
	dropped *atomic.Int64 // counts the lines that were dropped

	mu        sync.Mutex
	waiting   []waiting
	bytes     int
	before    string  // the end of what stood before the first of them, as it is: a secret may go over a line's end
	fatal     *placed // the newest of those dropped that say why a program dies
	fatalCame uint64  // how many secrets had come when that line came
	told      int64   // how many had been dropped when it was last asked

	came  chan struct{} // of one element: a line
	ended chan struct{} // closed after the last line
}

// waiting is a line as it came.
type waiting struct {
	text  string // its begin, as much as is looked at
	end   string // its last bytes
	noted uint64 // see backlog
}

// placed is a line with what stands around it, all as it came.
type placed struct{ before, text, next string }

// The bounds of a backlog. The lines that an account of a death shows fit; so many
// secrets later those of a line may be forgotten, so it is dropped.
const (
	waitLines = keepLines + 56
	waitBytes = 512 << 10
	waitNotes = 2048
)

func newBacklog(noted func() uint64, dropped *atomic.Int64) *backlog {
	return &backlog{noted: noted, dropped: dropped, told: dropped.Load(), came: make(chan struct{}, 1), ended: make(chan struct{})}
}

// put adds a line, in the place of older ones if need be.
func (b *backlog) put(text string) {
	made := waiting{text: text, end: text[max(0, len(text)-carried):], noted: b.noted()}
	if len(text) > 2*maxLine {
		made.text, made.end = strings.Clone(text[:2*maxLine]), strings.Clone(made.end) // the rest is not held for them
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.waiting, b.bytes = append(b.waiting, made), b.bytes+len(made.text)
	for len(b.waiting) > waitLines || b.bytes > waitBytes {
		b.drop()
	}
	select {
	case b.came <- struct{}{}:
	default:
	}
}

// end says that no line comes any more.
func (b *backlog) end() { close(b.ended) }

// hasEnded reports whether no line comes any more.
func (b *backlog) hasEnded() bool {
	select {
	case <-b.ended:
		return true
	default:
		return false
	}
}

// rest waits, but not beyond the last line.
func (b *backlog) rest(span time.Duration) {
	select {
	case <-time.After(span):
	case <-b.ended:
	}
}

// drop takes the oldest line off, and counts it, but for the first line of a long
// account of a death. The caller holds the lock.
func (b *backlog) drop() {
	came := b.waiting[0].noted
	line := b.first()
	if !fatal(line.text) {
		b.dropped.Add(1)
		return
	}
	if b.fatal != nil {
		b.dropped.Add(1)
	}
	b.fatal, b.fatalCame = &line, came
}

// first takes the oldest line off. The caller holds the lock.
func (b *backlog) first() placed {
	line := b.waiting[0]
	b.waiting[0] = waiting{}
	b.waiting, b.bytes = b.waiting[1:], b.bytes-len(line.text)
	made := placed{before: b.before, text: line.text}
	b.before += line.end + "\n"
	b.before = b.before[max(0, len(b.before)-carried):]
	if len(b.waiting) > 0 {
		next := b.waiting[0].text
		made.next = "\n" + next[:min(len(next), carried)]
	}
	return made
}

// holdLine is how long a line waits for the next one.
const holdLine = 20 * time.Millisecond

// take waits for the oldest line, and a moment for the one after it, because a secret
// may go over its end. It returns false after the last.
func (b *backlog) take() (line placed, ok bool) {
	var hold <-chan time.Time
	for held := false; ; {
		ended := b.hasEnded() // before it is looked whether a line waits
		line, count := b.next(held || ended)
		switch {
		case count > 1 || count == 1 && (held || ended):
			return line, true
		case count == 1 && hold == nil:
			hold = time.After(holdLine)
		case count == 0 && ended:
			return placed{}, false
		}
		select {
		case <-b.came:
		case <-b.ended:
		case <-hold:
			held = true
		}
	}
}

// next takes the oldest line that may still be scrubbed, but not the only one unless
// alone. It returns how many there were, and more than one if it took any other.
func (b *backlog) next(alone bool) (line placed, count int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for now := b.noted(); len(b.waiting) > 0 && now-b.waiting[0].noted > waitNotes; {
		b.first()
		b.dropped.Add(1)
	}
	if b.fatal != nil && b.noted()-b.fatalCame > waitNotes { // its secrets may be forgotten
		b.fatal = nil
		b.dropped.Add(1)
	}
	if b.fatal != nil {
		line, b.fatal = *b.fatal, nil
		return line, len(b.waiting) + 2
	}
	if count = len(b.waiting); count > 1 || count == 1 && alone {
		line = b.first()
	}
	return line, count
}

// left returns how many lines were dropped since it was last asked.
func (b *backlog) left() int64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := b.dropped.Load()
	count := now - b.told
	b.told = now
	return count
}
