package workflow

import (
	"fmt"
	"io"
	"strings"
	"sync"
	"unicode/utf8"

	"go.starlark.net/starlark"

	"github.com/rekey-host/rekey/host/visible"
)

// maxPrint is how many bytes of one print() are written.
const maxPrint = 4 << 10

// printer writes what scripts print. Secrets are redacted by their type: there
// is no way to their text. It is safe for concurrent use.
type printer struct {
	mu   sync.Mutex
	w    io.Writer
	left int // lines
}

// print is print() of every thread.
func (in *interp) print(t *starlark.Thread, text string) {
	if stateOf(t).mute {
		return
	}
	place := ""
	for depth := range t.CallStackDepth() {
		if p := t.CallFrame(depth).Pos; p.Filename() != builtinFile { // sorted(x, key = print) is a builtin too
			place = fmt.Sprintf("%s:%d: ", p.Filename(), p.Line)
			break
		}
	}
	in.out.line(place, text)
}

func (p *printer) line(place, text string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.w == nil || p.left < 0 {
		return
	}
	var b strings.Builder
	for line := range strings.SplitSeq(shorten(text, maxPrint), "\n") {
		if p.left--; p.left < 0 {
			b.WriteString(place + "more output of print is left out\n")
			break
		}
		b.WriteString(place + harmless(line) + "\n")
	}
	_, _ = io.WriteString(p.w, b.String())
}

// shorten cuts a text at a character.
func shorten(text string, most int) string {
	if len(text) <= most {
		return text
	}
	for most > 0 && !utf8.RuneStart(text[most]) {
		most--
	}
	return text[:most] + "…"
}

// harmless shows what a terminal would obey, and what is not seen.
func harmless(line string) string { return visible.Escape(line) }
