package journal

import "slices"

// History is what the records of one user say, in the order of the ledger. It
// is the only place where records are folded: where each credential stands,
// which values may be in force, what a replay has to find again.
//
// The zero History is that of a user of whom nothing is recorded. It keeps the
// records that it is given, which must not be changed afterwards. It is for one
// goroutine.
type History struct {
	records     []*Record
	attempts    []*Attempt
	credentials []*CredentialHistory
	touched     []*CredentialHistory
	byName      map[Credential]*CredentialHistory // nil while there are few
	live        int                               // attempts to change something that were not refused

	finished *Record
	asked    bool
	Replay   Replay
	room     room
}

// room is for what most users have: an attempt or two, on one credential.
type room struct {
	records     [6]*Record
	attempts    [2]*Attempt
	begun       [2]Attempt
	credentials [1]*CredentialHistory
	touched     [1]*CredentialHistory
	credential  CredentialHistory
}

// few is how many of anything are found faster by looking at each.
const few = 8

// Read returns the history of records. They must not be changed afterwards.
func Read(records []Record) *History {
	history := &History{}
	history.Reset(records)
	return history
}

// Reset makes the history one of other records. Nothing that it gave out before is
// valid then.
func (h *History) Reset(records []Record) {
	*h = History{}
	if len(records) > len(h.room.records) {
		h.records = make([]*Record, 0, len(records))
	}
	for i := range records {
		h.Add(&records[i])
	}
}

// Add takes the next record over.
func (h *History) Add(record *Record) {
	if h.records == nil {
		h.records = h.room.records[:0]
	}
	h.records = append(h.records, record)
	h.asked = h.asked || record.Verb != "" && record.Verb != Find
	switch record.Kind {
	case Intent:
		h.begin(h.attempt(record, nil))
	case Outcome:
		h.conclude(record)
	case Answer:
		h.answer(record)
	case Finished:
		h.finished = record
	case Reopened:
		h.finished = nil
	}
	h.Replay.add(h, record)
}

// attempt makes the attempt that begins with the newest record.
func (h *History) attempt(intent, outcome *Record) *Attempt {
	if h.attempts == nil {
		h.attempts = h.room.attempts[:0]
	}
	newest := len(h.records) - 1
	made := Attempt{Intent: intent, Outcome: outcome, begun: newest, newest: newest}
	if count := len(h.attempts); count < len(h.room.begun) {
		h.room.begun[count] = made
		return &h.room.begun[count]
	}
	return &made
}

// begin takes an attempt over.
func (h *History) begin(attempt *Attempt) {
	h.attempts = append(h.attempts, attempt)
	if !changes(attempt.Intent.Verb) {
		return
	}
	credential := h.credential(CredentialOf(attempt.Intent))
	if len(credential.Attempts) == 0 {
		if h.touched == nil {
			h.touched = h.room.touched[:0]
		}
		h.touched = append(h.touched, credential)
	}
	if credential.Attempts == nil {
		credential.Attempts = credential.first[:0]
	}
	credential.Attempts = append(credential.Attempts, attempt)
	if !attempt.Refused() {
		h.live++
	}
	credential.sum()
}

// conclude takes the outcome of an attempt over.
func (h *History) conclude(record *Record) {
	attempt := h.Attempt(record.Step, record.Try)
	if attempt == nil { // an older rekey wrote none for a reset
		h.begin(h.attempt(record, record))
		return
	}
	was := attempt.Refused()
	attempt.Outcome, attempt.newest = record, len(h.records)-1
	if !changes(attempt.Intent.Verb) {
		return
	}
	switch is := attempt.Refused(); {
	case is && !was:
		h.live--
	case was && !is:
		h.live++
	}
	credential := h.credential(CredentialOf(attempt.Intent))
	if credential.sum(); tookEffect(record) {
		credential.NotAccepted = nil // it was about another value
	}
}

// answer takes over what a read said, or the host itself.
func (h *History) answer(record *Record) {
	attempt := h.attempt(record, record)
	if changes(record.Verb) {
		h.begin(attempt)
		return
	}
	h.attempts = append(h.attempts, attempt)
	if record.Verb == Verify {
		h.credential(CredentialOf(record)).verified(record)
	}
}

func changes(verb string) bool {
	traits, _ := TraitsOf(verb)
	return traits.Changes
}

