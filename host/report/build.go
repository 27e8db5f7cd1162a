package report

import (
	"encoding/json"
	"fmt"
	"slices"

	"github.com/rekey-host/rekey/host/ledger"
	"github.com/rekey-host/rekey/host/source"
	"github.com/rekey-host/rekey/sdk/secret"
)

// The verbs of steps that change a credential, as records have them.
const (
	verbSet    = "set"
	verbChange = "change"
	verbReset  = "reset"
	verbRevert = "revert"
)

// The roles under which values are sealed, as the engine seals them.
const (
	roleValue = "value"
	roleOld   = "old"
)

// View is how Build looks at a run.
type View struct {
	Run                     string   // id
	Labels                  []string // of its backends
	Schema                  source.Schema
	Requestor, SourceSystem string         // who planned it
	Starts                  []ledger.Start // on whose behalf it was applied; nil: theirs

	// Row decodes a user's row. Nil: rows have a line and a key only.
	Row func(ledger.User) (source.Row, error)
	// Unseal opens a sealed value. Nil: results hold no values, for reports
	// that name none.
	Unseal func(user int64, step, try int, role string, sealed []byte) (secret.Value, error)
}

// ViewOf returns the view of the run with the header; Row and Unseal are the
// caller's to fill in.
func ViewOf(h ledger.Header) (View, error) {
	v := View{Run: h.ID, Requestor: h.Requestor, SourceSystem: h.SourceSystem}
	for _, b := range h.Backends {
		v.Labels = append(v.Labels, b.Label)
	}
	if len(h.Schema) > 0 {
		if err := json.Unmarshal(h.Schema, &v.Schema); err != nil {
			return v, fmt.Errorf("schema of run %s: %w", h.ID, err)
		}
	}
	return v, nil
}

// onBehalf returns who asked for the last thing that happened to a user.
func (v View) onBehalf(u ledger.User) (requestor, sourceSystem string) {
	requestor, sourceSystem = v.Requestor, v.SourceSystem
	if len(u.History) == 0 {
		return requestor, sourceSystem
	}
	last := u.History[len(u.History)-1].Index
	for _, s := range v.Starts {
		if s.Index < last {
			requestor, sourceSystem = s.Requestor, s.SourceSystem
		}
	}
	return requestor, sourceSystem
}

// Build returns what a user came to, from its records in the order of the
// ledger.
func Build(v View, u ledger.User) (Result, error) {
	r := Result{Schema: v.Schema, Row: source.Row{Line: u.Line, Key: u.Key}, Status: u.Status, Wave: u.WaveName,
		Code: u.Code, Message: u.Reason}
	r.Requestor, r.SourceSystem = v.onBehalf(u)
	if v.Row != nil {
		row, err := v.Row(u)
		if err != nil {
			return r, fmt.Errorf("row of user %q: %w", u.Key, err)
		}
		r.Row = row
	}
	past := read(u.History)
	r.finish(past.finished)
	for _, t := range past.tries {
		r.Steps = append(r.Steps, t.step(v.Run, u.Pos))
		r.Attempts += t.attempts()
	}
	if v.Unseal == nil {
		return r, nil
	}
	if err := r.values(v, u, past); err != nil {
		return r, fmt.Errorf("values of user %q: %w", u.Key, err)
	}
	return r, nil
}

// finish takes the status's reason over; nil is a user that has no status.
func (r *Result) finish(f *ledger.Record) {
	if f == nil {
		return
	}
	r.Code, r.Native, r.Message, r.At = f.Code, f.Detail.Native, f.Detail.Message, f.At.UTC()
}

// values opens what may be the present value of each credential.
func (r *Result) values(v View, u ledger.User, past history) error {
	r.Passwords, r.Candidates = map[string]secret.Value{}, map[string][]secret.Value{}
	for _, label := range v.Labels {
		if !past.touched(label) {
			r.Passwords[label], r.Candidates[label] = secret.Value{}, nil
		}
	}
	all := ledger.Candidates(u.History)
	for _, c := range past.creds {
		list, certain, err := v.open(u.Pos, c, all)
		if err != nil {
			return err
		}
		name := past.name(c)
		r.Passwords[name], r.Candidates[name] = certain, list
		if len(past.creds) == 1 && certain.Present() {
			r.Password = &certain
		}
	}
	return nil
}

