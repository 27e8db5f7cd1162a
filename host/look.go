package host

import (
	"fmt"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/rekey-host/rekey/host/journal"
	"github.com/rekey-host/rekey/host/ledger"
	"github.com/rekey-host/rekey/host/report"
	"github.com/rekey-host/rekey/host/workflow"
)

// RunSummary is one line of rekey runs.
type RunSummary struct {
	Run     string        `json:"run"`
	Script  string        `json:"script"`
	Status  journal.State `json:"status"`
	Created string        `json:"created"`
	OSUser  string        `json:"os_user"`
	Counts  Counts        `json:"counts"`
	Problem string        `json:"problem,omitempty"` // why it cannot be read; all else is empty then
}

func summaryOf(run ledger.Summary) RunSummary {
	head := run.Header
	if run.Err != nil {
		return RunSummary{Run: head.ID, Problem: strings.TrimPrefix(run.Err.Error(), "run "+head.ID+": ")}
	}
	return RunSummary{Run: head.ID, Script: head.Script, Status: run.State,
		Created: head.Created.UTC().Format("2006-01-02T15:04:05Z"), OSUser: head.OSUser, Counts: Counts(run.Counts)}
}

// RunFilter selects runs; the zero RunFilter all.
type RunFilter struct {
	Statuses     []string
	Script       string // its name, or the last part of it
	Since, Until time.Time
	Limit        int // 0: no limit
}

// Of returns the selected runs, in their order. One that cannot be read is among them,
// unless a limit leaves it out.
func (f RunFilter) Of(list []RunSummary) ([]RunSummary, error) {
	for _, status := range f.Statuses {
		if !slices.Contains(journal.States(), journal.State(status)) {
			return nil, &UsageError{Message: fmt.Sprintf("no run has status %q", status), Fix: "use planned, running, finished, unsettled, stopped, held or interrupted"}
		}
	}
	out := []RunSummary{}
	for _, run := range list {
		if run.Problem == "" && !f.selects(run) {
			continue
		}
		if out = append(out, run); len(out) == f.Limit {
			break
		}
	}
	return out, nil
}

func (f RunFilter) selects(run RunSummary) bool {
	created, err := time.Parse(time.RFC3339, run.Created)
	switch {
	case err != nil, !f.Since.IsZero() && created.Before(f.Since), !f.Until.IsZero() && created.After(f.Until):
		return false
	case len(f.Statuses) > 0 && !slices.Contains(f.Statuses, string(run.Status)):
		return false
	}
	return f.Script == "" || f.Script == run.Script || f.Script == path.Base(run.Script)
}

// ShowFilter selects users of a run.
type ShowFilter struct {
	Keys, Statuses, Codes []string
}

// statuses are the values of --status.
var statuses = []journal.Status{journal.Pending, journal.Done, journal.Failed, journal.Skipped, journal.Partial, journal.Unresolved, journal.HeldPending}

// empty reports whether the filter selects no user.
func (f ShowFilter) empty() bool { return len(f.Keys)+len(f.Statuses)+len(f.Codes) == 0 }

func (f ShowFilter) ledger() (ledger.Filter, error) {
	out := ledger.Filter{Codes: f.Codes, Keys: f.Keys}
	for _, status := range f.Statuses {
		if !slices.Contains(statuses, journal.Status(status)) {
			return out, &UsageError{Message: fmt.Sprintf("there is no status %q", status), Fix: "use pending, done, failed, skipped, partial, unknown or held"}
		}
		out.Status = append(out.Status, journal.Status(status))
	}
	return out, nil
}

// unmatched says that the filter matches no user. An unknown code is a slip; a
// status that no user has is an answer.
func (f ShowFilter) unmatched(run string) error {
	for _, code := range f.Codes {
		if fix, known := workflow.KnownCode(code); !known {
			return &UsageError{Message: fmt.Sprintf("there is no code %q", code), Fix: fix}
		}
	}
	if len(f.Keys) == 1 && len(f.Statuses)+len(f.Codes) == 0 {
		return usagef("run %s has no user %q", run, f.Keys[0])
	}
	return &NobodyError{Run: run, Filter: f}
}

// NobodyError says that a run has no user that a filter selects.
type NobodyError struct {
	Run    string
	Filter ShowFilter
}

func (e *NobodyError) Error() string {
	text := "no user of run " + e.Run
	for _, part := range []struct {
		what   string
		values []string
	}{{"named", e.Filter.Keys}, {"with status", e.Filter.Statuses}, {"with code", e.Filter.Codes}} {
		if len(part.values) > 0 {
			text += " " + part.what + " " + strings.Join(part.values, " or ")
		}
	}
	return text
}

// show returns where a run stands, and calls user for the users that the filter
// selects, in the order of application.
func show(run *ledger.Run, filter ShowFilter, user func(report.Line) error) (Outcome, error) {
	out, err := outcomeOf(run)
	if err != nil {
		return out, err
	}
	if out.About, err = about(run); err != nil {
		return out, err
	}
	if out.Next, err = advice(run, out); err != nil && run.Damage() == nil { // the rules of its waves may be lost
		return out, err
	}
	if out.Audit.Size, out.Audit.Head, err = run.SignHead(); err != nil || filter.empty() {
		return out, err
	}
	selected, err := filter.ledger()
	if err != nil {
		return out, err
	}
	view, err := viewOf(run)
	if err != nil {
		return out, err
	}
	found := 0
	err = run.Each(selected, ledger.OrderApply, func(u ledger.User) error {
		found++
		return user(report.LineOf(view, u))
	})
	if err == nil && found == 0 {
		return out, filter.unmatched(run.ID())
	}
	return out, err
}

// PlannedUser is one user of a frozen plan.
type PlannedUser struct {
	Key    string `json:"key"`
	Line   int    `json:"line"`           // of the source
	Wave   string `json:"wave,omitempty"` // "" for a skipped user
	Reason string `json:"skipped,omitempty"`
}

func plannedUser(user ledger.User) PlannedUser {
	planned := PlannedUser{Key: user.Key, Line: user.Line, Wave: user.WaveName}
	if user.Wave < 0 {
		planned.Reason = user.Reason
	}
	return planned
}
