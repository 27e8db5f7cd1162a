package launch

import (
	"bufio"
	"errors"
	"io"
	"os"
	"strings"
	"sync"
	"time"
	"unicode"

	"github.com/hashicorp/go-hclog"
	"github.com/rekey-host/rekey/sdk/dial"
)

// handshake reads a plugin's standard output. The handshake line goes on to
// go-plugin; what a library prints before it is forgiven if the line comes soon.
type handshake struct {
	redact   *dial.Redactor
	log      hclog.Logger
	child    *child
	breaches *dial.Breaches
	from     *os.File
	line     *io.PipeReader // for go-plugin: the line, then nothing until the process ends
	to       *io.PipeWriter

	mu    sync.Mutex
	noise string // the first line before the handshake, scrubbed
	bad   *StartError
	shook bool
}

// patience is how long after noise the handshake may come.
const patience = 2 * time.Second

func newHandshake(from *os.File, redact *dial.Redactor, log hclog.Logger, child *child) *handshake {
	made := &handshake{redact: redact, log: log, child: child, from: from}
	made.line, made.to = io.Pipe()
	return made
}

// abort ends it before the process was started.
func (h *handshake) abort() {
	_ = h.from.Close()
	_ = h.to.Close()
}

// read reads until all writers are gone. go-plugin kills a plugin whose
// output ends before the handshake; one about to end with an exit status
// of its own is given the moment for it.
func (h *handshake) read() {
	defer h.abort()
	eachLine(bufio.NewReaderSize(h.from, 16<<10), h.take)
	if !h.shaken() {
		h.child.endsWithin(pipeGrace)
	}
}

// eachLine calls do with each line but empty ones, without spaces at its end, of a longer one with what
// fits the reader's buffer, as soon as it is there, until the end.
// Bytes outside UTF-8 stay until the line is scrubbed: they may be a secret's.
func eachLine(reader *bufio.Reader, do func(string)) {
	for begun := false; ; {
		line, more, err := reader.ReadLine()
		if text := strings.TrimRightFunc(string(line), unicode.IsSpace); text != "" && !begun {
			do(text)
		}
		if err != nil {
			return
		}
		begun = more
	}
}

func (h *handshake) take(text string) {
	text = strings.TrimSpace(text)
	if h.shaken() {
		h.noted(text)
		return
	}
	if !looksLikeHandshake(text) {
		if h.noted(text) {
			time.AfterFunc(patience, h.loseIt)
		}
		return
	}
	if bad := parseHandshake(text); bad != nil {
		bad.Message = valid(h.redact.Scrub(bad.Message))
		h.mu.Lock()
		h.bad = bad
		h.mu.Unlock()
		_ = h.to.CloseWithError(io.EOF)
		return
	}
	h.mu.Lock()
	h.shook = true
	h.mu.Unlock()
	_, _ = io.WriteString(h.to, text+"\n")
}

// noted keeps the first line that does not belong there and reports whether
// this is it.
func (h *handshake) noted(text string) bool {
	h.breaches.Note(dial.Noise)
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.noise != "" {
		return false
	}
	h.noise = shorten(valid(h.redact.Scrub(text)), maxNoise)
	h.log.Warn("plugin prints on standard output, which belongs to the handshake", "line", h.noise)
	return true
}

// loseIt ends the wait for a plugin that prints something else.
func (h *handshake) loseIt() {
	if !h.shaken() {
		_ = h.to.CloseWithError(io.EOF)
	}
}

func (h *handshake) shaken() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.shook
}

// failure is what was wrong with the handshake, nil if nothing was.
func (h *handshake) failure() *StartError {
	if h == nil {
		return &StartError{Phase: PhaseStart, Message: errNoPipes.Error()}
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	switch {
	case h.bad != nil:
		return h.bad
	case !h.shook && h.noise != "":
		return &StartError{Phase: PhaseHandshake, Message: "printed " + quote(h.noise) + " on standard output instead of its handshake; if it is a rekey plugin, it has to print to standard error"}
	}
	return nil
}

var errNoPipes = errors.New("no pipes could be made")