// open returns every value that may be the present one of a credential, newest
// first, and the one that certainly is, if there is one. Where a change is in
// doubt and nothing else is known, what it was to replace may still be in
// force.
func (v View) open(user int64, c cred, all []ledger.Candidate) (list []secret.Value, certain secret.Value, err error) {
	var before *ledger.Record // with the value that was there before anything was sent
	add := func(role string, r ledger.Record, sealed []byte) secret.Value {
		value, failure := v.Unseal(user, r.Step, r.Try, role, sealed)
		if failure != nil {
			err = failure
		} else if !slices.ContainsFunc(list, value.Equal) {
			list = append(list, value)
		}
		return value
	}
	for _, x := range all {
		if (cred{x.Backend, x.Account, x.Cred}) != c {
			continue
		}
		switch x.State {
		case ledger.CandidateApplied:
			value := add(roleValue, x.Record, x.Sealed)
			if x.Current {
				certain = value
			}
			before = nil
		case ledger.CandidateUnknown:
			add(roleValue, x.Record, x.Sealed)
			before = &x.Record
		case ledger.CandidateSuperseded:
			before = nil
		}
	}
	if before != nil && len(before.SealedOld) > 0 {
		add(roleOld, *before, before.SealedOld)
	}
	return list, certain, err
}

// history is a user's records, arranged.
type history struct {
	tries    []*try // and answers, in the order in which they began
	creds    []cred // in the order in which they were first touched
	finished *ledger.Record
}

// cred is one credential of one account.
type cred struct{ backend, account, kind string }

// try is one value of a step on its way, or one answer of a reading step.
type try struct {
	intent  ledger.Record
	outcome *ledger.Record // nil: none is recorded
}

// read arranges records. A retry starts a new round: the status before it no
// longer holds.
func read(records []ledger.Record) history {
	var h history
	byTry := map[[2]int]*try{}
	for i := range records {
		rec := &records[i]
		switch rec.Kind {
		case ledger.Intent:
			t := &try{intent: *rec}
			byTry[[2]int{rec.Step, rec.Try}] = t
			h.begin(t)
		case ledger.Outcome:
			if t := byTry[[2]int{rec.Step, rec.Try}]; t != nil {
				t.outcome = rec
			}
		case ledger.Answer:
			h.begin(&try{intent: *rec, outcome: rec})
		case ledger.Finished:
			h.finished = rec
		case ledger.Reopened:
			h.finished = nil
		}
	}
	return h
}

// begin notes a try and the credential that it is about.
func (h *history) begin(t *try) {
	h.tries = append(h.tries, t)
	switch t.intent.Verb {
	case verbSet, verbChange, verbReset, verbRevert:
		c := cred{t.intent.Backend, t.intent.Account, t.intent.Cred}
		if !slices.Contains(h.creds, c) {
			h.creds = append(h.creds, c)
		}
	}
}

// name is the credential's entry in Passwords.
func (h *history) name(c cred) string {
	name := c.backend
	if c.kind != "" {
		name += "/" + c.kind
	}
	for _, other := range h.creds {
		if other != c && other.backend == c.backend && other.kind == c.kind {
			return name + ":" + c.account
		}
	}
	return name
}

func (h *history) touched(label string) bool {
	return slices.ContainsFunc(h.creds, func(c cred) bool { return c.backend == label })
}

// attempts is how often the operation was sent. An intent without an outcome
// was sent once, as far as anyone knows.
func (t *try) attempts() int {
	switch {
	case t.intent.Kind == ledger.Answer:
		return 0
	case t.outcome == nil:
		return 1
	default:
		return t.outcome.Detail.Attempt
	}
}

func (t *try) step(run string, user int64) Step {
	s := Step{
		ID:   fmt.Sprintf("%s-%d-%d-%d", run, user, t.intent.Step, t.intent.Try),
		Step: t.intent.Verb, Backend: t.intent.Backend, Account: t.intent.Account, Kind: t.intent.Cred,
		Attempt: t.attempts(), At: t.intent.At.UTC(),
	}
	if o := t.outcome; o != nil {
		s.Outcome, s.Code, s.At = o.Outcome, o.Code, o.At.UTC()
		s.Native, s.Message, s.Ref = o.Detail.Native, o.Detail.Message, o.Detail.Ref
		s.Violations, s.AccountStatus = o.Detail.Violations, o.Detail.AccountStatus
	}
	return s
}
