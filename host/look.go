package host

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/rekey-host/rekey/host/journal"
	"github.com/rekey-host/rekey/host/ledger"
	"github.com/rekey-host/rekey/host/report"
	"github.com/rekey-host/rekey/host/workflow"
	"github.com/rekey-host/rekey/sdk"
)

// RunSummary is one line of rekey runs.
type RunSummary struct {
	Run     string        `json:"run"`
	Script  string        `json:"script"`
	Status  journal.State `json:"status"`
	Created string        `json:"created"`
	OSUser  string        `json:"os_user"`
	Counts  Counts        `json:"counts"`
	Problem string        `json:"problem,omitempty"` // why it cannot be read; then there is nothing else
}

// Runs lists the runs of the state directory, newest first.
func (h *Host) Runs() ([]RunSummary, error) {
	list, err := h.store.Runs()
	if err != nil {
		return nil, err
	}
	out := make([]RunSummary, 0, len(list))
	for _, s := range list {
		if s.Err != nil {
			out = append(out, RunSummary{Run: s.Header.ID, Problem: strings.TrimPrefix(s.Err.Error(), "run "+s.Header.ID+": ")})
			continue
		}
		out = append(out, RunSummary{Run: s.Header.ID, Script: s.Header.Script, Status: s.State,
			Created: s.Header.Created.UTC().Format("2006-01-02T15:04:05Z"), OSUser: s.Header.OSUser, Counts: Counts(s.Counts)})
	}
	return out, nil
}

// ShowFilter selects users of a run.
type ShowFilter struct {
	Keys, Statuses, Codes []string
}

// statuses are what --status takes.
var statuses = []journal.Status{journal.Pending, journal.Done, journal.Failed, journal.Skipped, journal.Partial, journal.Unresolved, journal.HeldPending}

func (f ShowFilter) ledger() (ledger.Filter, error) {
	out := ledger.Filter{Codes: f.Codes, Keys: f.Keys}
	for _, s := range f.Statuses {
		if !slices.Contains(statuses, journal.Status(s)) {
			return out, &UsageError{Message: fmt.Sprintf("there is no status %q", s), Fix: "use pending, done, failed, skipped, partial, unknown or held"}
		}
		out.Status = append(out.Status, journal.Status(s))
	}
	return out, nil
}

// Show returns where a run stands and calls user for each of its users that
// the filter selects, in the order of application. Without a filter it calls
// user for nobody.
func (h *Host) Show(name string, f ShowFilter, user func(report.Line) error) (Outcome, error) {
	r, err := h.rest(name)
	if err != nil {
		return Outcome{}, err
	}
	defer r.Close()
	out, err := h.show(r, f, user)
	return out, whatIsLost(r, err)
}

func (h *Host) show(r *ledger.Run, f ShowFilter, user func(report.Line) error) (Outcome, error) {
	out, err := look(r)
	if err != nil {
		return out, err
	}
	if out.Next, err = advice(r, out); err != nil && r.Damage() == nil { // the rules of its waves may be lost
		return out, err
	}
	if out.Audit.Size, out.Audit.Head, err = r.SignHead(); err != nil {
		return out, err
	}
	if len(f.Keys)+len(f.Statuses)+len(f.Codes) == 0 {
		return out, nil
	}
	filter, err := f.ledger()
	if err != nil {
		return out, err
	}
	view, err := viewOf(r)
	if err != nil {
		return out, err
	}
	n := 0
	err = r.Each(filter, ledger.OrderApply, func(u ledger.User) error {
		n++
		return user(report.LineOf(view, u))
	})
	if err == nil && n == 0 {
		return out, nobodyIs(r.ID(), f)
	}
	return out, err
}

// nobodyIs says that a filter selects nobody. A code that is none of rekey's is
// a slip; a status that nobody has is an answer.
func nobodyIs(run string, f ShowFilter) error {
	for _, c := range f.Codes {
		if fix, known := workflow.KnownCode(c); !known {
			return &UsageError{Message: fmt.Sprintf("there is no code %q", c), Fix: fix}
		}
	}
	if len(f.Keys) == 1 && len(f.Statuses)+len(f.Codes) == 0 {
		return usagef("run %s has no user %q", run, f.Keys[0])
	}
	return &NobodyError{Run: run, Filter: f}
}

// NobodyError is that a run has no user that a filter selects.
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

