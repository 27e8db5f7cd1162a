package host

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/rekey-host/rekey/host/engine"
	"github.com/rekey-host/rekey/host/journal"
	"github.com/rekey-host/rekey/host/ledger"
	"github.com/rekey-host/rekey/host/source"
	"github.com/rekey-host/rekey/host/workflow"
)

// unfinished refuses a second run of the same script, parameters and backends
// while an earlier one that has sent something is not finished.
func (h *Host) unfinished(w *workflow.Workflow, given map[string]string, o RunOptions) error {
	if o.New {
		return nil
	}
	runs, err := h.store.Runs()
	if err != nil {
		return err
	}
	for _, s := range runs {
		if s.Err == nil && open(s) && h.same(s.Header, w, given) {
			sent, err := h.sent(s.Header.ID)
			if err != nil {
				return err
			}
			if !sent {
				continue
			}
			return &UsageError{Message: fmt.Sprintf("run %s of the same script and parameters is %s, with %d users pending", s.Header.ID, s.State, s.Counts.Pending+s.Counts.Held+s.Counts.Unknown),
				Fix: fmt.Sprintf("rekey resume %s, or give --new", s.Header.ID)}
		}
	}
	return nil
}

// errSent ends the search for a run's intents at the first.
var errSent = errors.New("it has sent something")

// sent reports whether a run has sent anything.
func (h *Host) sent(id string) (bool, error) {
	r, err := h.store.Read(id)
	if err != nil {
		return false, err
	}
	defer r.Close()
	err = r.Intents(func(string, string, string, string, int64) error { return errSent })
	if errors.Is(err, errSent) {
		return true, nil
	}
	return false, err
}

// open reports whether a run has users to apply.
func open(s ledger.Summary) bool {
	return s.State != journal.StateFinished || s.Counts.Pending+s.Counts.Held+s.Counts.Unknown > 0
}

// same reports whether a run is of the same script, parameters and backends:
// the paths in them mean the same only in the same directory.
func (h *Host) same(head ledger.Header, w *workflow.Workflow, given map[string]string) bool {
	kept, err := settingsOf(head)
	return err == nil && kept.Dir == h.WorkDir && head.Script == w.Name && maps.Equal(head.Params, given) &&
		slices.EqualFunc(head.Backends, w.Backends, func(p journal.BackendPin, spec workflow.BackendSpec) bool {
			d, err := h.catalog.Describe(context.Background(), spec.Name)
			return err == nil && p.Name == spec.Name && p.Label == spec.Label && p.Config == compact(h.values(d, spec))
		})
}

// plan checks the backends, reads the users, asks for confirmation and freezes
// the plan. Until then nothing is left behind.
func (h *Host) plan(ctx context.Context, w *workflow.Workflow, given map[string]string, b *backends, o RunOptions, planOnly bool) (*ledger.Run, error) {
	warnings, err := h.checkBackends(ctx, b)
	if err != nil {
		return nil, err
	}
	strays, err := h.looseEnds("", b)
	if err != nil {
		return nil, err
	}
	warnings = append(warnings, strays...)
	h.users(w, b)
	header, err := h.header(ctx, w, given, b, o)
	if err != nil {
		return nil, err
	}
	if err := h.checkOutputs(w, header, o); err != nil {
		return nil, err
	}
	keys, err := h.firstKeys(ctx)
	if err != nil {
		return nil, err
	}
	header.Recipients = keys.PublicKeys()
	d, err := h.store.Draft(header, keys)
	if err != nil {
		return nil, err
	}
	r, err := h.freeze(ctx, d, w, b, o, warnings, planOnly)
	if err != nil {
		return nil, errors.Join(err, d.Discard())
	}
	return r, nil
}

func (h *Host) freeze(ctx context.Context, d *ledger.Draft, w *workflow.Workflow, b *backends, o RunOptions, warnings []string, planOnly bool) (*ledger.Run, error) {
	users := source.Watch(w.Users, w.Given, w.Used, w.Forms)
	job := engine.PlanJob{Users: users, OrderBy: w.OrderBy, Waves: w.Waves, Draft: d, Hooks: w, Backends: b.list, Policy: w.Policy, Random: h.Random}
	if w.HasSelect {
		job.Select = w.Select
	}
	if w.HasWave {
		job.Wave = w.Wave
	}
	if w.Revert {
		known := h.known("", b)
		job.Known = func(label, account, cred string) bool {
			_, ok, err := known(label, account, cred)
			return ok && err == nil
		}
	}
	if h := newRehearsal(w, b); h != nil {
		job.Rehearse = h.user
	}
	p, err := engine.MakePlan(ctx, job)
	if err != nil {
		return nil, err
	}
	if o.MaxUsers > 0 && p.Due > o.MaxUsers {
		return nil, &UsageError{Message: fmt.Sprintf("%d users are due, --max-users is %d", p.Due, o.MaxUsers), Fix: "raise it, or select fewer"}
	}
	if o.MinUsers > 0 && p.Due < o.MinUsers {
		return nil, &UsageError{Message: fmt.Sprintf("%d users are due, --min-users is %d", p.Due, o.MinUsers), Fix: "look at the source and at select, or lower it"}
	}
	if p.Due == 0 {
		warnings = append(warnings, nobody(p))
	}
	warnings = slices.Concat(warnings, p.Lasting, users.Warnings())
	shown := preview(w, p, warnings)
	shown.Backends, shown.Recipients = backendLines(b.pins), d.Recipients()
	switch {
	case !planOnly:
		err = h.confirm(ctx, shown, o)
	case h.Planned != nil:
		h.Planned(shown)
	}
	if err != nil {
		return nil, err
	}
	for _, text := range warnings {
		fmt.Fprintf(h.Stderr, "rekey: warning: %s\n", text)
	}
	var waves []ledger.WavePlan
	for _, rule := range w.Waves {
		take := rule.Take
		if w.HasWave {
			take = 0
		}
		waves = append(waves, ledger.WavePlan{Name: rule.Name, Take: take})
	}
	return d.Freeze(waves)
}

