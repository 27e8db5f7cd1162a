package host

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"strings"

	"github.com/rekey-host/rekey/host/diag"
	"github.com/rekey-host/rekey/host/engine"
	"github.com/rekey-host/rekey/host/journal"
	"github.com/rekey-host/rekey/host/ledger"
	"github.com/rekey-host/rekey/host/password"
	"github.com/rekey-host/rekey/host/source"
	"github.com/rekey-host/rekey/host/workflow"
	"github.com/rekey-host/rekey/sdk/secret"
)

// Explanation is what a script would do with one user, and why. Nothing is changed for
// it, and nothing recorded.
type Explanation struct {
	Script   string    `json:"script"`
	Key      string    `json:"key"`
	File     string    `json:"file"`
	Line     int       `json:"line"` // of the source
	Selected bool      `json:"selected"`
	Reason   string    `json:"reason,omitempty"` // why it is not
	Decided  *Decision `json:"decided,omitempty"`

	Wave    string    `json:"wave,omitempty"`
	WaveBy  *Decision `json:"wave_decided,omitempty"`
	Place   int64     `json:"place,omitempty"` // in the wave, from 1
	Of      int64     `json:"of,omitempty"`    // users of the wave
	Overall int64     `json:"overall,omitempty"`
	Due     int64     `json:"due,omitempty"` // users of all waves

	Steps   []ExplainedStep `json:"steps,omitempty"`
	Ends    journal.Status  `json:"ends,omitempty"` // if each step succeeds
	Because string          `json:"because,omitempty"`
}

// Decision is the last line of the script that was executed before a hook returned.
type Decision struct {
	File string `json:"file"`
	Line int    `json:"line"`
	Text string `json:"text"`
}

// ExplainedStep is one step of rotate, or one value that it makes.
type ExplainedStep struct {
	Step      int                 `json:"step"`
	Verb      string              `json:"verb"`
	Backend   string              `json:"backend,omitempty"`
	Account   string              `json:"account,omitempty"`
	Kind      string              `json:"kind,omitempty"`
	Generator string              `json:"generator,omitempty"`
	Shape     string              `json:"shape,omitempty"`
	Rules     []password.RuleText `json:"rules,omitempty"`
	Dropped   []string            `json:"dropped,omitempty"`
}

// Explain says what a script would do with the user of that key. It opens the script's
// backends, whose rules are asked for.
func (h *Host) Explain(ctx context.Context, script Script, key string) (Explanation, error) {
	given, err := script.parameters()
	if err != nil {
		return Explanation{}, err
	}
	session := h.session(h.here(), RunOptions{})
	defer session.Close()
	if err := session.under(script.Path); err != nil {
		return Explanation{}, err
	}
	made := &explainer{planner: &planner{Session: session}, key: key, trail: &trail{}}
	session.loader.config.Coverage = &workflow.Coverage{Trace: made.trail.trace}
	flow, err := session.loader.load(ctx, script.Path, given)
	if err != nil {
		return Explanation{}, err
	}
	session.use(flow, flow)
	if session.backends, err = session.plugins.open(ctx, flow); err != nil {
		return Explanation{}, err
	}
	flow.Attach(session.backends.lister)
	made.out.Script = flow.Name
	err = made.explain(ctx)
	return made.out, interrupted(ctx, err)
}

// trail is the last line that was executed.
type trail struct {
	file string
	line int
}

func (t *trail) trace(file string, line int) { t.file, t.line = file, line }

// explainer explains one user of one script.
type explainer struct {
	*planner
	key   string
	trail *trail
	out   Explanation

	row     *source.Row
	nearest string // of the other keys
	planned ledger.PlannedUser
	seen    int64
}

// explain reads the users twice: to find the one, and to count those before it.
func (x *explainer) explain(ctx context.Context) error {
	if _, err := engine.MakePlan(ctx, x.planJob(x)); err != nil {
		return err
	}
	if x.row == nil {
		return x.missing()
	}
	x.out.Key, x.out.File, x.out.Line = x.row.Key, cmp.Or(x.row.File, x.flow.Users.Name()), x.row.Line
	x.out.Selected, x.out.Reason = !x.planned.Skipped, x.planned.Reason
	if !x.out.Selected {
		return nil
	}
	counted := &standing{of: x.planned}
	preview, err := engine.MakePlan(ctx, x.planJob(counted))
	if err != nil {
		return err
	}
	x.placed(counted, preview)
	x.simulate(ctx)
	return nil
}

