package workflow

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/rekey-host/rekey/host/diag"
	"github.com/rekey-host/rekey/host/engine"
	"github.com/rekey-host/rekey/host/journal"
	"github.com/rekey-host/rekey/host/source"
	"github.com/rekey-host/rekey/sdk"
	"github.com/rekey-host/rekey/sdk/secret"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// canary is a password that every way of quoting changes.
const canary = "c\"a\\n%y é"

// target is a backend that can do everything, as quickly as it is asked.
func target() sdk.Description {
	return sdk.Description{
		Name: "memory", Version: "1",
		Config: []sdk.Field{
			{Name: "create", Type: sdk.Bool, Default: true},
			{Name: "latency", Type: sdk.Duration},
			{Name: "history", Type: sdk.Int, Default: 3},
			{Name: "groups", Type: sdk.List},
		},
		Verbs:     []sdk.Verb{sdk.Set, sdk.Change, sdk.Reset, sdk.Unlock, sdk.Revoke, sdk.Handover},
		Abilities: []sdk.Ability{sdk.CanFind, sdk.CanList, sdk.CanVerify, sdk.CanGenerate, sdk.CanReset, sdk.CanUnlock, sdk.CanRevoke},
	}
}

// directory is a backend with settings of every type, and limits.
func directory() sdk.Description {
	return sdk.Description{
		Name: "ldap", Version: "1",
		Config: []sdk.Field{
			{Name: "url", Type: sdk.URL, Required: true, Doc: "where the server is"},
			{Name: "bind_dn", Type: sdk.String},
			{Name: "bind_password", Type: sdk.Secret},
			{Name: "mode", Type: sdk.Choice, Choices: []string{"rfc3062", "ad"}, Default: "rfc3062"},
			{Name: "ca_file", Type: sdk.Path, Conflicts: []string{"insecure"}},
			{Name: "insecure", Type: sdk.Bool, Conflicts: []string{"ca_file"}},
		},
		Options:       []sdk.Field{{Name: "plain", Type: sdk.Bool}, {Name: "wait", Type: sdk.Duration}},
		HashFormats:   []string{"sha512-base64"},
		Verbs:         []sdk.Verb{sdk.Set, sdk.Handover},
		Abilities:     []sdk.Ability{sdk.CanFind, sdk.CanVerify},
		VerifyIsLogon: true,
		Limits:        sdk.Limits{Concurrency: 8, PerSecond: 100, Timeout: 5 * time.Second},
	}
}

// phones is a backend with credentials of several kinds; mailer one that only
// resets.
func phones() sdk.Description {
	return sdk.Description{Name: "phones", Verbs: []sdk.Verb{sdk.Set}, Kinds: []sdk.Kind{{Name: "sip"}, {Name: "voicemail"}}, MustChange: new(false)}
}

func mailer() sdk.Description {
	return sdk.Description{Name: "mailer", Verbs: []sdk.Verb{sdk.Reset}, Abilities: []sdk.Ability{sdk.CanReset}}
}

func describe(name, _ string) (sdk.Description, error) {
	for _, d := range []sdk.Description{target(), directory(), phones(), mailer()} {
		if d.Name == name {
			return d, nil
		}
	}
	return sdk.Description{}, errors.New("its process does not answer")
}

func backendNames() []string { return []string{"broken", "ldap", "mailer", "memory", "phones"} }

// script writes a script, and other files by name and text, and returns how to
// load it.
func script(t testing.TB, text string, files ...string) Options {
	t.Helper()
	dir := t.TempDir()
	for i := 0; i+1 < len(files); i += 2 {
		put(t, dir, files[i], files[i+1])
	}
	put(t, dir, "w.star", text)
	return Options{Path: "w.star", WorkDir: dir, Describe: describe, BackendNames: backendNames(),
		Fatal: func(line string) { panic(line) }}
}

