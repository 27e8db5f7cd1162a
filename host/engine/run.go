package engine

import (
	"context"
	"sync"
	"time"

	"github.com/rekey-host/rekey/host/journal"
	"github.com/rekey-host/rekey/sdk"
)

// run is what all users of one Apply share.
type run struct {
	Job
	minter
	panics      panics
	committer   *committer
	dispatchers map[string]*dispatcher
	semaphore   *semaphore
	owners      *owners
	began       time.Time

	hard, soft context.Context // soft ends when the run stops, hard when it is cancelled
	softEnd    context.CancelCauseFunc

	mu           sync.Mutex
	ending       Ending
	fatal        error
	waveFailures threshold // of the present wave
}

// ended is a user who has ended.
type ended struct {
	rec     *journal.Record // its status
	sent    bool            // it has sent something, in this process or an earlier one
	endsRow bool            // users of a batch were done before this one left it
}

func newRun(ctx context.Context, job Job) *run {
	made := &run{Job: job, panics: job.Panicked, dispatchers: map[string]*dispatcher{}, semaphore: newSemaphore(0), owners: newOwners(job.Scratch, job.users()),
		began: job.Clock.Now(), hard: ctx, waveFailures: threshold{limit: -1}}
	made.soft, made.softEnd = context.WithCancelCause(ctx)
	made.minter = newMinter(made.soft, &made.Job, made.dispatchers)
	return made
}

// start begins the committer and the dispatchers, and what watches them.
func (r *run) start() (stop func()) {
	r.committer, r.simulated = newCommitter(r.Journal, r.Crash, r.panics), false
	probing, end := context.WithCancel(r.soft)
	var watching sync.WaitGroup
	for _, backend := range r.Backends {
		dispatcher := newDispatcher(r.soft, &r.Job, backend, r.committer, r.semaphore)
		dispatcher.names = newResolver(r.hard, dispatcher)
		r.dispatchers[backend.Label] = dispatcher
	}
	for _, dispatcher := range r.dispatchers {
		watching.Go(r.panics.guarded(func() { dispatcher.watch(probing, &r.Job, r.stop) }))
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

// end counts a user against the wave's threshold. It reports false for one that
// fails without having sent anything after the run has stopped: that one goes
// back to pending.
func (r *run) end(user ended) bool {
	status := user.rec.Detail.Status
	r.mu.Lock()
	if status.Failure() && r.soft.Err() != nil && !user.sent {
		r.mu.Unlock()
		return false
	}
	if user.endsRow {
		r.waveFailures.alike = 0
	}
	over := r.waveFailures.add(status, user.rec.Code)
	r.semaphore.spare(r.waveFailures.limit - r.waveFailures.failed)
	if over != "" {
		r.softEnd(errStopped) // under the lock: no other user may count in between
	}
	r.mu.Unlock()
	if over != "" {
		r.stop(over)
	}
	return true
}

// stop ends the dispatching: operations in flight finish.
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
	for _, dispatcher := range r.dispatchers {
		dispatcher.stop()
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

// lostHere is the loss of an attempt that this process gives up now.
func (r *run) lostHere(backend Backend) loss {
	return loss{here: true, until: r.Clock.Now().Add(backend.Late())}
}

// lostBefore is the loss of an attempt of an earlier process, given up at the
// latest at that time. A clock set back meanwhile never makes users wait longer
// than from the start of this process.
func (r *run) lostBefore(backend Backend, at time.Time) loss {
	if at.IsZero() || at.After(r.began) {
		at = r.began
	}
	return loss{until: at.Add(backend.Late())}
}

// tellWait tells the operator what a dispatcher waits for, once.
func (r *run) tellWait(dispatcher *dispatcher, err *sdk.Error, wait time.Duration) {
	now := r.Clock.Now()
	if err == nil || dispatcher.circuit.holds() || !dispatcher.silence.lasts(now, wait) {
		return
	}
	dispatcher.waits.begin(now, said(err))
	r.notice("backend %s: %s; the next attempt is at %s, each operation is tried %d times", dispatcher.backend.Label, said(err),
		moment(now, now.Add(wait)), dispatcher.backend.Attempts)
}

// tellDone counts users of a batch who are done.
func (r *run) tellDone(users int) {
	if users == 0 {
		return
	}
	r.mu.Lock()
	_ = r.waveFailures.add(journal.Done, "") // it ends a row of failures, and stops nothing
	r.mu.Unlock()
	if r.Finished == nil {
		return
	}
	for range users {
		r.Finished(journal.Done, sdk.Code(""))
	}
}
