package engine

import (
	"fmt"
	"time"

	"github.com/rekey-host/rekey/host/ledger"
	"github.com/rekey-host/rekey/sdk"
	"github.com/rekey-host/rekey/sdk/secret"
)

// lateFactor times an operation's timeout is how long after rekey gave an
// attempt up its request may still reach the target: proxies, full queues and
// retransmissions hold requests far longer than any answer is waited for.
const lateFactor = 4

// late is how long an attempt that was given up may still take effect.
func (b Backend) late() time.Duration { return lateFactor * b.Timeout }

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
func (c *crew) lostHere(b Backend) loss {
	return loss{here: true, until: c.clock.Now().Add(b.late())}
}

// lostBefore is the loss of an attempt of an earlier process, given up at the
// latest at that time. A clock that was set back meanwhile makes nobody wait
// longer than from the start of this process.
func (c *crew) lostBefore(b Backend, at time.Time) loss {
	if at.IsZero() || at.After(c.began) {
		at = c.began
	}
	return loss{until: at.Add(b.late())}
}

// overtakers returns what was lost of the credential that could still replace
// the value after it is set: attempts with another value. A lost change is none
// unless it changes from that very value, because the target compares the old
// one. An absent value stands for one that the target picks.
func (s *Steps) overtakers(l *lane, cred signature, value secret.Value) (loss, error) {
	var all loss
	if len(s.lost) == 0 && len(s.user.History) == 0 {
		return all, nil
	}
	for i := range s.log {
		r := &s.log[i]
		if r.Kind != ledger.Intent || signatureOf(*r).credential() != cred || r.Verb == verbUnlock {
			continue
		}
		lost := s.lossOf(l.backend, i)
		if !lost.happened() {
			continue
		}
		harmless, err := s.cannotOvertake(r, value)
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
func (s *Steps) cannotOvertake(intent *ledger.Record, value secret.Value) (bool, error) {
	switch {
	case intent.Sealed == nil || !value.Present(): // the target picks
		return false, nil
	case intent.SealedOld != nil && intent.Detail.Op == "":
		old, err := s.crew.vault.Unseal(intent.User, intent.Step, intent.Try, roleOld, intent.SealedOld)
		return !old.Equal(value), s.unsealed(err)
	}
	was, err := s.crew.vault.Unseal(intent.User, intent.Step, intent.Try, roleValue, intent.Sealed)
	return was.Equal(value), s.unsealed(err)
}

// unsealed turns a value that does not open into the end of the run.
func (s *Steps) unsealed(err error) error {
	if err != nil {
		return s.crew.broken(err)
	}
	return nil
}

// lossOf is what was lost of the intent at the place in the user's log.
func (s *Steps) lossOf(b Backend, place int) loss {
	intent := &s.log[place]
	var outcome *ledger.Record
	at := place
	for i := place + 1; i < len(s.log); i++ {
		if r := &s.log[i]; r.Kind == ledger.Outcome && r.Step == intent.Step && r.Try == intent.Try {
			outcome, at = r, i
		}
	}
	switch {
	case at >= len(s.user.History): // of this process
		return s.lost[[2]int{intent.Step, intent.Try}]
	case outcome == nil || outcome.Outcome == sdk.Unknown: // a later process may have sent it again, without a record
		return s.crew.lostBefore(b, s.crew.LastRecord)
	case outcome.Detail.Late != nil:
		return s.crew.lostBefore(b, outcome.Detail.Late.Add(-b.late()))
	}
	return loss{}
}

// mayCome notes in an outcome that an attempt was lost.
func (s *Steps) mayCome(outcome *ledger.Record, lost loss) {
	if !lost.happened() {
		return
	}
	if s.lost == nil {
		s.lost = map[[2]int]loss{}
	}
	s.lost[[2]int{outcome.Step, outcome.Try}] = lost
	until := lost.until.UTC().Truncate(time.Microsecond)
	outcome.Detail.Late = &until
}

// lossOfTry is lossOf for a try of the user's log.
func (s *Steps) lossOfTry(b Backend, y *try) loss {
	for i := range s.log {
		if r := &s.log[i]; r.Kind == ledger.Intent && r.Step == y.intent.Step && r.Try == y.intent.Try {
			return s.lossOf(b, i)
		}
	}
	return loss{}
}

// nothingComes returns when no lost attempt can replace the value any more, or
// the fault of a user who has to wait longer than this process.
func (s *Steps) nothingComes(l *lane, cred signature, value secret.Value, account string) error {
	lost, err := s.overtakers(l, cred, value)
	if err != nil {
		return err
	}
	return s.outwait(l, lost, account)
}

// outwait returns when nothing that was lost can arrive any more. What this
// process itself lost it never waits for: such a request may be held beyond
// any deadline, so another process goes on, and the user ends unknown until
// then.
func (s *Steps) outwait(l *lane, o loss, account string) error {
	if o.here {
		return postponed(l.backend.Label, account)
	}
	if wait := o.until.Sub(s.crew.clock.Now()); o.happened() && wait > 0 {
		s.crew.notice("backend %s: an attempt of an earlier process got no answer and may still reach %s: waiting until %s",
			l.backend.Label, account, o.until.Local().Format(time.TimeOnly))
		if s.pause(l, wait, s.changed()) != nil {
			return cancelled()
		}
	}
	return nil
}

// postponed is the fault of a user for whom no other value is sent in this
// process.
func postponed(backend, account string) *Fault {
	return &Fault{Code: sdk.ConnectionLost, postponed: true, Message: fmt.Sprintf(
		"%s %s: an attempt got no answer and may still arrive; no other value is sent before it cannot: rekey resume goes on", backend, account)}
}

// isPostponed reports whether a verdict is that fault.
func (v Verdict) isPostponed() bool { return v.Kind == Raised && v.Fault != nil && v.Fault.postponed }
