package report

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

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
	Ended                   time.Time      // UTC, when the run was applied last; zero: not known
	Requestor, SourceSystem string         // who planned it
	Starts                  []ledger.Start // on whose behalf it was applied; nil: theirs

	// Row decodes a user's row. Nil: rows have a line and a key only.
	Row func(ledger.User) (source.Row, error)
	// Unseal opens a sealed value. Nil: results hold no values, for reports
	// without them.
	Unseal func(user int64, step, try int, role string, sealed []byte) (secret.Value, error)
}

// ViewOf returns the view of the run with the header; Row and Unseal are the
// caller's to fill in.
func ViewOf(head ledger.Header) (View, error) {
	view := View{Run: head.ID, Requestor: head.Requestor, SourceSystem: head.SourceSystem}
	for _, backendPin := range head.Backends {
		view.Labels = append(view.Labels, backendPin.Label)
	}
	if len(head.Schema) > 0 {
		if err := json.Unmarshal(head.Schema, &view.Schema); err != nil {
			return view, fmt.Errorf("schema of run %s: %w", head.ID, err)
		}
	}
	return view, nil
}

// onBehalf returns who asked for the last thing that happened to a user.
func (v *View) onBehalf(user *ledger.User) (requestor, sourceSystem string) {
	requestor, sourceSystem = v.Requestor, v.SourceSystem
	if len(user.History) == 0 {
		return requestor, sourceSystem
	}
	last := user.History[len(user.History)-1].Index
	for _, start := range v.Starts {
		if start.Index < last {
			requestor, sourceSystem = start.Requestor, start.SourceSystem
		}
	}
	return requestor, sourceSystem
}

// Build returns what a user came to, from its records in the order of the
// ledger.
func Build(view View, user ledger.User) (Result, error) {
	builder := Builder{View: view}
	result, err := builder.Build(user)
	return *result, err
}

// Builder is Build for many users, one after the other.
type Builder struct {
	View
	past   journal.History
	result Result
}

// Build returns what a user came to. The result is valid until the next is built.
func (b *Builder) Build(user ledger.User) (*Result, error) {
	view, past, result := &b.View, &b.past, &b.result
	past.Reset(user.History)
	*result = Result{Schema: view.Schema, Row: source.Row{Line: user.Line, Key: user.Key}, Status: user.Status, Wave: user.WaveName,
		Code: user.Code, Message: user.Reason, Run: view.Run, Ended: view.Ended, user: user.Pos, past: past}
	result.Requestor, result.SourceSystem = view.onBehalf(&user)
	if view.Row != nil {
		row, err := view.Row(user)
		if err != nil {
			return result, fmt.Errorf("row of user %q: %w", user.Key, err)
		}
		result.Row = row
	}
	finish(result, past.Finished())
	for _, attempt := range past.Attempts() {
		result.Attempts += sent(attempt)
	}
	if view.Unseal == nil {
		return result, nil
	}
	if err := openValues(result, view, user.Pos, past.Touched()); err != nil {
		return result, fmt.Errorf("values of user %q: %w", user.Key, err)
	}
	return result, nil
}

// finish takes the status's reason over; nil is a user without a status.
func finish(result *Result, record *journal.Record) {
	if record == nil {
		return
	}
	result.Code, result.Native, result.Message, result.At = record.Code, record.Detail.Native, record.Detail.Message, record.At.UTC()
}

// openValues opens what may be the present value of each credential.
func openValues(result *Result, view *View, user int64, touched []*journal.CredentialHistory) error {
	names := namesAmong(touched)
	result.Values = make(Values, 0, len(view.Labels)+len(touched))
	for _, label := range view.Labels {
		if !names.has(label) {
			result.Values = append(result.Values, Named{Name: label})
		}
	}
	for _, credential := range touched {
		list, certain, err := view.open(user, credential)
		if err != nil {
			return err
		}
		result.Values = append(result.Values, Named{names.of(credential.Credential), certain, list})
		if len(touched) == 1 && certain.Present() {
			result.Password = &certain
		}
	}
	slices.SortStableFunc(result.Values, func(named, b Named) int { return strings.Compare(named.Name, b.Name) })
	return nil
}

// open returns every value that may be the present one of a credential, newest
// first, and the one that certainly is, if there is one. Where a change is in
// doubt and nothing else is known, the value it was to replace may still be in
// force.
func (v *View) open(user int64, of *journal.CredentialHistory) (list []secret.Value, certain secret.Value, err error) {
	var before *journal.Record // with the value from before anything was sent
	add := func(role string, record *journal.Record, sealed []byte) secret.Value {
		value, failure := v.Unseal(user, record.Step, record.Try, role, sealed)
		if failure != nil {
			err = failure
		} else if !slices.ContainsFunc(list, value.Equal) {
			list = append(list, value)
		}
		return value
	}
	all := of.Candidates()
	for i := range all {
		candidate := &all[i]
		switch candidate.State {
		case journal.CandidateApplied:
			value := add(journal.RoleValue, candidate.Record, candidate.Sealed)
			if candidate.Current {
				certain = value
			}
			before = nil
		case journal.CandidateUnknown:
			add(journal.RoleValue, candidate.Record, candidate.Sealed)
			before = candidate.Record
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
	made := names{labels: map[string]bool{}, shared: map[journal.Credential]bool{}}
	for _, credential := range touched {
		made.labels[credential.Backend] = true
		place := journal.Credential{Backend: credential.Backend, Kind: credential.Kind}
		_, again := made.shared[place]
		made.shared[place] = again
	}
	return made
}

// has reports whether a credential is on the backend.
func (n *names) has(label string) bool { return n.labels[label] || label == n.only && n.labels == nil }

// of is the name of a credential.
func (n *names) of(credential journal.Credential) string {
	name := credential.Backend
	if credential.Kind != "" {
		name += "/" + credential.Kind
	}
	if n.shared[journal.Credential{Backend: credential.Backend, Kind: credential.Kind}] {
		return name + ":" + credential.Account
	}
	return name
}

// sent is how often an attempt's operation was sent. An intent without an
// outcome was sent once, as far as anyone knows.
func sent(attempt *journal.Attempt) int {
	switch {
	case attempt.Intent.Kind == journal.Answer:
		return 0
	case attempt.Outcome == nil:
		return 1
	default:
		return attempt.Outcome.Detail.Attempt
	}
}

func stepOf(run string, user int64, attempt *journal.Attempt) Step {
	step := Step{
		ID:   journal.OperationID(run, user, attempt.Intent.Step, attempt.Intent.Try),
		Step: attempt.Intent.Verb, Backend: attempt.Intent.Backend, Account: attempt.Intent.Account, Kind: attempt.Intent.Cred,
		Attempt: sent(attempt), At: attempt.Intent.At.UTC(),
	}
	if record := attempt.Outcome; record != nil {
		step.Outcome, step.Code, step.At = record.Outcome, record.Code, record.At.UTC()
		step.Native, step.Message, step.Ref = record.Detail.Native, record.Detail.Message, record.Detail.Ref
		step.Violations, step.AccountStatus = record.Detail.Violations, record.Detail.AccountStatus
	}
	return step
}
