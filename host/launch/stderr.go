package launch

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
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

	dropped *atomic.Int64 // counts lines that were dropped

	mu    sync.Mutex
	last  []string // scrubbed
	fatal string   // the newest of all that say why a program of Go dies
}

// The bounds of standard error.
const (
	readBytes = 64 << 10 // of a line read at once; of them twice maxLine are looked at
	keepLines = 200
	tellBytes = 16 << 10 // of the kept lines, in the account of a death
	keepBytes = 1 << 10  // of each
	maxRate   = 1000     // lines logged a second
)

// read passes lines on. The plugin never waits for it: what cannot be scrubbed in
// time is dropped, and counted.
func (t *tail) read() {
	defer func() { _ = t.from.Close() }()
	lines := newBacklog(t.redact.Noted, t.dropped)
	go func() {
		defer lines.end()
		eachLine(bufio.NewReaderSize(t.from, readBytes), lines.put)
	}()
	var rate limiter
	for line, ok := lines.take(); ok; line, ok = lines.take() {
		t.take(line)
		fresh, wait := rate.next(time.Now())
		if fresh {
			t.complain(lines.left())
		}
		if wait > 0 {
			lines.rest(wait)
		}
	}
	t.complain(lines.left())
}

// take passes a line on.
func (t *tail) take(line placed) {
	scrubbed := valid(t.redact.ScrubBetween(line.before, line.text, line.next))
	t.keep(scrubbed)
	t.pass(scrubbed)
}

// carried is how many bytes around a line are looked at with it.
const carried = 256

func (t *tail) complain(dropped int64) {
	if dropped > 0 {
		t.log.Warn("plugin writes too much, lines were dropped", "lines", dropped)
		if t.file != nil {
			t.file(fmt.Sprintf("rekey: %d lines dropped: the plugin writes too much", dropped))
		}
	}
}

// limiter lets maxRate lines a second through.
type limiter struct {
	second time.Time
	count  int
}

// next counts a line. It returns whether a second began with it, and how long the next
// line has to wait.
func (l *limiter) next(now time.Time) (fresh bool, wait time.Duration) {
	if fresh = now.Sub(l.second) >= time.Second; fresh {
		*l = limiter{second: now}
	}
	if l.count++; l.count >= maxRate {
		wait = l.second.Add(time.Second).Sub(now)
	}
	return fresh, wait
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
	if fatal(text) {
		t.fatal = text
	}
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
func (t *tail) words() string {
	lines := t.lines()
	if panicked(lines) == "" && dumped(lines) { // the begin of the stacks is not among them any more
		t.mu.Lock()
		defer t.mu.Unlock()
		return shorten(t.fatal, maxNoise)
	}
	return shorten(cause(lines), maxNoise)
}

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
