package scripttest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/rekey-host/rekey/host"
	"github.com/rekey-host/rekey/host/report"
	"github.com/rekey-host/rekey/sdk"
	"github.com/rekey-host/rekey/sdk/secret"
)

// scene is what a test gives to t.run or t.plan.
type scene struct {
	script  string
	params  []string
	rows    []any // nil: the script's own users
	seeds   map[string]map[string]seed
	fails   []failure
	files   map[string]string // beside the script's own: where it runs
	approve bool
}

// played is what a run came to.
type played struct {
	world   *world
	out     host.Outcome
	err     error // the run could not begin
	users   []report.Line
	values  []host.Revealed
	reports map[string]string
	plan    []host.PlannedUser
	printed string
	records int   // of the first host
	silent  place // of which the first host heard nothing; its label is "" where that is nowhere
	took    time.Duration
}

// machine is what the hosts of a test file have in common.
type machine struct {
	config host.Config // but for what belongs to one run
	fatal  func(line string)
	key    string // the file of the identity of all runs
}

// stage is where one run takes place: its directories, its systems and its hosts.
type stage struct {
	machine *machine
	scene   *scene
	world   *world
	dir     string
	printed lines
	lives   int
}

// lines is an output that several goroutines write.
type lines struct {
	mu   sync.Mutex
	text strings.Builder
}

// Write takes a piece of the output.
func (l *lines) Write(piece []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(piece)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// newStage makes the directories of a run, in memory where the machine has that.
func newStage(machine *machine, scene *scene) (*stage, error) {
	dir, err := os.MkdirTemp(scratch(), "rekey-test-")
	if err != nil {
		return nil, err
	}
	if dir, err = filepath.EvalSymlinks(dir); err != nil {
		return nil, err
	}
	made := &stage{machine: machine, scene: scene, world: newWorld(scene), dir: dir}
	for name, text := range scene.files {
		path := filepath.Join(made.work(), filepath.Clean("/"+name))
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, []byte(text), 0o600)); err != nil {
			return nil, errors.Join(err, made.close())
		}
	}
	return made, os.MkdirAll(made.work(), 0o700)
}

// scratch is a directory for files of which nothing has to last; "": the system's.
func scratch() string {
	const inMemory = "/dev/shm"
	if info, err := os.Stat(inMemory); err == nil && info.IsDir() {
		return inMemory
	}
	return ""
}

func (s *stage) work() string { return filepath.Join(s.dir, "work") }

func (s *stage) close() error { return os.RemoveAll(s.dir) }

// host begins another host.
func (s *stage) host(ctx context.Context, happens scenario) (*host.Host, *life, error) {
	s.lives++
	made := &life{number: s.lives, scenario: happens}
	made.ctx, made.kill = context.WithCancel(ctx)
	s.world.recover()
	config := s.machine.config
	config.StateDir, config.WorkDir, config.IdentityPath = filepath.Join(s.dir, "state"), s.work(), s.machine.key
	config.Within = s.work()
	config.Stdout, config.Stderr = &lines{}, &s.printed
	config.Stdin, config.Taken, config.Prompt, config.Confirm, config.Progress, config.Planned = strings.NewReader(""), false, nil, nil, nil, nil
	config.LookupEnv = func(string) (string, bool) { return "", false }
	config.Random, config.Now, config.Clock = s.world.random, s.world.clock.Now, s.world.clock
	config.Fault = func(records int) error { s.world.clock.happens(); return made.fault(records) }
	config.Crash, config.Fatal = made.crash, s.machine.fatal
	config.StandIn = func(description sdk.Description, config sdk.Config) (host.StandIn, error) {
		return openFake(s.world, made, description, config)
	}
	opened, err := host.New(config)
	return opened, made, err
}

// most is how many hosts a run may need to come to its end.
const most = 40

// play takes the script from its plan to its end, through as many hosts as that needs.
func (s *stage) play(ctx context.Context, happens scenario) (*played, error) {
	made := &played{world: s.world}
	id, err := s.begin(ctx, happens, made)
	for tries := 0; err == nil && id != "" && s.next(made); tries++ {
		if tries == most {
			return nil, fmt.Errorf("run of %s does not end: it is %s", s.scene.script, made.out.Status)
		}
		err = s.resume(ctx, id, made)
	}
	if err != nil || id == "" {
		return made, err
	}
	made.took = s.world.clock.Now().Sub(began)
	return made, s.look(ctx, id, made)
}

