package engine

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/rekey-host/rekey/host/journal"
	"github.com/rekey-host/rekey/host/ledger"
	"github.com/rekey-host/rekey/host/source"
	"github.com/rekey-host/rekey/sdk"
	"github.com/rekey-host/rekey/sdk/secret"
)

// book is a ledger in memory: what Apply needs of one, and what tests look at.
type book struct {
	mu      sync.Mutex
	records []journal.Record
	users   int
	waveOf  func(pos int64) int
	broken  error // what Commit fails with
	sealed  map[string]bool
	at      func() time.Time // of records; nil: none
}

func newBook(users int) *book {
	return &book{users: users, waveOf: func(int64) int { return 0 }, sealed: map[string]bool{}}
}

func (b *book) Commit(recs []*journal.Record) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.broken != nil {
		return b.broken
	}
	for _, r := range recs {
		r.Index = int64(len(b.records))
		if b.at != nil {
			r.At = b.at()
		}
		b.records = append(b.records, *r)
		if r.Kind == journal.Intent {
			b.sealed[r.Account+"\x00"+string(r.Sealed)] = true
		}
	}
	return nil
}

// holds reports whether a durable intent carries the value for the account.
func (b *book) holds(account, value string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.sealed[account+"\x00"+value]
}

func (b *book) Seal(_ int64, _, _ int, _ string, v secret.Value) []byte { return []byte(v.Reveal()) }

func (b *book) Unseal(_ int64, _, _ int, _ string, sealed []byte) (secret.Value, error) {
	return secret.New(string(sealed)), nil
}

func (b *book) OpenUsers(wave int, after int64, limit int) ([]ledger.User, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	byUser := map[int64][]journal.Record{}
	for _, r := range b.records {
		byUser[r.User] = append(byUser[r.User], r)
	}
	var list []ledger.User
	for pos := after + 1; pos <= int64(b.users) && len(list) < limit; pos++ {
		if b.waveOf(pos) == wave && statusIn(byUser[pos]) == journal.Pending {
			list = append(list, ledger.User{Pos: pos, Key: keyOf(pos), Wave: wave, History: byUser[pos]})
		}
	}
	return list, nil
}

func statusIn(records []journal.Record) journal.Status {
	s := journal.Pending
	for _, r := range records {
		switch r.Kind {
		case journal.Finished:
			s = r.Detail.Status
		case journal.Reopened:
			s = journal.Pending
		}
	}
	return s
}

func (b *book) Intents(fn func(backend, account, cred, identity string, user int64) error) error {
	for _, r := range b.records {
		if r.Kind == journal.Intent {
			if err := fn(r.Backend, r.Account, r.Cred, r.Detail.Identity, r.User); err != nil {
				return err
			}
		}
	}
	return nil
}

// user returns a user's records.
func (b *book) user(pos int64) []journal.Record {
	b.mu.Lock()
	defer b.mu.Unlock()
	var list []journal.Record
	for _, r := range b.records {
		if r.User == pos {
			list = append(list, r)
		}
	}
	return list
}

// counts counts the users by status.
func (b *book) counts() map[journal.Status]int {
	n := map[journal.Status]int{}
	for pos := int64(1); pos <= int64(b.users); pos++ {
		n[statusIn(b.user(pos))]++
	}
	return n
}

func (b *book) finished(pos int64) journal.Record {
	var last journal.Record
	for _, r := range b.user(pos) {
		if r.Kind == journal.Finished {
			last = r
		}
	}
	return last
}

func keyOf(pos int64) string { return fmt.Sprintf("user%d", pos) }

// target is a system with accounts, and the instance that speaks for it. Its
// say decides what becomes of an operation.
type target struct {
	t      *testing.T
	book   *book
	mu     sync.Mutex
	values map[string][]string // every value that an account ever got
	say    func(n int, op sdk.Operation) sdk.Receipt
	n      int
	work   time.Duration
	verify func(account, value string) sdk.Verdict
	policy sdk.Policy

	resolve func(names []string) ([]sdk.Identity, error)

	bad bool // what Check finds
}

func newTarget(t *testing.T, b *book) *target {
	return &target{t: t, book: b, values: map[string][]string{}}
}

// take applies an operation.
func (x *target) take(op sdk.Operation) {
	x.values[op.Account] = append(x.values[op.Account], op.Value.Reveal())
}

func (x *target) current(account string) string {
	x.mu.Lock()
	defer x.mu.Unlock()
	list := x.values[account]
	if len(list) == 0 {
		return ""
	}
	return list[len(list)-1]
}

func (x *target) Submit(ops []sdk.Operation, answer func(int, sdk.Receipt)) {
	if len(ops) == 0 {
		x.t.Error("a frame without an operation was sent")
	}
	for n, op := range ops {
		go func() { answer(n, x.one(op)) }()
	}
}