func put(t testing.TB, dir, name, text string) {
	t.Helper()
	path := filepath.Join(dir, filepath.FromSlash(name))
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// mustLoad loads a script that has no problems.
func mustLoad(t testing.TB, o Options) *Workflow {
	t.Helper()
	w, err := Load(context.Background(), o)
	if err != nil {
		t.Fatalf("Load: %v", err)
	}
	t.Cleanup(func() { w.Close() })
	return w
}

// problems returns what is wrong with a script, "" if nothing is.
func problems(t testing.TB, o Options) string {
	t.Helper()
	w, err := Load(context.Background(), o)
	if err == nil {
		w.Close()
		return ""
	}
	var list *diag.Problems
	if !errors.As(err, &list) {
		t.Fatalf("Load = %T %v, want *diag.Problems", err, err)
	}
	return err.Error()
}

// rowsOf reads the users of a workflow.
func rowsOf(t testing.TB, w *Workflow) []source.Row {
	t.Helper()
	var rows []source.Row
	err := w.Users.Rows(context.Background(), func(r source.Row) error {
		r.Cells = slices.Clone(r.Cells)
		rows = append(rows, r)
		return nil
	})
	if err != nil {
		t.Fatalf("Rows: %v", err)
	}
	return rows
}

// fakeSteps plays the engine for one user.
type fakeSteps struct {
	mu      sync.Mutex
	calls   []string
	answers map[string]journal.Result // by verb; others are applied
	faults  map[string]error          // by verb, or generate
	before  func(step journal.Step)   // called before a step is answered
	made    int
}

func (f *fakeSteps) Generate(_ context.Context, g engine.GenerateStep) (*journal.Value, error) {
	text := "generate"
	if g.Kind != "" {
		text += " kind=" + g.Kind
	}
	if g.Generator != "" {
		text += " generator=" + g.Generator
	}
	if g.Targets != nil {
		text += fmt.Sprintf(" targets=%v", g.Targets)
	}
	if g.Policy != nil && g.Policy.Length != nil {
		text += fmt.Sprintf(" length=%d", *g.Policy.Length)
	}
	f.note(text)
	if err := f.faults["generate"]; err != nil {
		return nil, err
	}
	f.made++
	return journal.Given(secret.New(fmt.Sprintf("value-%d", f.made))), nil
}

func (f *fakeSteps) Do(ctx context.Context, step journal.Step) (journal.Result, error) {
	text := fmt.Sprintf("%s %s %s", step.Verb, step.Backend, step.Account)
	for _, part := range []struct{ name, text string }{
		{"kind", step.Kind}, {"old", step.Old.Secret().Reveal()}, {"value", step.Value.Secret().Reveal()}, {"hash", step.HashFormat}} {
		if part.text != "" {
			text += " " + part.name + "=" + part.text
		}
	}
	if step.MustChange != nil {
		text += fmt.Sprintf(" must_change=%v", *step.MustChange)
	}
	if len(step.Options) > 0 {
		text += fmt.Sprintf(" options=%v", step.Options)
	}
	f.note(text)
	if f.before != nil {
		f.before(step)
	}
	if err := ctx.Err(); err != nil {
		return journal.Result{}, &journal.Fault{Code: sdk.Cancelled, Message: "the run stops"}
	}
	if err := f.faults[step.Verb]; err != nil {
		return journal.Result{}, err
	}
	if r, ok := f.answers[step.Verb]; ok {
		return r, nil
	}
	return journal.Result{Outcome: sdk.Applied}, nil
}

func (f *fakeSteps) note(text string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.calls = append(f.calls, text)
}

// said tells a verdict in one line.
func said(v journal.Verdict) string {
	text := map[journal.VerdictKind]string{journal.Returned: "returned", journal.SaidDone: "done", journal.SaidFailed: "failed", journal.SaidSkip: "skip", journal.Raised: "raised"}[v.Kind]
	if v.Reason != "" {
		text += ": " + v.Reason
	}
	if v.Fault != nil {
		text += ": " + string(v.Fault.Code) + ": " + v.Fault.Message
	}
	return text
}

// printed collects what a script prints.
type printed struct {
	mu sync.Mutex
	bytes.Buffer
}

func (p *printed) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.Buffer.Write(b)
}

// lines joins the lines of a script or of what is wrong with it.
func lines(all ...string) string { return strings.Join(all, "\n") }
