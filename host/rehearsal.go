package host

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"time"

	"github.com/rekey-host/rekey/host/diag"
	"github.com/rekey-host/rekey/host/engine"
	"github.com/rekey-host/rekey/host/journal"
	"github.com/rekey-host/rekey/host/report"
	"github.com/rekey-host/rekey/host/source"
	"github.com/rekey-host/rekey/host/workflow"
	"github.com/rekey-host/rekey/sdk"
	"github.com/rekey-host/rekey/sdk/secret"
)

// rehearsal makes the rows of the script's reports for users that have not ended
// yet, as if they had: a wrong row is found before anything is changed.
type rehearsal struct {
	flow   *workflow.Workflow
	labels []string
	parts  []*part
	ended  map[string]*asBefore // by wave, how its last user ended: most end alike but for their rows
}

// asBefore is how a user of a wave ended, and the result that this is.
type asBefore struct {
	how    engine.Rehearsed
	result *report.Result
}

// like reports whether a user ends as that one did, but for its row.
func (b *asBefore) like(end engine.Rehearsed) bool {
	if b == nil || b.how.Status != end.Status || b.how.Reason != end.Reason {
		return false
	}
	return slices.EqualFunc(b.how.Steps, end.Steps, func(one, other journal.Step) bool {
		return one.Backend == other.Backend && one.Kind == other.Kind
	})
}

// part is one report of a rehearsal.
type part struct {
	index int
	spec  workflow.ReportSpec
	rows  report.RowWriter
	wrong bool // it has been said
}

// newRehearsal returns nil for a script that makes no rows of its own.
func newRehearsal(flow *workflow.Workflow, backends *backends) *rehearsal {
	made := &rehearsal{flow: flow, ended: map[string]*asBefore{}}
	for _, backend := range backends.list {
		made.labels = append(made.labels, backend.Label)
	}
	for i, spec := range flow.Reports {
		rows, err := writerOf(spec, io.Discard, report.Run{ID: "rehearsal", Status: journal.StateFinished})
		if err == nil && spec.HasRow {
			made.parts = append(made.parts, &part{index: i, spec: spec, rows: rows})
		}
	}
	if len(made.parts) == 0 {
		return nil
	}
	return made
}

// user tries the rows of one user. Of each report the first flaw is returned.
func (h *rehearsal) user(ctx context.Context, end engine.Rehearsed) error {
	var found diag.Problems
	for _, result := range h.ends(end) {
		for _, part := range h.parts {
			if part.wrong {
				continue
			}
			if err := h.row(ctx, part, result, end); err != nil {
				part.wrong = true
				found.Join(h.problemsOf(err, end.Row))
			}
		}
	}
	return found.Err()
}

// ends are the results that a user is tried with: done, and for the first of a
// wave what else may come. They are good until those of the next user.
func (h *rehearsal) ends(end engine.Rehearsed) []*report.Result {
	kept := h.ended[end.Wave]
	if kept.like(end) {
		kept.result.Row = end.Row
		return []*report.Result{kept.result}
	}
	first := h.made(end)
	list := []*report.Result{&first}
	h.ended[end.Wave] = &asBefore{end, &first}
	if end.Wave == "" || kept != nil {
		return list
	}
	for status, code := range map[journal.Status]sdk.Code{journal.Failed: sdk.AccountNotFound, journal.Pending: ""} {
		bare := h.made(engine.Rehearsed{Row: end.Row, Wave: end.Wave, Status: status})
		bare.Code = code
		list = append(list, &bare)
	}
	return list
}

func (h *rehearsal) made(end engine.Rehearsed) report.Result {
	result := report.Result{Row: end.Row, Status: end.Status, Message: end.Reason, Wave: end.Wave}
	value := secret.New("simulated")
	names := map[string]report.Named{}
	for _, label := range h.labels {
		names[label] = report.Named{Name: label}
	}
	for _, step := range end.Steps {
		name := step.Backend
		if step.Kind != "" {
			name += "/" + step.Kind
			delete(names, step.Backend)
		}
		names[name] = report.Named{Name: name, Certain: value, Candidates: []secret.Value{value}}
		result.Attempts, result.At = 1, time.Unix(0, 0).UTC()
	}
	for _, name := range slices.Sorted(maps.Keys(names)) {
		result.Values = append(result.Values, names[name])
	}
	if len(end.Steps) == 1 {
		result.Password = &value
	}
	return result
}

// row makes one row. An error over a user who is neither done nor skipped is not
// said: rows may well look into what only a real end has.
func (h *rehearsal) row(ctx context.Context, part *part, result *report.Result, end engine.Rehearsed) error {
	row, include, err := h.flow.TryReportRow(ctx, part.index, result)
	if err != nil || !include {
		if err != nil && result.Status != journal.Done && result.Status != journal.Skipped {
			return nil
		}
		return err
	}
	if err := part.rows.Add(*result, row); err != nil {
		return fmt.Errorf("report %s, tried with a user that is %s: %w", part.spec.Path, result.Status, err)
	}
	return nil
}

// problemsOf are the problems that an error is, at the place of the row.
func (h *rehearsal) problemsOf(err error, row source.Row) *diag.Problems {
	var found *diag.Problems
	if !errors.As(err, &found) {
		found = &diag.Problems{}
		found.Add(diag.Problem{File: cmp.Or(row.File, h.flow.Users.Name()), Line: row.Line, Message: err.Error(), Fix: "mend its row function"})
	}
	return found
}