// credential returns the history of a credential, made if there was none before.
func (h *History) credential(name Credential) *CredentialHistory {
	if credential := h.Credential(name); credential != nil {
		return credential
	}
	credentialHistory := &h.room.credential
	if h.credentials == nil {
		h.credentials = h.room.credentials[:0]
	} else {
		credentialHistory = &CredentialHistory{}
	}
	credentialHistory.Credential = name
	h.credentials = append(h.credentials, credentialHistory)
	switch {
	case h.byName != nil:
		h.byName[name] = credentialHistory
	case len(h.credentials) > few:
		h.byName = map[Credential]*CredentialHistory{}
		for _, credential := range h.credentials {
			h.byName[credential.Credential] = credential
		}
	}
	return credentialHistory
}

// Credential returns the history of a credential, or nil.
func (h *History) Credential(name Credential) *CredentialHistory {
	if h.byName != nil {
		return h.byName[name]
	}
	for _, credential := range h.credentials {
		if credential.Credential == name {
			return credential
		}
	}
	return nil
}

// Attempt returns the attempt of a step and a try, or nil. A retry
// never gives a number again.
func (h *History) Attempt(step, try int) *Attempt {
	for i := len(h.attempts) - 1; i >= 0; i-- {
		if attempt := h.attempts[i]; attempt.Intent.Kind != Answer && attempt.Intent.Step == step && attempt.Intent.Try == try {
			return attempt
		}
	}
	return nil
}

// Records returns the records in the order of the ledger.
func (h *History) Records() []*Record { return h.records }

// Attempts returns all attempts in the order in which they were begun, and
// among them what reading steps, or the host itself, said: their intent is an
// Answer.
func (h *History) Attempts() []*Attempt { return h.attempts }

// Touched returns the credentials that a step was to change, in the order in
// which they were first named.
func (h *History) Touched() []*CredentialHistory { return h.touched }

// Finished returns the user's status, or nil.
func (h *History) Finished() *Record { return h.finished }

// Live reports whether something of the user took effect, or may have, besides
// one attempt; nil: besides none.
func (h *History) Live(besides *Attempt) bool {
	count := h.live
	if besides != nil && changes(besides.Intent.Verb) && !besides.Refused() {
		count--
	}
	return count > 0
}

// Acted reports whether something was done to an account of the user, or may have
// been: what a step of any verb that does not only read came to, an unlock's or a
// revoke's too.
func (h *History) Acted() bool {
	return slices.ContainsFunc(h.attempts, func(attempt *Attempt) bool {
		traits, _ := TraitsOf(attempt.Intent.Verb)
		return traits.Operation != "" && !attempt.Refused()
	})
}

// Doubtful returns an attempt that leaves a credential in doubt; nil: where
// every credential stands is known.
func (h *History) Doubtful() *Attempt {
	for _, credential := range h.touched {
		if credential.State == AttemptsDoubtful {
			return credential.doubtful()
		}
	}
	return nil
}

// InForce returns an attempt that took effect with a value meant to stay; nil:
// without one.
func (h *History) InForce() *Attempt {
	for _, credential := range h.touched {
		for _, attempt := range credential.Attempts {
			if attempt.Stays() {
				return attempt
			}
		}
	}
	return nil
}

// Used returns the labels of the backends on which the user has a value, or may
// have.
func (h *History) Used() []string {
	return h.labels(func(credential *CredentialHistory) bool { return credential.State >= AttemptsApplied })
}

// Given returns the labels of the backends that certainly took a value.
func (h *History) Given() []string {
	return h.labels(func(credential *CredentialHistory) bool {
		return slices.ContainsFunc(credential.Attempts, (*Attempt).Applied)
	})
}

// labels returns the backends of the touched credentials for which the test holds, each once.
func (h *History) labels(are func(*CredentialHistory) bool) []string {
	var labels []string
	for _, credential := range h.touched {
		if are(credential) && !slices.Contains(labels, credential.Backend) {
			labels = append(labels, credential.Backend)
		}
	}
	return labels
}

// InUse reports whether a credential has the generated value of an origin, or
// may have it.
func (h *History) InUse(origin int) bool {
	for _, credential := range h.touched {
		if credential.Carries(origin) {
			return true
		}
	}
	return false
}

// Candidates returns every value sealed for the user, newest intent
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

// Conclude returns the Finished record of a user whose rotate ended with a
// verdict: the status, by design section 4 "Status of a user", and why.
func (h *History) Conclude(verdict Verdict) Record { return conclusion{h}.record(verdict) }
