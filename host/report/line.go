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

	// With --reveal: what is certain by name, null where nothing is, and all
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
func LineOf(v View, u ledger.User) Line {
	v.Row, v.Unseal = nil, nil
	r, _ := Build(v, u) // without Row and Unseal nothing in it can fail
	return NewLine(r)
}

// NewLine returns the line of a result, without a secret.
func NewLine(r Result) Line {
	l := Line{Key: r.Row.Key, Status: r.Status, Code: string(r.Code), Native: r.Native, Message: r.Message, Wave: r.Wave,
		Attempts: r.Attempts, Requestor: r.Requestor, SourceSystem: r.SourceSystem, Steps: []LineStep{}}
	for _, s := range r.Steps() {
		l.Steps = append(l.Steps, lineStep(s))
	}
	return l
}

// RevealedLine returns the line of a result with its values in clear.
func RevealedLine(r Result) Line {
	l := NewLine(r)
	l.Passwords, l.Candidates = map[string]*string{}, map[string][]string{}
	for _, x := range r.Values {
		l.Passwords[x.Name], l.Candidates[x.Name] = nil, []string{}
		if x.Certain.Present() {
			l.Passwords[x.Name] = new(x.Certain.Reveal())
		}
		for _, v := range x.Candidates {
			l.Candidates[x.Name] = append(l.Candidates[x.Name], v.Reveal())
		}
	}
	return l
}

func lineStep(s Step) LineStep {
	l := LineStep{ID: s.ID, Step: s.Step, Backend: s.Backend, Account: s.Account, Kind: s.Kind, Outcome: s.Outcome.String(),
		Code: string(s.Code), Native: s.Native, Message: s.Message, Violations: make([]LineViolation, 0, len(s.Violations)),
		AccountStatus: string(s.AccountStatus), Ref: s.Ref, Attempt: s.Attempt, At: s.At.Format(time.RFC3339Nano)}
	for _, v := range s.Violations {
		l.Violations = append(l.Violations, LineViolation{Rule: string(v.Rule), Limit: v.Limit})
	}
	return l
}
