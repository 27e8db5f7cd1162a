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
	h := &History{}
	if len(records) > len(h.room.records) {
		h.records = make([]*Record, 0, len(records))
	}
	for i := range records {
		h.Add(&records[i])
	}
	return h
}

// Add takes the next record over.
func (h *History) Add(r *Record) {
	if h.records == nil {
		h.records = h.room.records[:0]
	}
	h.records = append(h.records, r)
	h.asked = h.asked || r.Verb != "" && r.Verb != Find
	switch r.Kind {
	case Intent:
		h.begin(h.attempt(r, nil))
	case Outcome:
		h.conclude(r)
	case Answer:
		h.answer(r)
	case Finished:
		h.finished = r
	case Reopened:
		h.finished = nil
	}
	h.Replay.add(h, r)
}

// attempt makes the attempt that begins with the newest record.
func (h *History) attempt(intent, outcome *Record) *Attempt {
	if h.attempts == nil {
		h.attempts = h.room.attempts[:0]
	}
	newest := len(h.records) - 1
	made := Attempt{Intent: intent, Outcome: outcome, begun: newest, newest: newest}
	if n := len(h.attempts); n < len(h.room.begun) {
		h.room.begun[n] = made
		return &h.room.begun[n]
	}
	return &made
}

// begin takes an attempt over.
func (h *History) begin(a *Attempt) {
	h.attempts = append(h.attempts, a)
	if !changes(a.Intent.Verb) {
		return
	}
	c := h.credential(CredentialOf(a.Intent))
	if len(c.Attempts) == 0 {
		if h.touched == nil {
			h.touched = h.room.touched[:0]
		}
		h.touched = append(h.touched, c)
	}
	if c.Attempts == nil {
		c.Attempts = c.first[:0]
	}
	c.Attempts = append(c.Attempts, a)
	if !a.Refused() {
		h.live++
	}
	c.sum()
}

// conclude takes the outcome of an attempt over.
func (h *History) conclude(r *Record) {
	a := h.Attempt(r.Step, r.Try)
	if a == nil { // an older rekey wrote none for a reset
		h.begin(h.attempt(r, r))
		return
	}
	was := a.Refused()
	a.Outcome, a.newest = r, len(h.records)-1
	if !changes(a.Intent.Verb) {
		return
	}
	switch is := a.Refused(); {
	case is && !was:
		h.live--
	case was && !is:
		h.live++
	}
	c := h.credential(CredentialOf(a.Intent))
	if c.sum(); tookEffect(r) {
		c.NotAccepted = nil // it was about another value
	}
}

// answer takes over what a read said, or the host itself.
func (h *History) answer(r *Record) {
	a := h.attempt(r, r)
	if changes(r.Verb) {
		h.begin(a)
		return
	}
	h.attempts = append(h.attempts, a)
	if r.Verb == Verify {
		h.credential(CredentialOf(r)).verified(r)
	}
}

func changes(verb string) bool {
	traits, _ := TraitsOf(verb)
	return traits.Changes
}

// credential returns what is known of a credential, made if nothing is.
func (h *History) credential(name Credential) *CredentialHistory {
	if c := h.Credential(name); c != nil {
		return c
	}
	c := &h.room.credential
	if h.credentials == nil {
		h.credentials = h.room.credentials[:0]
	} else {
		c = &CredentialHistory{}
	}
	c.Credential = name
	h.credentials = append(h.credentials, c)
	switch {
	case h.byName != nil:
		h.byName[name] = c
	case len(h.credentials) > few:
		h.byName = map[Credential]*CredentialHistory{}
		for _, c := range h.credentials {
			h.byName[c.Credential] = c
		}
	}
	return c
}

// Credential returns what is known of a credential; nil: nothing is.
func (h *History) Credential(name Credential) *CredentialHistory {
	if h.byName != nil {
		return h.byName[name]
	}
	for _, c := range h.credentials {
		if c.Credential == name {
			return c
		}
	}
	return nil
}

// Attempt returns the attempt of a step and a try; nil: there is none. A retry
// never gives a number again.
func (h *History) Attempt(step, try int) *Attempt {
	for i := len(h.attempts) - 1; i >= 0; i-- {
		if a := h.attempts[i]; a.Intent.Kind != Answer && a.Intent.Step == step && a.Intent.Try == try {
			return a
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

// Finished returns the user's status; nil: there is none.
func (h *History) Finished() *Record { return h.finished }

// Live reports whether something of the user took effect, or may have, besides
// one attempt; nil: besides none.
func (h *History) Live(besides *Attempt) bool {
	n := h.live
	if besides != nil && changes(besides.Intent.Verb) && !besides.Refused() {
		n--
	}
	return n > 0
}

// Doubtful returns an attempt that leaves a credential in doubt; nil: where
// every credential stands is known.
func (h *History) Doubtful() *Attempt {
	for _, c := range h.touched {
		if c.Standing == StandsDoubtful {
			return c.doubtful()
		}
	}
	return nil
}

// InForce returns an attempt that took effect with a value meant to stay; nil:
// there is none.
func (h *History) InForce() *Attempt {
	for _, c := range h.touched {
		for _, a := range c.Attempts {
			if a.Stays() {
				return a
			}
		}
	}
	return nil
}

// Used returns the labels of the backends on which the user has a value, or may
// have.
func (h *History) Used() []string {
	return h.labels(func(c *CredentialHistory) bool { return c.Standing >= StandsApplied })
}

// Given returns the labels of the backends that certainly took a value.
func (h *History) Given() []string {
	return h.labels(func(c *CredentialHistory) bool { return slices.ContainsFunc(c.Attempts, (*Attempt).Applied) })
}

// labels returns the backends of the touched credentials that are so, each once.
func (h *History) labels(are func(*CredentialHistory) bool) []string {
	var labels []string
	for _, c := range h.touched {
		if are(c) && !slices.Contains(labels, c.Backend) {
			labels = append(labels, c.Backend)
		}
	}
	return labels
}

// InUse reports whether a credential has the generated value of an origin, or
// may have it.
func (h *History) InUse(origin int) bool {
	for _, c := range h.touched {
		if c.Carries(origin) {
			return true
		}
	}
	return false
}