// nobody says that a plan is empty: a source that has become so is no success.
func nobody(p engine.Preview) string {
	if p.Total == 0 {
		return "nobody is due: the source has no users; --min-users N refuses that"
	}
	if p.Total == 1 {
		return "nobody is due: select skips the one user of the source; --min-users N refuses that"
	}
	return fmt.Sprintf("nobody is due: select skips all %d users of the source; --min-users N refuses that", p.Total)
}

// users lets BACKEND.accounts() read through the opened backends.
func (h *Host) users(w *workflow.Workflow, b *backends) {
	w.Attach(func(label string) workflow.Lister {
		for i, x := range b.list {
			if x.Label == label {
				return b.open[i]
			}
		}
		return nil
	})
}

// preview is a plan as people see it.
func preview(w *workflow.Workflow, p engine.Preview, warnings []string) Preview {
	shown := Preview{Script: w.Name, Total: p.Total, Due: p.Due, Skipped: p.Skipped, Notes: slices.Concat(p.Notes, warnings)}
	for i, rule := range w.Waves {
		shown.Waves = append(shown.Waves, WavePreview{Name: rule.Name, Users: p.Waves[i], Rule: rule})
	}
	return shown
}

// confirm asks on a terminal; without one --yes is needed.
func (h *Host) confirm(ctx context.Context, shown Preview, o RunOptions) error {
	if o.Yes {
		return nil
	}
	if h.Confirm == nil {
		return &UsageError{Message: fmt.Sprintf("%d users would be changed and there is no terminal to ask", shown.Due), Fix: "give --yes"}
	}
	yes, err := h.Confirm(ctx, shown)
	if err != nil {
		return err
	}
	if !yes {
		return usagef("not confirmed: nothing was changed")
	}
	return nil
}

// header is what the ledger keeps of a run's circumstances.
func (h *Host) header(ctx context.Context, w *workflow.Workflow, given map[string]string, b *backends, o RunOptions) (ledger.Header, error) {
	schema, err := w.Users.Schema(ctx)
	if err != nil {
		return ledger.Header{}, err
	}
	schemaJSON, err := json.Marshal(schema)
	if err != nil {
		return ledger.Header{}, err
	}
	waves, err := json.Marshal(w.Waves)
	if err != nil {
		return ledger.Header{}, err
	}
	files, err := h.worksOn(w)
	if err != nil {
		return ledger.Header{}, err
	}
	files = append(files, absolutes(h.WorkDir, recipientFiles(h.Recipients))...)
	kept, err := json.Marshal(settings{Dir: h.WorkDir, Files: files})
	if err != nil {
		return ledger.Header{}, err
	}
	head := ledger.Header{Settings: kept, Script: w.Name, Params: given, Backends: b.pins, Schema: schemaJSON, Waves: waves,
		Requestor: o.Requestor, SourceSystem: o.SourceSystem, OSUser: h.OSUser, Host: h.Hostname,
		Version: h.Version, Created: h.Now()}
	for i, f := range w.Files {
		if i == 0 {
			head.ScriptText = f.Text
			continue
		}
		head.Modules = append(head.Modules, ledger.Module{Name: f.Name, Text: f.Text, SHA256: f.SHA256})
	}
	head.Sources, err = h.sourcePins(ctx, w)
	return head, err
}

// sourcePins are the fingerprints of a workflow's files of users.
func (h *Host) sourcePins(ctx context.Context, w *workflow.Workflow) ([]ledger.SourcePin, error) {
	parts, err := source.Fingerprints(ctx, w.Users)
	if err != nil {
		return nil, err
	}
	var pins []ledger.SourcePin
	for _, p := range parts {
		pins = append(pins, ledger.SourcePin{Name: p.Name, SHA256: p.SHA256, Stdin: p.Stdin})
	}
	return pins, nil
}
