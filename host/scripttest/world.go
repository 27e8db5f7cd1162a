package scripttest

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"

	"github.com/rekey-host/rekey/sdk"
	"github.com/rekey-host/rekey/sdk/memory"
	"github.com/rekey-host/rekey/sdk/secret"
)

// world is the systems that a script works on: it outlives the hosts that are killed.
type world struct {
	clock  *clock
	random *random
	store  memory.Store
	seeds  map[string]map[string]seed // by label and account

	mu      sync.Mutex
	fails   []*failing
	calls   []call
	present map[place]secret.Value
	given   map[place][]secret.Value // all that was ever applied, each once
	lost    map[place]bool           // of which no answer comes
	changes int                      // operations that change something
}

// seed is an account as a test says it is.
type seed struct {
	account sdk.Account
	values  map[string]secret.Value // by kind
}

// place is one credential.
type place struct{ label, account, kind string }

func (p place) String() string {
	text := p.label + " " + p.account
	if p.kind != "" {
		text += " (" + p.kind + ")"
	}
	return text
}

// call is one operation that reached a system.
type call struct {
	place
	verb    string
	outcome string
	code    string
	value   secret.Value
	life    int // of which host, from 1
}

// newWorld makes the systems that a run of a test begins with.
func newWorld(scene *scene) *world {
	made := &world{clock: newClock(), random: newRandom(), seeds: scene.seeds, present: map[place]secret.Value{}, given: map[place][]secret.Value{}, lost: map[place]bool{}}
	for _, fail := range scene.fails {
		made.fails = append(made.fails, &failing{failure: fail})
	}
	for label, accounts := range scene.seeds {
		for name, seed := range accounts {
			made.store.Put(label, seed.account, seed.values)
			for kind, value := range seed.values {
				made.present[place{label, name, kind}] = value
			}
		}
	}
	return made
}

// failure is what a test says is to fail: "label.verb account", of which label and
// account may be left out.
type failure struct {
	label, verb, account string
	codes                []string // one a call; "": it succeeds; the last for all that follow if it is the only one
}

// failing is a failure in the course of a run.
type failing struct {
	failure
	used int
}

// lostCode says that the answer is lost and not the request.
const lostCode = "lost"

// parseFailure reads the place of a failure.
func parseFailure(text string) (failure, error) {
	head, account, _ := strings.Cut(text, " ")
	label, verb, dotted := strings.Cut(head, ".")
	if !dotted {
		label, verb = "", head
	}
	known := []string{"set", "change", "reset", "verify", "find", "unlock", "revoke", "handover"}
	if !slices.Contains(known, verb) {
		return failure{}, fmt.Errorf("fail: %q is no step; write one of %s, LABEL.set, or LABEL.set ACCOUNT", text, strings.Join(known, ", "))
	}
	return failure{label: label, verb: verb, account: account}, nil
}

// code is what the next call of a step fails with; "": it does not.
func (w *world) code(verb string, at place) string {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, fail := range w.fails {
		if fail.verb != verb || fail.label != "" && fail.label != at.label || fail.account != "" && fail.account != at.account {
			continue
		}
		if len(fail.codes) == 1 {
			return fail.codes[0]
		}
		if fail.used++; fail.used <= len(fail.codes) {
			return fail.codes[fail.used-1]
		}
	}
	return ""
}

// note keeps what came of a call.
func (w *world) note(made call, applied bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.calls = append(w.calls, made)
	if !applied || !made.value.Present() || made.verb == "verify" {
		return
	}
	w.present[made.place] = made.value
	if !slices.ContainsFunc(w.given[made.place], made.value.Equal) {
		w.given[made.place] = append(w.given[made.place], made.value)
	}
}

// lose lets no answer of a credential come any more, until another host asks.
func (w *world) lose(at place) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.lost[at] = true
}

// isLost reports whether no answer of a credential comes; of all of an account, where
// the kind is not known.
func (w *world) isLost(at place) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	for other := range w.lost {
		if other.label == at.label && other.account == at.account {
			return true
		}
	}
	return false
}

// recover lets all answers come again.
func (w *world) recover() {
	w.mu.Lock()
	defer w.mu.Unlock()
	clear(w.lost)
}

// nextChange counts an operation that changes something.
func (w *world) nextChange() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.changes++
	return w.changes
}

// accounts are the accounts that a label has now, by name.
func (w *world) accounts(label string) map[string]map[string]secret.Value {
	w.mu.Lock()
	defer w.mu.Unlock()
	found := map[string]map[string]secret.Value{}
	for name := range w.seeds[label] {
		found[name] = map[string]secret.Value{}
	}
	for at, value := range w.present {
		if at.label != label {
			continue
		}
		if found[at.account] == nil {
			found[at.account] = map[string]secret.Value{}
		}
		found[at.account][at.kind] = value
	}
	return found
}

// labels are those that have accounts.
func (w *world) labels() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	all := map[string]bool{}
	for label := range w.seeds {
		all[label] = true
	}
	for at := range w.present {
		all[at.label] = true
	}
	return slices.Sorted(maps.Keys(all))
}

// random is a source of values that are the same at every time. Nothing that it makes
// keeps a secret.
type random struct {
	mu   sync.Mutex
	from *rand.ChaCha8
}

func newRandom() *random { return &random{from: rand.NewChaCha8([32]byte{'r', 'e', 'k', 'e', 'y'})} }

// Read fills data.
func (r *random) Read(data []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.from.Read(data)
}