// planJob is what the engine plans for it: rotate is called for no user.
func (x *explainer) planJob(draft engine.Draft) engine.PlanJob {
	job := x.engineJob(x.flow.Users, draft)
	job.Hooks = idle{}
	if choose := job.Select; choose != nil {
		job.Select = func(ctx context.Context, row source.Row) (bool, string, error) {
			*x.trail = trail{}
			due, reason, err := choose(ctx, row)
			if x.is(row) {
				x.out.Decided = x.decision()
			}
			return due, reason, err
		}
	}
	if wave := job.Wave; wave != nil {
		job.Wave = func(ctx context.Context, row source.Row) (string, error) {
			*x.trail = trail{}
			name, err := wave(ctx, row)
			if x.is(row) {
				x.out.WaveBy = x.decision()
			}
			return name, err
		}
	}
	job.Rehearse = func(_ context.Context, end engine.Rehearsed) error {
		if x.is(end.Row) {
			x.row = &end.Row
		}
		return nil
	}
	return job
}

// is reports whether a row is that of the user.
func (x *explainer) is(row source.Row) bool { return row.Key == x.key }

// decision is the line that the hook executed last.
func (x *explainer) decision() *Decision {
	for _, file := range x.flow.Files {
		if lines := strings.Split(string(file.Text), "\n"); shownAs(x.flow, file) == x.trail.file && x.trail.line > 0 && x.trail.line <= len(lines) {
			return &Decision{x.trail.file, x.trail.line, strings.TrimSpace(lines[x.trail.line-1])}
		}
	}
	if x.trail.line == 0 {
		return nil
	}
	return &Decision{File: x.trail.file, Line: x.trail.line}
}

// shownAs is how messages call a file of a script: a module beside it by its path.
func shownAs(flow *workflow.Workflow, file workflow.File) string {
	if file.Name == flow.Name || strings.HasPrefix(file.Name, "@") {
		return file.Name
	}
	if i := strings.LastIndexByte(flow.Name, '/'); i >= 0 {
		return flow.Name[:i+1] + file.Name
	}
	return file.Name
}

// Seal keeps no cell.
func (x *explainer) Seal(string, int64, secret.Value) []byte { return nil }

// Add keeps the one row.
func (x *explainer) Add(user ledger.PlannedUser) error {
	x.seen++
	if user.Key == x.key {
		x.planned = user
		return nil
	}
	x.nearest = diag.Nearest(x.key, []string{x.nearest, user.Key})
	return nil
}

// Duplicates knows of none: they are found when there is a plan.
func (x *explainer) Duplicates(int) ([]ledger.Duplicate, int64, error) { return nil, 0, nil }

// missing says that the source has no such user.
func (x *explainer) missing() error {
	err := &UsageError{Message: fmt.Sprintf("%s has no user %q among its %d", x.flow.Users.Name(), x.key, x.seen), Fix: "give the key as the source has it"}
	if x.nearest != "" {
		err.Fix = fmt.Sprintf("did you mean %q?", x.nearest)
	}
	return err
}

// standing counts the users before one.
type standing struct {
	noDraft
	of             ledger.PlannedUser
	before, inWave int64
}

// Add counts a user that stands before the one.
func (s *standing) Add(user ledger.PlannedUser) error {
	if user.Skipped {
		return nil
	}
	order := bytes.Compare(user.Order(), s.of.Order())
	if order > 0 || order == 0 && user.Seq >= s.of.Seq {
		return nil
	}
	s.before++
	if user.Wave == s.of.Wave {
		s.inWave++
	}
	return nil
}

// placed notes the wave and the place in it.
func (x *explainer) placed(counted *standing, preview engine.Preview) {
	wave, before := x.planned.Wave, counted.inWave
	if !x.flow.HasWave {
		wave = 0
		for before = counted.before; wave+1 < len(preview.Waves) && before >= preview.Waves[wave]; wave++ {
			before -= preview.Waves[wave]
		}
	}
	x.out.Wave, x.out.Place, x.out.Of = x.flow.Waves[wave].Name, before+1, preview.Waves[wave]
	x.out.Overall, x.out.Due = counted.before+1, preview.Due
}

// simulate notes what rotate would do.
func (x *explainer) simulate(ctx context.Context) {
	job := x.engineJob(x.flow.Users, noDraft{})
	made := engine.Simulate(ctx, job, *x.row)
	for _, step := range made.Steps {
		shown := ExplainedStep{Step: step.Ordinal, Verb: step.Step.Verb, Backend: step.Step.Backend, Account: step.Step.Account, Kind: step.Step.Kind}
		if value := step.Value; value != nil {
			shown.Verb, shown.Kind, shown.Generator, shown.Shape, shown.Rules, shown.Dropped = "generate", value.Kind, value.Generator, value.Shape, value.Rules, value.Dropped
		}
		x.out.Steps = append(x.out.Steps, shown)
	}
	x.out.Ends, x.out.Because = made.Status, made.Verdict.Reason
	if made.Verdict.Fault != nil {
		x.out.Because = made.Verdict.Fault.Message
	}
}

// idle does nothing with any user.
type idle struct{}

// Rotate does nothing.
func (idle) Rotate(context.Context, source.Row, *engine.Steps) journal.Verdict {
	return journal.Verdict{}
}
