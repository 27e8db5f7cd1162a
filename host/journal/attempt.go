package journal

import "github.com/rekey-host/rekey/sdk"

// Credential names what values replace each other on.
type Credential struct{ Backend, Account, Kind string }

// CredentialOf returns the credential that a record is about.
func CredentialOf(record *Record) Credential {
	return Credential{record.Backend, record.Account, record.Cred}
}

// Attempt is one value of a step on its way, or a step without a value: its
// intent, and what became of it. Of a step that the host refused by itself, and
// of a reset that an older rekey recorded without an intent, both are the
// record of its end.
type Attempt struct {
	Intent  *Record
	Outcome *Record // nil: not known

	begun, newest int // places of its first and its newest record in the history
}

// Unknown reports whether it is not known if the attempt took effect.
func (a *Attempt) Unknown() bool { return a.Outcome == nil || a.Outcome.Outcome == sdk.Unknown }

// Applied reports whether the attempt certainly took effect.
func (a *Attempt) Applied() bool { return a.Outcome != nil && tookEffect(a.Outcome) }

// Refused reports whether the attempt certainly changed nothing.
func (a *Attempt) Refused() bool { return a.Outcome != nil && a.Outcome.Outcome == sdk.Refused }

// Settled reports whether no later record can say anything else of it.
func (a *Attempt) Settled() bool { return !a.Unknown() }

// Stays reports whether the attempt took effect with a value meant to
// stay: a bridge is not.
func (a *Attempt) Stays() bool { return a.Applied() && !a.Intent.Detail.Bridge }

// Newest returns the place of the attempt's newest record in the history.
func (a *Attempt) Newest() int { return a.newest }

func tookEffect(record *Record) bool {
	return record.Outcome == sdk.Applied || record.Outcome == sdk.AlreadyApplied
}

// AttemptState is what attempts came to together.
type AttemptState uint8

// The states. A zero AttemptState is that of no attempt.
const (
	Untouched        AttemptState = iota
	AttemptsRefused               // nothing took effect
	AttemptsApplied               // the newest value that took effect is in force
	AttemptsDoubtful              // which value is in force is not known
)

// stateOf sums attempts up, in the order in which they were begun, and
// returns the one that decides. A value that took effect settles what came
// before it, and a refusal leaves what was. A bridge that took effect is as good
// as in doubt: it is not meant to stay.
func stateOf(attempts []*Attempt) (state AttemptState, decides *Attempt) {
	for _, attempt := range attempts {
		switch {
		case attempt.Stays():
			state = AttemptsApplied
		case !attempt.Refused():
			state = AttemptsDoubtful
		case state > AttemptsRefused:
			continue
		default:
			state = AttemptsRefused
		}
		decides = attempt
	}
	return state, decides
}

// Back returns the call that sets the credential back.
func (c Credential) Back() Call { return Call{Revert, c} }
