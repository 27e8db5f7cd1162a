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

// planner makes the run of a session. Until it is frozen, nothing is left behind.
type planner struct {
	*Session
	given    map[string]string                    // parameters
	user     string                               // the only one; "": all
	ask      func(context.Context, Preview) error // before the plan is frozen
	warnings []string
}

// plan loads the script, opens its backends, reads the users and freezes the
// plan. Nothing is changed yet: the first signal ends it.
func (p *planner) plan(stop context.Context, script Script) error {
	given, err := script.parameters()
	if err != nil {
		return err
	}
	p.given, p.loader.rows = given, script.Rows
	flow, err := p.loader.load(stop, script.Path, given)
	if err != nil {
		return err
	}
	if p.user = script.User; p.user != "" {
		if err := flow.Only(stop, p.user, script.Value); err != nil {
			return errors.Join(err, flow.Close())
		}
	}
	p.use(flow, flow)
	for _, warning := range flow.Warnings {
		p.host.notices.warn("%s", warning)
	}
	if err := p.unfinished(stop); err != nil {
		return err
	}
	if p.backends, err = p.plugins.open(stop, flow); err != nil {
		return err
	}
	if err := p.precheck(stop); err != nil {
		return err
	}
	return p.draft(stop)
}

// unfinished refuses a second run of the same script, parameters and backends
// while an earlier one that sent something is unfinished.
func (p *planner) unfinished(ctx context.Context) error {
	if p.options.New {
		return nil
	}
	list, err := p.host.store.Runs()
	if err != nil {
		return err
	}
	for _, run := range list {
		if run.Err != nil || !open(run) || !p.same(ctx, run.Header) {
			continue
		}
		begun, err := sent(p.host.store, run.Header.ID)
		if err != nil {
			return err
		}
		if begun {
			return &UsageError{Message: fmt.Sprintf("run %s of the same script and parameters is %s, with %d users pending", run.Header.ID, run.State, run.Counts.Pending+run.Counts.Held+run.Counts.Unknown),
				Fix: fmt.Sprintf("rekey resume %s, or give --new", run.Header.ID)}
		}
	}
	return nil
}

// same reports whether a run has the same script, parameters and backends: the
// paths in them mean the same only in the same directory.
func (p *planner) same(ctx context.Context, head ledger.Header) bool {
	kept, err := settingsOf(head)
	return err == nil && kept.Dir == p.place.dir && kept.User == p.user && head.Script == p.flow.Name && maps.Equal(head.Params, p.given) &&
		p.plugins.configured(ctx, head.Backends, p.flow)
}

// errSent ends the search for a run's intents at the first.
var errSent = errors.New("it has sent something")

// sent reports whether a run has sent anything.
func sent(store *ledger.Store, id string) (bool, error) {
	run, err := store.Read(id)
	if err != nil {
		return false, err
	}
	defer run.Close()
	err = run.Intents(func(string, string, string, string, int64) error { return errSent })
	if errors.Is(err, errSent) {
		return true, nil
	}
	return false, err
}

// open reports whether a run has users to apply.
func open(run ledger.Summary) bool {
	return run.State != journal.StateFinished || run.Counts.Pending+run.Counts.Held+run.Counts.Unknown > 0
}

// precheck asks the backends and the other runs whether anything stands in the way.
func (p *planner) precheck(ctx context.Context) error {
	warnings, err := p.backends.check(ctx, p.host.LookupEnv)
	if err != nil {
		return err
	}
	strays, err := p.strays("").warnings()
	if err != nil {
		return err
	}
	p.warnings = append(warnings, strays...)
	p.flow.Attach(p.backends.lister)
	return nil
}

// draft reads the users into a draft and freezes it.
func (p *planner) draft(ctx context.Context) error {
	header, err := p.header(ctx)
	if err != nil {
		return err
	}
	if err := p.checkOutputs(ctx, header); err != nil {
		return err
	}
	keys, err := p.host.keyring.first(ctx)
	if err != nil {
		return err
	}
	header.Recipients = keys.PublicKeys()
	draft, err := p.host.store.Draft(header, keys)
	if err != nil {
		return err
	}
	if p.run, err = p.freeze(ctx, draft); err != nil {
		return errors.Join(err, draft.Discard())
	}
	return nil
}

func (p *planner) freeze(ctx context.Context, draft *ledger.Draft) (*ledger.Run, error) {
	users := p.watched()
	plan, err := engine.MakePlan(ctx, p.job(ctx, users, draft))
	if err != nil {
		return nil, err
	}
	if err := p.options.allow(plan); err != nil {
		return nil, err
	}
	if plan.Due == 0 {
		p.warnings = append(p.warnings, noUsers(plan))
	}
	p.warnings = slices.Concat(p.warnings, plan.Lasting, users.Warnings())
	plan.Notes = append(plan.Notes, p.options.Exercise.notes(plan.Due)...)
	shown := preview(p.flow, plan, p.warnings)
	shown.Backends, shown.Recipients = backendLines(p.backends.pins), draft.Recipients()
	if err := p.ask(ctx, shown); err != nil {
		return nil, err
	}
	p.host.notices.warnAll(p.warnings)
	return draft.Freeze(wavePlans(p.flow))
}

