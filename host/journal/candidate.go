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
	for _, attempt := range slices.Backward(h.attempts) {
		if changes(attempt.Intent.Verb) && attempt.Intent.Kind != Answer {
			list = h.Credential(CredentialOf(attempt.Intent)).appendCandidate(list, attempt)
		}
	}
	return list
}

// Candidates returns every value that was sealed for the credential, newest
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
