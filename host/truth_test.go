package host_test

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	mathrand "math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rekey-host/rekey/host/engine"
	"github.com/rekey-host/rekey/host/journal"
	"github.com/rekey-host/rekey/host/ledger"
	"github.com/rekey-host/rekey/host/report"
	"github.com/rekey-host/rekey/host/source"
	"github.com/rekey-host/rekey/sdk"
	"github.com/rekey-host/rekey/sdk/memory"
	"github.com/rekey-host/rekey/sdk/secret"
)

// play is one random workflow on the memory backend, with everything that may
// happen to it.
type play struct {
	t    *testing.T
	dice *mathrand.Rand
	mu   sync.Mutex // guards dice, left, dead

	store    *ledger.Store
	keys     ledger.Keys
	accounts map[string]*memory.Store // by label
	backends []engine.Backend
	names    []string // keys of the source
	scenes   []scenery
	revert   bool

	left int  // crash points until the process dies
	dead bool // nothing has an effect any more
	calm bool // nothing is refused or lost
	over context.CancelFunc
}

// scenery is one step of the script.
type scenery struct {
	verb, label string
	fresh       bool // a new value is made before it
	tries       bool // its refusal does not end the hook
	alias       bool // of every third user it names another user's account
}

// newPlay makes a script of one to five steps over one or two backends and a
// source of three to eight users.
func newPlay(t *testing.T, dir string, seed uint64) *play {
	t.Helper()
	p := &play{t: t, dice: mathrand.New(mathrand.NewPCG(seed, 7)), accounts: map[string]*memory.Store{}}
	var err error
	p.store, err = ledger.Open(filepath.Join(dir, fmt.Sprint(seed)), ledger.Options{Now: time.Now, Rand: rand.Reader, OSUser: "ann", Host: "test", Crash: p.passes})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.store.Close() })
	if p.keys, _, err = ledger.LoadKeys(filepath.Join(dir, "identity.txt"), nil); err != nil {
		t.Fatal(err)
	}
	for i := range 3 + p.dice.IntN(6) {
		p.names = append(p.names, fmt.Sprintf("user%d", i))
	}
	p.revert = p.dice.IntN(3) == 0
	labels := []string{"one", "two"}[:1+p.dice.IntN(2)]
	for _, label := range labels {
		p.open(label)
	}
	verbs := []string{"set", "set", "set", "change", "reset", "verify", "find", "unlock", "revoke"}
	for range 1 + p.dice.IntN(5) {
		b := p.backends[p.dice.IntN(len(labels))]
		verb := verbs[p.dice.IntN(len(verbs))]
		if verb == "verify" && !b.Can(sdk.CanVerify) {
			verb = "find"
		}
		p.scenes = append(p.scenes, scenery{verb: verb, label: b.Label, fresh: p.dice.IntN(2) == 0, tries: p.dice.IntN(3) == 0, alias: p.dice.IntN(4) == 0})
	}
	return p
}

// open makes a backend whose accounts have the value "old".
func (p *play) open(label string) {
	accounts := &memory.Store{}
	b := &memory.Backend{Store: accounts, Inject: p.inject}
	instance, err := b.Configure(context.Background(), sdk.Config{Label: label, Concurrency: 4, Timeout: time.Second, Values: map[string]any{"create": true}})
	if err != nil {
		p.t.Fatal(err)
	}
	p.accounts[label] = accounts
	p.calm = true
	for i, name := range p.names {
		instance.Apply(context.Background(), sdk.Operation{ID: fmt.Sprintf("old-%s-%d", label, i), Attempt: 1, Verb: sdk.Set, Account: name, Value: secret.New("old")})
	}
	p.calm = false
	abilities := []sdk.Ability{sdk.CanFind, sdk.CanReset, sdk.CanUnlock, sdk.CanRevoke, sdk.CanGenerate}
	if p.dice.IntN(3) > 0 {
		abilities = append(abilities, sdk.CanVerify)
	}
	d := b.Describe()
	if p.dice.IntN(3) == 0 {
		d.ReplaySafe = nil
	}
	p.backends = append(p.backends, engine.Backend{Label: label, Description: d, Abilities: abilities, Instance: direct{instance},
		Concurrency: 4, Timeout: time.Millisecond, Attempts: 3, Patience: time.Second})
}

// passes counts crash points down to the death of the process.
func (p *play) passes(string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.left--; p.left == 0 && !p.dead {
		p.dead = true
		p.over()
	}
}

