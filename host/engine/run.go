package engine

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/rekey-host/rekey/host/journal"
	"github.com/rekey-host/rekey/host/ledger"
	"github.com/rekey-host/rekey/host/password"
	"github.com/rekey-host/rekey/host/source"
	"github.com/rekey-host/rekey/sdk"
	"github.com/rekey-host/rekey/sdk/secret"
)

// window is how many users are in flight: more than the credit and what a
// commit holds, or lazy commit has nothing to be lazy with.
const window = 1024

// page is how many users are read from the plan at once: an open cursor would
// keep the ledger's write-ahead file from being folded in.
const page = 4096

// Vault seals and opens values: *ledger.Run. Both are safe for concurrent use.
type Vault interface {
	Seal(user int64, step, try int, role string, v secret.Value) []byte
	Unseal(user int64, step, try int, role string, sealed []byte) (secret.Value, error)
}

// Plan is the frozen plan: *ledger.Run.
type Plan interface {
	// OpenUsers returns up to limit users of the wave after a position that
	// have no status, in order.
	OpenUsers(wave int, after int64, limit int) ([]ledger.User, error)
	// Intents calls fn for every recorded intent.
	Intents(fn func(backend, account, cred, identity string, user int64) error) error
}

// Job is what Apply does. Every field is needed unless it says otherwise.
type Job struct {
	ID       string
	Journal  Journal
	Vault    Vault
	Plan     Plan
	Backends []Backend // in the script's order
	Hooks    Hooks
	Row      func(ledger.User) (source.Row, error) // decodes a user's row

	Waves    []journal.WaveRule
	Planned  []int64           // users of each wave
	Failed   []int64           // of them, those that count against max_failures and stay so; nil: nobody
	Held     string            // the wave whose hold is open in the ledger; "": none
	Waived   []int64           // of each wave, those that failed before and count no more; nil: nobody
	Approved func(string) bool // whether the hold after the wave is released
	Scratch  string            // directory for files without a name; "": the system's
	Policy   *password.Spec    // the workflow's; nil: wishes only
	Revert   bool              // on_failure = "revert"
	// Known returns the newest value that the ledger knows as applied to a
	// credential before this run, for Revert.
	Known func(label, account, cred string) (secret.Value, bool, error)

	// KeyOf returns the key of a user by the position, "" if it cannot; may be
	// nil.
	KeyOf func(pos int64) string

	Requestor, SourceSystem string

	// LastRecord is when the newest record of earlier processes was made: what
	// they sent was given up by then. Zero: not known, as after a process that
	// was killed, which may have tried again without a record.
	LastRecord time.Time
	Notice     func(text string) // told of what is waited for; may be nil; must not block

	Clock    Clock
	Random   Random
	Stop     context.Context                // its end stops the dispatching and lets what is in flight finish
	Finished func(journal.Status, sdk.Code) // told of each user that ends; may be nil; must not block
	Crash    func(point string)             // called at each crash point, by any goroutine; nil outside tests

	// Panicked is called by a goroutine that panics, with the stack and the key of
	// its user, "" where it works for many, and should not return; nil: the panic
	// goes on.
	Panicked func(user string, reason any, stack []byte)

	// Batch is the most users that are carried together; 0: the default, 1: each
	// user goes by itself.
	Batch int
}

// Ending is how Apply ended when it did what it could.
type Ending struct {
	Stopped     string // why it stopped early; "" if it did not
	Interrupted bool   // Job.Stop ended
	Held        string // the wave whose hold is open
}

// run applies one run.
type run struct {
	Job
	panics      panics
	committer   *committer
	dispatchers map[string]*dispatcher
	semaphore   *semaphore
	owners      *owners
	kinds       []*Backend // those whose credentials have kinds
	policies    *policies
	recipes     *recipes
	pools       *pools
	began       time.Time

	hard, soft context.Context // soft ends when the run stops, hard when it is cancelled
	softEnd    context.CancelCauseFunc

	batcher *batcher

	mu           sync.Mutex
	ending       Ending
	fatal        error
	waveFailures threshold // of the wave that is being applied
}

// users is how many the plan has, of all waves.
func (j *Job) users() (n int64) {
	for _, planned := range j.Planned {
		n += planned
	}
	return n
}

