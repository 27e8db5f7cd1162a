package report

import (
	"time"

	"github.com/rekey-host/rekey/host/journal"
	"github.com/rekey-host/rekey/host/ledger"
)

// Line is one user of `rekey report RUN --format jsonl` and of `rekey show
// --json`. Its JSON form is a contract.
type Line struct {
	Key          string         `json:"key"`
	Status       journal.Status `json:"status"`
	Code         string         `json:"code"`
	Native       string         `json:"native"`
	Message      string         `json:"message"`
	Wave         string         `json:"wave"`
	Attempts     int            `json:"attempts"`
	Requestor    string         `json:"requestor"`
	SourceSystem string         `json:"source_system"`
	Steps        []LineStep     `json:"steps"`

	// With --reveal: the certain values by name, null where nothing is, and all
	// that may be the present one.
	Passwords  map[string]*string  `json:"passwords,omitempty"`
	Candidates map[string][]string `json:"candidates,omitempty"`
}

// LineStep is one step of a Line.
type LineStep struct {
	ID            string          `json:"id"`
	Step          string          `json:"step"`
	Backend       string          `json:"backend"`
	Account       string          `json:"account"`
	Kind          string          `json:"kind"`
	Outcome       string          `json:"outcome"`
	Code          string          `json:"code"`
	Native        string          `json:"native"`
	Message       string          `json:"message"`
	Violations    []LineViolation `json:"violations"`
	AccountStatus string          `json:"account_status"`
	Ref           string          `json:"ref"`
	Attempt       int             `json:"attempt"`
	At            string          `json:"at"` // RFC 3339, UTC
}

// LineViolation is one broken rule of a policy.
type LineViolation struct {
	Rule  string `json:"rule"`
	Limit int    `json:"limit"`
}

// LineOf returns the line of a user, without a secret. It opens nothing,
// so it works where the key of the run is not at hand.
func LineOf(view View, user ledger.User) Line {
	view.Row, view.Unseal = nil, nil
	result, _ := Build(view, user) // without Row and Unseal nothing in it can fail
	return NewLine(result)
}

// NewLine returns the line of a result, without a secret.
func NewLine(result Result) Line {
	line := Line{Key: result.Row.Key, Status: result.Status, Code: string(result.Code), Native: result.Native, Message: result.Message, Wave: result.Wave,
		Attempts: result.Attempts, Requestor: result.Requestor, SourceSystem: result.SourceSystem, Steps: []LineStep{}}
	for _, step := range result.Steps() {
		line.Steps = append(line.Steps, lineStep(step))
	}
	return line
}

// RevealedLine returns the line of a result with its values in clear.
func RevealedLine(result Result) Line {
	line := NewLine(result)
	line.Passwords, line.Candidates = map[string]*string{}, map[string][]string{}
	for _, named := range result.Values {
		line.Passwords[named.Name], line.Candidates[named.Name] = nil, []string{}
		if named.Certain.Present() {
			line.Passwords[named.Name] = new(named.Certain.Reveal())
		}
		for _, value := range named.Candidates {
			line.Candidates[named.Name] = append(line.Candidates[named.Name], value.Reveal())
		}
	}
	return line
}

func lineStep(step Step) LineStep {
	lineStep := LineStep{ID: step.ID, Step: step.Step, Backend: step.Backend, Account: step.Account, Kind: step.Kind, Outcome: step.Outcome.String(),
		Code: string(step.Code), Native: step.Native, Message: step.Message, Violations: make([]LineViolation, 0, len(step.Violations)),
		AccountStatus: string(step.AccountStatus), Ref: step.Ref, Attempt: step.Attempt, At: step.At.Format(time.RFC3339Nano)}
	for _, violation := range step.Violations {
		lineStep.Violations = append(lineStep.Violations, LineViolation{Rule: string(violation.Rule), Limit: violation.Limit})
	}
	return lineStep
}
