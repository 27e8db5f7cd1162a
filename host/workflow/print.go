package workflow

import (
	"io"
	"strings"
	"sync"
)

// maxPrint is how many bytes of one print() are written.
const maxPrint = 4 << 10

// printer writes what scripts print. Secrets are redacted by their type:
// nothing leads to their text. It is safe for concurrent use.
type printer struct {
	mu   sync.Mutex
	w    io.Writer
	left int // lines
}

func (p *printer) line(place, text string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.w == nil || p.left < 0 {
		return
	}
	var out strings.Builder
	for line := range strings.SplitSeq(shorten(text, maxPrint), "\n") {
		if p.left--; p.left < 0 {
			out.WriteString(place + "more output of print is left out\n")
			break
		}
		out.WriteString(place + harmless(line) + "\n")
	}
	_, _ = io.WriteString(p.w, out.String())
}