// begin plans and applies the run, until it ends or its host does.
func (s *stage) begin(ctx context.Context, happens scenario, made *played) (id string, err error) {
	opened, life, err := s.host(ctx, happens)
	if err != nil {
		return "", err
	}
	defer life.kill()
	defer opened.Close()
	session, err := opened.Begin(life.ctx, host.Script{Path: s.scene.script, Params: s.scene.params, Rows: s.scene.rows}, host.RunOptions{Yes: true})
	if err != nil {
		made.err = err
		return "", nil
	}
	defer session.Close()
	out, err := session.Apply(life.ctx, life.ctx)
	made.records, made.silent = life.made(), life.silent
	return session.ID(), s.ended(made, life, out, err)
}

// resume goes on with the run.
func (s *stage) resume(ctx context.Context, id string, made *played) error {
	opened, life, err := s.host(ctx, scenario{})
	if err != nil {
		return err
	}
	defer life.kill()
	defer opened.Close()
	session, err := opened.Continue(life.ctx, id, host.RunOptions{Yes: true})
	if err != nil {
		return err
	}
	defer session.Close()
	if made.out.ExitCode == host.ExitHeld {
		if _, err := session.Approve(); err != nil {
			return err
		}
	}
	out, err := session.Resume(life.ctx, life.ctx)
	return s.ended(made, life, out, err)
}

// ended takes over what a host came to; of one that was killed, nothing.
func (s *stage) ended(made *played, life *life, out host.Outcome, err error) error {
	if life.dead() {
		made.out = host.Outcome{ExitCode: host.ExitInterrupted}
		return nil
	}
	made.out = out
	return err
}

// next reports whether another host is to go on, and lets the time pass that a person
// would.
func (s *stage) next(made *played) bool {
	switch made.out.ExitCode {
	case host.ExitInterrupted:
		s.world.clock.advance(time.Minute)
		return true
	case host.ExitHeld:
		return s.scene.approve
	case host.ExitUnknown:
		s.world.clock.advance(24 * time.Hour)
		return s.lives < 4
	}
	return false
}

// look reads what is on record of the run, and its reports.
func (s *stage) look(ctx context.Context, id string, made *played) error {
	opened, life, err := s.host(ctx, scenario{})
	if err != nil {
		return err
	}
	defer life.kill()
	defer opened.Close()
	all := host.ShowFilter{Statuses: []string{"pending", "done", "failed", "skipped", "partial", "unknown", "held"}}
	if made.out, err = keepCode(opened, id, all, made); err != nil {
		return err
	}
	err = opened.Reveal(ctx, id, host.RevealOptions{Unaudited: true}, func(revealed host.Revealed) error {
		made.values = append(made.values, revealed)
		return nil
	})
	if err != nil {
		return err
	}
	made.printed, made.reports = s.printed.String(), s.reports(made.out)
	return nil
}

// keepCode looks at the users; the exit code stays that of the run.
func keepCode(opened *host.Host, id string, all host.ShowFilter, made *played) (host.Outcome, error) {
	code, reports := made.out.ExitCode, made.out.Reports
	out, err := opened.Show(id, all, func(line report.Line) error { made.users = append(made.users, line); return nil })
	out.ExitCode, out.Reports = code, reports
	var empty *host.NobodyError
	if errors.As(err, &empty) {
		err = nil
	}
	return out, err
}

// reports are the files that the run wrote, by the paths in the script.
func (s *stage) reports(out host.Outcome) map[string]string {
	found := map[string]string{}
	for _, path := range out.Reports {
		if !filepath.IsAbs(path) {
			path = filepath.Join(s.work(), path)
		}
		text, err := os.ReadFile(path)
		if err != nil {
			continue
		}
		name, err := filepath.Rel(s.work(), path)
		if err != nil {
			name = path
		}
		found[name] = string(text)
	}
	return found
}

// plan freezes the plan of the script, and applies nothing.
func (s *stage) plan(ctx context.Context) (*played, error) {
	opened, life, err := s.host(ctx, scenario{})
	if err != nil {
		return nil, err
	}
	defer life.kill()
	defer opened.Close()
	made := &played{world: s.world}
	session, err := opened.Plan(life.ctx, host.Script{Path: s.scene.script, Params: s.scene.params, Rows: s.scene.rows}, host.RunOptions{})
	if err != nil {
		made.err = err
		return made, nil
	}
	defer session.Close()
	if made.out, err = session.Leave(life.ctx); err != nil {
		return nil, err
	}
	made.printed = s.printed.String()
	return made, opened.Users(session.ID(), func(user host.PlannedUser) error { made.plan = append(made.plan, user); return nil })
}

