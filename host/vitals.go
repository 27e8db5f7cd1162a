package host

import (
	"fmt"
	"strings"
	"sync"
)

// Vitals is what a process is about, for its last words: it may end at any
// moment without a word of its own. It is safe for concurrent use.
type Vitals struct {
	mu   sync.Mutex
	run  string          // that is being applied; "": nothing was sent
	busy func() []string // hooks that compute; nil: no script is loaded
}

// load notes whose hooks compute.
func (v *Vitals) load(busy func() []string) {
	if v == nil {
		return
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	v.busy = busy
}

// apply notes the run that is being applied from now on.
func (v *Vitals) apply(run string) {
	if v == nil {
		return
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	v.run = run
}

// applied is the run that is being applied; "": there is none.
func (v *Vitals) applied() string {
	if v == nil {
		return ""
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.run
}

// maxBusy is how many hooks last words name.
const maxBusy = 3

// Last says what was going on, and how to go on, on one line.
func (v *Vitals) Last() string {
	v.mu.Lock()
	defer v.mu.Unlock()
	next := "nothing was changed"
	if v.run != "" {
		next = fmt.Sprintf("its ledger has what was sent: rekey resume %s goes on from there", v.run)
	}
	busy := v.computing()
	if busy == "" {
		return next
	}
	return "while it computed " + busy + "; " + next
}

func (v *Vitals) computing() string {
	if v.busy == nil {
		return ""
	}
	all := v.busy()
	if more := len(all) - maxBusy; more > 0 {
		return fmt.Sprintf("%s and %d more", strings.Join(all[:maxBusy], ", "), more)
	}
	return strings.Join(all, ", ")
}
