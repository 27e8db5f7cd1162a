package engine

import (
	"fmt"
	"maps"
	"slices"

	"github.com/rekey-host/rekey/host/ledger"
	"github.com/rekey-host/rekey/sdk"
)

// signature tells steps apart: a replayed hook has to take the same one at the
// same place.
type signature struct{ verb, backend, account, cred string }

// String returns "set cloud ann@example.org", with the kind if there is one.
func (g signature) String() string {
	s := g.verb + " " + g.backend + " " + g.account
	if g.cred != "" {
		s += " (" + g.cred + ")"
	}
	return s
}

func signatureOf(r ledger.Record) signature {
	return signature{r.Verb, r.Backend, r.Account, r.Cred}
}

// try is one value of a step on its way: the intent, and what became of it.
type try struct {
	intent  ledger.Record
	outcome *ledger.Record // nil: not known
	lost    loss           // attempts of earlier processes that got no answer
	lied    bool           // the plugin contradicted itself about it
}

func (t *try) open() bool { return t.outcome == nil }

func (t *try) applied() bool {
	return t.outcome != nil && (t.outcome.Outcome == sdk.Applied || t.outcome.Outcome == sdk.AlreadyApplied)
}

func (t *try) unknown() bool {
	return t.outcome == nil || t.outcome.Outcome == sdk.Unknown
}

// taken is one step as it was taken.
type taken struct {
	ordinal int
	sig     signature
	tries   []*try
	answer  *ledger.Record // of a reading step, or of a refusal by the host
	used    bool
	handled bool // this process has sent it or tried to settle it

	identity string // what the target takes the account's name for; see identityOf
}

func (t *taken) last() *try {
	if len(t.tries) == 0 {
		return nil
	}
	return t.tries[len(t.tries)-1]
}

// standing is where a step, or an account, stands.
type standing uint8

const (
	standingNone standing = iota
	standingRefused
	standingApplied
	standingUnknown
)

// standing sums the tries up: a value that is applied settles what came before
// it; a bridge that is applied does not, because it is not meant to stay.
func (t *taken) standing() standing {
	s := standingNone
	for _, y := range t.tries {
		switch {
		case y.unknown() || y.applied() && y.intent.Detail.Bridge:
			s = standingUnknown
		case y.applied():
			s = standingApplied
		case s != standingUnknown:
			s = standingRefused
		}
	}
	return s
}

// result is what the step returns to the script.
func (t *taken) result() Result {
	switch t.standing() {
	case standingApplied:
		return Result{Outcome: sdk.Applied}
	case standingRefused:
		return resultOf(*t.last().outcome)
	}
	for _, y := range t.tries {
		if y.outcome != nil && y.outcome.Outcome == sdk.Unknown {
			return resultOf(*y.outcome)
		}
	}
	return Result{Outcome: sdk.Unknown, Code: sdk.ConnectionLost, Message: "no answer came"}
}

// settled reports whether a retry keeps what the step did.
func (t *taken) settled() bool {
	if t.answer != nil {
		return t.answer.Outcome == sdk.Applied
	}
	s := t.standing()
	return s == standingApplied || s == standingUnknown
}

// past is what earlier processes and rounds recorded of one user.
type past struct {
	round   int            // how often the user was put back
	now     map[int]*taken // of this round, by ordinal
	older   []*taken       // of earlier rounds, what stays
	status  ledger.Status  // that the last round ended with
	settles bool           // this round is there to settle what the last one left unknown
	nextTry map[int]int    // by ordinal, over all rounds
	sent    bool           // an operation may have left the process in this round
}

// readPast arranges a user's records by steps.
func readPast(records []ledger.Record) *past {
	p := &past{now: map[int]*taken{}, nextTry: map[int]int{}}
	for i := range records {
		p.read(&records[i])
	}
	return p
}

func (p *past) read(r *ledger.Record) {
	switch r.Kind {
	case ledger.Finished:
		p.status = r.Detail.Status
	case ledger.Reopened:
		p.nextRound(p.status == ledger.Unresolved)
	case ledger.Intent:
		t := p.continued(r)
		if t == nil {
			t = p.step(r)
		}
		t.tries, t.identity = append(t.tries, &try{intent: *r}), r.Detail.Identity
		p.nextTry[r.Step] = max(p.nextTry[r.Step], r.Try+1)
		p.sent = true
	case ledger.Outcome:
		p.outcome(r)
	case ledger.Answer:
		if r.Code != sdk.Cancelled { // an older rekey recorded calls that were given up
			p.step(r).answer = r
		}
	}
}

