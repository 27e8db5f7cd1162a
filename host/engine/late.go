package engine

import (
	"time"

	"github.com/rekey-host/rekey/host/journal"
	"github.com/rekey-host/rekey/sdk/secret"
)

// lateness knows which requests of a step's account were lost and may still
// arrive.
type lateness struct{ *stepState }

// overtakers returns what was lost of the credential that could still replace
// the value after it is set: attempts with another value. A lost change counts
// only if it changes from that very value, because the target compares the old
// one. An absent value stands for one that the target picks.
func (x lateness) overtakers(value secret.Value) (loss, error) {
	var all loss
	known := x.history.Credential(x.recorded.Credential)
	if known == nil || len(x.lost) == 0 && x.before == 0 {
		return all, nil
	}
	for _, attempt := range known.Attempts {
		lost := x.lossOf(attempt)
		if !lost.happened() {
			continue
		}
		harmless, err := x.cannotOvertake(attempt.Intent, value)
		if err != nil {
			return all, err
		}
		if !harmless {
			all = all.and(lost)
		}
	}
	return all, nil
}

// cannotOvertake reports whether the intent's operation, arriving late, leaves
// the value in force.
func (x lateness) cannotOvertake(intent *journal.Record, value secret.Value) (bool, error) {
	switch {
	case intent.Sealed == nil || !value.Present(): // the target picks
		return false, nil
	case intent.SealedOld != nil && intent.Detail.Op == "":
		old, err := x.unseal(intent, journal.RoleOld, intent.SealedOld)
		return !old.Equal(value), x.unsealed(err)
	}
	was, err := x.unseal(intent, journal.RoleValue, intent.Sealed)
	return was.Equal(value), x.unsealed(err)
}

// lossOf is what was lost of an attempt.
func (x lateness) lossOf(attempt *journal.Attempt) loss {
	switch {
	case attempt.Intent.Kind != journal.Intent:
		return loss{} // the host refused it itself
	case attempt.Newest() >= x.before: // of this process
		return x.lost[attempt]
	case attempt.Unknown(): // a later process may have sent it again, without a record
		return x.run.lostBefore(x.dispatcher.backend, x.run.LastRecord).and(x.recordedLoss(attempt))
	}
	return x.recordedLoss(attempt)
}

// recordedLoss is what an earlier process wrote of a request that it lost. A
// clock set back meanwhile never makes users wait longer than that process would
// have.
func (x lateness) recordedLoss(attempt *journal.Attempt) loss {
	if attempt.Outcome == nil || attempt.Outcome.Detail.Late == nil {
		return loss{}
	}
	until := *attempt.Outcome.Detail.Late
	if at := attempt.Outcome.At; !at.IsZero() {
		if longest := x.run.began.Add(max(until.Sub(at), 0)); until.After(longest) {
			until = longest
		}
	}
	return loss{until: until}
}

// nothingComes returns when no lost attempt can replace the value any more, or
// the fault of a user who has to wait longer than this process.
func (x lateness) nothingComes(value secret.Value) error {
	lost, err := x.overtakers(value)
	if err != nil {
		return err
	}
	return x.outwait(lost)
}

// outwait returns when no lost request can arrive any more. For requests that this
// process lost it never waits: such a request may be held beyond
// any deadline, so another process goes on, and the user ends unknown until
// then.
func (x lateness) outwait(lost loss) error {
	label := x.dispatcher.backend.Label
	if lost.here {
		return postponed(label, x.step.Account)
	}
	if wait := lost.until.Sub(x.run.Clock.Now()); wait > 0 {
		x.run.notice("backend %s: an attempt of an earlier process got no answer and may still reach %s: waiting until %s",
			label, x.step.Account, lost.until.Local().Format(time.TimeOnly))
		if x.pause(x.patience(), x.dispatcher, wait) != nil {
			return cancelled()
		}
	}
	return nil
}
