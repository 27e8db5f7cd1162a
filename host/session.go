package host

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/rekey-host/rekey/host/diag"
	"github.com/rekey-host/rekey/host/engine"
	"github.com/rekey-host/rekey/host/journal"
	"github.com/rekey-host/rekey/host/ledger"
	"github.com/rekey-host/rekey/host/output"
	"github.com/rekey-host/rekey/host/report"
	"github.com/rekey-host/rekey/host/workflow"
)

// Session is one run while a command works on it: its ledger, its script and
// its backends. It is used by one goroutine; a Host may have many sessions.
type Session struct {
	host    *Host
	place   place // where the run was planned
	plugins plugins
	outlets outlets
	loader  loader
	options RunOptions

	run      *ledger.Run
	flow     *workflow.Workflow
	hooks    openHooks // of the script, or of two of its versions
	backends *backends
	gaveUp   time.Time // see gaveUp
}

// openHooks are those of open scripts.
type openHooks interface {
	engine.Hooks
	io.Closer
}

// under puts the session under the lock of a script.
func (s *Session) under(script string) error {
	lock, err := lockOf(s.host, s.place, script)
	if err == nil {
		s.plugins, s.loader = s.plugins.locked(lock), s.loader.locked(lock)
	}
	return err
}

// ID returns the id of the run.
func (s *Session) ID() string { return s.run.ID() }

// Close ends the session; its run can be continued by another. What the run
// committed was confirmed before, so nothing is lost with an error here.
func (s *Session) Close() {
	if s.run != nil {
		_ = s.run.Close()
	}
	if s.backends != nil {
		s.backends.close()
	}
	if s.hooks != nil {
		_ = s.hooks.Close()
	}
	s.loader.vital.leave()
}

// use makes a script the session's.
func (s *Session) use(flow *workflow.Workflow, hooks openHooks) { s.flow, s.hooks = flow, hooks }

// Leave leaves a planned run to be applied later.
func (s *Session) Leave(ctx context.Context) (Outcome, error) {
	out, err := s.concluded(ctx, nil)
	return s.whole(out, err)
}

// Apply applies the run planned by this session. stop ends the
// dispatching, ctx cancels the requests in flight.
func (s *Session) Apply(ctx, stop context.Context) (Outcome, error) {
	out, err := s.apply(ctx, stop, "run")
	return s.whole(out, err)
}

// Resume goes on with a run from where its ledger stands.
func (s *Session) Resume(ctx, stop context.Context) (Outcome, error) {
	out, err := resumption{s}.resume(ctx, stop)
	return s.whole(out, err)
}

// Retry puts failed and partial users back and applies them.
func (s *Session) Retry(ctx, stop context.Context) (Outcome, error) {
	out, err := resumption{s}.retry(ctx, stop)
	return s.whole(out, err)
}

// Approve releases the hold of the run.
func (s *Session) Approve() (Outcome, error) {
	out, err := s.approve()
	return s.whole(out, err)
}

// whole ends a command on a locked run: whatever it committed is in the run's file
// as it was written, or the error says what became of it. Whatever the users
// came to, an error decides the process's exit code too.
func (s *Session) whole(out Outcome, err error) (Outcome, error) {
	if cerr := s.run.Confirm(); err == nil || errors.Is(cerr, ledger.ErrGone) && !errors.Is(err, ledger.ErrGone) {
		err = errors.Join(err, cerr)
	}
	if err = s.run.Salvage(err); err != nil {
		out.ExitCode = ExitUnexpected
	}
	return out, err
}

func (s *Session) approve() (Outcome, error) {
	wave, held, err := s.run.Hold()
	if err != nil {
		return Outcome{}, err
	}
	if !held {
		return Outcome{}, &UsageError{Message: fmt.Sprintf("run %s is not held", s.run.ID()), Fix: "rekey runs --status held"}
	}
	if err := s.note(journal.Approved, journal.Detail{Wave: wave, Requestor: s.options.Requestor, Message: s.options.Reason}); err != nil {
		return Outcome{}, err
	}
	out, err := outcomeOf(s.run)
	if err != nil {
		return out, err
	}
	user := s.host.OSUser
	out.Next = []string{"rekey resume " + s.run.ID()}
	out.Reason = fmt.Sprintf("the hold after wave %s is released by %s", wave, user)
	if s.run.Header().OSUser == user {
		out.Reason += ", who started the run: a pause, not four eyes"
	}
	out.ExitCode = ExitDone
	return out, nil
}