func (p *past) step(r *ledger.Record) *taken {
	t := p.now[r.Step]
	if t == nil {
		t = &taken{ordinal: r.Step, sig: signatureOf(*r)}
		p.now[r.Step] = t
	}
	return t
}

// continued returns the step of an earlier round that an intent goes on with:
// its outcome was not known, and this round tried to settle it.
func (p *past) continued(r *ledger.Record) *taken {
	for _, t := range p.older {
		if t.ordinal == r.Step && t.sig == signatureOf(*r) {
			return t
		}
	}
	return nil
}

// outcome finds the try that a record is about: of this round, or of an earlier
// one that was settled in this.
func (p *past) outcome(r *ledger.Record) {
	steps := p.older
	if t := p.now[r.Step]; t != nil {
		steps = append([]*taken{t}, p.older...)
	}
	for _, t := range steps {
		for _, y := range t.tries {
			if y.intent.Step == r.Step && y.intent.Try == r.Try {
				y.outcome = r
				return
			}
		}
	}
}

// nextRound begins another round. One that settles what was left unknown keeps
// all that was recorded, and sends no new value for it. A retry keeps what took
// effect and was not set back.
func (p *past) nextRound(settles bool) {
	p.round++
	p.settles, p.sent = settles, false
	for _, n := range slices.Sorted(maps.Keys(p.now)) {
		p.older = append(p.older, p.now[n])
	}
	clear(p.now)
	if settles {
		return
	}
	back := map[signature]bool{}
	for _, t := range p.older {
		if t.sig.verb == verbRevert && t.standing() == standingApplied {
			back[t.sig.credential()] = true
		}
	}
	p.older = slices.DeleteFunc(p.older, func(t *taken) bool { return !t.settled() || back[t.sig.credential()] })
}

// setBacks returns the steps that set something back.
func (p *past) setBacks() []*taken {
	var list []*taken
	for _, t := range p.older {
		if t.sig.verb == verbRevert {
			list = append(list, t)
		}
	}
	for _, n := range slices.Sorted(maps.Keys(p.now)) {
		if t := p.now[n]; t.sig.verb == verbRevert {
			list = append(list, t)
		}
	}
	return list
}

// setBack returns the last step that set the credential back, or nil.
func (p *past) setBack(cred signature) *taken {
	for _, t := range slices.Backward(p.setBacks()) {
		if t.sig == setBackOf(cred) {
			return t
		}
	}
	return nil
}

// highest returns the highest ordinal of this round.
func (p *past) highest() int {
	n := 0
	for o := range p.now {
		n = max(n, o)
	}
	return n
}

// at returns the recorded step at the ordinal, nil if there is none, or a
// *Fault if another one stands there.
func (p *past) at(ordinal int, sig signature) (*taken, error) {
	if t := p.now[ordinal]; t != nil {
		if t.sig != sig {
			return nil, diverged(ordinal, t.sig.String(), sig.String())
		}
		t.used = true
		return t, nil
	}
	return p.adopt(ordinal, sig), nil
}

// adopt finds a step of an earlier round that a retry keeps.
func (p *past) adopt(ordinal int, sig signature) *taken {
	var found *taken
	for _, t := range p.older {
		if t.used || t.sig != sig {
			continue
		}
		if t.ordinal == ordinal {
			found = t
			break
		}
		if found == nil {
			found = t
		}
	}
	if found != nil {
		found.used = true
	}
	return found
}

// unused returns a recorded step of this round beyond the last ordinal that
// the hook reached, which is a divergence too.
func (p *past) unused(last int) *taken {
	for n, t := range p.now {
		if n > last && t.sig.verb != verbRevert {
			return t
		}
	}
	return nil
}

// generated returns the newest intent that carries the value which the
// generate at the ordinal made, or nil. Of rounds before a retry only what took
// effect, or may have, counts.
func (p *past) generated(ordinal int) *ledger.Record {
	var newest *ledger.Record
	look := func(t *taken, any bool) {
		for _, y := range t.tries {
			carries := y.intent.Origin == ordinal && !y.intent.Detail.Bridge && (any || y.applied() || y.unknown())
			if carries && (newest == nil || y.intent.Index > newest.Index) {
				newest = &y.intent
			}
		}
	}
	for _, t := range p.older {
		look(t, p.settles)
	}
	for _, t := range p.now {
		look(t, true)
	}
	return newest
}

func diverged(ordinal int, was, is string) *Fault {
	return &Fault{Code: Diverged, Message: fmt.Sprintf("step %d was %q when it was recorded and is %q now; run the script that was recorded", ordinal, was, is)}
}
