package host

import (
	"strings"

	"github.com/rekey-host/rekey/host/engine"
	"github.com/rekey-host/rekey/host/journal"
	"github.com/rekey-host/rekey/host/ledger"
	"github.com/rekey-host/rekey/host/report"
	"github.com/rekey-host/rekey/host/workflow/tree"
)

// Outcome is what a run came to, as --json prints it.
type Outcome struct {
	Run       string        `json:"run"`
	Script    string        `json:"script"`
	Status    journal.State `json:"status"`
	Counts    Counts        `json:"counts"`
	Waves     []WaveOutcome `json:"waves"`
	Reports   []string      `json:"reports"`
	Audit     Audit         `json:"audit"`
	ExitCode  int           `json:"exit_code"`
	Untold    int64         `json:"untold,omitempty"`    // resets whose value only the target knows
	Unchanged int64         `json:"unchanged,omitempty"` // done without a change of a password
	Reason    string        `json:"reason,omitempty"`    // why it stopped, or the reason of the hold
	Unwritten []string      `json:"unwritten,omitempty"` // reports that could not be written, and why
	Next      []string      `json:"next,omitempty"`      // what to do now
	Breaches  []string      `json:"breaches,omitempty"`  // what plugins did against the contract
	Events    []string      `json:"events,omitempty"`    // that, deaths of plugins, and what was waited for, of all its processes

	Backends   []BackendLine `json:"backends,omitempty"`   // as they were planned, or accepted since
	Recipients []string      `json:"recipients,omitempty"` // to whom the values are sealed
	About      *About        `json:"about,omitempty"`      // of rekey show: what the run is
	Rekey      string        `json:"rekey_version,omitempty"`

	Plan []PlannedUser `json:"plan,omitempty"` // of rekey plan: who, in which wave, in which order

	Summarised bool `json:"-"` // a summary has said all this on standard output
}

// About is what a run is: who planned it for what, and when it was applied.
type About struct {
	Title        string            `json:"title,omitempty"` // the first line of the script's docstring
	Params       map[string]string `json:"params,omitempty"`
	OSUser       string            `json:"os_user"`
	Host         string            `json:"host"`
	Requestor    string            `json:"requestor,omitempty"`
	SourceSystem string            `json:"source_system,omitempty"`
	Planned      string            `json:"planned"`         // UTC, as the following
	Began        string            `json:"began,omitempty"` // the first process that applied it
	Until        string            `json:"until,omitempty"` // the last of what was done to users
	Cancelled    string            `json:"cancelled,omitempty"`
}

// about reads what a run is.
func about(run *ledger.Run) (*About, error) {
	head := run.Header()
	made := &About{Title: tree.Title(head.ScriptText), Params: head.Params, OSUser: head.OSUser, Host: head.Host, Requestor: head.Requestor,
		SourceSystem: head.SourceSystem, Planned: stamped(head.Created)}
	span, err := run.Span()
	if err != nil {
		return nil, err
	}
	if !span.Began.IsZero() {
		made.Began, made.Until = stamped(span.Began), stamped(span.Until)
	}
	made.Cancelled, err = run.Cancelled()
	return made, err
}

// Counts is how many users have which status.
type Counts struct {
	Total   int64 `json:"total"`
	Done    int64 `json:"done"`
	Failed  int64 `json:"failed"`
	Skipped int64 `json:"skipped"`
	Partial int64 `json:"partial"`
	Unknown int64 `json:"unknown"`
	Pending int64 `json:"pending"`
	Held    int64 `json:"held"`
}

// unwritten notes reports that could not be written. What else is to be said of
// the run comes first, but for failures of users.
func (o *Outcome) unwritten(err error) {
	o.Unwritten = strings.Split(err.Error(), "\n")
	if o.ExitCode == ExitDone || o.ExitCode == ExitFailures {
		o.ExitCode = ExitReport
	}
}

// preview returns a planned run before it is applied, as a plan is confirmed.
func (o *Outcome) preview() Preview {
	shown := Preview{Script: o.Script, Total: o.Counts.Total, Due: o.Counts.Pending, Skipped: o.Counts.Skipped, Backends: o.Backends, Recipients: o.Recipients}
	for _, wave := range o.Waves {
		shown.Waves = append(shown.Waves, WavePreview{Name: wave.Name, Users: wave.Counts.Total, Rule: journal.WaveRule{MaxFailures: -1, MaxPercent: -1}})
	}
	return shown
}

// WaveOutcome is one wave's counts.
type WaveOutcome struct {
	Name   string `json:"name"`
	Counts Counts `json:"counts"`
}

// Audit is the size and head of a run's hash log.
type Audit struct {
	Size int64  `json:"size"`
	Head string `json:"head"`
}

// outcomeOf reads a run's outcome from its ledger.
func outcomeOf(run *ledger.Run) (Outcome, error) {
	outcome := Outcome{Run: run.ID(), Script: run.Header().Script, Reports: []string{}, Waves: []WaveOutcome{}}
	var err error
	if outcome.Status, err = run.State(); err != nil {
		return outcome, err
	}
	pins, err := run.Backends()
	if err != nil {
		return outcome, err
	}
	outcome.Backends, outcome.Recipients, outcome.Rekey = backendLines(pins), run.Header().Recipients, run.Header().Version
	if outcome.Events, err = run.Events(); err != nil {
		return outcome, err
	}
	counts, err := run.Counts()
	if err != nil {
		return outcome, err
	}
	outcome.Counts = Counts(counts)
	if outcome.Untold, err = run.Untold(); err != nil {
		return outcome, err
	}
	if outcome.Unchanged, err = run.Unchanged(); err != nil {
		return outcome, err
	}
	waves, err := run.WaveCounts()
	if err != nil {
		return outcome, err
	}
	for _, waveCounts := range waves {
		outcome.Waves = append(outcome.Waves, WaveOutcome{Name: waveCounts.Name, Counts: Counts(waveCounts.Counts)})
	}
	outcome.ExitCode = exitCode(outcome.Status, outcome.Counts)
	return outcome, nil
}

// ended returns the state in which a process leaves a run. A run
// stopped, or interrupted, with its last user is finished: no user is left.
func ended(ending engine.Ending, counts Counts) journal.State {
	left := counts.Pending+counts.Held > 0
	switch {
	case ending.Interrupted && (left || counts.Unknown > 0):
		return journal.StateInterrupted
	case ending.Stopped != "" && left:
		return journal.StateStopped
	case ending.Held != "":
		return journal.StateHeld
	case left:
		return journal.StateInterrupted
	case counts.Unknown > 0:
		return journal.StateUnsettled
	default:
		return journal.StateFinished
	}
}

// exitCode is the first that applies, by design section 4.
func exitCode(state journal.State, counts Counts) int {
	switch {
	case state == journal.StateInterrupted || state == journal.StateRunning:
		return ExitInterrupted
	case counts.Unknown > 0:
		return ExitUnknown
	case state == journal.StateStopped:
		return ExitStopped
	case state == journal.StateHeld:
		return ExitHeld
	case counts.Failed+counts.Partial > 0:
		return ExitFailures
	default:
		return ExitDone
	}
}

// advice is what to do now, one line each.
func advice(run *ledger.Run, out Outcome) ([]string, error) {
	if out.Status == journal.StateRunning {
		return nil, nil
	}
	list, err := groups(run, ledger.Counts(out.Counts))
	if err != nil {
		return nil, err
	}
	reason, err := overAgain(run)
	if err != nil {
		return nil, err
	}
	return report.Next(out.Run, ledger.Counts(out.Counts), list, reason != ""), nil
}