// facts returns what the ledger keeps of how this command applies the run.
func (s *Session) facts() map[string]string {
	facts := s.options.facts()
	var loose []string
	for _, spec := range s.flow.Backends {
		if slices.Contains(s.host.Unconfined, spec.Name) && !slices.Contains(loose, spec.Name) {
			loose = append(loose, spec.Name)
		}
	}
	if len(loose) == 0 {
		return facts
	}
	if facts == nil {
		facts = map[string]string{}
	}
	facts["no_sandbox"] = strings.Join(loose, " ")
	return facts
}

// note records something that this process does to the run.
func (s *Session) note(kind journal.Kind, detail journal.Detail) error {
	detail.OSUser, detail.Host = s.host.OSUser, s.host.Hostname
	return s.run.Commit([]*journal.Record{{Kind: kind, Detail: detail}})
}

// apply applies the locked run from where it stands and writes its reports.
func (s *Session) apply(ctx, stop context.Context, command string) (Outcome, error) {
	head := s.run.Header()
	s.options.Requestor, s.options.SourceSystem = cmp.Or(s.options.Requestor, head.Requestor), cmp.Or(s.options.SourceSystem, head.SourceSystem)
	err := s.note(journal.Started, journal.Detail{Command: command, PID: os.Getpid(), Requestor: s.options.Requestor, SourceSystem: s.options.SourceSystem, Facts: s.facts()})
	if err != nil {
		return Outcome{}, err
	}
	s.loader.vital.load(s.flow.Busy)
	s.loader.vital.apply(s.run.ID())
	job, err := jobs{s}.job(ctx, stop)
	if err != nil {
		return Outcome{}, err
	}
	ending, err := s.watched(ctx, job)
	if errors.Is(err, ledger.ErrGone) {
		return Outcome{}, err
	}
	if err != nil {
		return Outcome{}, fmt.Errorf("the ledger of run %s: %w; nothing was sent after that; then rekey resume %s", s.run.ID(), err, s.run.ID())
	}
	broken := s.backends.breaches()
	s.host.notices.warnAll(broken)
	out, err := s.conclude(ctx, ending)
	out.Breaches = broken
	return out, err
}

// watched applies with the progress shown.
func (s *Session) watched(ctx context.Context, job engine.Job) (engine.Ending, error) {
	progress := s.host.Progress
	if progress == nil {
		return engine.Apply(ctx, job)
	}
	counts, err := s.run.Counts()
	if err != nil {
		return engine.Ending{}, err
	}
	progress.Begin(counts.Total-counts.Skipped, counts.Total-counts.Skipped-counts.Pending-counts.Held)
	defer progress.End()
	job.Finished = progress.Finished
	return engine.Apply(ctx, job)
}

// conclude records how a process leaves the run, and writes the reports, also
// after the signal that cancels the requests in flight. The state comes after the
// reports: a run killed before they were whole is unfinished, and
// resume writes them.
func (s *Session) conclude(ctx context.Context, ending engine.Ending) (Outcome, error) {
	ctx = context.WithoutCancel(ctx)
	counts, err := s.run.Counts()
	if err != nil {
		return Outcome{}, err
	}
	reason := ending.Stopped
	if ending.Held != "" {
		reason = "wave " + ending.Held + " waits for an approval"
	}
	state := ended(ending, Counts(counts))
	commit := func(record *journal.Record) error { return s.run.Commit([]*journal.Record{record}) }
	var events []string
	if s.backends != nil {
		events = s.backends.events(ending.Waits)
	}
	paths, reportErr := s.report(ctx, commit, left{state, reason, events})
	err = s.run.Commit([]*journal.Record{{Kind: journal.Ended, Detail: journal.Detail{State: state, Message: reason, Events: events}}})
	if err != nil {
		return Outcome{}, errors.Join(err, reportErr)
	}
	out, err := s.concluded(ctx, paths)
	out.Reason, out.Summarised = reason, slices.ContainsFunc(s.flow.Reports, func(spec workflow.ReportSpec) bool { return spec.Kind == summaryFormat && spec.Path == "" })
	if reportErr != nil {
		out.unwritten(reportErr)
	}
	return out, err
}

