package workflow

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rekey-host/rekey/host/journal"
	"github.com/rekey-host/rekey/host/report"
	"github.com/rekey-host/rekey/host/workflow/lang"
	"github.com/rekey-host/rekey/sdk"
)

// endless is a loop of the interpreter: 1 << 40 rounds.
const endless = "    for i in range(1 << 40):\n        pass\n"

// limited loads a workflow with small limits.
func limitedWorkflow(t *testing.T, text string, l Limits, fatal func(string)) *Workflow {
	t.Helper()
	o := script(t, "target = backend(\"memory\")\nusers = rows([\"ann\"], key = \"login\")\n"+text)
	o.Limits = l
	if fatal != nil {
		o.Fatal = fatal
	}
	return mustLoad(t, o)
}

func TestStepsOfAHookAreLimited(t *testing.T) {
	l := Limits{Steps: 1000, Compute: time.Hour}
	ctx := context.Background()
	w := limitedWorkflow(t, "def select(user):\n"+endless+"    return True\nworkflow(users = users, backend = target, select = select)", l, nil)
	row := rowsOf(t, w)[0]
	for range 3 { // the thread is used again
		_, _, err := w.Select(ctx, row)
		if want := `w.star:4:14: select("ann"), rows:1: select takes more than 1000 steps of the interpreter`; err == nil || !strings.HasPrefix(err.Error(), "w.star:") || !strings.HasSuffix(err.Error(), want[strings.Index(want, "select("):]) {
			t.Errorf("Select = %v, want %s", err, want)
		}
	}
	w = limitedWorkflow(t, "def wave(user):\n"+endless+"    return \"all\"\nworkflow(users = users, backend = target, wave = wave)", l, nil)
	if _, err := w.Wave(ctx, row); err == nil || !strings.HasSuffix(err.Error(), `wave("ann"), rows:1: wave takes more than 1000 steps of the interpreter`) {
		t.Errorf("Wave = %v", err)
	}
	w = limitedWorkflow(t, "def rotate(user):\n"+endless+"workflow(users = users, rotate = rotate)", l, nil)
	v := w.rotate(ctx, row, &fakeSteps{})
	if got := said(v); !strings.HasPrefix(got, "raised: ScriptError: rotate takes more than 1000 steps of the interpreter (w.star:") || !strings.Contains(v.Fault.Backtrace, "in rotate") {
		t.Errorf("rotate: %s\n%s", got, v.Fault.Backtrace)
	}
	w = limitedWorkflow(t, "def row(r):\n"+endless+"    return {}\nworkflow(users = users, backend = target, reports = [report.csv(\"a\", row = row)])", l, nil)
	if _, _, err := w.ReportRow(ctx, 0, &report.Result{Row: row}); err == nil || !strings.HasSuffix(err.Error(), `row("ann"), rows:1: row takes more than 1000 steps of the interpreter`) {
		t.Errorf("ReportRow = %v", err)
	}
}

func TestStepsOfTheTopLevelAreLimited(t *testing.T) {
	o := script(t, "load(\"m.star\", \"f\")\n"+tail, "m.star", "def f():\n"+endless+"x = f()\n")
	o.Limits.LoadSteps = 1000
	if got := problems(t, o); !strings.HasSuffix(got, ": m.star takes more than 1000 steps of the interpreter") || !strings.HasPrefix(got, "m.star:") {
		t.Errorf("Load = %s", got)
	}
}

// TestStepsAreCountedAnewForEachCall: a thread is used again, and its steps
// are not those of all users together.
func TestStepsAreCountedAnewForEachCall(t *testing.T) {
	w := limitedWorkflow(t, "def select(user):\n    for i in range(100):\n        pass\n    return True\nworkflow(users = users, backend = target, select = select)", Limits{Steps: 2000}, nil)
	row := rowsOf(t, w)[0]
	for range 100 {
		if due, _, err := w.Select(context.Background(), row); !due || err != nil {
			t.Fatal(due, err)
		}
	}
}

func TestComputingIsLimited(t *testing.T) {
	t.Parallel()
	l := Limits{Steps: 1 << 60, LoadSteps: 1 << 60, Compute: time.Second}
	late := func(string) {} // on a busy machine the thread may be slow to end
	w := limitedWorkflow(t, "def select(user):\n"+endless+"    return True\nworkflow(users = users, backend = target, select = select)", l, late)
	row := rowsOf(t, w)[0]
	if _, _, err := w.Select(context.Background(), row); err == nil || !strings.HasSuffix(err.Error(), `select("ann"), rows:1: select computes for more than 1s`) {
		t.Errorf("Select = %v", err)
	}
	o := script(t, "def f():\n"+endless+"x = f()"+tail)
	o.Limits, o.Fatal = l, late
	if got := problems(t, o); !strings.HasSuffix(got, ": w.star computes for more than 1s") {
		t.Errorf("Load = %s", got)
	}
}

