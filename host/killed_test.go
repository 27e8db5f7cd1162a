package host_test

import (
	"bufio"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	mathrand "math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rekey-host/rekey/host/engine"
	"github.com/rekey-host/rekey/host/journal"
	"github.com/rekey-host/rekey/host/ledger"
	"github.com/rekey-host/rekey/host/source"
	"github.com/rekey-host/rekey/sdk"
	"github.com/rekey-host/rekey/sdk/memory"
	"github.com/rekey-host/rekey/sdk/secret"
	"github.com/rekey-host/rekey/sdk/serve"
)

// workDir names the directory in which a child of the test applies a run.
const workDir = "REKEY_TEST_APPLY"

// TestMain turns the test binary into a bundled backend when it is started as
// rekey would, and into the child of a test that kills it.
func TestMain(m *testing.M) {
	if len(os.Args) == 3 && os.Args[1] == "serve-backend" {
		serve.Main(memory.New())
	}
	if dir := os.Getenv(workDir); dir != "" {
		if err := applyIn(dir); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	if text := os.Getenv(lifeEnv); text != "" {
		if err := liveAs(text); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// unhurried is the setting without which a process with the race detector waits
// a second before it ends.
func unhurried() string {
	return "GORACE=" + strings.TrimSpace(os.Getenv("GORACE")+" atexit_sleep_ms=0")
}

// accounts is a system whose accounts outlive everybody: each value that one is
// given is a line of a file, written before it is answered.
type accounts struct {
	mu   sync.Mutex
	file *os.File
}

func (a *accounts) Submit(ops []sdk.Operation, answer func(int, sdk.Receipt)) {
	for n, op := range ops {
		a.mu.Lock()
		_, err := fmt.Fprintf(a.file, "%s\t%s\n", op.Account, op.Value.Reveal())
		a.mu.Unlock()
		if err != nil {
			answer(n, sdk.Refuse(sdk.Errorf(sdk.TargetUnavailable, "write")))
			continue
		}
		answer(n, sdk.OK())
	}
}

func (*accounts) Ask(context.Context, sdk.Operation) sdk.Receipt { return sdk.OK() }
func (*accounts) Find(context.Context, string) (sdk.Account, error) {
	return sdk.Account{}, sdk.Errorf(sdk.Unsupported, "find")
}
func (*accounts) Policy(context.Context, string, string) (sdk.Policy, error) {
	return sdk.Policy{}, nil
}
func (*accounts) Verify(context.Context, string, string, secret.Value) (sdk.Verdict, error) {
	return sdk.CannotTell, nil
}
func (*accounts) Generate(context.Context, string, int) ([]secret.Value, error) { return nil, nil }
func (*accounts) Check(context.Context) []sdk.Finding                           { return nil }

// twoSets gives a user's two accounts one generated value.
type twoSets struct{}

func (twoSets) Rotate(ctx context.Context, row source.Row, s *engine.Steps) journal.Verdict {
	v, err := s.Generate(ctx, engine.GenerateStep{})
	for _, label := range []string{"one", "two"} {
		var r journal.Result
		if err == nil {
			r, err = s.Do(ctx, journal.Step{Verb: "set", Backend: label, Account: label + "/" + row.Key, Value: v})
		}
		if err == nil && !r.OK() {
			err = &journal.Fault{Code: r.Code, Message: r.Message}
		}
	}
	var f *journal.Fault
	if errors.As(err, &f) {
		return journal.Verdict{Kind: journal.Raised, Fault: f}
	}
	return journal.Verdict{}
}

const killedUsers = 4000

func openStore(dir string) (*ledger.Store, ledger.Keys, error) {
	store, err := ledger.Open(filepath.Join(dir, "state"), ledger.Options{Now: time.Now, Rand: rand.Reader})
	if err != nil {
		return nil, ledger.Keys{}, err
	}
	keys, _, err := ledger.LoadKeys(filepath.Join(dir, "identity.txt"), nil)
	return store, keys, err
}

func rules() []journal.WaveRule {
	return []journal.WaveRule{{Name: "all", MaxFailures: -1, MaxPercent: -1}}
}

// planIn freezes a run in the directory.
func planIn(dir string) (string, error) {
	store, keys, err := openStore(dir)
	if err != nil {
		return "", err
	}
	defer store.Close()
	d, err := store.Draft(ledger.Header{Script: "killed.star", Created: time.Now()}, keys)
	if err != nil {
		return "", err
	}
	var list []any
	for i := range killedUsers {
		list = append(list, fmt.Sprintf("user%d", i))
	}
	users, err := source.List(source.ListOptions{Items: list, Key: "login"})
	if err != nil {
		return "", err
	}
	if _, err := engine.MakePlan(context.Background(), engine.PlanJob{Users: users, Waves: rules(), Draft: d, Hooks: twoSets{},
		Backends: backendsOn(nil), Random: rand.Reader}); err != nil {
		return "", err
	}
	r, err := d.Freeze([]ledger.WavePlan{{Name: "all"}})
	if err != nil {
		return "", err
	}
	if err := os.WriteFile(filepath.Join(dir, "run"), []byte(r.ID()), 0o600); err != nil {
		return "", err
	}
	return r.ID(), r.Close()
}

func backendsOn(file *os.File) []engine.Backend {
	var list []engine.Backend
	for _, label := range []string{"one", "two"} {
		list = append(list, engine.Backend{Label: label, Instance: &accounts{file: file}, Concurrency: 16, Timeout: time.Second,
			Attempts: 5, Patience: time.Minute, Description: sdk.Description{Name: "file", Verbs: []sdk.Verb{sdk.Set}, ReplaySafe: []sdk.Verb{sdk.Set}}})
	}
	return list
}

// applyIn is the child: it applies the directory's only run.
func applyIn(dir string) error {
	store, keys, err := openStore(dir)
	if err != nil {
		return err
	}
	defer store.Close()
	name, err := os.ReadFile(filepath.Join(dir, "run"))
	if err != nil {
		return err
	}
	id := string(name)
	r, err := store.Lock(id, keys)
	if err != nil {
		return err
	}
	defer r.Close()
	file, err := os.OpenFile(filepath.Join(dir, "effects"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer file.Close()
	if err := r.Commit([]*journal.Record{{Kind: journal.Started, Detail: journal.Detail{Command: "resume"}}}); err != nil {
		return err
	}
	_, err = engine.Apply(context.Background(), engine.Job{ID: id, Journal: r, Vault: r, Plan: r, Backends: backendsOn(file), Hooks: twoSets{},
		Row:   func(u ledger.User) (source.Row, error) { return source.Row{Key: u.Key}, nil },
		Waves: rules(), Planned: []int64{killedUsers}, Approved: func(string) bool { return true },
		Clock: engine.SystemClock{}, Random: rand.Reader, Stop: context.Background()})
	if err != nil {
		return err
	}
	return r.Commit([]*journal.Record{{Kind: journal.Ended, Detail: journal.Detail{State: journal.StateFinished}}})
}

// TestKilledAtAnyMomentEveryPasswordIsKnown kills the applying process with
// SIGKILL at random moments and resumes it, until enough kills have hit. Every
// value that an account ever got is one that the ledger holds sealed for it, no
// account was sent two different ones, and every user ends with one status.
func TestKilledAtAnyMomentEveryPasswordIsKnown(t *testing.T) {
	const wanted = 50
	kills, runs := 0, 0
	for ; kills < wanted && runs < 40; runs++ {
		dir := t.TempDir()
		id, err := planIn(dir)
		if err != nil {
			t.Fatal(err)
		}
		kills += killUntilDone(t, dir)
		checkKnown(t, dir, id)
	}
	t.Logf("counts: %d kills that hit, %d runs of %d users, 0 values unknown to the ledger", kills, runs, killedUsers)
	if kills < wanted {
		t.Errorf("only %d kills hit: too few to prove anything", kills)
	}
}

// killUntilDone starts the child again and again and returns how many of its
// lives were ended by a kill.
func killUntilDone(t *testing.T, dir string) int {
	t.Helper()
	for kills := 0; ; kills++ {
		child := exec.Command(os.Args[0])
		child.Env = append(os.Environ(), workDir+"="+dir, unhurried())
		child.Stderr = os.Stderr
		if err := child.Start(); err != nil {
			t.Fatal(err)
		}
		var kill *time.Timer
		if kills < 6 {
			kill = time.AfterFunc(time.Duration(20+mathrand.IntN(100))*time.Millisecond, func() { _ = child.Process.Kill() })
		}
		err := child.Wait()
		if kill != nil {
			kill.Stop()
		}
		if err == nil {
			return kills
		}
		if child.ProcessState.ExitCode() == 1 {
			t.Fatal("the child failed")
		}
	}
}

func checkKnown(t *testing.T, dir, id string) {
	t.Helper()
	store, keys, err := openStore(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	r, err := store.ReadWith(id, keys)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	counts, err := r.Counts()
	if err != nil || counts.Done != killedUsers || counts.Total != killedUsers {
		t.Fatalf("%+v, %v; want %d done", counts, err, killedUsers)
	}
	known := map[string]string{}
	err = r.Intents(func(string, string, string, string, int64) error { return nil })
	if err != nil {
		t.Fatal(err)
	}
	err = r.Each(ledger.Filter{}, ledger.OrderApply, func(u ledger.User) error {
		for _, c := range ledger.Candidates(u.History) {
			v, err := r.Unseal(u.Pos, c.Step, c.Try, "value", c.Sealed)
			if err != nil {
				return err
			}
			if was, twice := known[c.Account]; twice && was != v.Reveal() {
				t.Errorf("the ledger holds two values for %s", c.Account)
			}
			known[c.Account] = v.Reveal()
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	compareEffects(t, dir, known)
}

func compareEffects(t *testing.T, dir string, known map[string]string) {
	t.Helper()
	file, err := os.Open(filepath.Join(dir, "effects"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	seen := map[string]bool{}
	for lines := bufio.NewScanner(file); lines.Scan(); {
		account, value, _ := strings.Cut(lines.Text(), "\t")
		seen[account] = true
		if known[account] != value {
			t.Fatalf("%s got a value that the ledger does not hold", account)
		}
	}
	if len(seen) != 2*killedUsers {
		t.Errorf("%d accounts were given a value, want %d", len(seen), 2*killedUsers)
	}
}
