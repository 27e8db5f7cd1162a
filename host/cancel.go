package host

import (
	"context"
	"fmt"

	"github.com/rekey-host/rekey/host/engine"
	"github.com/rekey-host/rekey/host/journal"
	"github.com/rekey-host/rekey/host/ledger"
)

// Cancel ends the run before its users. Whoever waits for his turn is skipped, with the
// reason of the options; who was under way gets the status that his records come to.
// Nothing is sent. A process that ends in the middle leaves the rest to the next
// Cancel or Resume.
func (s *Session) Cancel(ctx context.Context) (Outcome, error) {
	out, err := s.cancel(ctx)
	return s.whole(out, err)
}

func (s *Session) cancel(ctx context.Context) (Outcome, error) {
	if s.options.Reason == "" {
		return Outcome{}, &UsageError{Message: "cancel wants to know why", Fix: `give --reason "…": it stands with every user who is skipped`}
	}
	why, err := s.run.Cancelled()
	if err != nil {
		return Outcome{}, err
	}
	out, err := outcomeOf(s.run)
	if err != nil {
		return Outcome{}, err
	}
	begun := why != "" && out.Status == journal.StateRunning // and ended in the middle
	if out.Counts.Pending+out.Counts.Held == 0 && !begun {
		return Outcome{}, &UsageError{Message: fmt.Sprintf("run %s has no user who waits", s.run.ID()), Fix: "rekey show " + s.run.ID()}
	}
	applied, err := s.reportable(ctx)
	if err != nil {
		return Outcome{}, err
	}
	if why == "" {
		why = s.options.Reason
		if err := s.note(journal.Cancelled, journal.Detail{Requestor: s.options.Requestor, Message: why}); err != nil {
			return Outcome{}, err
		}
	}
	return s.skipWaiting(ctx, why, applied)
}

// reportable makes the session ready to report, where the run was ever applied. Nothing
// is done yet: what keeps a report from being written is an error.
func (s *Session) reportable(ctx context.Context) (applied bool, err error) {
	starts, err := s.run.Starts()
	if err != nil || len(starts) == 0 {
		return false, err
	}
	flow, err := s.loader.kept(ctx, s.run)
	if err != nil {
		return true, err
	}
	s.use(flow, flow)
	return true, s.checkOutputs(ctx, s.run.Header())
}

// skipRest goes on with what a process that cancelled the run left.
func (s *Session) skipRest(ctx context.Context, why string) (Outcome, error) {
	applied, err := s.reportable(ctx)
	if err != nil {
		return Outcome{}, err
	}
	return s.skipWaiting(ctx, why, applied)
}

// skipWaiting gives all who wait their status, and ends the run.
func (s *Session) skipWaiting(ctx context.Context, why string, applied bool) (Outcome, error) {
	if err := s.endWaiting("cancelled: " + why); err != nil {
		return Outcome{}, err
	}
	if !applied { // no user was served: there is nothing to report
		return s.leave(ctx, why)
	}
	return s.conclude(ctx, engine.Ending{Stopped: "cancelled: " + why})
}

// leave records the end of a run that was never applied.
func (s *Session) leave(ctx context.Context, why string) (Outcome, error) {
	if err := s.note(journal.Ended, journal.Detail{State: journal.StateFinished, Message: "cancelled: " + why}); err != nil {
		return Outcome{}, err
	}
	out, err := s.concluded(ctx, nil)
	out.Reason = "cancelled: " + why
	return out, err
}

// endWaiting gives all who wait the status that their records come to.
func (s *Session) endWaiting(why string) error {
	begun := map[int64]*journal.Record{} // of those who were under way
	var waiting []int64
	err := s.run.Each(ledger.Filter{Status: []journal.Status{journal.Pending, journal.HeldPending}}, ledger.OrderApply, func(user ledger.User) error {
		waiting = append(waiting, user.Pos)
		if len(user.History) > 0 {
			end := endedEarly(user.History, why)
			begun[user.Pos] = &end
		}
		return nil
	})
	if err != nil {
		return err
	}
	return inParts(s.run, waiting, func(pos int64) *journal.Record {
		if end := begun[pos]; end != nil {
			end.User = pos
			return end
		}
		return &journal.Record{Kind: journal.Finished, User: pos, Detail: journal.Detail{Status: journal.Skipped, Message: why}}
	})
}

// endedEarly is the status of a user whose rotate will not go on.
func endedEarly(records []journal.Record, why string) journal.Record {
	history := journal.Read(records)
	verdict := journal.Verdict{Kind: journal.SaidFailed, Reason: why}
	if len(history.Touched()) == 0 {
		verdict.Kind = journal.SaidSkip
	}
	return history.Conclude(verdict)
}