// Apply applies a frozen plan from where the ledger stands to its end, or to a
// hold, a stop or an interruption. ctx cancels: what is in flight then stays
// unknown. An error means that the ledger could not be read or written.
func Apply(ctx context.Context, job Job) (Ending, error) {
	c := newRun(ctx, job)
	defer c.owners.close()
	if err := c.ownersFromLedger(); err != nil {
		return Ending{}, err
	}
	stopProbes := c.start()
	c.batcher = newBatcher(c, c.batchLimit())
	err := c.waves()
	c.batcher.close()
	if c.hard.Err() != nil {
		c.interrupt() // what watches the context may be slower than a run that ends by it
	}
	stopProbes()
	for _, l := range c.dispatchers {
		l.names.asks.Wait()
		l.close()
	}
	if werr := c.committer.close(); err == nil {
		err = werr
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.fatal != nil {
		err = c.fatal
	}
	return c.ending, err
}

func newRun(ctx context.Context, job Job) *run {
	c := &run{Job: job, panics: job.Panicked, dispatchers: map[string]*dispatcher{}, semaphore: newSemaphore(0), owners: newOwners(job.Scratch, job.users()),
		began: job.Clock.Now(), hard: ctx, waveFailures: threshold{limit: -1}}
	for i := range job.Backends {
		if len(job.Backends[i].Description.Kinds) > 0 {
			c.kinds = append(c.kinds, &job.Backends[i])
		}
	}
	c.policies = &policies{known: map[[2]string]sdk.Policy{}}
	c.recipes = &recipes{backends: job.Backends, policies: c.policies, standard: job.Policy, known: map[recipeKey]*recipe{}}
	c.pools = &pools{values: map[poolKey][]secret.Value{}}
	c.soft, c.softEnd = context.WithCancelCause(ctx)
	return c
}

// start begins the committer and the dispatchers, and what watches them.
func (r *run) start() (stop func()) {
	r.committer = newCommitter(r.Journal, r.Crash, r.panics)
	probing, end := context.WithCancel(r.soft)
	var watching sync.WaitGroup
	for _, b := range r.Backends {
		l := newDispatcher(r.soft, b, r.committer, r.semaphore)
		l.names = newResolver(r.hard, l)
		r.dispatchers[b.Label] = l
	}
	for _, l := range r.dispatchers {
		watching.Go(r.panics.guarded(func() { l.probe(probing, r) }))
	}
	detach := context.AfterFunc(r.Stop, r.panics.guarded(r.interrupt))
	abort := context.AfterFunc(r.hard, r.panics.guarded(r.interrupt))
	return func() {
		detach()
		abort()
		end()
		watching.Wait()
	}
}

func (r *run) ownersFromLedger() error {
	return r.Plan.Intents(func(backend, account, cred, identity string, user int64) error {
		if _, _, err := r.owners.claim(backend, account, cred, user); err != nil {
			return err
		}
		if identity == "" {
			identity = plainIdentity(backend, account)
		}
		_, _, err := r.owners.claimIdentity(identity, cred, user)
		return err
	})
}

// who names a user to somebody who looks for the row.
func (r *run) who(pos int64) string {
	if r.KeyOf != nil {
		if key := r.KeyOf(pos); key != "" {
			return fmt.Sprintf("user %q, %d of the plan,", key, pos)
		}
	}
	return fmt.Sprintf("user %d of the plan", pos)
}

// waves applies the waves in order.
func (r *run) waves() error {
	for i, rule := range r.Waves {
		if r.soft.Err() != nil {
			return nil
		}
		r.enter(i, rule)
		if err := r.wave(i, rule); err != nil {
			return err
		}
		r.at(CrashWaveEnded)
		if r.soft.Err() != nil {
			return nil
		}
		if held, err := r.hold(i, rule); held || err != nil {
			return err
		}
	}
	return nil
}

// enter sets the wave's threshold: users that have sent and not ended are then
// bounded by the concurrency, so that no more can fail after it stops.
func (r *run) enter(i int, rule journal.WaveRule) {
	limit := rule.Limit(r.Planned[i])
	bound := 0
	if limit >= 0 {
		for _, b := range r.Backends {
			bound = max(bound, b.Concurrency)
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.waveFailures = threshold{rule: rule, limit: limit}
	if r.Failed != nil {
		r.waveFailures.failed = r.Failed[i]
	}
	r.semaphore.bound(bound, limit-r.waveFailures.failed)
	if r.Waived != nil {
		r.waveFailures.waived = r.Waived[i]
	}
}

func (r *run) wave(i int, rule journal.WaveRule) error {
	for after := int64(0); ; {
		next, err := r.batch(i, rule, after)
		if err != nil || next == after || r.soft.Err() != nil {
			return err
		}
		after = next
		if rule.Pause > 0 {
			more, err := r.moreAfter(i, after)
			if err != nil || !more {
				return err
			}
			if r.Clock.Sleep(r.soft, rule.Pause) != nil {
				return nil
			}
		}
	}
}

// batch applies up to a batch of the wave's open users after a position, waits
// for them, and returns the last one's position.
func (r *run) batch(i int, rule journal.WaveRule, after int64) (int64, error) {
	slots := make(chan struct{}, window)
	var users sync.WaitGroup
	defer r.batcher.users.Wait()
	defer users.Wait()
	alone := func(u ledger.User) bool {
		select {
		case slots <- struct{}{}:
		case <-r.soft.Done():
			return false
		}
		users.Go(func() {
			defer r.panics.guard(u.Key)
			r.serve(u)
			<-slots
		})
		return true
	}
	for left := rule.Size; ; {
		want := page
		if rule.Size > 0 {
			want = min(page, left)
		}
		list, err := r.Plan.OpenUsers(i, after, want)
		if err != nil {
			return after, err
		}
		r.pools.demand.come(len(list))
		for _, u := range list {
			if !r.dispatch(u, alone) {
				return after, nil
			}
			after = u.Pos
		}
		if !r.dispatchRest(alone) {
			return after, nil
		}
		left -= len(list)
		if len(list) < want || left == 0 {
			r.at(CrashBatchDispatched)
			return after, nil
		}
	}
}

// dispatch hands a user to a batch, or has it served alone. It reports false
// when the run stops.
func (r *run) dispatch(u ledger.User, alone func(ledger.User) bool) bool {
	if !r.batcher.takes(u) {
		return alone(u)
	}
	rest, ok := r.batcher.put(u)
	return ok && each(rest, alone)
}

// dispatchRest is dispatch of those who wait for others.
func (r *run) dispatchRest(alone func(ledger.User) bool) bool {
	rest, ok := r.batcher.flush()
	return ok && each(rest, alone)
}

// each reports whether f is true of each user, and asks no further.
func each(users []ledger.User, f func(ledger.User) bool) bool {
	for _, u := range users {
		if !f(u) {
			return false
		}
	}
	return true
}

// batchLimit is the most users of a batch.
func (r *run) batchLimit() int {
	if r.Batch > 0 {
		return r.Batch
	}
	return batchLimit
}

// moreAfter reports whether the run has open users beyond the position.
func (r *run) moreAfter(wave int, after int64) (bool, error) {
	for i := range r.Waves[wave:] {
		list, err := r.Plan.OpenUsers(wave+i, after, 1)
		if err != nil || len(list) > 0 {
			return len(list) > 0, err
		}
		after = 0
	}
	return false, nil
}

// hold ends the run for approval after a wave that asks for it.
func (r *run) hold(i int, rule journal.WaveRule) (bool, error) {
	if !rule.Hold || r.Approved(rule.Name) {
		return false, nil
	}
	later, err := r.moreAfter(i+1, 0)
	if err != nil || !later {
		return false, err
	}
	r.at(CrashHolding)
	r.mu.Lock()
	r.ending.Held = rule.Name
	r.mu.Unlock()
	if r.Held == rule.Name {
		return true, nil // users of a wave that was held already were put back
	}
	return true, r.committer.write(&journal.Record{Kind: journal.Held, Detail: journal.Detail{Wave: rule.Name}})
}

// serve runs one user's rotate and records what came of it.
func (r *run) serve(u ledger.User) {
	row, err := r.Row(u)
	if err != nil {
		_ = r.broken(fmt.Errorf("row of user %q: %w", u.Key, err))
		return
	}
	s := r.stepsOf(u, row)
	defer r.semaphore.leave(&s.permit)
	defer func() { r.pools.demand.leave(s.drawn) }()
	if s.settleReverts() != nil {
		return
	}
	r.finish(s, r.Hooks.Rotate(r.hard, row, s))
}

// serveOn is serve of a user who has left a batch: what that did is of this
// process.
func (r *run) serveOn(x fallback) {
	row, err := r.Row(x.user)
	if err != nil {
		_ = r.broken(fmt.Errorf("row of user %q: %w", x.user.Key, err))
		return
	}
	x.user.History = x.records
	s := r.stepsOf(x.user, row)
	s.before, s.attempts, s.batchReply, s.mintFailure, s.nameReply = 0, x.tries, x.batchReply, x.mintFailure, x.nameReply
	s.endsRow = x.endsRow
	s.permit.outside = true
	s.permit.admitted.Store(x.sent)
	defer func() { r.pools.demand.leave(s.drawn) }()
	r.finish(s, r.Hooks.Rotate(r.hard, row, s))
}

func (r *run) stepsOf(u ledger.User, row source.Row) *Steps {
	return &Steps{run: r, user: u, row: row, names: namesOf(row), history: journal.Read(u.History), before: len(u.History),
		fresh: map[journal.Credential]bool{}}
}

// namesOf returns what a generated value must not contain: the key, and what
// is left of an address without its domain.
func namesOf(row source.Row) []string {
	names := []string{row.Key}
	for i, r := range row.Key {
		if r == '@' && i > 0 {
			return append(names, row.Key[:i])
		}
	}
	return names
}

// finish decides a user's status. A user that goes back to pending leaves no
// record.
func (r *run) finish(s *Steps, v journal.Verdict) {
	if v.Kind == journal.Raised && v.Fault != nil && v.Fault.Code == sdk.Cancelled || r.isBroken() {
		return
	}
	v = s.checked(v)
	if r.Revert {
		back, err := s.revert(v)
		if isCancelled(err) {
			return
		}
		v = back
	}
	rec := s.history.Conclude(v)
	s.sayKept(&rec)
	rec.User, rec.Detail.Attempt = s.user.Pos, s.attempts
	if !r.count(s, rec) {
		return
	}
	r.at(CrashStatusMade)
	r.committer.add(entry{rec: &rec})
	if r.Finished != nil {
		r.Finished(rec.Detail.Status, rec.Code)
	}
}

// checked turns an ending that the hook may not have into a fault.
func (s *Steps) checked(v journal.Verdict) journal.Verdict {
	fault := func(code sdk.Code, format string, args ...any) journal.Verdict {
		return journal.Verdict{Kind: journal.Raised, Fault: &journal.Fault{Code: code, Message: fmt.Sprintf(format, args...)}}
	}
	if v.Kind == journal.SaidSkip && len(s.history.Touched()) > 0 {
		return fault(journal.ScriptError, "skip() after the first set, change or reset")
	}
	if v.Kind != journal.Raised {
		if err := s.history.Replay.Beyond(s.n); err != nil {
			return journal.Verdict{Kind: journal.Raised, Fault: diverged(err)}
		}
	}
	return v
}

// count counts a failure against the wave's threshold. It reports false for a
// user that fails without having sent anything after the run has stopped:
// that one goes back to pending.
func (r *run) count(s *Steps, rec journal.Record) bool {
	r.mu.Lock()
	if rec.Detail.Status.Failure() && r.soft.Err() != nil && !s.permit.sent() && !s.history.Replay.Sent {
		r.mu.Unlock()
		return false
	}
	if s.endsRow {
		r.waveFailures.alike = 0
	}
	over := r.waveFailures.add(rec.Detail.Status, rec.Code)
	r.semaphore.spare(r.waveFailures.limit - r.waveFailures.failed)
	if over != "" {
		r.softEnd(errStopped) // under the lock: nobody else may count in between
	}
	r.mu.Unlock()
	if over != "" {
		r.stop(over)
	}
	return true
}

// stop ends the dispatching: what is in flight finishes.
func (r *run) stop(reason string) {
	r.mu.Lock()
	first := r.ending.Stopped == "" && !r.ending.Interrupted
	if first {
		r.ending.Stopped = reason
	}
	r.mu.Unlock()
	r.windDown()
	if first {
		r.at(CrashStopping)
		r.committer.add(entry{rec: &journal.Record{Kind: journal.Stopped, Detail: journal.Detail{Message: reason}}})
	}
}

func (r *run) interrupt() {
	r.mu.Lock()
	r.ending.Interrupted = true
	r.mu.Unlock()
	r.windDown()
}

func (r *run) windDown() {
	r.softEnd(errStopped)
	for _, l := range r.dispatchers {
		l.stop()
	}
}

// broken notes that the ledger cannot be read or written: nothing more is sent.
func (r *run) broken(err error) error {
	r.mu.Lock()
	if r.fatal == nil {
		r.fatal = err
	}
	r.mu.Unlock()
	r.windDown()
	return cancelled()
}

func (r *run) isBroken() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.fatal != nil
}

// mayContinue returns a *Fault that cancels a user who has sent nothing when the run
// stops, and everybody when the ledger is gone.
func (r *run) mayContinue(s *Steps) error {
	if r.isBroken() || r.hard.Err() != nil || r.soft.Err() != nil && !s.permit.sent() {
		return cancelled()
	}
	return nil
}

// admit waits for the dispatcher's circuit before something new is sent.
func (r *run) admit(s *Steps, l *dispatcher) error {
	if err := r.mayContinue(s); err != nil {
		return err
	}
	through, err := l.circuit.waitClosed(r.soft)
	if err != nil && !s.permit.sent() {
		return cancelled()
	}
	s.through = s.through || through
	return nil
}

// notice tells the operator what is waited for.
func (r *run) notice(format string, args ...any) {
	if r.Notice != nil {
		r.Notice(fmt.Sprintf(format, args...))
	}
}

// jitter spreads a back-off between three quarters and five quarters of it.
func (r *run) jitter(d time.Duration) time.Duration {
	return d*3/4 + rand.N(d/2)
}