// inject is what may happen to an operation on its way.
func (p *play) inject(_ context.Context, op sdk.Operation) *memory.Fault {
	p.mu.Lock()
	defer p.mu.Unlock()
	lost := sdk.Lost(sdk.Errorf(sdk.ConnectionLost, "cut"))
	if p.dead {
		return &memory.Fault{Receipt: lost}
	}
	if p.calm {
		return nil
	}
	switch p.dice.IntN(8) {
	case 0:
		return &memory.Fault{Receipt: lost, Applied: p.dice.IntN(2) == 0}
	case 1:
		codes := []sdk.Code{sdk.PermissionDenied, sdk.PolicyViolation, sdk.AccountStatus, sdk.Conflict, sdk.ReadOnly, sdk.TargetError}
		return &memory.Fault{Receipt: sdk.Refuse(sdk.Errorf(codes[p.dice.IntN(len(codes))], "no"))}
	}
	return nil
}

// Rotate is the script.
func (p *play) Rotate(ctx context.Context, row source.Row, s *engine.Steps) journal.Verdict {
	value := journal.Given(secret.New("given-" + row.Key))
	for i, scene := range p.scenes {
		if scene.fresh || i == 0 {
			var err error
			if value, err = s.Generate(ctx, engine.GenerateStep{}); err != nil {
				return raised(journal.Result{}, err)
			}
		}
		account := row.Key
		if scene.alias && row.Line%3 == 0 {
			account = p.names[(row.Line+1)%len(p.names)]
		}
		step := journal.Step{Verb: scene.verb, Backend: scene.label, Account: account, Value: value}
		if scene.verb == "change" {
			step.Old = journal.Given(secret.New("old"))
		}
		r, err := s.Do(ctx, step)
		if err != nil || !r.OK() && !scene.tries {
			return raised(r, err)
		}
	}
	return journal.Verdict{}
}

// plan freezes the run.
func (p *play) plan() string {
	p.t.Helper()
	d, err := p.store.Draft(ledger.Header{Script: "play.star", Created: time.Now(), OSUser: "ann"}, p.keys)
	if err != nil {
		p.t.Fatal(err)
	}
	var items []any
	for _, name := range p.names {
		items = append(items, name)
	}
	users, err := source.List(source.ListOptions{Items: items, Key: "login"})
	if err != nil {
		p.t.Fatal(err)
	}
	rule := []journal.WaveRule{{Name: "all", MaxFailures: -1, MaxPercent: -1}}
	if _, err = engine.MakePlan(context.Background(), engine.PlanJob{Users: users, Waves: rule, Draft: d, Hooks: p, Backends: p.backends, Random: rand.Reader}); err != nil {
		p.t.Fatal(err)
	}
	r, err := d.Freeze([]ledger.WavePlan{{Name: "all"}})
	if err != nil {
		p.t.Fatal(err)
	}
	defer r.Close()
	return r.ID()
}

// mortalJournal is the run's, until the process is dead.
type mortalJournal struct {
	*ledger.Run
	p *play
}

func (j mortalJournal) Commit(recs []*journal.Record) error {
	j.p.mu.Lock()
	dead := j.p.dead
	j.p.mu.Unlock()
	if dead {
		return errDead
	}
	return j.Run.Commit(recs)
}

// live is one process: it resumes the run and dies after so many crash points,
// or comes to its end.
func (p *play) live(id string, points int) (died bool) {
	p.t.Helper()
	r, err := p.store.Lock(id, p.keys)
	if err != nil {
		p.t.Fatal(err)
	}
	defer r.Close()
	p.reopen(r)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	p.mu.Lock()
	p.left, p.dead, p.over = points, false, cancel
	p.mu.Unlock()
	_, err = engine.Apply(ctx, engine.Job{ID: id, Journal: mortalJournal{r, p}, Vault: r, Plan: r, Backends: p.backends, Hooks: p,
		Row: func(u ledger.User) (source.Row, error) {
			return source.Row{Key: u.Key, Line: slices.Index(p.names, u.Key)}, nil
		},
		Waves: []journal.WaveRule{{Name: "all", MaxFailures: -1, MaxPercent: -1}}, Planned: []int64{int64(len(p.names))}, Approved: func(string) bool { return true },
		Revert: p.revert, Known: func(string, string, string) (secret.Value, bool, error) { return secret.New("old"), true, nil },
		Clock: atOnce{}, Random: rand.Reader, Stop: context.Background(), Crash: p.passes})
	p.mu.Lock()
	defer p.mu.Unlock()
	if err != nil && !p.dead {
		p.t.Fatal(err)
	}
	return p.dead
}

// atOnce is a clock on which every wait is over at once.
type atOnce struct{}

func (atOnce) Now() time.Time                                   { return time.Now() }
func (atOnce) Sleep(ctx context.Context, _ time.Duration) error { return context.Cause(ctx) }

