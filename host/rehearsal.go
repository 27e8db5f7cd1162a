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
// yet, as if they had: a row that is wrong is found before anything is changed.
type rehearsal struct {
	flow   *workflow.Workflow
	labels []string
	parts  []*part
	ended  map[string]report.Result // by wave, how its first user was tried first
}

// part is one report of a rehearsal.
type part struct {
	index int
	spec  workflow.ReportSpec
	rows  rowWriter
	wrong bool // it has been said
}

// newRehearsal returns nil for a script that makes no rows of its own.
func newRehearsal(w *workflow.Workflow, b *backends) *rehearsal {
	h := &rehearsal{flow: w, ended: map[string]report.Result{}}
	for _, x := range b.list {
		h.labels = append(h.labels, x.Label)
	}
	for i, spec := range w.Reports {
		if spec.HasRow {
			h.parts = append(h.parts, &part{index: i, spec: spec, rows: writerOf(spec, io.Discard, report.Run{ID: "rehearsal", Status: journal.StateFinished})})
		}
	}
	if len(h.parts) == 0 {
		return nil
	}
	return h
}

// user tries the rows of one user. Of each report the first flaw is returned.
func (h *rehearsal) user(ctx context.Context, end engine.Rehearsed) error {
	var found diag.Problems
	for _, r := range h.ends(end) {
		for _, p := range h.parts {
			if p.wrong {
				continue
			}
			for _, x := range h.problemsOf(h.row(ctx, p, r, end), end.Row) {
				p.wrong = true
				found.Add(x)
			}
		}
	}
	return found.Err()
}

// ends are the results that a user is tried with: done, and for the first of a
// wave what else may come.
func (h *rehearsal) ends(end engine.Rehearsed) []report.Result {
	first := h.result(end)
	if _, known := h.ended[end.Wave]; end.Skipped || known {
		return []report.Result{first}
	}
	h.ended[end.Wave] = first
	list := []report.Result{first}
	bare := h.made(engine.Rehearsed{Row: end.Row, Wave: end.Wave})
	for status, code := range map[journal.Status]sdk.Code{journal.Failed: sdk.AccountNotFound, journal.Pending: ""} {
		bare.Status, bare.Code = status, code
		list = append(list, bare)
	}
	return list
}

// result is how a user is tried first. All of a wave end alike but for their rows.
func (h *rehearsal) result(end engine.Rehearsed) report.Result {
	r, known := h.ended[end.Wave]
	if end.Skipped || !known {
		return h.made(end)
	}
	r.Row = end.Row
	return r
}

func (h *rehearsal) made(end engine.Rehearsed) report.Result {
	r := report.Result{Row: end.Row, Status: journal.Done, Wave: end.Wave}
	if end.Skipped {
		r.Status, r.Message = journal.Skipped, end.Reason
	}
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
		r.Attempts, r.At = 1, time.Unix(0, 0).UTC()
	}
	for _, name := range slices.Sorted(maps.Keys(names)) {
		r.Values = append(r.Values, names[name])
	}
	if len(end.Steps) == 1 {
		r.Password = &value
	}
	return r
}

// row makes one row. What a script raises over a user that is not done is not
// said: rows may well look into what only a real end has.
func (h *rehearsal) row(ctx context.Context, p *part, r report.Result, end engine.Rehearsed) error {
	row, include, err := h.flow.TryReportRow(ctx, p.index, &r)
	if err != nil || !include {
		if err != nil && !end.Skipped && r.Status != journal.Done {
			return nil
		}
		return err
	}
	if err := p.rows.Add(r, row); err != nil {
		return fmt.Errorf("report %s, tried with a user that is %s: %w", p.spec.Path, r.Status, err)
	}
	return nil
}

// problemsOf are the problems that an error is, at the place of the row.
func (h *rehearsal) problemsOf(err error, row source.Row) []diag.Problem {
	var found *diag.Problems
	switch {
	case err == nil:
		return nil
	case errors.As(err, &found):
		return found.List
	default:
		return []diag.Problem{{File: cmp.Or(row.File, h.flow.Users.Name()), Line: row.Line, Message: err.Error(), Fix: "mend its row function"}}
	}
}
