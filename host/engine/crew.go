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

// crew applies one run.
type crew struct {
	Job
	panics   panics
	writer   *writer
	lanes    map[string]*lane
	gate     *gate
	owners   *owners
	kinds    []*Backend // those whose credentials have kinds
	policies *policies
	recipes  *recipes
	pools    *pools
	began    time.Time

	hard, soft context.Context // soft ends when the run stops, hard when it is cancelled
	softEnd    context.CancelCauseFunc

	batcher *batcher

	mu       sync.Mutex
	ending   Ending
	fatal    error
	wavering threshold // of the wave that is being applied
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
	c := newCrew(ctx, job)
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
	for _, l := range c.lanes {
		l.names.asks.Wait()
		l.close()
	}
	if werr := c.writer.close(); err == nil {
		err = werr
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.fatal != nil {
		err = c.fatal
	}
	return c.ending, err
}

func newCrew(ctx context.Context, job Job) *crew {
	c := &crew{Job: job, panics: job.Panicked, lanes: map[string]*lane{}, gate: newGate(0), owners: newOwners(job.Scratch, job.users()),
		began: job.Clock.Now(), hard: ctx, wavering: threshold{limit: -1}}
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

// start begins the writer and the lanes, and what watches them.
func (c *crew) start() (stop func()) {
	c.writer = newWriter(c.Journal, c.Crash, c.panics)
	probing, end := context.WithCancel(c.soft)
	var watching sync.WaitGroup
	for _, b := range c.Backends {
		l := newLane(c.soft, b, c.writer, c.gate)
		l.names = newResolver(c.hard, l)
		c.lanes[b.Label] = l
	}
	for _, l := range c.lanes {
		watching.Go(c.panics.guarded(func() { l.probe(probing, c) }))
	}
	detach := context.AfterFunc(c.Stop, c.panics.guarded(c.interrupt))
	abort := context.AfterFunc(c.hard, c.panics.guarded(c.interrupt))
	return func() {
		detach()
		abort()
		end()
		watching.Wait()
	}
}

func (c *crew) ownersFromLedger() error {
	return c.Plan.Intents(func(backend, account, cred, identity string, user int64) error {
		if _, _, err := c.owners.claim(backend, account, cred, user); err != nil {
			return err
		}
		if identity == "" {
			identity = plainIdentity(backend, account)
		}
		_, _, err := c.owners.claimIdentity(identity, cred, user)
		return err
	})
}

// who names a user to somebody who looks for the row.
func (c *crew) who(pos int64) string {
	if c.KeyOf != nil {
		if key := c.KeyOf(pos); key != "" {
			return fmt.Sprintf("user %q, %d of the plan,", key, pos)
		}
	}
	return fmt.Sprintf("user %d of the plan", pos)
}

// waves applies the waves in order.
func (c *crew) waves() error {
	for i, rule := range c.Waves {
		if c.soft.Err() != nil {
			return nil
		}
		c.enter(i, rule)
		if err := c.wave(i, rule); err != nil {
			return err
		}
		c.at(CrashWaveEnded)
		if c.soft.Err() != nil {
			return nil
		}
		if held, err := c.hold(i, rule); held || err != nil {
			return err
		}
	}
	return nil
}

// enter sets the wave's threshold: users that have sent and not ended are then
// bounded by the concurrency, so that no more can fail after it stops.
func (c *crew) enter(i int, rule journal.WaveRule) {
	limit := rule.Limit(c.Planned[i])
	bound := 0
	if limit >= 0 {
		for _, b := range c.Backends {
			bound = max(bound, b.Concurrency)
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.wavering = threshold{rule: rule, limit: limit}
	if c.Failed != nil {
		c.wavering.failed = c.Failed[i]
	}
	c.gate.bound(bound, limit-c.wavering.failed)
	if c.Waived != nil {
		c.wavering.waived = c.Waived[i]
	}
}

func (c *crew) wave(i int, rule journal.WaveRule) error {
	for after := int64(0); ; {
		next, err := c.batch(i, rule, after)
		if err != nil || next == after || c.soft.Err() != nil {
			return err
		}
		after = next
		if rule.Pause > 0 {
			more, err := c.moreAfter(i, after)
			if err != nil || !more {
				return err
			}
			if c.Clock.Sleep(c.soft, rule.Pause) != nil {
				return nil
			}
		}
	}
}

// batch applies up to a batch of the wave's open users after a position, waits
// for them, and returns the last one's position.
func (c *crew) batch(i int, rule journal.WaveRule, after int64) (int64, error) {
	slots := make(chan struct{}, window)
	var users sync.WaitGroup
	defer c.batcher.users.Wait()
	defer users.Wait()
	alone := func(u ledger.User) bool {
		select {
		case slots <- struct{}{}:
		case <-c.soft.Done():
			return false
		}
		users.Go(func() {
			defer c.panics.guard(u.Key)
			c.serve(u)
			<-slots
		})
		return true
	}
	for left := rule.Size; ; {
		want := page
		if rule.Size > 0 {
			want = min(page, left)
		}
		list, err := c.Plan.OpenUsers(i, after, want)
		if err != nil {
			return after, err
		}
		c.pools.wants.come(len(list))
		for _, u := range list {
			if !c.dispatch(u, alone) {
				return after, nil
			}
			after = u.Pos
		}
		if !c.dispatchRest(alone) {
			return after, nil
		}
		left -= len(list)
		if len(list) < want || left == 0 {
			c.at(CrashBatchDispatched)
			return after, nil
		}
	}
}

// dispatch hands a user to a batch, or has it served alone. It reports false
// when the run stops.
func (c *crew) dispatch(u ledger.User, alone func(ledger.User) bool) bool {
	if !c.batcher.takes(u) {
		return alone(u)
	}
	rest, ok := c.batcher.put(u)
	return ok && each(rest, alone)
}

// dispatchRest is dispatch of those who wait for others.
func (c *crew) dispatchRest(alone func(ledger.User) bool) bool {
	rest, ok := c.batcher.flush()
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
func (c *crew) batchLimit() int {
	if c.Batch > 0 {
		return c.Batch
	}
	return batchLimit
}

// moreAfter reports whether the run has open users beyond the position.
func (c *crew) moreAfter(wave int, after int64) (bool, error) {
	for i := range c.Waves[wave:] {
		list, err := c.Plan.OpenUsers(wave+i, after, 1)
		if err != nil || len(list) > 0 {
			return len(list) > 0, err
		}
		after = 0
	}
	return false, nil
}

// hold ends the run for approval after a wave that asks for it.
func (c *crew) hold(i int, rule journal.WaveRule) (bool, error) {
	if !rule.Hold || c.Approved(rule.Name) {
		return false, nil
	}
	later, err := c.moreAfter(i+1, 0)
	if err != nil || !later {
		return false, err
	}
	c.at(CrashHolding)
	c.mu.Lock()
	c.ending.Held = rule.Name
	c.mu.Unlock()
	if c.Held == rule.Name {
		return true, nil // users of a wave that was held already were put back
	}
	return true, c.writer.write(&journal.Record{Kind: journal.Held, Detail: journal.Detail{Wave: rule.Name}})
}

// serve runs one user's rotate and records what came of it.
func (c *crew) serve(u ledger.User) {
	row, err := c.Row(u)
	if err != nil {
		_ = c.broken(fmt.Errorf("row of user %q: %w", u.Key, err))
		return
	}
	s := c.stepsOf(u, row)
	defer c.gate.leave(&s.ticket)
	defer func() { c.pools.wants.leave(s.taken) }()
	if s.settleReverts() != nil {
		return
	}
	c.finish(s, c.Hooks.Rotate(c.hard, row, s))
}

// serveOn is serve of a user who has left a batch: what that did is of this
// process.
func (c *crew) serveOn(x leaver) {
	row, err := c.Row(x.user)
	if err != nil {
		_ = c.broken(fmt.Errorf("row of user %q: %w", x.user.Key, err))
		return
	}
	x.user.History = x.records
	s := c.stepsOf(x.user, row)
	s.before, s.attempts, s.handed, s.unmade, s.unsure = 0, x.tries, x.handed, x.unmade, x.unsure
	s.endsRow = x.endsRow
	s.ticket.outside = true
	s.ticket.admitted.Store(x.sent)
	defer func() { c.pools.wants.leave(s.taken) }()
	c.finish(s, c.Hooks.Rotate(c.hard, row, s))
}

func (c *crew) stepsOf(u ledger.User, row source.Row) *Steps {
	return &Steps{crew: c, user: u, row: row, names: namesOf(row), history: journal.Read(u.History), before: len(u.History),
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
func (c *crew) finish(s *Steps, v journal.Verdict) {
	if v.Kind == journal.Raised && v.Fault != nil && v.Fault.Code == sdk.Cancelled || c.dead() {
		return
	}
	v = s.checked(v)
	if c.Revert {
		back, err := s.revert(v)
		if isCancelled(err) {
			return
		}
		v = back
	}
	rec := s.history.Conclude(v)
	s.sayKept(&rec)
	rec.User, rec.Detail.Attempt = s.user.Pos, s.attempts
	if !c.count(s, rec) {
		return
	}
	c.at(CrashStatusMade)
	c.writer.add(entry{rec: &rec})
	if c.Finished != nil {
		c.Finished(rec.Detail.Status, rec.Code)
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
func (c *crew) count(s *Steps, rec journal.Record) bool {
	c.mu.Lock()
	if rec.Detail.Status.Failure() && c.soft.Err() != nil && !s.ticket.sent() && !s.history.Replay.Sent {
		c.mu.Unlock()
		return false
	}
	if s.endsRow {
		c.wavering.alike = 0
	}
	over := c.wavering.add(rec.Detail.Status, rec.Code)
	c.gate.spare(c.wavering.limit - c.wavering.failed)
	if over != "" {
		c.softEnd(errStopped) // under the lock: nobody else may count in between
	}
	c.mu.Unlock()
	if over != "" {
		c.stop(over)
	}
	return true
}

// stop ends the dispatching: what is in flight finishes.
func (c *crew) stop(reason string) {
	c.mu.Lock()
	first := c.ending.Stopped == "" && !c.ending.Interrupted
	if first {
		c.ending.Stopped = reason
	}
	c.mu.Unlock()
	c.wind()
	if first {
		c.at(CrashStopping)
		c.writer.add(entry{rec: &journal.Record{Kind: journal.Stopped, Detail: journal.Detail{Message: reason}}})
	}
}

func (c *crew) interrupt() {
	c.mu.Lock()
	c.ending.Interrupted = true
	c.mu.Unlock()
	c.wind()
}

func (c *crew) wind() {
	c.softEnd(errStopped)
	for _, l := range c.lanes {
		l.stop()
	}
}

// broken notes that the ledger cannot be read or written: nothing more is sent.
func (c *crew) broken(err error) error {
	c.mu.Lock()
	if c.fatal == nil {
		c.fatal = err
	}
	c.mu.Unlock()
	c.wind()
	return cancelled()
}

func (c *crew) dead() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.fatal != nil
}

// goOn returns a *Fault that cancels a user who has sent nothing when the run
// stops, and everybody when the ledger is gone.
func (c *crew) goOn(s *Steps) error {
	if c.dead() || c.hard.Err() != nil || c.soft.Err() != nil && !s.ticket.sent() {
		return cancelled()
	}
	return nil
}

// admit waits for the lane's circuit before something new is sent.
func (c *crew) admit(s *Steps, l *lane) error {
	if err := c.goOn(s); err != nil {
		return err
	}
	through, err := l.circuit.waitClosed(c.soft)
	if err != nil && !s.ticket.sent() {
		return cancelled()
	}
	s.through = s.through || through
	return nil
}

// notice tells the operator what is waited for.
func (c *crew) notice(format string, args ...any) {
	if c.Notice != nil {
		c.Notice(fmt.Sprintf(format, args...))
	}
}

// jitter spreads a back-off between three quarters and five quarters of it.
func (c *crew) jitter(d time.Duration) time.Duration {
	return d*3/4 + rand.N(d/2)
}