// TestWaitingForABackendIsNotComputing: a step may take as long as it takes.
func TestWaitingForABackendIsNotComputing(t *testing.T) {
	w := limitedWorkflow(t, "workflow(users = users, backend = target)", Limits{Compute: time.Hour}, nil)
	s := w.in.threads.start()
	s.begin(context.Background(), lang.InRotate, "rotate", "ann", nil)
	defer s.end()
	s.watch.pause()
	most := int(time.Hour / part)
	for range 10 * most {
		s.watch.tick(0)
	}
	s.watch.resume()
	const own = 1000 // that the timer may add on a busy machine
	for range most - own {
		s.watch.tick(0)
	}
	if err := s.stopped(); err != nil {
		t.Errorf("stopped while it waited: %v", err)
	}
	for range own + 1 { // the first part is not whole
		s.watch.tick(0)
	}
	if err := s.stopped(); err == nil || err.Error() != "rotate computes for more than 1h0m0s" {
		t.Errorf("after its time: %v", err)
	}
}

func TestAHookEndsWithItsContext(t *testing.T) {
	stop := errors.New("interrupted")
	out := &printed{}
	o := script(t, "target = backend(\"memory\")\ndef select(user):\n    print(\"begun\")\n"+endless+"    return True\ndef rotate(user):\n    print(\"begun\")\n"+endless+
		"workflow(users = rows([\"ann\"], key = \"login\"), rotate = rotate, select = select)")
	o.Limits = Limits{Steps: 1 << 60, Compute: time.Hour}
	var mu sync.Mutex
	var cancel context.CancelCauseFunc
	o.Print = writerFunc(func(p []byte) { mu.Lock(); defer mu.Unlock(); _, _ = out.Write(p); cancel(stop) })
	w := mustLoad(t, o)
	row := rowsOf(t, w)[0]
	begin := func() context.Context {
		mu.Lock()
		defer mu.Unlock()
		var ctx context.Context
		ctx, cancel = context.WithCancelCause(context.Background())
		return ctx
	}
	if _, _, err := w.Select(begin(), row); !errors.Is(err, stop) {
		t.Errorf("Select = %v, want the cause", err)
	}
	if got, want := said(w.rotate(begin(), row, &fakeSteps{})), "raised: Cancelled: the run stops"; got != want {
		t.Errorf("rotate: %s, want %s", got, want)
	}
}

// TestAHookThatIgnoresItsCancellationIsFatal: what is inside of one builtin
// cannot be stopped, so the process has to end, and the ledger makes that safe.
func TestAHookThatIgnoresItsCancellationIsFatal(t *testing.T) {
	for _, tt := range []struct{ name, run, text, want string }{
		{"rotate", "r2345", "workflow(users = users, rotate = lambda user, step: step.set(target, user.login, block()))", `rotate of user "ann" computes for more than 400ms, and cannot be stopped: the process ends; mend it, and rekey resume r2345 --accept-change goes on`},
		{"rotate", "", "workflow(users = users, rotate = lambda user, step: step.set(target, user.login, block()))", `rotate of user "ann" computes for more than 400ms, and cannot be stopped: the process ends; mend it`},
		{"select", "r2345", "workflow(users = users, backend = target, select = lambda user: block())", `select of user "ann" computes for more than 400ms, and cannot be stopped: the process ends; mend it`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			fatal := make(chan string)
			release := make(chan struct{})
			text := strings.ReplaceAll(tt.text, "block()", "str(print(\"x\"))")
			o := script(t, "target = backend(\"memory\")\nusers = rows([\"ann\"], key = \"login\")\n"+text)
			o.Limits = Limits{Compute: 400 * time.Millisecond}
			o.Fatal = func(line string) { fatal <- line; close(release) }
			o.Run = func() string { return tt.run }
			o.Print = writerFunc(func([]byte) { <-release }) // a builtin that does not return
			w := mustLoad(t, o)
			row := rowsOf(t, w)[0]
			ended := make(chan struct{})
			go func() {
				defer close(ended)
				if tt.name == "select" {
					_, _, _ = w.Select(context.Background(), row)
					return
				}
				w.rotate(context.Background(), row, &fakeSteps{})
			}()
			if got := <-fatal; got != tt.want {
				t.Errorf("fatal line %q, want %q", got, tt.want)
			}
			<-ended
		})
	}
}

// TestMemoryIsLimited: what doubles has few steps and takes little time.
func TestMemoryIsLimited(t *testing.T) {
	l := Limits{Steps: 1 << 60, Compute: time.Hour, Memory: 256 << 20}
	for _, grow := range []string{"x = [1]\n    for i in range(40):\n        x = x + x", "x = []\n    for i in range(1 << 40):\n        x.append([i])"} {
		uninterruptible := func(string) {} // on a busy machine the thread may be slow to end
		w := limitedWorkflow(t, "def rotate(user):\n    "+grow+"\nworkflow(users = users, rotate = rotate)", l, uninterruptible)
		v := w.rotate(context.Background(), rowsOf(t, w)[0], &fakeSteps{})
		got := said(v) // on a busy machine one list may be too long before the process is too large
		if !strings.HasPrefix(got, "raised: ScriptError: rotate was computing when the process took more than 256 MiB of memory (w.star:") &&
			!strings.HasPrefix(got, "raised: ScriptError: addition: the result would have more than 16777216 elements (w.star:") {
			t.Errorf("rotate: %s", got)
		}
	}
}

