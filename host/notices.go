package host

import (
	"fmt"
	"io"
	"sync"
)

// notices is standard error as all sessions of a host share it. Each write is
// whole, so that lines of runs that go on at once do not mix.
type notices struct {
	mu sync.Mutex
	to io.Writer
}

// Write writes one message.
func (n *notices) Write(text []byte) (int, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.to == nil {
		return len(text), nil
	}
	return n.to.Write(text)
}

// say tells the operator something. A message that cannot be written has no
// other place to go.
func (n *notices) say(format string, args ...any) {
	_, _ = fmt.Fprintf(n, "rekey: "+format+"\n", args...)
}

// warn tells the operator what may be wrong.
func (n *notices) warn(format string, args ...any) { n.say("warning: "+format, args...) }

// warnAll warns of each text.
func (n *notices) warnAll(texts []string) {
	for _, text := range texts {
		n.warn("%s", text)
	}
}
