package host

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"github.com/rekey-host/rekey/host/diag"
	"github.com/rekey-host/rekey/host/engine"
	"github.com/rekey-host/rekey/host/ledger"
	"github.com/rekey-host/rekey/host/workflow"
	"github.com/rekey-host/rekey/sdk"
	"github.com/rekey-host/rekey/sdk/secret"
)

// FindingOK is the severity of a BackendFinding that all is well. The others are the words
// of sdk.Severity: with a bad one no run of the script would begin.
const FindingOK = "ok"

// BackendFinding is one thing that is known of a backend of a script.
type BackendFinding struct {
	Backend  string   `json:"backend,omitempty"` // its label; "" of the script itself
	Plugin   string   `json:"plugin,omitempty"`
	Version  string   `json:"version,omitempty"`
	Severity string   `json:"severity"`
	Code     sdk.Code `json:"code,omitempty"`
	Message  string   `json:"message"`
	Fix      string   `json:"fix,omitempty"`
}

// CheckBackends configures the backends of a script, asks each what would keep a
// run from its end, and tries the script on simulated steps. Nothing is changed,
// and nothing recorded. A file of users that is missing is a finding; what else is wrong
// with the script alone is an error.
func (h *Host) CheckBackends(ctx context.Context, script Script) ([]BackendFinding, error) {
	given, err := script.parameters()
	if err != nil {
		return nil, err
	}
	session := h.session(h.here(), RunOptions{})
	defer session.Close()
	if err := session.under(script.Path); err != nil {
		return nil, err
	}
	made := inspection{Session: session}
	flow, err := session.loader.load(ctx, script.Path, given)
	if errors.Is(err, fs.ErrNotExist) {
		flow, err = made.withoutUsers(ctx, script.Path, given, err)
	}
	if err != nil {
		return nil, err
	}
	session.use(flow, flow)
	session.backends = &backends{}
	for _, spec := range flow.Backends {
		made.inspect(ctx, spec)
	}
	made.tryScript(ctx)
	return made.found, interrupted(ctx, ctx.Err())
}

// inspection looks at the backends of one script.
type inspection struct {
	*Session
	found []BackendFinding
	away  []string // labels of backends that no run could use
}

// withoutUsers evaluates a script whose users cannot be read, and notes that. What is
// wrong with more than that file, the error missing, is still the script's.
func (i *inspection) withoutUsers(ctx context.Context, script string, given map[string]string, missing error) (*workflow.Workflow, error) {
	flow, err := i.loader.blind(ctx, script, given)
	var problems *diag.Problems
	if err != nil || !errors.As(missing, &problems) {
		return nil, missing
	}
	i.complain(problems)
	for _, problem := range problems.List {
		i.away = append(i.away, problem.File)
	}
	return flow, nil
}

// complain notes what is wrong with a script or its files.
func (i *inspection) complain(problems *diag.Problems) {
	for _, problem := range problems.List {
		at := diag.Problem{File: problem.File, Line: problem.Line, Column: problem.Column, Message: problem.Message}
		i.found = append(i.found, BackendFinding{Severity: sdk.Bad.String(), Message: at.String(), Fix: problem.Fix})
	}
}

// inspect looks at one backend.
func (i *inspection) inspect(ctx context.Context, spec workflow.BackendSpec) {
	about := BackendFinding{Backend: spec.Label, Plugin: spec.Name}
	before, loose := len(i.backends.list), len(i.backends.loose)
	if err := i.plugins.openOne(ctx, i.flow, spec, i.backends); err != nil {
		i.note(about, sdk.Finding{Severity: sdk.Bad, Code: sdk.AsError(err, "").Code, Message: strings.TrimPrefix(err.Error(), fmt.Sprintf("backend %q: ", spec.Label))})
		return
	}
	one, instance := i.backends.list[before], i.backends.open[len(i.backends.open)-1]
	about.Version = one.Description.Version
	for _, text := range i.backends.loose[loose:] {
		i.note(about, sdk.Finding{Severity: sdk.Warning, Message: strings.TrimPrefix(text, fmt.Sprintf("backend %q: ", spec.Label))})
	}
	if !one.Can(sdk.CanCheck) {
		i.note(about, sdk.Finding{Message: "it takes its settings, and has no check: whether its target is there shows at the first operation"})
		return
	}
	at := len(i.found)
	for _, finding := range findings(ctx, one) {
		i.note(about, unproxied(i.host.LookupEnv, one.Description, valuesOf(instance), finding))
	}
	for _, breach := range breachesOf(instance) {
		i.note(about, sdk.Finding{Severity: sdk.Warning, Message: "the plugin broke the contract: " + breach, Fix: "report it to its author"})
	}
	if !slices.Contains(i.away, spec.Label) {
		about.Severity, about.Message = FindingOK, "reachable, and logged in where it needs a login"
		i.found = slices.Insert(i.found, at, about)
	}
}

// note keeps a finding of a backend.
func (i *inspection) note(about BackendFinding, finding sdk.Finding) {
	about.Severity = finding.Severity.String()
	about.Code, about.Message, about.Fix = finding.Code, finding.Message, finding.Fix
	if finding.Severity == sdk.Bad && !slices.Contains(i.away, about.Backend) {
		i.away = append(i.away, about.Backend)
	}
	i.found = append(i.found, about)
}

// tryScript rotates the first user of each wave on simulated steps, and says what
// the script asks of each backend.
func (i *inspection) tryScript(ctx context.Context) {
	if len(i.away) > 0 {
		i.found = append(i.found, BackendFinding{Severity: sdk.Info.String(), Message: "what the script asks of its backends was not tried: " + strings.Join(i.away, ", ") + " would keep it from running"})
		return
	}
	i.flow.Attach(i.backends.lister)
	plan := planner{Session: i.Session}
	job := plan.engineJob(plan.watched(), noDraft{})
	preview, err := engine.MakePlan(ctx, job)
	var problems *diag.Problems
	switch {
	case errors.As(err, &problems):
		i.complain(problems)
		return
	case err != nil:
		i.found = append(i.found, BackendFinding{Severity: sdk.Bad.String(), Message: err.Error()})
		return
	}
	for _, one := range i.backends.list {
		about := BackendFinding{Backend: one.Label, Plugin: one.Description.Name, Version: one.Description.Version, Severity: FindingOK}
		if verbs := preview.Asks[one.Label]; len(verbs) > 0 {
			about.Message = "can do what the script asks of it: " + strings.Join(verbs, ", ")
		} else {
			about.Severity, about.Message = sdk.Info.String(), "the script asks nothing of it for the first user of each wave"
		}
		i.found = append(i.found, about)
	}
}

// noDraft is a plan of which nothing is kept.
type noDraft struct{}

// Seal keeps no cell.
func (noDraft) Seal(string, int64, secret.Value) []byte { return nil }

// Add keeps no row.
func (noDraft) Add(ledger.PlannedUser) error { return nil }

// Duplicates knows of none: they are found when there is a plan.
func (noDraft) Duplicates(int) ([]ledger.Duplicate, int64, error) { return nil, 0, nil }