// TestAPanicFailsOneUser and no other: a defect of rekey is not the end of a run.
func TestAPanicFailsOneUser(t *testing.T) {
	w := limitedWorkflow(t, "workflow(users = users, rotate = lambda user, step: step.set(target, user.login, \"x\"))", Limits{}, nil)
	row := rowsOf(t, w)[0]
	f := &fakeSteps{before: func(journal.Step) { panic("boom") }}
	if got := said(w.rotate(context.Background(), row, f)); got != "raised: ScriptError: step.set: defect in rekey: boom (w.star:3)" {
		t.Errorf("rotate: %s", got)
	}
	if got := said(w.rotate(context.Background(), row, &fakeSteps{})); got != "returned" {
		t.Errorf("the next: %s", got)
	}
}

// TestNestingOfTheTextIsLimited, or the parser's stack would end the process.
func TestNestingOfTheTextIsLimited(t *testing.T) {
	for _, text := range []string{"(", "[", "{1:", "f(", "-", "not ", "lambda:", "[a for a in ", "1 if 1 else "} {
		if got := problems(t, script(t, "x = "+strings.Repeat(text, 20_000))); !strings.HasPrefix(got, "w.star:1:") || !strings.HasSuffix(got, ": excessive nesting") {
			t.Errorf("%q many times: %s", text, got)
		}
	}
	for _, text := range []string{"+1", ".a", "()", "[0]"} {
		if got := problems(t, script(t, "x = len"+strings.Repeat(text, 20_000)+tail)); got == "" {
			t.Errorf("%q many times: nothing is wrong", text)
		}
	}
}

// TestADeepValueIsFrozen: freezing what a script leaves is recursive.
func TestADeepValueIsFrozen(t *testing.T) {
	t.Parallel()
	deep := "def f():\n    a = []\n    for i in range(200000):\n        a = [a]\n    return a\nx = f()"
	if got := problems(t, script(t, deep+tail)); got != "" {
		t.Error(got)
	}
}

// TestRecursionEndsWithAnError, however it is hidden.
func TestRecursionEndsWithAnError(t *testing.T) {
	for _, text := range []string{"def f(x):\n    return f(x)\ny = f(1)", "f = lambda g: g(g)\ny = f(f)", "def f(x):\n    return sorted([x], key = f)\ny = f(1)"} {
		if got := problems(t, script(t, text+tail)); !strings.Contains(got, "called recursively") {
			t.Errorf("%s\n%s", text, got)
		}
	}
}

// TestProblemsOfAllKindsAreListedTogether: one check is enough to mend a script.
func TestProblemsOfAllKindsAreListedTogether(t *testing.T) {
	text := head + `def wave(user):
    return "canry" if user.taem == "it-ops" else "all"
def rotate(user, step):
    failed("no")
    step.verfy(target, user.login, "x")
workflow(users = users, rotate = rotate, wave = wave, order_by = ["taem"], waves = {"canary": wave_rule(hold = "x"), "all": wave_rule()})
`
	want := lines(`w.star:5:12: there is no wave "canry"; did you mean "canary"?`, `w.star:5:28: the users have no column "taem"; did you mean "team"?`,
		`w.star:7:5: the result of failed() is thrown away, so it says nothing; write return failed(…)`, `w.star:8:10: step has no "verfy"; did you mean "verify"?`,
		`w.star:9:55: order_by: the users have no column "taem"; did you mean "team"?`, `w.star:9:105: wave_rule: hold = "x": want "approval"`)
	if got := problems(t, script(t, text, "people.csv", people)); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestProblemsAreListedAndThenCounted(t *testing.T) {
	var b strings.Builder
	for i := range 30 {
		fmt.Fprintf(&b, "x%d = undefined_%d\n", i, i)
	}
	_, err := Load(context.Background(), script(t, b.String()))
	if got := strings.Count(err.Error(), "\n"); got != 20 || !strings.HasSuffix(err.Error(), "\nand 10 more") {
		t.Errorf("%d lines: %s", got+1, err)
	}
}

// TestStandardRotateEndsWithItsContext too, though no script runs.
func TestStandardRotateEndsWithItsContext(t *testing.T) {
	w := limitedWorkflow(t, "workflow(users = users, backend = target)", Limits{}, nil)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	v := w.rotate(ctx, rowsOf(t, w)[0], &fakeSteps{})
	if v.Fault == nil || v.Fault.Code != sdk.Cancelled {
		t.Errorf("rotate: %s", said(v))
	}
}
