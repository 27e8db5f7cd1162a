package host

import (
	"fmt"
	"slices"
	"strings"
	"sync"
)

// Vitals is what a process is about, for its last words: it may end at any
// moment without a word of its own. It is safe for concurrent use.
type Vitals struct {
	mu   sync.Mutex
	open []*vital
	last string // the run of the newest session closed after applying
}

// enter adds a session. Without Vitals the session keeps its own.
func (v *Vitals) enter() *vital {
	if v == nil {
		v = &Vitals{}
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	one := &vital{all: v}
	v.open = append(v.open, one)
	return one
}

// maxBusy is how many hooks last words name.
const maxBusy = 3

// Last says what was going on, and how to go on, on one line.
func (v *Vitals) Last() string {
	v.mu.Lock()
	defer v.mu.Unlock()
	next := v.next()
	busy := v.computing()
	if busy == "" {
		return next
	}
	return "while it computed " + busy + "; " + next
}

// next says how to go on.
func (v *Vitals) next() string {
	var resume []string
	for _, one := range v.open {
		if one.run != "" {
			resume = append(resume, "rekey resume "+one.run)
		}
	}
	if len(resume) == 0 && v.last != "" {
		resume = []string{"rekey resume " + v.last}
	}
	switch len(resume) {
	case 0:
		return "nothing was changed"
	case 1:
		return fmt.Sprintf("its ledger has what was sent: %s goes on from there", resume[0])
	}
	return fmt.Sprintf("its ledgers have what was sent: %s go on from there", strings.Join(resume, ", "))
}

func (v *Vitals) computing() string {
	var all []string
	for _, one := range v.open {
		if one.busy != nil {
			all = append(all, one.busy()...)
		}
	}
	if more := len(all) - maxBusy; more > 0 {
		return fmt.Sprintf("%s and %d more", strings.Join(all[:maxBusy], ", "), more)
	}
	return strings.Join(all, ", ")
}

// vital is what one session is about.
type vital struct {
	all  *Vitals
	run  string          // the run being applied; "": nothing was sent
	busy func() []string // hooks that compute; nil: no script is loaded
}

// load notes whose hooks compute.
func (v *vital) load(busy func() []string) {
	v.all.mu.Lock()
	defer v.all.mu.Unlock()
	v.busy = busy
}

// apply notes the run being applied from now on.
func (v *vital) apply(run string) {
	v.all.mu.Lock()
	defer v.all.mu.Unlock()
	v.run = run
}

// applied returns the run being applied, or "".
func (v *vital) applied() string {
	v.all.mu.Lock()
	defer v.all.mu.Unlock()
	return v.run
}

// leave removes the session.
func (v *vital) leave() {
	v.all.mu.Lock()
	defer v.all.mu.Unlock()
	if v.run != "" {
		v.all.last = v.run
	}
	v.all.open = slices.DeleteFunc(v.all.open, func(one *vital) bool { return one == v })
}