// reopen puts users back whose outcome is not known, as resume does.
func (p *play) reopen(r *ledger.Run) {
	p.t.Helper()
	var back []*journal.Record
	err := r.Each(ledger.Filter{Status: []journal.Status{journal.Unresolved}}, ledger.OrderApply, func(u ledger.User) error {
		back = append(back, &journal.Record{Kind: journal.Reopened, User: u.Pos})
		return nil
	})
	if err = errors.Join(err, r.Commit(back)); err != nil {
		p.t.Fatal(err)
	}
}

// claims compares what the report says of each user with what the backends
// have now, and returns how many users have which status.
func (p *play) claims(id string) map[journal.Status]int {
	p.t.Helper()
	r, err := p.store.ReadWith(id, p.keys)
	if err != nil {
		p.t.Fatal(err)
	}
	defer r.Close()
	n := map[journal.Status]int{}
	owners := map[string]string{}
	view := report.View{Run: id, Unseal: r.Unseal}
	for _, b := range p.backends {
		view.Labels = append(view.Labels, b.Label)
	}
	err = r.Each(ledger.Filter{}, ledger.OrderApply, func(u ledger.User) error {
		n[u.Status]++
		res, err := report.Build(view, u)
		if err == nil && u.Status == journal.Done {
			p.claim(u, res, owners)
		}
		return err
	})
	if err != nil {
		p.t.Fatal(err)
	}
	return n
}

// claim checks one user who is done: something was applied, the present value
// of each account logs on, and no other user has the account.
func (p *play) claim(u ledger.User, res report.Result, owners map[string]string) {
	p.t.Helper()
	changed := false
	for _, c := range ledger.Candidates(u.History) {
		if c.State != journal.CandidateApplied {
			continue
		}
		changed = true
		place := c.Backend + "/" + strings.ToLower(c.Account)
		if was, taken := owners[place]; taken && was != u.Key {
			p.t.Errorf("%v: %s and %s are done, and share %s", p.scenes, was, u.Key, place)
		}
		owners[place] = u.Key
	}
	asked := slices.ContainsFunc(u.History, func(r journal.Record) bool { return r.Verb == "verify" || r.Verb == "unlock" || r.Verb == "revoke" })
	if !changed && !asked && !slices.ContainsFunc(u.History, func(r journal.Record) bool { return r.Verb == "reset" }) {
		p.t.Errorf("%v: %s is done, and nothing was changed", p.scenes, u.Key)
	}
	for name, value := range res.Values.Passwords() {
		if value.Present() && !p.logsOn(u, name, value) {
			p.t.Errorf("%v: %s is done, and the reported password of %s is not accepted", p.scenes, u.Key, name)
		}
	}
}

// logsOn reports whether an account that the user changed accepts the value.
func (p *play) logsOn(u ledger.User, name string, value secret.Value) bool {
	for _, c := range ledger.Candidates(u.History) {
		if c.State != journal.CandidateApplied || !strings.HasPrefix(name, c.Backend) {
			continue
		}
		i := slices.IndexFunc(p.backends, func(b engine.Backend) bool { return b.Label == c.Backend })
		if verdict, err := p.backends[i].Instance.Verify(context.Background(), c.Account, "", value); err == nil && verdict == sdk.Accepted {
			return true
		}
	}
	return false
}

// TestGreenIsTrue: for random scripts, sources, refusals, lost answers, deaths
// and resumes every password that is reported for a user who is done logs on
// now, something was applied for each, and no two users share an account. If
// nobody is left and nobody failed, the run exits 0 on just that.
func TestGreenIsTrue(t *testing.T) {
	rounds := uint64(100)
	if testing.Short() {
		rounds = 40
	}
	dir := inMemory(t)
	deaths, green, ends := 0, 0, map[journal.Status]int{}
	for seed := range rounds {
		p := newPlay(t, dir, seed)
		id := p.plan()
		for process := range 10 {
			p.calm = process > 4
			points := 1 << 30
			if process < 5 {
				points = 1 + p.dice.IntN(120)
			}
			if p.live(id, points) {
				deaths++
				p.claims(id)
				continue
			}
			n := p.claims(id)
			if n[journal.Pending]+n[journal.Unresolved] == 0 {
				break
			}
		}
		n := p.claims(id)
		for status, count := range n {
			ends[status] += count
		}
		if n[journal.Done]+n[journal.Skipped] == len(p.names) {
			green++
		}
	}
	t.Logf("counts: green is true: %d runs, %d deaths, %d runs that exit 0, users %v", rounds, deaths, green, ends)
	if deaths < int(rounds) || green < int(rounds)/10 || ends[journal.Done] < int(rounds) || ends[journal.Failed] < int(rounds)/4 {
		t.Error("too little happened to prove anything")
	}
}
