package journal

import (
	"fmt"
	"slices"

	"github.com/rekey-host/rekey/sdk"
)

// Call tells steps apart: a replayed hook has to take the same one at the same
// place.
type Call struct {
	Verb string
	Credential
}

// CallOf returns the call that a record is about.
func CallOf(record *Record) Call { return Call{record.Verb, CredentialOf(record)} }

// String returns "set cloud ann@example.org", with the kind if there is one.
func (c Call) String() string {
	text := c.Verb + " " + c.Backend + " " + c.Account
	if c.Kind != "" {
		text += " (" + c.Kind + ")"
	}
	return text
}

// RecordedStep is a step as it was taken.
type RecordedStep struct {
	Call
	Ordinal  int
	Attempts []*Attempt
	Answer   *Record // of a read, or of a refusal by the host
	Identity string  // what the target takes the account's name for; see Detail.Identity

	matched  bool
	answered int         // place of the answer in the history
	first    [1]*Attempt // room
}

// Last returns the newest attempt, or nil.
func (s *RecordedStep) Last() *Attempt {
	if len(s.Attempts) == 0 {
		return nil
	}
	return s.Attempts[len(s.Attempts)-1]
}

// State sums the step's attempts up.
func (s *RecordedStep) State() AttemptState {
	state, _ := stateOf(s.Attempts)
	return state
}

// Recovering reports whether the step is in the middle of a recovery: its host
// has sent another operation than the script asked for.
func (s *RecordedStep) Recovering() bool {
	return slices.ContainsFunc(s.Attempts, func(attempt *Attempt) bool { return attempt.Intent.Detail.Op != "" || attempt.Intent.Detail.Bridge })
}

// kept reports whether a retry keeps what the step did. Of one that ages,
// only what it came to last counts.
func (s *RecordedStep) kept() bool {
	switch {
	case s.Answer != nil:
		return tookEffect(s.Answer)
	case s.ages():
		last := s.Last()
		return last != nil && !last.Refused()
	}
	return s.State() >= AttemptsApplied
}

// ages reports whether what the step came to holds only until something is
// sent behind it.
func (s *RecordedStep) ages() bool {
	traits, _ := TraitsOf(s.Verb)
	return traits.Ages
}

// asked returns the place in the history at which the step was asked last.
func (s *RecordedStep) asked() int {
	if last := s.Last(); last != nil {
		return last.begun
	}
	return s.answered
}

// sentSince reports whether something of the step was sent, or settled, behind a
// place in the history.
func (s *RecordedStep) sentSince(place int) bool {
	return slices.ContainsFunc(s.Attempts, func(attempt *Attempt) bool { return attempt.newest > place })
}

// tries are the numbers of the tries of each step with a value.
type tries struct {
	few    [2]struct{ ordinal, next int }
	used   int
	others map[int]int // by ordinal
}

// add notes that a try of a step has its number.
func (t *tries) add(ordinal, try int) {
	for i := range t.used {
		if t.few[i].ordinal == ordinal {
			t.few[i].next = max(t.few[i].next, try+1)
			return
		}
	}
	if t.used < len(t.few) {
		t.few[t.used].ordinal, t.few[t.used].next = ordinal, max(0, try+1)
		t.used++
		return
	}
	if t.others == nil {
		t.others = map[int]int{}
	}
	t.others[ordinal] = max(t.others[ordinal], try+1)
}

// next returns the number of the step's next try.
func (t *tries) next(ordinal int) int {
	for i := range t.used {
		if t.few[i].ordinal == ordinal {
			return t.few[i].next
		}
	}
	return t.others[ordinal]
}

// Replay is what was recorded of a hook's steps, so that it finds them again
// when it is run once more. A user who is put back begins another round.
type Replay struct {
	RecoveryRound bool // this round is there to settle what the last one left unknown
	Sent          bool // an operation may have left the process in this round

	steps   []*RecordedStep // of this round, in any order
	earlier []*RecordedStep // of earlier rounds, what stays
	tries   tries           // over all rounds
	status  Status          // that the last round ended with
	highest int             // ordinal of this round
	origin  int             // the highest of a value, over all rounds

	list [2]*RecordedStep // room
	made [2]RecordedStep
	used int // of made
}

