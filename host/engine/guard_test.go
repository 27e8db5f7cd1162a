package engine

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"

	"github.com/rekey-host/rekey/host/journal"
	"github.com/rekey-host/rekey/host/source"
	"github.com/rekey-host/rekey/sdk"
)

// rotten panics where a test wants it to.
type rotten struct {
	*target
	submits, answers, resolves, looks bool
}

func (x *rotten) Submit(ops []sdk.Operation, answer func(int, sdk.Receipt)) {
	if x.submits {
		panic("while a frame is sent")
	}
	if x.answers {
		go answer(len(ops), sdk.OK()) // of an operation that was not asked for
		return
	}
	x.target.Submit(ops, answer)
}

func (x *rotten) Resolve(ctx context.Context, names []string) ([]sdk.Identity, error) {
	if x.resolves {
		panic("while names are resolved")
	}
	return x.target.Resolve(ctx, names)
}

func (x *rotten) Find(ctx context.Context, account string) (sdk.Account, error) {
	if x.looks {
		panic("while an account is looked for")
	}
	return x.target.Find(ctx, account)
}

// rottenBook panics where it commits.
type rottenBook struct{ *book }

func (rottenBook) Commit([]*journal.Record) error { panic("while records are written") }

// rots are what panics, and whether it is over one user.
var rots = []struct {
	name  string
	make  func(*Job, *rotten)
	named bool
}{
	{"a hook", func(j *Job, _ *rotten) {
		j.Hooks = script(func(context.Context, source.Row, *Steps) journal.Verdict { panic("in a hook") })
	}, true},
	{"a step", func(j *Job, x *rotten) {
		x.looks = true
		set := j.Hooks
		j.Hooks = script(func(ctx context.Context, row source.Row, s *Steps) journal.Verdict {
			_, _ = s.Do(ctx, journal.Step{Verb: journal.Find, Backend: "a", Account: row.Key})
			return set.Rotate(ctx, row, s)
		})
	}, true},
	{"the dispatcher", func(_ *Job, x *rotten) { x.submits = true }, false},
	{"an answer", func(_ *Job, x *rotten) { x.answers = true }, false},
	{"the resolver", func(j *Job, x *rotten) {
		x.resolves = true
		j.Backends[0].Abilities = append(j.Backends[0].Abilities, sdk.CanResolve)
	}, false},
	{"the committer", func(j *Job, _ *rotten) { j.Journal = rottenBook{j.Journal.(*book)} }, false},
}

// rotEnv tells the test to be a process that panics: which of rots, over how many
// users.
const rotEnv = "ENGINE_TEST_ROT"

// TestAPanicOfAnyGoroutineIsTold with its user where it is over one, in batches or
// without: the process then ends with a line, not with a trace.
func TestAPanicOfAnyGoroutineIsTold(t *testing.T) {
	var rot, users int
	if n, _ := fmt.Sscan(os.Getenv(rotEnv), &rot, &users); n == 2 {
		panicsNow(t, rot, users)
		return
	}
	for i, c := range rots {
		for _, users := range []int{1, 60} {
			cmd := exec.Command(os.Args[0], "-test.run=^"+t.Name()+"$", "-test.timeout=60s")
			cmd.Env = append(os.Environ(), fmt.Sprintf("%s=%d %d", rotEnv, i, users))
			said, _ := cmd.CombinedOutput()
			want := `told of ""`
			if c.named {
				want = `told of "user`
			}
			if text := string(said); cmd.ProcessState.ExitCode() != 7 || strings.Count(text, "told of") != 1 || !strings.HasPrefix(text, want) {
				t.Errorf("%s, %d users: exit %d, want one line that begins with %s:\n%.300s", c.name, users, cmd.ProcessState.ExitCode(), want, text)
			}
		}
	}
}

// panicsNow applies a run that panics, and ends the process when that is told.
func panicsNow(t *testing.T, rot, users int) {
	b := newBook(users)
	x := &rotten{target: newTarget(t, b)}
	be := x.backend("a")
	be.Instance = x
	job := jobOf(b, generateAndSet("a"), be)
	var once sync.Mutex // for good: the process ends
	job.Panicked = func(user string, _ any, stack []byte) {
		once.Lock()
		fmt.Printf("told of %q, %v\n", user, len(stack) > 0)
		os.Exit(7)
	}
	rots[rot].make(&job, x)
	_, err := Apply(t.Context(), job)
	t.Fatalf("Apply() = %v, and nothing was told", err)
}
