package journal

import (
	"slices"

	"github.com/rekey-host/rekey/sdk"
)

// CredentialHistory is what records tell of one credential of a user.
type CredentialHistory struct {
	Credential
	Attempts []*Attempt   // to change it, in the order in which they were begun
	State    AttemptState // of the attempts together
	Deciding *Record      // the outcome that decides the state; nil without one
	Reverted bool         // the value in force is the one of before

	NotAccepted *Record // the last verify, where it found that the value in force does not work; nil: it did not
	Unproven    bool    // the last verify got no verdict

	first [1]*Attempt // room
}

// sum works the state out anew.
func (c *CredentialHistory) sum() {
	var decides *Attempt
	if c.State, decides = stateOf(c.Attempts); decides != nil {
		c.Deciding = decides.Outcome
	}
	c.Reverted = false
	for _, attempt := range c.Attempts {
		if attempt.Stays() {
			c.Reverted = attempt.Intent.Verb == Revert
		}
	}
}

// verified takes the answer of a verify over.
func (c *CredentialHistory) verified(record *Record) {
	c.NotAccepted = nil
	if record.Outcome == sdk.Refused && record.Code == sdk.NotAccepted {
		c.NotAccepted = record
	}
	c.Unproven = record.Outcome == sdk.Applied && record.Code == sdk.Unsupported
}

// Untold reports whether only the target knows the value in force: it picked
// one in a reset and kept it to itself.
func (c *CredentialHistory) Untold() bool {
	return c.State == AttemptsApplied && c.Deciding.Verb == Reset && c.Deciding.Sealed == nil
}

// Open returns the attempts that the credential's state leaves in doubt:
// those of unknown outcome behind the last value that took effect.
func (c *CredentialHistory) Open() []*Attempt {
	var open []*Attempt
	for _, attempt := range c.Attempts {
		switch {
		case attempt.Stays():
			open = open[:0]
		case attempt.Unknown():
			open = append(open, attempt)
		}
	}
	return open
}

// Carries reports whether the credential has the generated value of an origin,
// or may have it: it was sent, not refused, and not set back since.
func (c *CredentialHistory) Carries(origin int) bool {
	carries := false
	for _, attempt := range c.Attempts {
		switch {
		case attempt.Intent.Origin == origin && !attempt.Refused():
			carries = true
		case attempt.Intent.Verb == Revert && attempt.Applied():
			carries = false
		}
	}
	return carries
}

// HandedOver reports whether the credential is one that a backend itself logs in
// with: it was handed over.
func (c *CredentialHistory) HandedOver() bool {
	last := c.Held()
	return last != nil && last.Intent.Verb == Handover
}

// Optioned reports whether a value that the credential got, or may have got, was
// sent with options: what those did is the plugin's own.
func (c *CredentialHistory) Optioned() bool {
	return slices.ContainsFunc(c.Attempts, func(attempt *Attempt) bool { return attempt.Intent.Detail.Options && !attempt.Refused() })
}

// Last returns the newest attempt, or nil.
func (c *CredentialHistory) Last() *Attempt {
	if len(c.Attempts) == 0 {
		return nil
	}
	return c.Attempts[len(c.Attempts)-1]
}

// First returns the first attempt that took effect; nil: none did.
func (c *CredentialHistory) First() *Attempt {
	for _, attempt := range c.Attempts {
		if attempt.Applied() {
			return attempt
		}
	}
	return nil
}

// Held returns the newest attempt whose value the credential has, or may have;
// or nil.
func (c *CredentialHistory) Held() *Attempt {
	for _, attempt := range slices.Backward(c.Attempts) {
		if !attempt.Refused() {
			return attempt
		}
	}
	return nil
}

// Candidates returns every value sealed for the credential, newest
// intent first.
func (c *CredentialHistory) Candidates() []Candidate {
	list := make([]Candidate, 0, len(c.Attempts))
	for _, attempt := range slices.Backward(c.Attempts) {
		if attempt.Intent.Kind != Answer {
			list = c.appendCandidate(list, attempt)
		}
	}
	return list
}

// appendCandidate appends an attempt's value, if there is one.
func (c *CredentialHistory) appendCandidate(list []Candidate, attempt *Attempt) []Candidate {
	candidate := c.candidate(attempt)
	if len(candidate.Sealed) == 0 {
		return list
	}
	return append(list, candidate)
}

// candidate is an attempt as one of the values of the credential.
func (c *CredentialHistory) candidate(attempt *Attempt) Candidate {
	from, newest := attempt.Intent, c.inForce()
	if attempt.Outcome != nil && len(attempt.Outcome.Sealed) > 0 {
		from = attempt.Outcome // of a reset the value is in it
	}
	candidate := Candidate{Backend: c.Backend, Account: c.Account, Cred: c.Kind, Step: attempt.Intent.Step, Try: attempt.Intent.Try, State: CandidateUnknown,
		Form: "plain", Bridge: attempt.Intent.Detail.Bridge, Sealed: from.Sealed, Record: from}
	if attempt.Intent.Detail.HashFormat != "" {
		candidate.Form = attempt.Intent.Detail.HashFormat
	}
	switch {
	case attempt.Applied() && attempt != newest:
		candidate.State = CandidateSuperseded
	case attempt.Applied():
		candidate.State = CandidateApplied
		candidate.Current = !candidate.Bridge && !c.doubts(newest) && c.NotAccepted == nil
	case attempt.Refused() && attempt.Outcome.Code.Unsent():
		candidate.State = CandidateUnsent
	case attempt.Refused():
		candidate.State = CandidateRefused
	case newest != nil && attempt.begun < newest.begun:
		candidate.State = CandidateSuperseded
	}
	return candidate
}

// inForce returns the attempt that took effect last; nil: none did.
func (c *CredentialHistory) inForce() *Attempt {
	var newest *Attempt
	for _, attempt := range c.Attempts {
		if attempt.Applied() && (newest == nil || attempt.newest > newest.newest) {
			newest = attempt
		}
	}
	return newest
}

// doubts reports whether an attempt is unknown that the newest value in force
// does not settle.
func (c *CredentialHistory) doubts(newest *Attempt) bool {
	return slices.ContainsFunc(c.Attempts, func(attempt *Attempt) bool { return attempt.Unknown() && attempt.begun > newest.begun })
}

// doubtful returns the attempt that leaves the credential in doubt.
func (c *CredentialHistory) doubtful() *Attempt {
	if open := c.Open(); len(open) > 0 {
		return open[0]
	}
	return c.Last()
}