// every plays the script in all scenarios, and compares each with the run that
// nothing interferes with.
func every(ctx context.Context, machine *machine, scene *scene, base *played) error {
	for _, happens := range scenarios(base) {
		if err := against(ctx, machine, scene, base, happens); err != nil {
			return err
		}
	}
	return nil
}

// scenarios are all that can happen to the host of a run: a kill at each durable record,
// one behind each operation, and no answer to each, whether it arrived or not.
func scenarios(base *played) (list []scenario) {
	for record := 1; record <= base.records; record++ {
		list = append(list, scenario{record: record})
	}
	for operation := 1; operation <= base.world.changes; operation++ {
		list = append(list, scenario{answer: operation}, scenario{lose: operation}, scenario{lose: operation, lands: true})
	}
	return list
}

// against plays the script in one scenario.
func against(ctx context.Context, machine *machine, scene *scene, base *played, happens scenario) error {
	stage, err := newStage(machine, scene)
	if err != nil {
		return err
	}
	made, err := stage.play(ctx, happens)
	err = errors.Join(err, stage.close())
	if err == nil && made.err != nil {
		err = made.err
	}
	if err == nil {
		err = compare(base, made, happens)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", happens, err)
	}
	return nil
}

// String says what happens.
func (s scenario) String() string {
	switch {
	case s.record > 0:
		return fmt.Sprintf("killed when %d records were durable, and resumed", s.record)
	case s.answer > 0:
		return fmt.Sprintf("killed after operation %d was carried out, and resumed", s.answer)
	case s.lands:
		return fmt.Sprintf("no answer to operation %d, which was carried out; then resumed", s.lose)
	case s.lose > 0:
		return fmt.Sprintf("operation %d was lost; then resumed", s.lose)
	}
	return "nothing happens"
}

// diverged is the code of a user whose hook took another way when it was run again.
const diverged = "Diverged"

// compare looks whether what rekey promises holds, and whether the script comes to the
// same: base is nil where there is nothing to compare with.
func compare(base, made *played, happens scenario) error {
	for _, user := range made.users {
		if user.Code == diverged {
			return fmt.Errorf("rotate of user %q takes another way when it is run again: %s", user.Key, user.Message)
		}
	}
	if err := kept(made); err != nil || base == nil {
		return err
	}
	if err := takenAgain(made); err != nil {
		return err
	}
	if happens.lose == 0 {
		if err := once(base, made); err != nil {
			return err
		}
	}
	return alike(base, made, happens)
}

// takenAgain looks whether a step that rotate took behind a lost answer was taken again
// at the resume: one that was not stays unknown, though its target answers.
func takenAgain(made *played) error {
	for _, user := range made.users {
		for _, step := range user.Steps {
			at := place{step.Backend, step.Account, step.Kind}
			if step.Outcome == "unknown" && made.silent.label != "" && at != made.silent {
				return fmt.Errorf("rotate of user %q takes another way when it is run again: when no answer came to %s it went on with %s of %s, and does not once that is settled; return when .outcome is \"unknown\"", user.Key, made.silent, step.Step, at)
			}
		}
	}
	return nil
}

// kept looks whether the ledger holds what each account has now.
func kept(made *played) error {
	for at, values := range made.world.given {
		now := made.world.present[at]
		held := slices.ContainsFunc(made.values, func(revealed host.Revealed) bool {
			return revealed.Backend == at.label && revealed.Account == at.account && revealed.Kind == at.kind && secret.New(revealed.Password).Equal(now)
		})
		if !held && len(values) > 0 {
			return fmt.Errorf("%s has a value that the ledger does not hold", at)
		}
	}
	return nil
}

// once looks whether no account was given more values than without a kill.
func once(base, made *played) error {
	for at, values := range made.world.given {
		if before := len(base.world.given[at]); len(values) > before {
			return fmt.Errorf("%s was given %d values, and %d when nothing is killed: a value is made anew at a resume", at, len(values), before)
		}
	}
	return nil
}

// alike looks whether each user ends as it does when nothing is killed. What cannot be
// settled may stay unknown, and of what was lost more may be partial.
func alike(base, made *played, happens scenario) error {
	for _, user := range made.users {
		i := slices.IndexFunc(base.users, func(other report.Line) bool { return other.Key == user.Key })
		if i < 0 || happens.lose > 0 && user.Status.Failure() || user.Status == "unknown" {
			continue
		}
		if was := base.users[i]; was.Status != user.Status {
			return fmt.Errorf("user %q is %s (%s), and %s when nothing happens", user.Key, user.Status, reasonOf(user), was.Status)
		}
	}
	return nil
}

func reasonOf(user report.Line) string {
	return strings.TrimSpace(user.Code + " " + user.Message)
}