// PlannedUser is one user of a frozen plan.
type PlannedUser struct {
	Key    string `json:"key"`
	Line   int    `json:"line"`           // of the source
	Wave   string `json:"wave,omitempty"` // none of a user that is skipped
	Reason string `json:"skipped,omitempty"`
}

// Plan calls user for every user of a run's frozen plan, in the order of
// application, skipped ones last.
func (h *Host) Plan(name string, user func(PlannedUser) error) error {
	r, err := h.rest(name)
	if err != nil {
		return err
	}
	defer r.Close()
	err = r.Each(ledger.Filter{}, ledger.OrderApply, func(u ledger.User) error {
		p := PlannedUser{Key: u.Key, Line: u.Line, Wave: u.WaveName}
		if u.Wave < 0 {
			p.Reason = u.Reason
		}
		return user(p)
	})
	return whatIsLost(r, err)
}

// resolve is the run that a name means to a command that looks.
func (h *Host) resolve(name string) (string, error) {
	id, err := h.store.Resolve(name)
	if err != nil {
		return "", &UsageError{Message: err.Error()}
	}
	if _, doubt := h.store.ResolveToApply(name); doubt != nil {
		fmt.Fprintf(h.Stderr, "rekey: warning: this is run %s; %s\n", id, doubt)
	}
	return id, nil
}

// read opens a run for reading.
func (h *Host) read(name string) (*ledger.Run, error) {
	id, err := h.resolve(name)
	if err != nil {
		return nil, err
	}
	return h.noticed(h.store.Read(id))
}

// rest opens a run for reading what there is of it.
func (h *Host) rest(name string) (*ledger.Run, error) {
	id, err := h.resolve(name)
	if err != nil {
		return nil, err
	}
	return h.noticed(h.store.Rest(id))
}

// restOpened is rest with the key to the run's sealed values.
func (h *Host) restOpened(name string) (*ledger.Run, error) {
	return h.withKeys(name, h.store.RestWith)
}

// withKeys opens a run by a way that takes the keys to its sealed values.
func (h *Host) withKeys(name string, open func(id string, keys ledger.Keys) (*ledger.Run, error)) (*ledger.Run, error) {
	id, err := h.resolve(name)
	if err != nil {
		return nil, err
	}
	keys, err := h.keys(context.Background())
	if err != nil {
		return nil, err
	}
	return h.noticed(open(id, keys))
}

// PartError ends a command that has shown all that can be shown, and not all
// that there was.
type PartError struct{ error }

// Unwrap returns what is missing, and why.
func (e *PartError) Unwrap() error { return e.error }

// whatIsLost ends a command that has shown what there is of a run.
func whatIsLost(r *ledger.Run, err error) error {
	damage := r.Damage()
	switch {
	case damage == nil:
		return err
	case err == nil || errors.As(err, new(*PartError)) || errors.As(err, new(*NobodyError)):
		return &PartError{errors.Join(damage, err)}
	}
	return errors.Join(err, damage)
}

// notOpened are the values that do not open.
type notOpened struct {
	users []string
	last  error
}

// note takes what was found of a user; nil is nothing.
func (n *notOpened) note(key string, err error) {
	if err == nil {
		return
	}
	n.last = err
	if !slices.Contains(n.users, key) {
		n.users = append(n.users, key)
	}
}

// maxNotOpened is how many users are named.
const maxNotOpened = 10

func (n *notOpened) err(run string) error {
	if len(n.users) == 0 {
		return nil
	}
	names := strings.Join(n.users[:min(len(n.users), maxNotOpened)], ", ")
	if more := len(n.users) - maxNotOpened; more > 0 {
		names += fmt.Sprintf(" and %d more", more)
	}
	return &PartError{fmt.Errorf("run %s: sealed values of %s do not open (%w); all others are shown; rekey audit verify %s --open tells more", run, names, n.last, run)}
}

// noticed warns of a run that is older than it was.
func (h *Host) noticed(r *ledger.Run, err error) (*ledger.Run, error) {
	if err == nil {
		if stale := r.Stale(); stale != nil {
			fmt.Fprintf(h.Stderr, "rekey: warning: %s\n", stale)
		}
	}
	return r, err
}

// opened opens a run for reading, with the key to its sealed values.
func (h *Host) opened(name string) (*ledger.Run, error) {
	return h.withKeys(name, h.store.ReadWith)
}

