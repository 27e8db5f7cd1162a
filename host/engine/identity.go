package engine

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"sync"
	"sync/atomic"

	"github.com/rekey-host/rekey/host/journal"
	"github.com/rekey-host/rekey/sdk"
)

// resolver asks one instance which accounts names mean, many names at once:
// what comes while a question is under way goes with the next one.
type resolver struct {
	instance   sdk.Resolver // nil: it cannot tell
	dispatcher *dispatcher
	hard       context.Context

	mu      sync.Mutex
	waiting []*question
	asking  int
	asks    sync.WaitGroup // of the goroutines that ask
}

// question is one name that a user waits for.
type question struct {
	name   string
	answer answered
	of     *asked
}

type answered struct {
	who sdk.Identity
	err error
}

// asked is questions that are waited for together.
type asked struct {
	open atomic.Int64
	done chan struct{} // closed when none is open
}

// end notes that so many questions have their answers.
func (a *asked) end(count int) {
	if a.open.Add(int64(-count)) == 0 {
		close(a.done)
	}
}

// most questions of one instance under way, and most names in one of them.
const (
	mostQuestions = 2
	mostNames     = 64
)

func newResolver(hard context.Context, dispatcher *dispatcher) *resolver {
	made := &resolver{dispatcher: dispatcher, hard: hard}
	if backend := dispatcher.backend; backend.Can(sdk.CanResolve) {
		made.instance, _ = backend.Instance.(sdk.Resolver)
	}
	return made
}

// of returns the account behind a name. An error says that the question could
// not be asked.
func (r *resolver) of(name string) (sdk.Identity, error) {
	got := r.all([]string{name})[0]
	return got.who, got.err
}

// all is of for many names.
func (r *resolver) all(names []string) []answered {
	made, list := &asked{done: make(chan struct{})}, make([]question, len(names))
	made.open.Store(int64(len(names)))
	got := make([]answered, len(names))
	r.mu.Lock()
	for i, name := range names {
		list[i] = question{name: name, of: made}
		r.waiting = append(r.waiting, &list[i])
	}
	for more := 0; r.asking < mostQuestions && more < len(r.waiting); more += mostNames {
		r.asking++
		r.asks.Go(r.dispatcher.panics.guarded(r.ask))
	}
	r.mu.Unlock()
	select {
	case <-made.done:
		for i := range list {
			got[i] = list[i].answer
		}
	case <-r.hard.Done():
		for i := range got {
			got[i].err = cancelled()
		}
	}
	return got
}

// name tells steps which accounts they mean.
func (r *resolver) name(steps []*trialStep) {
	names := make([]string, len(steps))
	for i, step := range steps {
		names[i] = step.Account
	}
	for i, got := range r.all(names) {
		steps[i].named(got)
	}
}

// ask puts questions until none is left.
func (r *resolver) ask() {
	for {
		list := r.take()
		if len(list) == 0 {
			return
		}
		names := make([]string, len(list))
		for index, question := range list {
			names[index] = question.name
		}
		var found []sdk.Identity
		var err error
		if failed := r.dispatcher.direct(r.hard, func(ctx context.Context) { found, err = r.instance.Resolve(ctx, names) }); failed != nil {
			err = failed
		}
		if err == nil && len(found) != len(names) {
			err = sdk.Errorf(sdk.Internal, "the plugin resolved %d names, want %d", len(found), len(names))
		}
		for index, question := range list {
			if question.answer.err = err; err == nil {
				question.answer.who = found[index]
			}
			question.of.end(1)
		}
	}
}

func (r *resolver) take() []*question {
	r.mu.Lock()
	defer r.mu.Unlock()
	count := min(mostNames, len(r.waiting))
	list := r.waiting[:count:count]
	r.waiting = r.waiting[count:]
	if count == 0 {
		r.asking--
	}
	return list
}

// identityOf is the account as claims and intents name it: opaque, short, and
// the same from every label that works on the target. It is "" where the name
// itself says as much.
func identityOf(backend Backend, name string, who sdk.Identity) string {
	if who.ID == "" || who.Target == "" && who.ID == name {
		return ""
	}
	realm := "label " + backend.Label
	if who.Target != "" {
		realm = "target " + backend.Description.Name + " " + who.Target
	}
	sum := sha256.Sum256([]byte(realm + "\x00" + who.ID))
	return base64.RawURLEncoding.EncodeToString(sum[:15])
}

// plainIdentity is the identity of an account whose name is the target's own.
func plainIdentity(label, name string) string {
	sum := sha256.Sum256([]byte("label " + label + "\x00" + name))
	return base64.RawURLEncoding.EncodeToString(sum[:15])
}

// claimOf is what an account is claimed by: its identity, or where that says no
// more its name.
func claimOf(identity string, name journal.Credential) string {
	if identity != "" {
		return identity
	}
	return plainIdentity(name.Backend, name.Account)
}
