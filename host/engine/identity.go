package engine

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"sync"
	"time"

	"github.com/rekey-host/rekey/host/journal"
	"github.com/rekey-host/rekey/sdk"
	"github.com/rekey-host/rekey/sdk/secret"
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

// question is one name that somebody waits for.
type question struct {
	name   string
	answer chan answered // of capacity 1
}

type answered struct {
	who sdk.Identity
	err error
}

// most questions of one instance under way, and most names in one of them.
const (
	mostQuestions = 2
	mostNames     = 64
)

func newResolver(hard context.Context, l *dispatcher) *resolver {
	r := &resolver{dispatcher: l, hard: hard}
	if b := l.backend; b.Can(sdk.CanResolve) {
		r.instance, _ = b.Instance.(sdk.Resolver)
	}
	return r
}

// of returns the account behind a name. An error says that the question could
// not be asked.
func (r *resolver) of(name string) (sdk.Identity, error) {
	q := &question{name: name, answer: make(chan answered, 1)}
	r.mu.Lock()
	r.waiting = append(r.waiting, q)
	if r.asking < mostQuestions {
		r.asking++
		r.asks.Go(r.dispatcher.committer.panics.guarded(r.ask))
	}
	r.mu.Unlock()
	select {
	case got := <-q.answer:
		return got.who, got.err
	case <-r.hard.Done():
		return sdk.Identity{}, cancelled()
	}
}

// ask puts questions until nobody waits.
func (r *resolver) ask() {
	for {
		list := r.take()
		if len(list) == 0 {
			return
		}
		names := make([]string, len(list))
		for n, q := range list {
			names[n] = q.name
		}
		var found []sdk.Identity
		var err error
		if failed := r.dispatcher.direct(r.hard, func(ctx context.Context) { found, err = r.instance.Resolve(ctx, names) }); failed != nil {
			err = failed
		}
		if err == nil && len(found) != len(names) {
			err = sdk.Errorf(sdk.Internal, "the plugin resolved %d names, want %d", len(found), len(names))
		}
		for n, q := range list {
			if err != nil {
				q.answer <- answered{err: err}
				continue
			}
			q.answer <- answered{who: found[n]}
		}
	}
}

func (r *resolver) take() []*question {
	r.mu.Lock()
	defer r.mu.Unlock()
	n := min(mostNames, len(r.waiting))
	list := r.waiting[:n:n]
	r.waiting = r.waiting[n:]
	if n == 0 {
		r.asking--
	}
	return list
}

// identityOf is the account as claims and intents name it: opaque, short, and
// the same from every label that works on the target. It is "" where the name
// itself says as much.
func identityOf(b Backend, name string, who sdk.Identity) string {
	if who.ID == "" || who.Target == "" && who.ID == name {
		return ""
	}
	realm := "label " + b.Label
	if who.Target != "" {
		realm = "target " + b.Description.Name + " " + who.Target
	}
	sum := sha256.Sum256([]byte(realm + "\x00" + who.ID))
	return base64.RawURLEncoding.EncodeToString(sum[:15])
}

// plainIdentity is the identity of an account whose name is the target's own.
func plainIdentity(label, name string) string {
	sum := sha256.Sum256([]byte("label " + label + "\x00" + name))
	return base64.RawURLEncoding.EncodeToString(sum[:15])
}

// own claims the account of a step that sends for the first time, by its name
// and, where the backend can tell, by what the target takes that for. A refusal
// says whose it is; an error sends the user back to pending.
func (x *executor) own() (*sdk.Error, error) {
	step := x.step
	owner, mine, err := x.run.owners.claim(step.Backend, step.Account, step.Kind, x.user.Pos)
	switch {
	case err != nil:
		return nil, x.run.broken(err)
	case !mine:
		return sdk.Errorf(journal.DuplicateAccount, "%s has this account", x.run.who(owner)), nil
	}
	if x.dispatcher.names.instance == nil {
		return nil, nil
	}
	who, refusal, err := x.resolve(step, x.dispatcher)
	if who.ID == "" {
		return refusal, err // a name of no account: what is sent will be refused
	}
	x.identity = identityOf(x.dispatcher.backend, step.Account, who)
	owner, mine, err = x.run.owners.claimIdentity(x.claimed(), step.Kind, x.user.Pos)
	switch {
	case err != nil:
		return nil, x.run.broken(err)
	case !mine:
		return sdk.Errorf(journal.DuplicateAccount, "%s has this account, under another name", x.run.who(owner)), nil
	}
	if other := x.otherName(step.Value.Secret()); other != "" {
		return sdk.Errorf(journal.DuplicateAccount, "%s is this account under another name, and was given another value", other), nil
	}
	return nil, nil
}

