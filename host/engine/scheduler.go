package engine

import (
	"fmt"
	"sync"

	"github.com/rekey-host/rekey/host/journal"
	"github.com/rekey-host/rekey/host/ledger"
	"github.com/rekey-host/rekey/sdk"
)

// window is how many users are in flight: more than the credit and what a
// commit holds, or lazy commit has nothing to be lazy with.
const window = 1024

// page is how many users are read from the plan at once: an open cursor would
// keep the ledger's write-ahead file from being folded in.
const page = 4096

// scheduler applies the waves of a run in order, and says for each user whether a
// batch carries it or it is served alone.
type scheduler struct {
	*run
	batcher *batcher
}

// apply applies the waves in order.
func (c *scheduler) apply() error {
	for i, rule := range c.Waves {
		if c.soft.Err() != nil {
			return nil
		}
		c.enter(i, rule)
		c.batcher.tryAgain()
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
func (c *scheduler) enter(i int, rule journal.WaveRule) {
	limit := rule.Limit(c.Planned[i])
	bound := 0
	if limit >= 0 {
		for _, backend := range c.Backends {
			bound = max(bound, backend.Concurrency)
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.waveFailures = threshold{rule: rule, limit: limit}
	if c.Failed != nil {
		c.waveFailures.failed = c.Failed[i]
	}
	c.semaphore.bound(bound, limit-c.waveFailures.failed)
	if c.Waived != nil {
		c.waveFailures.waived = c.Waived[i]
	}
}

func (c *scheduler) wave(i int, rule journal.WaveRule) error {
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
func (c *scheduler) batch(i int, rule journal.WaveRule, after int64) (int64, error) {
	slots := make(chan struct{}, window)
	var users sync.WaitGroup
	defer c.batcher.users.Wait()
	defer users.Wait()
	alone := func(user ledger.User) bool {
		select {
		case slots <- struct{}{}:
		case <-c.soft.Done():
			return false
		}
		users.Go(func() {
			defer c.panics.guard(user.Key)
			c.serve(user)
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
		c.pools.demand.come(len(list))
		for _, user := range list {
			if !c.dispatch(user, alone) {
				return after, nil
			}
			after = user.Pos
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
func (c *scheduler) dispatch(user ledger.User, alone func(ledger.User) bool) bool {
	if !c.batcher.takes(user) {
		return alone(user)
	}
	rest, ok := c.batcher.put(user)
	return ok && each(rest, alone)
}

// dispatchRest is dispatch of those who wait for others.
func (c *scheduler) dispatchRest(alone func(ledger.User) bool) bool {
	rest, ok := c.batcher.flush()
	return ok && each(rest, alone)
}

// each reports whether call is true of each user, and asks no further.
func each(users []ledger.User, call func(ledger.User) bool) bool {
	for _, user := range users {
		if !call(user) {
			return false
		}
	}
	return true
}

// moreAfter reports whether the run has open users beyond the position.
func (c *scheduler) moreAfter(wave int, after int64) (bool, error) {
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
func (c *scheduler) hold(i int, rule journal.WaveRule) (bool, error) {
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
		return true, nil // the wave was held before, and some of its users were put back
	}
	return true, c.committer.write(&journal.Record{Kind: journal.Held, Detail: journal.Detail{Wave: rule.Name}})
}

// serve runs one user's rotate and records what came of it.
func (c *scheduler) serve(user ledger.User) {
	row, err := c.Row(user)
	if err != nil {
		_ = c.broken(fmt.Errorf("row of user %q: %w", user.Key, err))
		return
	}
	steps := newSteps(c.run, user, row)
	defer c.semaphore.leave(&steps.permit)
	defer func() { c.pools.demand.leave(steps.drawn) }()
	if (&reverter{userState: &steps.userState}).settle() != nil {
		return
	}
	c.finish(steps, c.Hooks.Rotate(c.hard, row, steps))
}

// serveOn is serve of a user who has left a batch: what that did is of this
// process.
func (c *scheduler) serveOn(fallback fallback) {
	row, err := c.Row(fallback.user)
	if err != nil {
		_ = c.broken(fmt.Errorf("row of user %q: %w", fallback.user.Key, err))
		return
	}
	fallback.user.History = fallback.records
	steps := newSteps(c.run, fallback.user, row)
	steps.before, steps.attempts, steps.batchReply, steps.mintFailure, steps.nameReply = 0, fallback.tries, fallback.batchReply, fallback.mintFailure, fallback.nameReply
	steps.endsRow = fallback.endsRow
	steps.permit.outside = true
	steps.permit.admitted.Store(fallback.sent)
	defer func() { c.pools.demand.leave(steps.drawn) }()
	c.finish(steps, c.Hooks.Rotate(c.hard, row, steps))
}

// finish decides a user's status. A user that goes back to pending leaves no
// record.
func (c *scheduler) finish(steps *Steps, verdict journal.Verdict) {
	if verdict.Kind == journal.Raised && verdict.Fault != nil && verdict.Fault.Code == sdk.Cancelled || c.isBroken() {
		return
	}
	verdict = steps.checked(verdict)
	back := &reverter{userState: &steps.userState}
	if c.Revert {
		reverted, err := back.revert(verdict)
		if isCancelled(err) {
			return
		}
		verdict = reverted
	}
	rec := steps.history.Conclude(verdict)
	back.explain(&rec)
	rec.User, rec.Detail.Attempt = steps.user.Pos, steps.attempts
	if !c.end(ended{rec: &rec, sent: steps.hasSent(), endsRow: steps.endsRow}) {
		return
	}
	c.at(CrashStatusMade)
	c.committer.add(entry{rec: &rec})
	if c.Finished != nil {
		c.Finished(rec.Detail.Status, rec.Code)
	}
}
