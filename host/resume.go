package host

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/rekey-host/rekey/host/engine"
	"github.com/rekey-host/rekey/host/journal"
	"github.com/rekey-host/rekey/host/ledger"
)

// resumption goes on with the run of a session.
type resumption struct{ *Session }

func (p resumption) resume(ctx, stop context.Context) (Outcome, error) {
	out, err := outcomeOf(p.run)
	if err != nil {
		return out, err
	}
	if done := out.Counts.Pending+out.Counts.Held+out.Counts.Unknown == 0; done {
		if out.Status == journal.StateRunning {
			return p.finish(ctx)
		}
		return signed(p.run, out)
	}
	switch why, err := p.run.Cancelled(); {
	case err != nil:
		return out, err
	case why != "" && out.Counts.Pending+out.Counts.Held > 0:
		return p.skipRest(ctx, why)
	}
	wave, held, err := p.run.Hold()
	if err != nil {
		return out, err
	}
	if held {
		return stillHeld(p.run, out, wave), nil
	}
	reason, err := overAgain(p.run)
	if err != nil {
		return out, err
	}
	if reason != "" && !p.options.OverThreshold && out.Counts.Pending+out.Counts.Held > 0 {
		return stillOver(p.run, out, reason)
	}
	if out.Status == journal.StatePlanned {
		if err := p.host.confirm(stop, out.preview(), p.options); err != nil {
			return Outcome{}, err
		}
	}
	return p.again(ctx, stop, "resume", func() error { return reopenUnknown(p.run) })
}

func (p resumption) retry(ctx, stop context.Context) (Outcome, error) {
	users, err := retried(p.run, p.options)
	if err != nil {
		return Outcome{}, err
	}
	if len(users) == 0 {
		return Outcome{}, &UsageError{Message: fmt.Sprintf("run %s has no failed or partial user%s", p.run.ID(), p.options.filterText()), Fix: "rekey show " + p.run.ID()}
	}
	if err := underLimit(p.run, users, p.options); err != nil {
		return Outcome{}, err
	}
	shown := Preview{Script: p.run.Header().Script, Total: int64(len(users)), Due: int64(len(users))}
	if err := p.host.confirm(stop, shown, p.options); err != nil {
		return Outcome{}, err
	}
	return p.again(ctx, stop, "retry", func() error { return reopen(p.run, users) })
}

// finish ends a run killed after its last user, before its reports
// were whole and its end was recorded.
func (p resumption) finish(ctx context.Context) (Outcome, error) {
	flow, err := p.loader.kept(ctx, p.run)
	if err != nil {
		return Outcome{}, err
	}
	p.use(flow, flow)
	if err := p.checkOutputs(ctx, p.run.Header()); err != nil {
		return Outcome{}, err
	}
	return p.conclude(ctx, engine.Ending{})
}

// again loads the script, compares it with the recorded one, opens its backends
// and applies.
func (p resumption) again(ctx, stop context.Context, command string, prepare func() error) (Outcome, error) {
	changed, err := p.ready(stop)
	if err != nil {
		return Outcome{}, err
	}
	if p.gaveUp, err = gaveUp(p.run); err != nil { // what follows makes records too
		return Outcome{}, err
	}
	if err := p.accept(changed); err != nil {
		return Outcome{}, err
	}
	if err := prepare(); err != nil {
		return Outcome{}, err
	}
	return p.apply(ctx, stop, command)
}

// ready prepares everything but the ledger, and returns the changes that were
// accepted. Nothing is sent yet: the first signal ends it.
func (p resumption) ready(stop context.Context) (changed []string, err error) {
	if err := p.plugins.unchanged(p.run, p.options); err != nil {
		return nil, err
	}
	changed, err = p.open(stop)
	if err != nil {
		return nil, interrupted(stop, err)
	}
	if err := p.checkOutputs(stop, p.run.Header()); err != nil {
		return nil, err
	}
	warnings, err := p.backends.check(stop, p.host.LookupEnv)
	if err != nil {
		return nil, interrupted(stop, err)
	}
	strays, err := p.strays(p.run.ID()).warnings()
	if err != nil {
		return nil, err
	}
	p.host.notices.warnAll(append(warnings, strays...))
	return changed, nil
}