// claimed is what the step's account is claimed by.
func (x *executor) claimed() string { return claimOf(x.identity, x.recorded.Credential) }

// claimOf is what an account is claimed by: its identity, or where that says no
// more its name.
func claimOf(identity string, name journal.Credential) string {
	if identity != "" {
		return identity
	}
	return plainIdentity(name.Backend, name.Account)
}

// resolve asks for the account behind a step's name, as often as an operation
// would be sent.
func (s *Steps) resolve(step journal.Step, l *dispatcher) (sdk.Identity, *sdk.Error, error) {
	for spent, backoff := 0, time.Second; ; backoff = min(2*backoff, time.Minute) {
		if err := s.run.admit(s, l); err != nil {
			return sdk.Identity{}, nil, err
		}
		who, err := s.ask(step, l)
		if s.run.hard.Err() != nil {
			return sdk.Identity{}, nil, cancelled()
		}
		e := uncancelled(sdk.AsError(err, sdk.TargetError))
		if e == nil && who.Err != nil && passing(who.Err.Code) {
			e = who.Err
		}
		through := s.through
		s.through = false
		if e == nil {
			if through {
				l.circuit.allowProbe() // what is sent next shall find out
			}
			return who, nil, nil
		}
		if pending(e.Code) { // it would say so to every user
			s.run.stop(fmt.Sprintf("backend %s: %s", step.Backend, e.Error()))
			return sdk.Identity{}, nil, cancelled()
		}
		l.observe(sdk.Refuse(e))
		if !l.free(e) {
			spent++
		}
		if !passing(e.Code) || spent >= l.backend.Attempts {
			return sdk.Identity{}, e, nil
		}
		wait := max(e.RetryAfter, s.run.jitter(backoff))
		s.run.tellWait(l, e, wait)
		if s.pause(l, wait, s.changed()) != nil {
			return sdk.Identity{}, nil, cancelled()
		}
	}
}

// nameReply is what a backend says that a name means.
type nameReply struct {
	label, name string
	who         sdk.Identity
	err         error
}

// ask asks for the account behind a step's name, or takes over what a batch was
// told, once.
func (s *Steps) ask(step journal.Step, l *dispatcher) (sdk.Identity, error) {
	if told := s.nameReply; told != nil && told.label == step.Backend && told.name == step.Account {
		s.nameReply = nil
		return told.who, told.err
	}
	return l.names.of(step.Account)
}

// passing reports whether a question that failed with the code may be asked
// again.
func passing(c sdk.Code) bool { return c.Transient() || c == sdk.ConnectionLost }

// otherName returns another name under which this user's account has, or may
// have, another value: the older one would be reported and not be in force.
func (x *executor) otherName(v secret.Value) string {
	mine := x.claimed()
	for _, c := range x.history.Touched() {
		if c.Credential == x.recorded.Credential || c.Kind != x.step.Kind || c.Standing < journal.StandsApplied {
			continue
		}
		held := c.Held().Intent
		if claimOf(held.Detail.Identity, c.Credential) == mine && !x.carries(held, v) {
			return fmt.Sprintf("%s %s", c.Backend, c.Account)
		}
	}
	return ""
}

// carries reports whether a recorded intent has the value.
func (x *executor) carries(intent *journal.Record, v secret.Value) bool {
	if intent.Sealed == nil {
		return false
	}
	was, err := x.unseal(intent, journal.RoleValue, intent.Sealed)
	return err == nil && was.Equal(v)
}