// watched returns the users of the script, whose passwords are looked at.
func (p *planner) watched() *source.Watched {
	users := source.Watch(p.flow.Users, p.flow.Given, p.flow.Used, p.flow.Forms)
	users.Held = p.flow.Policy.Held
	return users
}

// engineJob returns what the engine plans of the script alone.
func (p *planner) engineJob(users source.Source, draft engine.Draft) engine.PlanJob {
	flow := p.flow
	job := engine.PlanJob{Users: users, OrderBy: flow.OrderBy, Waves: flow.Waves, Draft: draft, Hooks: flow, Backends: p.backends.list, Policy: flow.Policy, Random: p.host.Random}
	if flow.HasSelect {
		job.Select = flow.Select
	}
	if flow.HasWave {
		job.Wave = flow.Wave
	}
	return job
}

// job returns what the engine plans, and tries with what is known of earlier
// runs.
func (p *planner) job(ctx context.Context, users source.Source, draft *ledger.Draft) engine.PlanJob {
	flow, job := p.flow, p.engineJob(users, draft)
	job.Exercise = p.options.Exercise.engine()
	if flow.Revert {
		find := known(ctx, p.host, "", p.backends)
		job.Known = func(label, account, cred string) bool {
			_, ok, err := find(label, account, cred)
			return ok && err == nil
		}
	}
	if rehearsal := newRehearsal(flow, p.backends); rehearsal != nil {
		job.Rehearse = rehearsal.user
	}
	return job
}

// wavePlans returns how many users each wave takes.
func wavePlans(flow *workflow.Workflow) []ledger.WavePlan {
	var waves []ledger.WavePlan
	for _, rule := range flow.Waves {
		take := rule.Take
		if flow.HasWave {
			take = 0
		}
		waves = append(waves, ledger.WavePlan{Name: rule.Name, Take: take})
	}
	return waves
}

// noUsers warns of an empty plan: an empty source counts as a failure.
func noUsers(plan engine.Preview) string {
	if plan.Total == 0 {
		return "no user is due: the source has no users; --min-users N refuses that"
	}
	if plan.Total == 1 {
		return "no user is due: select skips the one user of the source; --min-users N refuses that"
	}
	return fmt.Sprintf("no user is due: select skips all %d users of the source; --min-users N refuses that", plan.Total)
}

// preview returns a plan as people see it.
func preview(flow *workflow.Workflow, plan engine.Preview, warnings []string) Preview {
	shown := Preview{Script: flow.Name, Total: plan.Total, Due: plan.Due, Skipped: plan.Skipped, Notes: slices.Concat(plan.Notes, warnings)}
	for i, rule := range flow.Waves {
		shown.Waves = append(shown.Waves, WavePreview{Name: rule.Name, Users: plan.Waves[i], Rule: rule})
	}
	return shown
}

// header returns what the ledger keeps of a run's circumstances.
func (p *planner) header(ctx context.Context) (ledger.Header, error) {
	flow, host := p.flow, p.host
	head := ledger.Header{Script: flow.Name, Params: p.given, Backends: p.backends.pins, Requestor: p.options.Requestor, SourceSystem: p.options.SourceSystem,
		OSUser: host.OSUser, Host: host.Hostname, Version: host.Version, Created: host.Now()}
	schema, err := flow.Users.Schema(ctx)
	if err != nil {
		return ledger.Header{}, err
	}
	if head.Schema, err = json.Marshal(schema); err != nil {
		return ledger.Header{}, err
	}
	if head.Waves, err = json.Marshal(flow.Waves); err != nil {
		return ledger.Header{}, err
	}
	files, err := p.plugins.files(ctx, flow)
	if err != nil {
		return ledger.Header{}, err
	}
	files = append(files, absolutes(p.place.dir, recipientFiles(host.Recipients))...)
	if head.Settings, err = json.Marshal(settings{Dir: p.place.dir, Files: files, User: p.user}); err != nil {
		return ledger.Header{}, err
	}
	for i, file := range flow.Files {
		if i == 0 {
			head.ScriptText = file.Text
			continue
		}
		head.Modules = append(head.Modules, ledger.Module{Name: file.Name, Text: file.Text, SHA256: file.SHA256})
	}
	head.Sources, err = sourcePins(ctx, flow.Users)
	return head, err
}

// sourcePins returns the fingerprints of the files of users.
func sourcePins(ctx context.Context, users source.Source) ([]ledger.SourcePin, error) {
	parts, err := source.Fingerprints(ctx, users)
	if err != nil {
		return nil, err
	}
	var pins []ledger.SourcePin
	for _, part := range parts {
		pins = append(pins, ledger.SourcePin{Name: part.Name, SHA256: part.SHA256, Stdin: part.Stdin})
	}
	return pins, nil
}

// settings is what a ledger keeps of a run's circumstances for the host alone.
type settings struct {
	Dir   string   `json:"dir"`             // where its relative paths lead from
	User  string   `json:"user,omitempty"`  // the only one of the source that it treats
	Files []string `json:"files,omitempty"` // that its backends work on, and those of their secrets and of recipients
}

func settingsOf(head ledger.Header) (settings, error) {
	var kept settings
	if len(head.Settings) == 0 {
		return kept, nil
	}
	if err := json.Unmarshal(head.Settings, &kept); err != nil {
		return kept, fmt.Errorf("settings of run %s: %w", head.ID, err)
	}
	return kept, nil
}
