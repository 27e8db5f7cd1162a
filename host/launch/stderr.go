package launch

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"iter"
	"maps"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/rekey-host/rekey/sdk/dial"
)

// tail reads a plugin's standard error: lines go to the log with their own
// level, scrubbed and at a bounded rate, and the last ones are kept for the
// account of a death.
type tail struct {
	from   *os.File
	redact *dial.Redactor
	log    hclog.Logger
	echo   io.Writer         // gets the lines too; may be nil
	file   func(text string) // and so does it; nil: none

	before string // the end of what was read, as it is: a secret may go over a line's end

	mu   sync.Mutex
	last []string // scrubbed
}

// The bounds of standard error.
const (
	readBytes = 64 << 10 // of a line read at once; of them twice maxLine are looked at
	keepLines = 200
	tellBytes = 16 << 10 // of the kept lines, in the account of a death
	keepBytes = 1 << 10  // of each
	maxRate   = 1000     // lines logged a second
)

// read passes lines on. One is held for a moment, because a secret may go over
// its end: what comes next tells.
func (t *tail) read() {
	defer func() { _ = t.from.Close() }()
	lines := make(chan string)
	go func() {
		defer close(lines)
		eachLine(bufio.NewReaderSize(t.from, readBytes), func(text string) { lines <- text })
	}()
	rate := limiter{}
	for held := range pairs(lines) {
		t.take(&rate, held.text, held.next)
	}
	t.complain(rate.dropped)
}

// pair is a line and the one that came within a moment after it.
type pair struct{ text, next string }

// holdLine is how long a line waits for the next one.
const holdLine = 20 * time.Millisecond

// pairs yields each line with the next.
func pairs(lines <-chan string) iter.Seq[pair] {
	return func(yield func(pair) bool) {
		text, ok := <-lines
		for ok {
			select {
			case next, more := <-lines:
				yield(pair{text, next})
				text, ok = next, more
			case <-time.After(holdLine):
				yield(pair{text: text})
				text, ok = <-lines
			}
		}
	}
}

// take passes a line on, if it may pass.
func (t *tail) take(rate *limiter, text, next string) {
	scrubbed := t.between(text, next)
	t.keep(scrubbed)
	ok, dropped := rate.allow(time.Now())
	t.complain(dropped)
	if ok {
		t.pass(scrubbed)
	}
}

// carried is how many bytes around a line are looked at with it.
const carried = 256

// between returns a line scrubbed, and remembers it for the next.
func (t *tail) between(text, next string) string {
	before := t.before
	t.before = before + text + "\n"
	t.before = t.before[max(0, len(t.before)-carried):]
	if next != "" {
		next = "\n" + next[:min(len(next), carried)]
	}
	return valid(t.redact.ScrubBetween(before, text[:min(len(text), 2*maxLine)], next))
}

func (t *tail) complain(dropped int) {
	if dropped > 0 {
		t.log.Warn("plugin writes too much, lines were dropped", "lines", dropped)
		if t.file != nil {
			t.file(fmt.Sprintf("rekey: %d lines more in a second than are kept", dropped))
		}
	}
}

// limiter lets maxRate lines a second through.
type limiter struct {
	second  time.Time
	n       int
	dropped int
}

// allow reports whether a line may pass, and how many were held back before it.
func (l *limiter) allow(now time.Time) (ok bool, dropped int) {
	if now.Sub(l.second) >= time.Second {
		dropped = l.dropped
		*l = limiter{second: now}
	}
	if l.n++; l.n > maxRate {
		l.dropped++
		return false, 0
	}
	return true, dropped
}

// keep remembers a scrubbed line: later its secrets may be forgotten.
func (t *tail) keep(text string) {
	text = shorten(printable(text), keepBytes)
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.last) == keepLines {
		t.last = append(t.last[:0], t.last[1:]...)
	}
	t.last = append(t.last, text)
}

// lines returns the last lines, scrubbed.
func (t *tail) lines() []string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return slices.Clone(t.last)
}

// text is as many of the last lines as an account of a death has room for.
func (t *tail) text() string {
	lines := t.lines()
	first, room := len(lines), tellBytes
	for first > 0 && len(lines[first-1]) < room {
		first--
		room -= len(lines[first]) + 1
	}
	return strings.Join(lines[first:], "\n")
}

// words are why the plugin died, as far as it said so, in one line.
func (t *tail) words() string { return shorten(cause(t.lines()), maxNoise) }

// lastWords are the last line, whatever it says.
func (t *tail) lastWords() string { return shorten(last(t.lines()), maxNoise) }

// pass writes a scrubbed line to the log, to its file and to Options.Stderr. An entry that
// broke when it was scrubbed is a text like any other.
func (t *tail) pass(scrubbed string) {
	if t.echo != nil {
		_, _ = fmt.Fprintln(t.echo, shorten(scrubbed, maxLine))
	}
	e, ok := parseEntry(scrubbed)
	if !ok {
		e = entry{level: plainLevel(scrubbed), message: scrubbed}
	}
	if t.file != nil && ok {
		for _, line := range e.lines() {
			t.file(line)
		}
	} else if t.file != nil {
		t.file(scrubbed)
	}
	t.log.Log(e.level, e.message, e.args...)
}

// entry is a line in hclog's JSON format. go-plugin has a reader of its own, which
// ends the host if a message is not a text; a plugin shall not be able to do that.
type entry struct {
	level   hclog.Level
	message string
	args    []any // names and values, sorted by name
}

// lines are the entry for a file: what has lines of its own, as a stack has,
// stands below it.
func (e entry) lines() []string {
	first := strings.ToUpper(e.level.String()) + " " + oneLine(e.message)
	var rest []string
	for i := 0; i+1 < len(e.args); i += 2 {
		name, value := fmt.Sprint(e.args[i]), fmt.Sprint(e.args[i+1])
		if !strings.Contains(value, "\n") {
			first += " " + name + "=" + value
			continue
		}
		rest = append(rest, "  "+name+":")
		for line := range strings.Lines(value) {
			rest = append(rest, "  | "+strings.TrimRight(line, "\r\n"))
		}
	}
	return append([]string{first}, rest...)
}

func parseEntry(text string) (entry, bool) {
	if !strings.HasPrefix(text, "{") {
		return entry{}, false
	}
	var raw map[string]any
	if json.Unmarshal([]byte(text), &raw) != nil {
		return entry{}, false
	}
	message, ok := raw["@message"].(string)
	if !ok {
		return entry{}, false
	}
	level, _ := raw["@level"].(string)
	made := entry{level: levelOf(level), message: message}
	for _, name := range slices.Sorted(maps.Keys(raw)) {
		if !strings.HasPrefix(name, "@") {
			made.args = append(made.args, name, fmt.Sprint(raw[name]))
		}
	}
	return made, true
}

// levelOf returns Debug for a name that it does not know.
func levelOf(name string) hclog.Level {
	if level := hclog.LevelFromString(name); level != hclog.NoLevel && level != hclog.Off {
		return level
	}
	return hclog.Debug
}

// plainLevel is the level of a line outside JSON: that in front of it, as
// hclog and go-plugin take it, else Debug.
func plainLevel(text string) hclog.Level {
	name, _, tagged := strings.Cut(strings.TrimPrefix(text, "["), "]")
	if !tagged || !strings.HasPrefix(text, "[") || name != strings.ToUpper(name) {
		return hclog.Debug
	}
	return levelOf(name)
}
