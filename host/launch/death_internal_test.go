package launch

import (
	"fmt"
	"io"
	"os"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/hashicorp/go-hclog"

	"github.com/rekey-host/rekey/sdk/dial"
	"github.com/rekey-host/rekey/sdk/secret"
)

// TestTheCauseOfADeathIsFound: as Go, Python and Node print it, and as whatever
// prints its reason last.
func TestTheCauseOfADeathIsFound(t *testing.T) {
	t.Parallel()
	for want, text := range map[string]string{
		"panic: runtime error: index out of range [5] with length 3": `starting
panic: runtime error: index out of range [5] with length 3

goroutine 1 [running]:
main.main()
	/src/main.go:9 +0x1d
exit status 2`,
		"fatal error: all goroutines are asleep - deadlock!": `fatal error: all goroutines are asleep - deadlock!

goroutine 1 [chan receive]:
main.main()`,
		"ValueError: wrong": `listening
Traceback (most recent call last):
  File "/x/plugin.py", line 4, in <module>
    f()
    ~^^
KeyError: 'a'

The above exception was the direct cause of the following exception:

Traceback (most recent call last):
  File "/x/plugin.py", line 6, in <module>
    raise ValueError("wrong\nsecond line") from e
ValueError: wrong
second line
sys:1: ResourceWarning: unclosed socket`,
		"SyntaxError: invalid syntax": `  File "/x/plugin.py", line 1
    def
       ^
SyntaxError: invalid syntax`,
		"TypeError: no such account": `/x/plugin.js:1
function f(){ throw new TypeError("no such account") }
              ^

TypeError: no such account
    at f (/x/plugin.js:1:21)
    at Object.<anonymous> (/x/plugin.js:2:1)

Node.js v20.20.2`,
		"Error: Cannot find module 'nomodule'": `node:internal/modules/cjs/loader:1210
  throw err;
  ^

Error: Cannot find module 'nomodule'
Require stack:
- /x/plugin.js
    at Module._resolveFilename (node:internal/modules/cjs/loader:1207:15)
    at Function.executeUserEntryPoint [as runMain] (node:internal/modules/run_main:164:12) {
  code: 'MODULE_NOT_FOUND',
  requireStack: [ '/x/plugin.js' ]
}

Node.js v20.20.2`,
		"plain": `/x/plugin.js:1
throw "plain"
^
plain
(Use ` + "`node --trace-uncaught ...`" + ` to show where the exception was thrown)

Node.js v20.20.2`,
		"no such file: settings.json": "one\n  no such file: settings.json",
		"it is broken":                `{"@level":"error","@message":"it is\nbroken"}`,
		"":                            "",
	} {
		r, w, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		read := &tail{from: r, dropped: &atomic.Int64{}, redact: &dial.Redactor{}, log: hclog.NewNullLogger()}
		go func() { _, _ = io.WriteString(w, text); _ = w.Close() }()
		read.read()
		if got := read.words(); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

// TestTheAccountOfADeathIsBounded: the last 200 lines, and no more of them than
// fit.
func TestTheAccountOfADeathIsBounded(t *testing.T) {
	t.Parallel()
	made := &tail{redact: &dial.Redactor{}}
	for n := range 300 {
		made.keep(fmt.Sprint("line ", n))
	}
	if lines := made.lines(); len(lines) != 200 || lines[0] != "line 100" || made.text() != strings.Join(lines, "\n") {
		t.Errorf("%d lines from %q", len(lines), lines[0])
	}
	for range 300 {
		made.keep(strings.Repeat("x", 2*keepBytes))
	}
	if text := made.text(); len(text) > tellBytes || len(text) < tellBytes-2*keepBytes {
		t.Errorf("%d bytes", len(text))
	}
}

// TestAStackKeepsItsLines, without what a terminal obeys and without secrets.
func TestAStackKeepsItsLines(t *testing.T) {
	t.Parallel()
	redact := &dial.Redactor{}
	redact.Note(secret.New("Spring-1728-x"))
	got := cleanLines(redact, "goroutine 1:\r\n\tmain.set(Spring-1728-x)\x1b[2J\n\tmain.set(Spring-\x071728-x)\n")
	if strings.Count(got, "\n") != 2 || strings.ContainsAny(got, "\x1b\r\x07") || strings.Contains(got, "1728") {
		t.Errorf("%q", got)
	}
	if got := cleanLines(redact, strings.Repeat("y\n", 1<<20)); len(got) > tellBytes+4 {
		t.Errorf("%d bytes", len(got))
	}
}

// TestASignalIsNoException: what a plugin logged and lived through is not why the
// system ended it.
func TestASignalIsNoException(t *testing.T) {
	t.Parallel()
	made := &tail{redact: &dial.Redactor{}}
	for _, text := range []string{"Traceback (most recent call last):", "  File \"x.py\", line 1", "ValueError: handled", "going on"} {
		made.keep(text)
	}
	if made.words() != "ValueError: handled" || made.lastWords() != "going on" {
		t.Errorf("got %q and %q", made.words(), made.lastWords())
	}
}

// TestTheCauseIsFoundAboveManyStacks: a program of Go with many goroutines says why it
// dies thousands of lines before its end.
func TestTheCauseIsFoundAboveManyStacks(t *testing.T) {
	t.Parallel()
	redact := &dial.Redactor{}
	redact.Note(secret.New("Spring-1728-x"))
	said := strings.Builder{}
	said.WriteString("fatal error: out of it\n")
	for n := range 5000 {
		fmt.Fprintf(&said, "goroutine %d [running]:\nmain.f()\n\t/src/main.go:1 +0x1\n", n)
	}
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	read := &tail{from: r, dropped: &atomic.Int64{}, redact: redact, log: hclog.NewNullLogger()}
	go func() { _, _ = io.WriteString(w, said.String()); _ = w.Close() }()
	read.read()
	if got := read.words(); got != "fatal error: out of it" {
		t.Errorf("got %q", got)
	}
}