// add takes the record that the history has just taken.
func (p *Replay) add(history *History, record *Record) {
	switch record.Kind {
	case Finished:
		p.status = record.Detail.Status
	case Reopened:
		p.next(p.status == Unresolved)
	case Intent:
		step := p.ofIntent(record)
		if step.Attempts == nil {
			step.Attempts = step.first[:0]
		}
		step.Attempts, step.Identity = append(step.Attempts, history.attempts[len(history.attempts)-1]), record.Detail.Identity
		p.tries.add(record.Step, record.Try)
		p.origin = max(p.origin, record.Origin)
		p.Sent = true
	case Answer:
		if record.Code != sdk.Cancelled { // an older rekey recorded calls that were given up
			step := p.step(record.Step, CallOf(record))
			step.Answer, step.answered = record, len(history.records)-1
		}
	}
}

// NextTry returns the number of the step's next try.
func (p *Replay) NextTry(ordinal int) int { return p.tries.next(ordinal) }

// ofIntent returns the step that an intent belongs to: of an earlier round,
// where its outcome was not known and this round tries to settle it.
func (p *Replay) ofIntent(record *Record) *RecordedStep {
	call := CallOf(record)
	if recordedStep := p.now(record.Step); recordedStep != nil && recordedStep.Call == call {
		return recordedStep
	}
	for _, recordedStep := range p.earlier {
		if recordedStep.Ordinal == record.Step && recordedStep.Call == call {
			return recordedStep
		}
	}
	return p.step(record.Step, call)
}

func (p *Replay) step(ordinal int, call Call) *RecordedStep {
	if recordedStep := p.now(ordinal); recordedStep != nil {
		return recordedStep
	}
	if p.steps == nil {
		p.steps = p.list[:0]
	}
	s := p.another()
	s.Ordinal, s.Call = ordinal, call
	p.highest = max(p.highest, ordinal)
	p.steps = append(p.steps, s)
	return s
}

// another makes room for a step.
func (p *Replay) another() *RecordedStep {
	if p.used == len(p.made) {
		return &RecordedStep{}
	}
	p.used++
	return &p.made[p.used-1]
}

// now returns the step of this round at the ordinal, or nil.
func (p *Replay) now(ordinal int) *RecordedStep {
	if ordinal > p.highest { // as of nearly all that a hook takes
		return nil
	}
	for _, recordedStep := range slices.Backward(p.steps) {
		if recordedStep.Ordinal == ordinal {
			return recordedStep
		}
	}
	return nil
}

// next begins another round. One that settles what was left unknown keeps all
// as recorded, and sends no new value for it. A retry keeps what took
// effect and was not set back; what a revoke did, or a verify said, before any
// credential of the user was set back is not true of the value in force now.
func (p *Replay) next(settles bool) {
	p.RecoveryRound, p.Sent = settles, false
	slices.SortStableFunc(p.steps, func(recordedStep, b *RecordedStep) int { return recordedStep.Ordinal - b.Ordinal })
	p.earlier = append(p.earlier, p.steps...)
	p.steps, p.highest = nil, 0
	if settles {
		return
	}
	back, newest := map[Credential]bool{}, 0
	for _, recordedStep := range p.Backs() {
		if recordedStep.State() == AttemptsApplied {
			back[recordedStep.Credential] = true
		}
		if last := recordedStep.Last(); last != nil && recordedStep.kept() {
			newest = max(newest, last.newest)
		}
	}
	p.earlier = slices.DeleteFunc(p.earlier, func(recordedStep *RecordedStep) bool {
		return !recordedStep.kept() || back[recordedStep.Credential] || recordedStep.ages() && recordedStep.asked() < newest
	})
}

// Outdated reports whether a recorded step ages and something was sent, or
// settled, since it was asked, by a step that the hook has taken before it: a
// revoke, or a verify, has to be asked again then. The records say so, and not
// what one process knows: it may be killed before it asks.
func (p *Replay) Outdated(recordedStep *RecordedStep) bool {
	if !recordedStep.ages() {
		return false
	}
	asked := recordedStep.asked()
	since := func(other *RecordedStep) bool {
		return other != recordedStep && other.matched && other.sentSince(asked)
	}
	return slices.ContainsFunc(p.earlier, since) || slices.ContainsFunc(p.steps, since)
}

