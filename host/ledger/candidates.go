package ledger

import (
	"slices"

	"github.com/rekey-host/rekey/sdk"
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
	Record  Record // the intent, or of a reset the outcome
}

// credential names what values replace each other on.
type credential struct{ backend, account, cred string }

func credentialOf(r *Record) credential { return credential{r.Backend, r.Account, r.Cred} }

// sent is one value as the records tell of it.
type sent struct {
	Candidate
	begun int64 // index of its intent
	order int64 // index of the outcome that applied it
}

// Candidates returns every value that was sealed for the user whose history it
// is, newest intent first. A value is unknown while it has no definite
// outcome, until a later one of its credential is applied: that settles what
// came before. What was applied without a value, by a reset that tells none,
// supersedes too.
func Candidates(history []Record) []Candidate { return summed(tried(history)) }

// Used returns the labels of the backends on which the user whose history it is
// has, or may have, a value: not those that certainly refused it.
func Used(history []Record) []string { return labelsOf(history, CandidateApplied, CandidateUnknown) }

// Given returns the labels of the backends that certainly took a value of the
// user whose history it is.
func Given(history []Record) []string { return labelsOf(history, CandidateApplied) }

// labelsOf returns the backends of values in one of the states, each once.
func labelsOf(history []Record, states ...string) []string {
	var labels []string
	all, _ := tried(history)
	for _, s := range all {
		if slices.Contains(states, s.State) && !slices.Contains(labels, s.Backend) {
			labels = append(labels, s.Backend)
		}
	}
	return labels
}

// tried returns the values of a history, each with its own outcome, and the
// index of the last verify that was refused of each credential.
func tried(history []Record) (all []*sent, rejected map[credential]int64) {
	byTry := map[[2]int]*sent{}
	rejected = map[credential]int64{}
	for i := range history {
		r := &history[i]
		key := [2]int{r.Step, r.Try}
		switch {
		case r.Kind == Intent && valueVerb(r.Verb):
			byTry[key] = &sent{Candidate: candidateOf(r), begun: r.Index}
			all = append(all, byTry[key])
		case r.Kind == Outcome && valueVerb(r.Verb):
			if byTry[key] == nil {
				byTry[key] = &sent{Candidate: candidateOf(r), begun: r.Index}
				all = append(all, byTry[key])
			}
			byTry[key].conclude(r)
		case r.Kind == Answer && r.Verb == "verify" && r.Outcome == sdk.Refused && r.Code == sdk.NotAccepted:
			rejected[credentialOf(r)] = r.Index
		case r.Kind == Answer && r.Verb == "verify" && r.Outcome != sdk.Refused:
			delete(rejected, credentialOf(r))
		}
	}
	return all, rejected
}

// valueVerb reports whether the verb gives a credential a value.
func valueVerb(verb string) bool { return carriesValue(verb) || verb == "reset" }

func candidateOf(r *Record) Candidate {
	c := Candidate{Backend: r.Backend, Account: r.Account, Cred: r.Cred, Step: r.Step, Try: r.Try, State: CandidateUnknown,
		Form: "plain", Bridge: r.Detail.Bridge, Sealed: r.Sealed, Record: *r}
	if r.Detail.HashFormat != "" {
		c.Form = r.Detail.HashFormat
	}
	return c
}

// conclude takes an outcome over. The value of a reset is in it.
func (s *sent) conclude(r *Record) {
	if len(r.Sealed) > 0 {
		s.Sealed, s.Record = r.Sealed, *r
	}
	switch r.Outcome {
	case sdk.Applied, sdk.AlreadyApplied:
		s.State, s.order = CandidateApplied, r.Index
	case sdk.Refused:
		s.State = CandidateRefused
		if r.Code.Unsent() {
			s.State = CandidateUnsent
		}
	default:
		s.State = CandidateUnknown
	}
}

// summed lets later values supersede earlier ones.
func summed(all []*sent, rejected map[credential]int64) []Candidate {
	newest := map[credential]*sent{} // applied
	for _, s := range all {
		if n := newest[s.credential()]; s.State == CandidateApplied && (n == nil || s.order > n.order) {
			newest[s.credential()] = s
		}
	}
	doubtful := map[credential]bool{}
	for _, s := range all {
		n := newest[s.credential()]
		switch {
		case s.State == CandidateApplied && s != n:
			s.State = CandidateSuperseded
		case s.State == CandidateUnknown && n != nil && s.begun < n.begun:
			s.State = CandidateSuperseded
		case s.State == CandidateUnknown:
			doubtful[s.credential()] = true
		}
	}
	var list []Candidate
	slices.SortStableFunc(all, func(a, b *sent) int { return int(b.begun - a.begun) })
	for _, s := range all {
		if len(s.Sealed) == 0 {
			continue
		}
		bad, found := rejected[s.credential()]
		s.Current = s.State == CandidateApplied && !s.Bridge && !doubtful[s.credential()] && !(found && bad > s.order)
		list = append(list, s.Candidate)
	}
	return list
}

func (s *sent) credential() credential { return credential{s.Backend, s.Account, s.Cred} }
