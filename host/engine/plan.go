package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/rekey-host/rekey/host/diag"
	"github.com/rekey-host/rekey/host/journal"
	"github.com/rekey-host/rekey/host/ledger"
	"github.com/rekey-host/rekey/host/password"
	"github.com/rekey-host/rekey/host/source"
	"github.com/rekey-host/rekey/sdk/secret"
)

// Draft is a plan in the making: *ledger.Draft.
type Draft interface {
	// Seal seals a secret cell of the row with that number.
	Seal(column string, seq int64, v secret.Value) []byte
	// Add takes the next row of the source.
	Add(p ledger.PlannedUser) error
	// Duplicates returns the first rows whose key an earlier one has, at most
	// that many, and how many there are.
	Duplicates(most int) (list []ledger.Duplicate, total int64, err error)
}

// PlanJob is what MakePlan does.
type PlanJob struct {
	Users   source.Source
	Select  func(ctx context.Context, row source.Row) (due bool, reason string, err error) // nil: all are due
	Wave    func(ctx context.Context, row source.Row) (name string, err error)             // nil: by Take
	OrderBy []string
	Waves   []journal.WaveRule
	Draft   Draft

	Hooks    Hooks
	Backends []Backend
	Policy   *password.Spec
	Random   Random

	// Known reports whether an earlier value of a credential is known, for a
	// workflow that reverts; nil: it does not.
	Known    func(label, account, cred string) bool
	Exercise Exercise
	// Rehearse tries what a report makes of a user once it has ended; its error may
	// be a *diag.Problems. nil: nothing is tried.
	Rehearse func(ctx context.Context, end Rehearsed) error
}

// Rehearsed is how a user might end: as the plan has it, or on simulated steps; one
// whose rotate was not tried as the first user of its wave.
type Rehearsed struct {
	Row    source.Row
	Wave   string         // "" for a user that the plan skips
	Status journal.Status // when each step succeeds
	Reason string
	Steps  []journal.Step // set, change and reset, all applied
}

// Preview is a plan in numbers. Waves is in the order of PlanJob.Waves.
type Preview struct {
	Total, Due, Skipped int64
	Waves               []int64
	Asks                map[string][]string // of each backend, by the first user of each wave; sorted
	Lasting             []string            // what a revert could not set back
	Notes               []string            // what generated values are like, and which wishes were dropped
}

// MakePlan reads the users into the draft and rotates the first of each wave
// on simulated steps. It changes nothing outside the draft. What a user can
// mend is a *diag.Problems.
func MakePlan(ctx context.Context, job PlanJob) (Preview, error) {
	schema, err := job.Users.Schema(ctx)
	if err != nil {
		return Preview{}, err
	}
	made := &planner{PlanJob: job, schema: schema, again: map[defect]*int64{}, tried: map[int]tryout{}, lasting: map[string]int64{}}
	if err := made.columns(); err != nil {
		return Preview{}, err
	}
	made.setUp(ctx)
	defer made.stage.softEnd(nil)
	made.preview.Waves = make([]int64, len(job.Waves))
	err = job.Users.Rows(ctx, func(row source.Row) error { return made.row(ctx, row) })
	if err := made.merge(err); err != nil {
		return Preview{}, err
	}
	made.fillByTake()
	made.preview.Notes, made.preview.Lasting = made.stage.recipes.notes(), made.lastingNotes()
	return made.preview, nil
}

// look counts the accounts of a user that nothing can set back.
func (p *planner) look(changes []journal.Step) {
	if p.Known == nil {
		return
	}
	said := map[string]bool{}
	for _, step := range changes {
		if step.Verb != journal.Change && !said[step.Backend] && !p.Known(step.Backend, step.Account, step.Kind) {
			said[step.Backend] = true
			p.lasting[step.Backend]++
		}
	}
}

func (p *planner) lastingNotes() (list []string) {
	for label, count := range p.lasting {
		list = append(list, fmt.Sprintf("on_failure = \"revert\": of %d users no earlier value is known on %s; a change there stays if another one fails", count, label))
	}
	slices.Sort(list)
	return list
}

// setUp makes what simulated steps need.
func (p *planner) setUp(ctx context.Context) {
	p.stage = newRun(ctx, Job{Backends: p.Backends, Policy: p.Policy, Random: p.Random, Clock: SystemClock{}})
	for _, backend := range p.Backends {
		p.stage.dispatchers[backend.Label] = &dispatcher{backend: backend}
	}
	p.exerciser = exerciser{hooks: p.Hooks, stage: p.stage, exercise: p.Exercise}
}

type planner struct {
	PlanJob
	schema   source.Schema
	keys     []sortKey // of order_by
	problems diag.Problems
	noted    []int64           // of which row each listed problem is, by its number
	again    map[defect]*int64 // how often each failure of a hook came again
	preview  Preview
	lasting  map[string]int64 // by label, the users of whom no earlier value is known
	tried    map[int]tryout   // the first user of each wave
	stage    *run             // for simulated steps
	exerciser
	parts []part
}