func (x *target) one(op sdk.Operation) sdk.Receipt {
	if op.Verb == sdk.Verify {
		return x.asked(op)
	}
	if !x.book.holds(op.Account, op.Value.Reveal()) {
		x.t.Errorf("%s of %s was sent before its value was durable", op.Verb, op.Account)
	}
	if x.work > 0 {
		time.Sleep(x.work)
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	x.n++
	if x.say != nil {
		return x.say(x.n, op)
	}
	x.take(op)
	return sdk.OK()
}

// asked is a verify among the operations of a frame.
func (x *target) asked(op sdk.Operation) sdk.Receipt {
	verdict, err := x.Verify(context.Background(), op.Account, op.Kind, op.Value)
	if err != nil {
		return sdk.Refuse(sdk.AsError(err, sdk.Internal))
	}
	return sdk.Receipt{Outcome: sdk.Applied, Verdict: verdict}
}

func (x *target) Ask(_ context.Context, op sdk.Operation) sdk.Receipt {
	if op.Verb == sdk.Reset {
		return sdk.Receipt{Outcome: sdk.Applied, Value: secret.New("picked")}
	}
	return sdk.OK()
}
func (x *target) Find(_ context.Context, account string) (sdk.Account, error) {
	return sdk.Account{Account: account, Status: sdk.StatusActive}, nil
}
func (x *target) Resolve(_ context.Context, names []string) ([]sdk.Identity, error) {
	if x.resolve == nil {
		return nil, sdk.Errorf(sdk.Unsupported, "it knows no names")
	}
	return x.resolve(names)
}
func (x *target) Policy(context.Context, string, string) (sdk.Policy, error) { return x.policy, nil }
func (x *target) Verify(_ context.Context, account, _ string, v secret.Value) (sdk.Verdict, error) {
	if x.verify != nil {
		return x.verify(account, v.Reveal()), nil
	}
	if x.current(account) == v.Reveal() {
		return sdk.Accepted, nil
	}
	return sdk.Rejected, nil
}
func (x *target) Generate(_ context.Context, _ string, n int) ([]secret.Value, error) {
	list := make([]secret.Value, n)
	for i := range list {
		list[i] = secret.New(rand.Text())
	}
	return list, nil
}
func (x *target) Check(context.Context) []sdk.Finding {
	if x.bad {
		return []sdk.Finding{{Severity: sdk.Bad, Code: sdk.Unreachable, Message: "away"}}
	}
	return nil
}

// backend describes the target as one that can do everything.
func (x *target) backend(label string) Backend {
	return Backend{Label: label, Instance: x, Concurrency: 4, Timeout: time.Second, Attempts: 3, Patience: time.Minute,
		Abilities: []sdk.Ability{sdk.CanFind, sdk.CanVerify, sdk.CanReset, sdk.CanUnlock, sdk.CanRevoke, sdk.CanGenerate},
		Description: sdk.Description{Name: "fake", Verbs: []sdk.Verb{sdk.Set, sdk.Change, sdk.Reset, sdk.Unlock, sdk.Revoke, sdk.Handover},
			ReplaySafe: []sdk.Verb{sdk.Set}}}
}

// script is a rotate in Go.
type script func(ctx context.Context, row source.Row, s *Steps) journal.Verdict

func (f script) Rotate(ctx context.Context, row source.Row, s *Steps) journal.Verdict {
	return f(ctx, row, s)
}

// must takes a step and turns what a script would raise into a verdict.
func must(r journal.Result, err error) *journal.Verdict {
	var f *journal.Fault
	if errors.As(err, &f) {
		return &journal.Verdict{Kind: journal.Raised, Fault: f}
	}
	if !r.OK() {
		return &journal.Verdict{Kind: journal.Raised, Refused: &r, Fault: &journal.Fault{Code: r.Code, Message: r.Message}}
	}
	return nil
}

// generateAndSet is the smallest rotate, on each of the labels.
func generateAndSet(labels ...string) script {
	return func(ctx context.Context, row source.Row, s *Steps) journal.Verdict {
		v, err := s.Generate(ctx, GenerateStep{})
		if err != nil {
			return *must(journal.Result{}, err)
		}
		for _, label := range labels {
			if bad := must(s.Do(ctx, journal.Step{Verb: journal.Set, Backend: label, Account: row.Key, Value: v})); bad != nil {
				return *bad
			}
		}
		return journal.Verdict{}
	}
}

// fastClock passes time at once.
type fastClock struct{}

func (fastClock) Now() time.Time                                   { return time.Now() }
func (fastClock) Sleep(ctx context.Context, _ time.Duration) error { return context.Cause(ctx) }

// all is the rule of a workflow without waves.
func all() []journal.WaveRule {
	return []journal.WaveRule{{Name: "all", MaxFailures: -1, MaxPercent: -1}}
}

func jobOf(b *book, hooks Hooks, backends ...Backend) Job {
	return Job{ID: "r1", Journal: b, Vault: b, Plan: b, Backends: backends, Hooks: hooks,
		Row:   func(u ledger.User) (source.Row, error) { return source.Row{Key: u.Key}, nil },
		Waves: all(), Planned: []int64{int64(b.users), int64(b.users)}, Approved: func(string) bool { return false },
		Clock: fastClock{}, Random: rand.Reader, Stop: context.Background()}
}

// working is a run at work, for tests of what its users do.
func working(t *testing.T, job Job) *run {
	t.Helper()
	c := newRun(t.Context(), job)
	stop := c.start()
	t.Cleanup(func() {
		stop()
		for _, l := range c.dispatchers {
			l.close()
		}
		_ = c.committer.close()
	})
	return c
}
