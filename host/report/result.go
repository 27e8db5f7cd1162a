package report

import (
	"time"

	"github.com/rekey-host/rekey/host/journal"
	"github.com/rekey-host/rekey/host/source"
	"github.com/rekey-host/rekey/sdk"
	"github.com/rekey-host/rekey/sdk/secret"
)

// Result is what one user came to, as a row function sees it. Code, Native and
// Message are those of the status and "" where there is nothing to say, as for
// a done user.
type Result struct {
	Row    source.Row // a script's user
	Schema source.Schema

	Status  journal.Status
	Code    sdk.Code
	Native  string
	Message string
	Wave    string // "" for a user that the plan skipped

	// Password is the present value of the user's only account and kind; nil if
	// the user has several, or if it is not certain.
	Password *secret.Value
	// Values is the same by name, and what else may be the present value.
	Values Values

	Attempts int       // how often an operation was sent, over all steps
	At       time.Time // UTC, when the status was decided; zero: not yet

	Requestor    string
	SourceSystem string

	Run   string    // id
	Ended time.Time // UTC, when the run was applied last; zero: not yet

	user int64
	past *journal.History
}

// Steps returns every value of each journalled step, and the answers of reading
// steps, in the order in which they were begun.
func (r *Result) Steps() []Step {
	if r.past == nil {
		return nil
	}
	steps := make([]Step, 0, len(r.past.Attempts()))
	for _, attempt := range r.past.Attempts() {
		steps = append(steps, stepOf(r.Run, r.user, attempt))
	}
	return steps
}

// Values has an entry for each account that a set, change or reset was about, and
// one for every other backend of the run; a script's look-up of any
// other name gives None.
type Values []Named

// Named is the value of one credential.
type Named struct {
	// Name is "label", or "label/kind" where the kind has a name. Two accounts of
	// one backend and kind are "label:account" or "label/kind:account".
	Name string
	// Certain is the present value, absent if uncertain.
	Certain secret.Value
	// Candidates is every value that may be the present one, newest first. A
	// certain one is alone in its list.
	Candidates []secret.Value
}

// Passwords returns the certain values by name.
func (v Values) Passwords() map[string]secret.Value {
	table := make(map[string]secret.Value, len(v))
	for i := range v {
		table[v[i].Name] = v[i].Certain
	}
	return table
}

// Candidates returns the candidates by name.
func (v Values) Candidates() map[string][]secret.Value {
	table := make(map[string][]secret.Value, len(v))
	for i := range v {
		table[v[i].Name] = v[i].Candidates
	}
	return table
}

// Step is one value of one journalled step, or one answer of a reading step.
type Step struct {
	ID            string // of the operation, as the target's audit trail has it
	Step          string // the verb: set, change, reset, verify, find, unlock, revert
	Backend       string // label
	Account       string
	Kind          string
	Outcome       sdk.Outcome // Unknown also if not recorded
	Code          sdk.Code
	Native        string
	Message       string
	Violations    []sdk.Violation
	AccountStatus sdk.Status
	Ref           string
	Attempt       int       // how often it was sent; 0: never
	At            time.Time // UTC, of the outcome, else of the intent
}

// Field is one named value of a Row.
type Field struct {
	Name string
	// Value is nil, a string, bool, int, int64, *big.Int, float64, time.Time,
	// source.Day or secret.Value, or a []any, map[string]any or Row of these.
	// nil and absent secrets are null, or an empty cell.
	Value any
}

// Row is one row of a report: its columns in order.
type Row []Field

// DefaultColumns are the columns of a report without a row function.
func DefaultColumns() []string { return []string{"key", "status", "code", "message", "wave"} }

// DefaultRow is the row of a report without a row function. It holds no
// secret.
func DefaultRow(result Result) Row {
	return Row{
		{"key", result.Row.Key}, {"status", string(result.Status)}, {"code", string(result.Code)},
		{"message", result.Message}, {"wave", result.Wave},
	}
}

// RevealedRow is DefaultRow with the columns password and passwords.
func RevealedRow(result Result) Row {
	var password any
	if result.Password != nil {
		password = *result.Password
	}
	return append(DefaultRow(result), Field{"password", password}, Field{"passwords", byName(result.Values)})
}

func byName(values Values) map[string]any {
	table := make(map[string]any, len(values))
	for i := range values {
		table[values[i].Name] = values[i].Certain
	}
	return table
}