// part is where the rows of one file begin: a source may be several, one after
// the other.
type part struct {
	file  string
	first int64 // number of the row
}

// fileOf returns the file of the row of that number.
func (p *planner) fileOf(seq int64) string {
	for _, part := range slices.Backward(p.parts) {
		if seq >= part.first {
			return part.file
		}
	}
	return p.Users.Name()
}

// enter notes in which file the row of that number stands.
func (p *planner) enter(file string, seq int64) {
	if file == "" {
		file = p.Users.Name()
	}
	if count := len(p.parts); count == 0 || p.parts[count-1].file != file {
		p.parts = append(p.parts, part{file, seq})
	}
}

// problem notes a mistake in a row, or in the whole source.
func (p *planner) problem(row source.Row, format string, args ...any) {
	file := row.File
	if file == "" {
		file = p.Users.Name()
	}
	p.note(diag.Problem{File: file, Line: row.Line, Message: fmt.Sprintf(format, args...)})
}

// note takes a problem of the present row.
func (p *planner) note(problem diag.Problem) {
	p.problems.Add(problem)
	if len(p.problems.List) > len(p.noted) {
		p.noted = append(p.noted, p.preview.Total)
	}
}

// columns finds the columns of order_by.
func (p *planner) columns() error {
	for _, written := range p.OrderBy {
		name, down := source.Order(written, func(column string) bool { return p.schema.Index(column) >= 0 })
		i := p.schema.Index(name)
		switch {
		case i < 0:
			p.problem(source.Row{}, "order_by: there is no column %q", name)
		case p.schema.Columns[i].Secret:
			p.problem(source.Row{}, "order_by: column %q is secret", name)
		default:
			p.keys = append(p.keys, sortKey{i, down})
		}
	}
	return p.problems.Err()
}

// merge joins the problems of the source and those of the plan.
func (p *planner) merge(err error) error {
	var found *diag.Problems
	switch {
	case err == nil:
	case errors.As(err, &found):
	default:
		return err
	}
	if err := p.duplicates(); err != nil {
		return err
	}
	if found != nil && found != &p.problems {
		for _, problem := range found.List {
			p.problems.Add(problem)
		}
		p.problems.Total += found.Total - len(found.List)
	}
	p.fold()
	return p.problems.Err()
}

// duplicates puts the rows whose key an earlier row has among the problems,
// in the order of the source.
func (p *planner) duplicates() error {
	list, total, err := p.Draft.Duplicates(diag.MaxProblems)
	if err != nil || total == 0 {
		return err
	}
	mine, noted, next := p.problems, p.noted, 0
	p.problems = diag.Problems{}
	for _, dup := range list {
		for ; next < len(noted) && noted[next] <= dup.Seq; next++ {
			p.problems.Add(mine.List[next])
		}
		p.problems.Add(p.duplicate(dup))
	}
	for _, problem := range mine.List[next:] {
		p.problems.Add(problem)
	}
	p.problems.Total = mine.Total + int(total)
	return nil
}

func (p *planner) duplicate(dup ledger.Duplicate) diag.Problem {
	file, first := p.fileOf(dup.Seq), p.fileOf(dup.FirstSeq)
	where := source.At(file, dup.FirstLine)
	if file != first {
		where = fmt.Sprintf("at %s:%d", first, dup.FirstLine)
	}
	return diag.Problem{File: file, Line: dup.Line, Message: fmt.Sprintf("key %q is %s already; every user has to be listed once", dup.Key, where)}
}

func (p *planner) row(ctx context.Context, row source.Row) error {
	p.preview.Total++
	p.enter(row.File, p.preview.Total)
	plannedUser := ledger.PlannedUser{Seq: p.preview.Total, Line: row.Line, Key: row.Key}
	due, reason, err := p.due(ctx, row)
	if err != nil {
		return p.hookFailed("select", row, err)
	}
	if !due {
		plannedUser.Wave, plannedUser.Skipped, plannedUser.Reason = -1, true, reason
		p.preview.Skipped++
		p.rehearse(ctx, Rehearsed{Row: row, Status: journal.Skipped, Reason: reason})
		return p.add(plannedUser, row)
	}
	if plannedUser.Wave, err = p.waveOf(ctx, row); err != nil {
		return p.hookFailed("wave", row, err)
	}
	p.preview.Due++
	p.preview.Waves[plannedUser.Wave]++
	if err := p.exerciseUser(ctx, plannedUser.Wave, row); err != nil {
		return err
	}
	return p.add(plannedUser, row)
}