// At returns the step that a call at an ordinal takes up: a recorded one,
// or a new one. The error, a *Divergence, says that another step stands there.
func (p *Replay) At(ordinal int, call Call) (*RecordedStep, error) {
	recordedStep := p.now(ordinal)
	switch {
	case recordedStep == nil:
		if recordedStep = p.match(ordinal, call); recordedStep == nil {
			recordedStep = p.step(ordinal, call)
		}
	case recordedStep.Call != call:
		return nil, &Divergence{ordinal, recordedStep.Call.String(), call.String()}
	}
	recordedStep.matched = true
	return recordedStep, nil
}

// match finds a step of an earlier round that this one keeps: the one at the
// ordinal, or else the first.
func (p *Replay) match(ordinal int, call Call) *RecordedStep {
	var found *RecordedStep
	for _, recordedStep := range p.earlier {
		if recordedStep.matched || recordedStep.Call != call {
			continue
		}
		if recordedStep.Ordinal == ordinal {
			found = recordedStep
			break
		}
		if found == nil {
			found = recordedStep
		}
	}
	return found
}

// NoStepAt returns a *Divergence if a step is recorded at the ordinal, where
// the hook does what reaches no account.
func (p *Replay) NoStepAt(ordinal int, does string) error {
	if recordedStep := p.now(ordinal); recordedStep != nil {
		return &Divergence{ordinal, recordedStep.Call.String(), does}
	}
	return nil
}

// Beyond returns a *Divergence if a step of this round is recorded beyond the
// last one that the hook took.
func (p *Replay) Beyond(last int) error {
	for _, recordedStep := range p.steps {
		if recordedStep.Ordinal > last && recordedStep.Verb != Revert {
			return &Divergence{recordedStep.Ordinal, recordedStep.Call.String(), ""}
		}
	}
	return nil
}

// Highest returns the highest ordinal of this round.
func (p *Replay) Highest() int { return p.highest }

// Backs returns the steps that set credentials back, of earlier rounds first.
func (p *Replay) Backs() []*RecordedStep {
	var backs []*RecordedStep
	for _, list := range [...][]*RecordedStep{p.earlier, p.steps} {
		for _, recordedStep := range list {
			if recordedStep.Verb == Revert {
				backs = append(backs, recordedStep)
			}
		}
	}
	return backs
}

// Back returns the last step that set the credential back, or nil.
func (p *Replay) Back(name Credential) *RecordedStep {
	for _, recordedStep := range slices.Backward(p.Backs()) {
		if recordedStep.Credential == name {
			return recordedStep
		}
	}
	return nil
}

// Generated returns the newest intent that carries the value which the generate
// at an ordinal made, or nil. Of rounds before a retry only what
// took effect, or may have, counts.
func (p *Replay) Generated(ordinal int) *Record {
	if ordinal > p.origin {
		return nil
	}
	var newest *Attempt
	look := func(steps []*RecordedStep, any bool) {
		for _, recordedStep := range steps {
			for _, attempt := range recordedStep.Attempts {
				carries := attempt.Intent.Origin == ordinal && !attempt.Intent.Detail.Bridge && (any || !attempt.Refused())
				if carries && (newest == nil || attempt.begun > newest.begun) {
					newest = attempt
				}
			}
		}
	}
	look(p.earlier, p.RecoveryRound)
	look(p.steps, true)
	if newest == nil {
		return nil
	}
	return newest.Intent
}

// Divergence says that a replayed hook takes another step than the recorded one.
type Divergence struct {
	Ordinal int
	Was, Is string // calls; Is "": none
}

// Error names both.
func (d *Divergence) Error() string {
	is := "is not taken now"
	if d.Is != "" {
		is = fmt.Sprintf("is %q now", d.Is)
	}
	return fmt.Sprintf("step %d was %q when it was recorded and %s; run the script that was recorded", d.Ordinal, d.Was, is)
}
