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
	counts, err := s.run.Counts()
	if err != nil {
		return Outcome{}, err
	}
	if counts.Pending+counts.Held == 0 {
		return Outcome{}, &UsageError{Message: fmt.Sprintf("run %s has no user who waits", s.run.ID()), Fix: "rekey show " + s.run.ID()}
	}
	why, err := s.run.Cancelled()
	if err == nil && why == "" {
		why = s.options.Reason
		err = s.note(journal.Cancelled, journal.Detail{Requestor: s.options.Requestor, Message: why})
	}
	return s.skipWaiting(ctx, why, err)
}

// skipWaiting gives all who wait their status, and ends the run.
func (s *Session) skipWaiting(ctx context.Context, why string, err error) (Outcome, error) {
	if err != nil {
		return Outcome{}, err
	}
	if err := s.endWaiting("cancelled: " + why); err != nil {
		return Outcome{}, err
	}
	starts, err := s.run.Starts()
	if err != nil {
		return Outcome{}, err
	}
	if len(starts) == 0 { // no user was served: there is nothing to report
		return s.leave(ctx, why)
	}
	flow, err := s.loader.kept(ctx, s.run)
	if err != nil {
		return Outcome{}, err
	}
	s.use(flow, flow)
	if err := s.checkOutputs(ctx, s.run.Header()); err != nil {
		return Outcome{}, err
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