// exerciseUser tries rotate, and then the reports' rows, with a user that is due. A
// user beyond those of the exercise ends as the last one of its wave did.
func (p *planner) exerciseUser(ctx context.Context, wave int, row source.Row) error {
	made, known := p.tried[wave]
	switch {
	case !known:
		made = p.first(ctx, row)
		p.tried[wave] = made
		p.noteAsked(made.steps)
	case p.Known != nil || p.preview.Due <= p.Exercise.Users:
		made = p.other(ctx, row)
	}
	p.look(made.changes)
	if made.problem != nil && (p.preview.Due <= p.Exercise.Users || !known && certain(made.verdict)) {
		p.failed(*made.problem)
		return p.full()
	}
	p.rehearse(ctx, Rehearsed{Row: row, Wave: p.Waves[wave].Name, Status: made.status, Reason: made.verdict.Reason, Steps: made.changes})
	return nil
}

// rehearse tries what a report makes of a user.
func (p *planner) rehearse(ctx context.Context, end Rehearsed) {
	if p.Rehearse == nil {
		return
	}
	if err := p.Rehearse(ctx, end); err != nil {
		p.rehearsed(end.Row, err)
	}
}

// rehearsed notes what is wrong with a report's row.
func (p *planner) rehearsed(row source.Row, err error) {
	var found *diag.Problems
	if !errors.As(err, &found) {
		p.problem(row, "%s", err)
		return
	}
	for _, problem := range found.List {
		p.note(problem)
	}
}

func (p *planner) due(ctx context.Context, row source.Row) (bool, string, error) {
	if p.Select == nil {
		return true, "", nil
	}
	return p.Select(ctx, row)
}

func (p *planner) waveOf(ctx context.Context, row source.Row) (int, error) {
	if p.Wave == nil {
		return 0, nil
	}
	name, err := p.Wave(ctx, row)
	if err != nil {
		return 0, err
	}
	for i, waveRule := range p.Waves {
		if waveRule.Name == name {
			return i, nil
		}
	}
	return 0, fmt.Errorf("there is no wave %q", name)
}

// hookFailed notes that select or wave raised; the plan goes on to find more,
// until the list of problems is full.
func (p *planner) hookFailed(hook string, row source.Row, err error) error {
	var found *diag.Problems
	if errors.As(err, &found) {
		for _, problem := range found.List {
			p.failed(problem)
		}
	} else {
		p.problem(row, "%s(%q): %s", hook, row.Key, err)
	}
	return p.full()
}

// full ends the plan when there are more problems than are listed.
func (p *planner) full() error {
	if p.problems.Total > diag.MaxProblems {
		return &p.problems
	}
	return nil
}

// defect is a place of the script and what fails there.
type defect struct {
	file         string
	line, column int
	same         string
}

// failed notes a failure of a hook: of the same one for other users only how
// many they are.
func (p *planner) failed(problem diag.Problem) {
	made := defect{problem.File, problem.Line, problem.Column, problem.Same}
	if problem.Same == "" || p.again[made] == nil {
		p.again[made] = new(int64)
		p.note(problem)
		return
	}
	*p.again[made]++
}

// fold says of each listed failure how many more users have it.
func (p *planner) fold() {
	for i, problem := range p.problems.List {
		count := p.again[defect{problem.File, problem.Line, problem.Column, problem.Same}]
		if problem.Same != "" && count != nil && *count > 0 {
			p.problems.List[i].Message += fmt.Sprintf(" (and so for %d more)", *count)
		}
	}
}

func (p *planner) add(plannedUser ledger.PlannedUser, row source.Row) error {
	plannedUser.Row = source.Encode(p.schema, row, func(column string, value secret.Value) []byte { return p.Draft.Seal(column, plannedUser.Seq, value) })
	for _, key := range p.keys {
		cell := sortable(row.Cells[key.column])
		if key.down {
			cell = ledger.Down{Value: cell}
		}
		plannedUser.Sort = append(plannedUser.Sort, cell)
	}
	return p.Draft.Add(plannedUser)
}

// sortKey is one of order_by.
type sortKey struct {
	column int
	down   bool // the greatest first
}

// sortable turns a cell into what the ledger can sort.
func sortable(cell any) any {
	switch c := cell.(type) {
	case nil, string, int64, float64, bool:
		return c
	case source.Day:
		return c.String()
	default:
		return fmt.Sprint(c)
	}
}

// fillByTake spreads the due users over the waves of a script without a wave hook.
func (p *planner) fillByTake() {
	if p.Wave != nil || len(p.Waves) == 1 {
		return
	}
	left := p.preview.Due
	for i, waveRule := range p.Waves {
		count := left
		if waveRule.Take > 0 && i+1 < len(p.Waves) {
			count = min(left, int64(waveRule.Take))
		}
		p.preview.Waves[i] = count
		left -= count
	}
}

// noteAsked keeps what was asked of each backend.
func (p *planner) noteAsked(asked []journal.Step) {
	if p.preview.Asks == nil {
		p.preview.Asks = map[string][]string{}
	}
	for _, step := range asked {
		if verbs := p.preview.Asks[step.Backend]; !slices.Contains(verbs, step.Verb) {
			p.preview.Asks[step.Backend] = slices.Sorted(slices.Values(append(verbs, step.Verb)))
		}
	}
}
