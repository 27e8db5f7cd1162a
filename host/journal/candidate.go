package journal

import (
	"slices"
)

// The states of a Candidate.
const (
	CandidateApplied    = "applied"    // the credential has it
	CandidateSuperseded = "superseded" // a later value was applied
	CandidateUnknown    = "unknown"    // sent, perhaps, and perhaps in force
	CandidateRefused    = "refused"    // certainly never in force
	CandidateUnsent     = "unsent"     // never left the process
)

// Candidate is one value that was ever sealed for a user.
type Candidate struct {
	Backend string // label
	Account string
	Cred    string
	Step    int
	Try     int
	State   string
	Form    string // "plain", or the hash format
	Bridge  bool   // not meant to stay
	// Current: the credential certainly has this value now. It was applied,
	// nothing later is unknown, and no verify found it not to work.
	Current bool
	Sealed  []byte
	Record  *Record // the intent, or of a reset the outcome
}

// Candidates returns every value that was sealed for the user, newest intent
// first. A value is unknown while it has no definite outcome, until a later one
// of its credential is applied: that settles what came before. What was applied
// without a value, by a reset that tells none, supersedes too.
func (h *History) Candidates() []Candidate {
	var list []Candidate
	for _, a := range slices.Backward(h.attempts) {
		if changes(a.Intent.Verb) && a.Intent.Kind != Answer {
			list = h.Credential(CredentialOf(a.Intent)).appendCandidate(list, a)
		}
	}
	return list
}

// Candidates returns every value that was sealed for the credential, newest
// intent first.
func (c *CredentialHistory) Candidates() []Candidate {
	list := make([]Candidate, 0, len(c.Attempts))
	for _, a := range slices.Backward(c.Attempts) {
		if a.Intent.Kind != Answer {
			list = c.appendCandidate(list, a)
		}
	}
	return list
}

// appendCandidate appends an attempt's value, if there is one.
func (c *CredentialHistory) appendCandidate(list []Candidate, a *Attempt) []Candidate {
	v := c.candidate(a)
	if len(v.Sealed) == 0 {
		return list
	}
	return append(list, v)
}

// candidate is an attempt as one of the values of the credential.
func (c *CredentialHistory) candidate(a *Attempt) Candidate {
	from, newest := a.Intent, c.inForce()
	if a.Outcome != nil && len(a.Outcome.Sealed) > 0 {
		from = a.Outcome // of a reset the value is in it
	}
	v := Candidate{Backend: c.Backend, Account: c.Account, Cred: c.Kind, Step: a.Intent.Step, Try: a.Intent.Try, State: CandidateUnknown,
		Form: "plain", Bridge: a.Intent.Detail.Bridge, Sealed: from.Sealed, Record: from}
	if a.Intent.Detail.HashFormat != "" {
		v.Form = a.Intent.Detail.HashFormat
	}
	switch {
	case a.Applied() && a != newest:
		v.State = CandidateSuperseded
	case a.Applied():
		v.State = CandidateApplied
		v.Current = !v.Bridge && !c.doubts(newest) && c.NotAccepted == nil
	case a.Refused() && a.Outcome.Code.Unsent():
		v.State = CandidateUnsent
	case a.Refused():
		v.State = CandidateRefused
	case newest != nil && a.begun < newest.begun:
		v.State = CandidateSuperseded
	}
	return v
}

// inForce returns the attempt that took effect last; nil: none did.
func (c *CredentialHistory) inForce() *Attempt {
	var newest *Attempt
	for _, a := range c.Attempts {
		if a.Applied() && (newest == nil || a.newest > newest.newest) {
			newest = a
		}
	}
	return newest
}

// doubts reports whether an attempt is unknown that the newest value in force
// does not settle.
func (c *CredentialHistory) doubts(newest *Attempt) bool {
	return slices.ContainsFunc(c.Attempts, func(a *Attempt) bool { return a.Unknown() && a.begun > newest.begun })
}

// doubtful returns the attempt that leaves the credential in doubt.
func (c *CredentialHistory) doubtful() *Attempt {
	if open := c.Open(); len(open) > 0 {
		return open[0]
	}
	return c.Last()
}