// open loads the script and opens its backends, if they are those of the run or
// the change is accepted.
func (p resumption) open(stop context.Context) (changed []string, err error) {
	record := recorded{loader: p.loader, run: p.run}
	flow, hooks, changed, err := record.load(stop, p.options)
	if err != nil {
		return nil, err
	}
	p.use(flow, hooks)
	pins, err := p.plugins.pins(stop, flow)
	if err != nil {
		return nil, err
	}
	accepted, err := samePins(p.run, pins, p.options)
	if err != nil {
		return nil, err
	}
	plugins := p.plugins
	if plugins.handed, err = p.run.Handed(); err != nil {
		return nil, err
	}
	p.backends, err = plugins.open(stop, flow)
	return append(changed, accepted...), err
}

// accept records the accepted changes, with the backends that the run goes on
// with.
func (p resumption) accept(changed []string) error {
	if len(changed) == 0 {
		return nil
	}
	return p.note(journal.Accepted, journal.Detail{Message: strings.Join(changed, "; "), Backends: p.backends.pins})
}

// signed is the resume of a finished run: nothing is done.
func signed(run *ledger.Run, out Outcome) (Outcome, error) {
	var err error
	out.Audit.Size, out.Audit.Head, err = run.SignHead()
	return out, err
}

// stillHeld is the resume of a run that waits for an approval.
func stillHeld(run *ledger.Run, out Outcome, wave string) Outcome {
	out.Status, out.ExitCode = journal.StateHeld, ExitHeld
	out.Reason = "wave " + wave + " waits for an approval"
	out.Next = []string{fmt.Sprintf("rekey approve %s, then rekey resume %s", run.ID(), run.ID())}
	return out
}

// stillOver is the resume of a run that a threshold has stopped: it stays
// stopped.
func stillOver(run *ledger.Run, out Outcome, reason string) (Outcome, error) {
	out.Status, out.ExitCode, out.Reason = journal.StateStopped, ExitStopped, reason
	var err error
	if out.Next, err = advice(run, out); err != nil {
		return out, err
	}
	return signed(run, out)
}

// reopenUnknown puts users with an unknown outcome back, so that each is tried
// once more.
func reopenUnknown(run *ledger.Run) error {
	users, err := unknown(run)
	if err != nil {
		return err
	}
	return reopen(run, users)
}

// unknown returns the users with an unknown outcome. Where none has, they are not
// looked for among all others.
func unknown(run *ledger.Run) ([]int64, error) {
	if counts, err := run.Counts(); err != nil || counts.Unknown == 0 {
		return nil, err
	}
	return positions(run, ledger.Filter{Status: []journal.Status{journal.Unresolved}})
}

// retried returns the users of a retry.
func retried(run *ledger.Run, options RunOptions) ([]int64, error) {
	return positions(run, ledger.Filter{Status: []journal.Status{journal.Failed, journal.Partial}, Codes: options.Codes, Keys: options.Keys})
}

func positions(run *ledger.Run, filter ledger.Filter) (users []int64, err error) {
	err = run.Each(filter, ledger.OrderApply, func(user ledger.User) error {
		users = append(users, user.Pos)
		return nil
	})
	return users, err
}

func reopen(run *ledger.Run, users []int64) error {
	return inParts(run, users, func(pos int64) *journal.Record { return &journal.Record{Kind: journal.Reopened, User: pos} })
}

// inParts commits a record for each user, a thousand at a time.
func inParts(run *ledger.Run, users []int64, of func(pos int64) *journal.Record) error {
	for part := range slices.Chunk(users, 1000) {
		records := make([]*journal.Record, len(part))
		for i, pos := range part {
			records[i] = of(pos)
		}
		if err := run.Commit(records); err != nil {
			return err
		}
	}
	return nil
}