// concluded returns what the run came to, its log signed and kept.
func (s *Session) concluded(ctx context.Context, reports []string) (Outcome, error) {
	out, err := outcomeOf(s.run)
	if err != nil {
		return out, err
	}
	out.Reports = append(out.Reports, reports...)
	if out.Next, err = advice(s.run, out); err != nil {
		return out, err
	}
	out.Audit.Size, out.Audit.Head, err = s.run.SignHead()
	if err != nil {
		return out, err
	}
	return out, s.host.checkpoint(s.options, s.place).write(ctx, s.run)
}

// strays returns the search for other runs that may still reach what the
// session's backends do.
func (s *Session) strays(except string) strayRuns {
	return strayRuns{store: s.host.store, now: s.host.Now(), backends: s.backends, except: except}
}

// report writes the reports of the script and returns their paths. One that
// cannot be written does not keep the others from being.
func (s *Session) report(ctx context.Context, note func(*journal.Record) error, left left) ([]string, error) {
	options, err := s.outputs(ctx, s.run.Header())
	if err != nil {
		return nil, err
	}
	writer := &reporter{session: s, options: options, left: left, note: note}
	if err := writer.load(); err != nil {
		return nil, err
	}
	for _, order := range []string{"source", "apply"} {
		writer.write(ctx, order)
	}
	writer.summaries()
	if err := errors.Join(writer.errs...); err != nil {
		last := "the ledger has everything: mend the script, then rekey report " + s.run.ID() + " --script FILE, or rekey report " + s.run.ID()
		return writer.about.Files, &ReportError{Lines: append(strings.Split(err.Error(), "\n"), last)}
	}
	return writer.about.Files, nil
}

// rewrite writes the reports again, by the script of the run or a mended one.
func (s *Session) rewrite(ctx context.Context, options ReportOptions) ([]string, error) {
	defer s.loader.vital.leave()
	flow, err := s.reporting(ctx, options.Script)
	if err != nil {
		return nil, err
	}
	defer flow.Close()
	s.flow = flow
	state, err := s.run.State()
	if err != nil {
		return nil, err
	}
	all := s.host.runs()
	all.unaudited = options.Unaudited
	note := func(record *journal.Record) error { return all.unrecorded(all.store.Note(s.run.ID(), record)) }
	return s.report(ctx, note, left{state: state})
}

func (s *Session) reporting(ctx context.Context, script string) (*workflow.Workflow, error) {
	if script == "" {
		return s.loader.kept(ctx, s.run)
	}
	return s.loader.mended(ctx, s.run, script)
}

// checkOutputs finds outputs that could not be written at the end, before
// anything is changed. head is that of the run, or of one to be.
func (s *Session) checkOutputs(ctx context.Context, head ledger.Header) error {
	options, err := s.outputs(ctx, head)
	if err != nil {
		return err
	}
	view, err := report.ViewOf(head)
	if err != nil {
		return err
	}
	check := outputCheck{options: options, within: s.host.Within, head: head, schema: view.Schema, taken: map[string]string{}}
	for _, spec := range s.flow.Reports {
		if spec.Path == stdoutPath && s.host.Taken {
			check.problem(diag.Problem{Message: "a report to - and --json both want standard output", Fix: "leave --json out, or write the report to a file"})
		}
		check.report(spec)
	}
	if kept := s.host.checkpoint(s.options, s.place); kept.path != "" {
		if err := kept.spare(ctx, head.ID); err != nil {
			return err
		}
		check.options.Kind = kindCheckpoint
		check.options.Overwrite = s.options.Overwrite || kept.run(ctx) == head.ID && head.ID != ""
		check.path(kept.path)
	}
	return check.problems.Err()
}

// outputs says where the reports of the script, which may differ from the one
// that the run began with, are written.
func (s *Session) outputs(ctx context.Context, head ledger.Header) (output.Options, error) {
	options, err := s.outlets.writes(head, kindReport, s.options.Overwrite)
	if err != nil {
		return options, err
	}
	now, err := s.plugins.files(ctx, s.flow)
	if err != nil {
		return options, err
	}
	for _, file := range s.flow.Files[1:] {
		if !strings.HasPrefix(file.Name, "@") {
			now = append(now, s.place.absolute(filepath.Join(filepath.Dir(s.flow.Name), filepath.FromSlash(file.Name))))
		}
	}
	options.Forbidden = append(options.Forbidden, now...)
	return options, nil
}