// Revealed is one sealed value.
type Revealed struct {
	Key      string `json:"key"`
	Backend  string `json:"backend"`
	Account  string `json:"account"`
	Kind     string `json:"kind"`
	State    string `json:"state"`
	Form     string `json:"form"`
	Password string `json:"password"`
}

// Reveal calls show for every value that was ever sealed for a user, or for
// all, newest intent first in each, and then records the act.
func (h *Host) Reveal(name, key string, unaudited bool, show func(Revealed) error) error {
	r, err := h.restOpened(name)
	if err != nil {
		return err
	}
	defer r.Close()
	return whatIsLost(r, h.reveal(r, key, unaudited, show))
}

func (h *Host) reveal(r *ledger.Run, key string, unaudited bool, show func(Revealed) error) error {
	if err := r.Sealable(); err != nil {
		return err
	}
	f := ledger.Filter{}
	if key != "" {
		f.Keys = []string{key}
	}
	if err := h.audited(r, journal.Revealed, map[string]string{"user": key}, unaudited); err != nil {
		return err
	}
	n, bad := 0, notOpened{}
	err := r.Each(f, ledger.OrderSource, func(u ledger.User) error {
		n++
		return revealUser(r, u, &bad, show)
	})
	if err == nil && n == 0 && key != "" {
		return usagef("run %s has no user %q", r.ID(), key)
	}
	if err != nil {
		return err
	}
	return bad.err(r.ID())
}

func revealUser(r *ledger.Run, u ledger.User, bad *notOpened, show func(Revealed) error) error {
	for _, c := range ledger.Candidates(u.History) {
		v, err := r.Unseal(u.Pos, c.Step, c.Try, "value", c.Sealed)
		if err != nil {
			bad.note(u.Key, err)
			continue
		}
		if err := show(Revealed{u.Key, c.Backend, c.Account, c.Cred, c.State, c.Form, v.Reveal()}); err != nil {
			return err
		}
	}
	return nil
}

// audited records an act on a run by a process that does not apply it. Where
// that cannot be done, nothing is shown, unless that is wanted all the same.
func (h *Host) audited(r *ledger.Run, kind journal.Kind, facts map[string]string, unaudited bool) error {
	err := h.store.Note(r.ID(), &journal.Record{Kind: kind, Detail: journal.Detail{OSUser: h.OSUser, Host: h.Hostname, Facts: facts}})
	return h.unrecorded(err, unaudited)
}

// unrecorded decides whether an act goes on that could not be recorded. On a
// medium that cannot be written, a snapshot or a rescue system, or in a damaged
// ledger nothing ever could be: there it is said and goes on.
func (h *Host) unrecorded(err error, unaudited bool) error {
	switch {
	case err == nil:
		return nil
	case unaudited || h.store.ReadOnly() || ledger.Damaged(err):
		fmt.Fprintf(h.Stderr, "rekey: warning: this is not recorded: %s\n", err)
		return nil
	}
	return &UsageError{Message: fmt.Sprintf("the act cannot be recorded, and nothing is shown: %s", err), Fix: "mend that, or give --unaudited"}
}

// Forget destroys the key to a finished run's values.
func (h *Host) Forget(name string, moved bool) (string, error) {
	if name == "last" {
		return "", &UsageError{Message: "forget wants the run's id, not last", Fix: "rekey runs"}
	}
	r, err := h.lock(context.Background(), name, moved)
	if err != nil {
		return "", err
	}
	defer r.Close()
	if err := r.Forget(); err != nil {
		return "", &UsageError{Message: err.Error()}
	}
	return r.ID(), r.Salvage(r.Confirm())
}

// Check finds what is wrong with a script without starting anything: its top
// level is evaluated with placeholders for what is not given.
func (h *Host) Check(ctx context.Context, script string, params []string) (*workflow.Workflow, error) {
	given, err := parameters(params)
	if err != nil {
		return nil, err
	}
	o := h.loadOptions(script, given)
	o.Placeholders = true
	return workflow.Load(ctx, o)
}

// Backend describes one backend.
func (h *Host) Backend(ctx context.Context, name string) (sdk.Description, error) {
	d, err := h.catalog.Describe(ctx, name)
	if err != nil {
		return d, &UsageError{Message: err.Error()}
	}
	return d, nil
}

// Backends lists the names of the backends.
func (h *Host) Backends() []string { return h.catalog.Names() }
