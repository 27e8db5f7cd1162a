package report

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/rekey-host/rekey/host/journal"
	"github.com/rekey-host/rekey/host/ledger"
	"github.com/rekey-host/rekey/host/source"
	"github.com/rekey-host/rekey/sdk/secret"
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
func (v *View) onBehalf(u *ledger.User) (requestor, sourceSystem string) {
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
	past := journal.Read(u.History)
	r := Result{Schema: v.Schema, Row: source.Row{Line: u.Line, Key: u.Key}, Status: u.Status, Wave: u.WaveName,
		Code: u.Code, Message: u.Reason, run: v.Run, user: u.Pos, past: past}
	r.Requestor, r.SourceSystem = v.onBehalf(&u)
	if v.Row != nil {
		row, err := v.Row(u)
		if err != nil {
			return r, fmt.Errorf("row of user %q: %w", u.Key, err)
		}
		r.Row = row
	}
	r.finish(past.Finished())
	for _, a := range past.Attempts() {
		r.Attempts += sent(a)
	}
	if v.Unseal == nil {
		return r, nil
	}
	if err := r.values(&v, u.Pos, past.Touched()); err != nil {
		return r, fmt.Errorf("values of user %q: %w", u.Key, err)
	}
	return r, nil
}

// finish takes the status's reason over; nil is a user that has no status.
func (r *Result) finish(f *journal.Record) {
	if f == nil {
		return
	}
	r.Code, r.Native, r.Message, r.At = f.Code, f.Detail.Native, f.Detail.Message, f.At.UTC()
}

// values opens what may be the present value of each credential.
func (r *Result) values(v *View, user int64, touched []*journal.CredentialHistory) error {
	names := namesAmong(touched)
	r.Values = make(Values, 0, len(v.Labels)+len(touched))
	for _, label := range v.Labels {
		if !names.has(label) {
			r.Values = append(r.Values, Named{Name: label})
		}
	}
	for _, c := range touched {
		list, certain, err := v.open(user, c)
		if err != nil {
			return err
		}
		r.Values = append(r.Values, Named{names.of(c.Credential), certain, list})
		if len(touched) == 1 && certain.Present() {
			r.Password = &certain
		}
	}
	slices.SortStableFunc(r.Values, func(a, b Named) int { return strings.Compare(a.Name, b.Name) })
	return nil
}

// open returns every value that may be the present one of a credential, newest
// first, and the one that certainly is, if there is one. Where a change is in
// doubt and nothing else is known, what it was to replace may still be in
// force.
func (v *View) open(user int64, of *journal.CredentialHistory) (list []secret.Value, certain secret.Value, err error) {
	var before *journal.Record // with the value that was there before anything was sent
	add := func(role string, r *journal.Record, sealed []byte) secret.Value {
		value, failure := v.Unseal(user, r.Step, r.Try, role, sealed)
		if failure != nil {
			err = failure
		} else if !slices.ContainsFunc(list, value.Equal) {
			list = append(list, value)
		}
		return value
	}
	all := of.Candidates()
	for i := range all {
		x := &all[i]
		switch x.State {
		case journal.CandidateApplied:
			value := add(journal.RoleValue, x.Record, x.Sealed)
			if x.Current {
				certain = value
			}
			before = nil
		case journal.CandidateUnknown:
			add(journal.RoleValue, x.Record, x.Sealed)
			before = x.Record
		case journal.CandidateSuperseded:
			before = nil
		}
	}
	if before != nil && len(before.SealedOld) > 0 {
		add(journal.RoleOld, before, before.SealedOld)
	}
	return list, certain, err
}

// names are those of a user's credentials among the values of a result.
type names struct {
	labels map[string]bool             // nil: there is one credential
	shared map[journal.Credential]bool // without the account: several have it
	only   string                      // label of the one
}

func namesAmong(touched []*journal.CredentialHistory) names {
	switch len(touched) {
	case 0:
		return names{}
	case 1:
		return names{only: touched[0].Backend}
	}
	n := names{labels: map[string]bool{}, shared: map[journal.Credential]bool{}}
	for _, c := range touched {
		n.labels[c.Backend] = true
		place := journal.Credential{Backend: c.Backend, Kind: c.Kind}
		_, again := n.shared[place]
		n.shared[place] = again
	}
	return n
}

// has reports whether a credential is on the backend.
func (n *names) has(label string) bool { return n.labels[label] || label == n.only && n.labels == nil }

// of is the name of a credential.
func (n *names) of(c journal.Credential) string {
	name := c.Backend
	if c.Kind != "" {
		name += "/" + c.Kind
	}
	if n.shared[journal.Credential{Backend: c.Backend, Kind: c.Kind}] {
		return name + ":" + c.Account
	}
	return name
}

// sent is how often an attempt's operation was sent. An intent without an
// outcome was sent once, as far as anyone knows.
func sent(a *journal.Attempt) int {
	switch {
	case a.Intent.Kind == journal.Answer:
		return 0
	case a.Outcome == nil:
		return 1
	default:
		return a.Outcome.Detail.Attempt
	}
}

func stepOf(run string, user int64, a *journal.Attempt) Step {
	s := Step{
		ID:   journal.OperationID(run, user, a.Intent.Step, a.Intent.Try),
		Step: a.Intent.Verb, Backend: a.Intent.Backend, Account: a.Intent.Account, Kind: a.Intent.Cred,
		Attempt: sent(a), At: a.Intent.At.UTC(),
	}
	if o := a.Outcome; o != nil {
		s.Outcome, s.Code, s.At = o.Outcome, o.Code, o.At.UTC()
		s.Native, s.Message, s.Ref = o.Detail.Native, o.Detail.Message, o.Detail.Ref
		s.Violations, s.AccountStatus = o.Detail.Violations, o.Detail.AccountStatus
	}
	return s
}
