package journal

import "github.com/rekey-host/rekey/sdk"

// Step is one call of a step that reaches a backend.
type Step struct {
	Verb       string // set change reset verify find unlock
	Backend    string // label
	Account    string
	Kind       string
	Value, Old *Value
	MustChange *bool
	HashFormat string
	Options    map[string]any
}

// Result is what a backend said to a step, after the host has tried to settle
// it. Every replay of the step returns the same.
type Result struct {
	Outcome sdk.Outcome
	Code    sdk.Code
	Message string
	Native  string
	Value   *Value       // of a reset
	Account *sdk.Account // of a find
}

// ResultOf returns what a record of an end says.
func ResultOf(record *Record) Result {
	return Result{Outcome: record.Outcome, Code: record.Code, Message: record.Detail.Message, Native: record.Detail.Native, Account: record.Detail.Account}
}

// OK reports whether the step succeeded.
func (r Result) OK() bool { return r.Outcome == sdk.Applied || r.Outcome == sdk.AlreadyApplied }

// Call returns what the step is told from others by.
func (s Step) Call() Call { return Call{s.Verb, Credential{s.Backend, s.Account, s.Kind}} }

// Record returns a record of the step, at an ordinal of the user at a position.
func (s Step) Record(kind Kind, user int64, ordinal int) (made Record) {
	s.Write(&made, kind, user, ordinal)
	return made
}

// Write makes an empty record one of the step, as Record does.
func (s *Step) Write(record *Record, kind Kind, user int64, ordinal int) {
	record.Kind, record.User, record.Step = kind, user, ordinal
	record.Verb, record.Backend, record.Account, record.Cred = s.Verb, s.Backend, s.Account, s.Kind
}
