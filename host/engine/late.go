package engine

import (
	"fmt"
	"time"

	"github.com/rekey-host/rekey/host/journal"
	"github.com/rekey-host/rekey/sdk"
	"github.com/rekey-host/rekey/sdk/secret"
)

// lateFactor times an operation's timeout is how long after rekey gave an
// attempt up its request may still reach the target: proxies, full queues and
// retransmissions hold requests far longer than any answer is waited for.
const lateFactor = 4

// Late is how long an attempt that was given up may still take effect.
func (b Backend) Late() time.Duration { return lateFactor * b.Timeout }

// loss says that an attempt was sent and never answered: its request may still
// be on its way.
type loss struct {
	here  bool      // this process sent it: it may outlive the run
	until time.Time // it is taken to be dead after that; zero: nothing was lost
}

// happened reports whether anything was lost.
func (o loss) happened() bool { return !o.until.IsZero() }

// and is both losses.
func (o loss) and(other loss) loss {
	if other.until.After(o.until) {
		o.until = other.until
	}
	o.here = o.here || other.here
	return o
}

// lostHere is the loss of an attempt that this process gives up now.
func (r *run) lostHere(b Backend) loss {
	return loss{here: true, until: r.Clock.Now().Add(b.Late())}
}

// lostBefore is the loss of an attempt of an earlier process, given up at the
// latest at that time. A clock that was set back meanwhile makes nobody wait
// longer than from the start of this process.
func (r *run) lostBefore(b Backend, at time.Time) loss {
	if at.IsZero() || at.After(r.began) {
		at = r.began
	}
	return loss{until: at.Add(b.Late())}
}

// overtakers returns what was lost of the credential that could still replace
// the value after it is set: attempts with another value. A lost change is none
// unless it changes from that very value, because the target compares the old
// one. An absent value stands for one that the target picks.
func (x *executor) overtakers(value secret.Value) (loss, error) {
	var all loss
	known := x.history.Credential(x.recorded.Credential)
	if known == nil || len(x.lost) == 0 && x.before == 0 {
		return all, nil
	}
	for _, a := range known.Attempts {
		lost := x.lossOf(a)
		if !lost.happened() {
			continue
		}
		harmless, err := x.cannotOvertake(a.Intent, value)
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
func (x *executor) cannotOvertake(intent *journal.Record, value secret.Value) (bool, error) {
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

// unsealed turns a value that does not open into the end of the run.
func (s *Steps) unsealed(err error) error {
	if err != nil {
		return s.run.broken(err)
	}
	return nil
}

// lossOf is what was lost of an attempt.
func (x *executor) lossOf(a *journal.Attempt) loss {
	switch {
	case a.Intent.Kind != journal.Intent:
		return loss{} // the host refused it itself
	case a.Newest() >= x.before: // of this process
		return x.lost[a]
	case a.Unknown(): // a later process may have sent it again, without a record
		return x.run.lostBefore(x.dispatcher.backend, x.run.LastRecord).and(x.recordedLoss(a))
	}
	return x.recordedLoss(a)
}

// recordedLoss is what an earlier process wrote of a request that it lost. A
// clock that was set back meanwhile makes nobody wait longer than that process
// would have.
func (x *executor) recordedLoss(a *journal.Attempt) loss {
	if a.Outcome == nil || a.Outcome.Detail.Late == nil {
		return loss{}
	}
	until := *a.Outcome.Detail.Late
	if at := a.Outcome.At; !at.IsZero() {
		if longest := x.run.began.Add(max(until.Sub(at), 0)); until.After(longest) {
			until = longest
		}
	}
	return loss{until: until}
}

// mayCome notes in an outcome that a request of the attempt was lost.
func (s *Steps) mayCome(a *journal.Attempt, outcome *journal.Record, lost loss) {
	if !lost.happened() {
		return
	}
	if s.lost == nil {
		s.lost = map[*journal.Attempt]loss{}
	}
	s.lost[a] = lost
	until := lost.until.UTC().Truncate(time.Microsecond)
	outcome.Detail.Late = &until
}

// nothingComes returns when no lost attempt can replace the value any more, or
// the fault of a user who has to wait longer than this process.
func (x *executor) nothingComes(value secret.Value) error {
	lost, err := x.overtakers(value)
	if err != nil {
		return err
	}
	return x.outwait(lost)
}

// outwait returns when nothing that was lost can arrive any more. What this
// process itself lost it never waits for: such a request may be held beyond
// any deadline, so another process goes on, and the user ends unknown until
// then.
func (x *executor) outwait(o loss) error {
	label := x.dispatcher.backend.Label
	if o.here {
		return postponed(label, x.step.Account)
	}
	if wait := o.until.Sub(x.run.Clock.Now()); wait > 0 {
		x.run.notice("backend %s: an attempt of an earlier process got no answer and may still reach %s: waiting until %s",
			label, x.step.Account, o.until.Local().Format(time.TimeOnly))
		if x.pause(x.dispatcher, wait, x.changed()) != nil {
			return cancelled()
		}
	}
	return nil
}

// postponed is the fault of a user for whom no other value is sent in this
// process.
func postponed(backend, account string) *journal.Fault {
	return &journal.Fault{Code: sdk.ConnectionLost, Postponed: true, Message: fmt.Sprintf(
		"%s %s: an attempt got no answer and may still arrive; no other value is sent before it cannot: rekey resume goes on", backend, account)}
}
