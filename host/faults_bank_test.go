package host_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"maps"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"sync"
	"syscall"

	"github.com/rekey-host/rekey/sdk"
	"github.com/rekey-host/rekey/sdk/secret"
)

// The backends of the faults' story. Each treats a lost answer in another way.
const (
	vault = "vault" // can be asked whether a value is in force, and has a history
	cloud = "cloud" // changes from an old value; a lost change is finished by a set
	plain = "plain" // takes the same value again
	desk  = "desk"  // picks the value itself
)

// canary is in every value that an account has before the run.
const canary = `c"a\n%y é `

// before is the value that an account has before the run.
func before(label, account string) string { return canary + label + " " + account }

// bank is the systems behind all backends. What an account was ever given is
// a line of a file that outlives everybody, written before it is answered.
type bank struct {
	spec life
	at   func(point string) // passes a named point: the process may end there

	mu      sync.Mutex
	closed  bool // nobody is given anything any more
	file    notes
	now     map[string]string   // by label and account
	had     map[string][]string // older values
	refused map[string]string   // the first value, of accounts that refuse that
	held    []entry             // requests that are still on their way
	holds   int                 // requests that were ever held
	late    int                 // requests that this process let arrive

	underWay calls
}

// calls counts the calls that a system has and has not answered, by verb.
type calls struct {
	mu sync.Mutex
	n  map[string]int
}

func (c *calls) add(verb string, n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.n[verb] += n
}

func (c *calls) now() map[string]int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return maps.Clone(c.n)
}

// entry is one line of the bank's file, which is its history: what happened, in
// the order in which it did.
type entry struct {
	What    string
	Label   string
	Account string
	Value   string
	Op      string   // the operation's id
	Verb    sdk.Verb `json:",omitempty"` // of a request that is held
	Old     string   `json:",omitempty"`
	Must    *bool    `json:",omitempty"`
	Held    int      `json:",omitempty"` // its number, from 1
}

const (
	given   = "given"
	denied  = "denied"
	held    = "held"    // the network has the request, and nobody has an answer
	arrived = "arrived" // a held request is with the system
)

// notes are where the bank's history is kept.
type notes interface {
	note(e entry) error
	Close() error
}

// memo are notes in memory.
type memo struct{ list []entry }

func (m *memo) note(e entry) error { m.list = append(m.list, e); return nil }
func (*memo) Close() error         { return nil }

// lines are notes in a file, one a line.
type lines struct{ *os.File }

func (l lines) note(e entry) error {
	text, err := json.Marshal(e)
	if err == nil {
		_, err = l.Write(append(text, '\n'))
	}
	return err
}

func newBank(spec life, at func(string)) *bank {
	return &bank{spec: spec, at: at, now: map[string]string{}, had: map[string][]string{}, refused: map[string]string{}, underWay: calls{n: map[string]int{}}}
}

func key(label, account string) string { return label + "/" + account }

func cutKey(k string) (label, account string) {
	label, account, _ = strings.Cut(k, "/")
	return label, account
}

func openBank(spec life, at func(string)) (*bank, error) {
	b := newBank(spec, at)
	list, err := bankEntries(spec.Bank)
	if err != nil {
		return nil, err
	}
	for _, e := range list {
		b.take(e)
	}
	file, err := os.OpenFile(spec.Bank, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	b.file = lines{file}
	return b, err
}

// close ends the bank: what is under way has no effect.
func (b *bank) close() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.closed = true
	_ = b.file.Close()
}

// bankEntries reads what all accounts were given so far.
func bankEntries(name string) ([]entry, error) {
	file, err := os.Open(name)
	if os.IsNotExist(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer file.Close()
	var list []entry
	for lines := bufio.NewScanner(file); lines.Scan(); {
		var e entry
		if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
			return nil, fmt.Errorf("the bank's file has the line %q: %w", lines.Text(), err)
		}
		list = append(list, e)
	}
	return list, nil
}

func (b *bank) take(e entry) {
	k := key(e.Label, e.Account)
	switch e.What {
	case denied:
		b.refused[k] = e.Value
	case held:
		b.held = append(b.held, e)
		b.holds = e.Held
	case arrived:
		b.held = slices.DeleteFunc(b.held, func(h entry) bool { return h.Held == e.Held })
	case given:
		b.had[k] = append(b.had[k], b.has(e.Label, e.Account))
		b.now[k] = e.Value
	}
}

// has returns the value that is in force.
func (b *bank) has(label, account string) string {
	if v, ok := b.now[key(label, account)]; ok {
		return v
	}
	return before(label, account)
}

// write puts a line into the file.
func (b *bank) write(e entry) {
	if err := b.file.note(e); err != nil {
		panic(err)
	}
	b.take(e)
}

// Points of the bank at which a process may end.
const (
	atEffect = "bank/effect" // an operation is about to take effect
	atAnswer = "bank/answer" // it took effect, and nobody was told
)

// under is the point of a call of the verb that the system has.
func under(verb string) string { return "bank/under-way/" + verb }

// teller is one backend's instance.
type teller struct {
	*bank
	label string
}

func (teller) Close() error { return nil }

// Apply does what the label's system does with a set or a change, and may lose
// the answer.
func (t teller) Apply(_ context.Context, op sdk.Operation) sdk.Receipt {
	defer t.begin(string(op.Verb))()
	lost, effect := t.loses(op)
	t.at(atEffect)
	if lost && !effect || t.hold(op) {
		return cut()
	}
	r := t.do(op)
	t.at(atAnswer)
	if lost {
		return cut()
	}
	return r
}

func cut() sdk.Receipt { return sdk.Lost(sdk.Errorf(sdk.ConnectionLost, "the answer was lost")) }

// loses says whether the answer to the operation is lost, and whether it takes
// effect all the same.
func (t teller) loses(op sdk.Operation) (lost, effect bool) {
	n := t.dice(op, 1).IntN(200)
	return n < 2*t.spec.Lose, n%2 == 0
}

// dice are the same at every trial with the same seed.
func (t teller) dice(op sdk.Operation, of uint64) *rand.Rand {
	h := fnv.New64a()
	_, place, _ := strings.Cut(op.ID, "-") // behind the run's name, which is another each time
	fmt.Fprint(h, t.spec.Seed, place, op.Attempt)
	return rand.New(rand.NewPCG(h.Sum64(), of))
}

func (t teller) do(op sdk.Operation) sdk.Receipt {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		return cut()
	}
	if t.dice(op, 3).IntN(100) < t.spec.Hold/2 {
		t.arrive()
	}
	return t.effect(op)
}

// effect is what the system does with a request that has arrived.
func (t teller) effect(op sdk.Operation) sdk.Receipt {
	value, has := op.Value.Reveal(), t.has(t.label, op.Account)
	if e := t.refuses(op, value, has); e != nil {
		if op.Attempt > 1 && value == has && e.Code != sdk.AccountNotFound {
			return sdk.Receipt{Outcome: sdk.AlreadyApplied}
		}
		return sdk.Refuse(e)
	}
	t.write(entry{What: given, Label: t.label, Account: op.Account, Value: value, Op: op.ID})
	return sdk.OK()
}

// refuses is why the label's system does not take the value. The message of a
// careless system quotes what it was given.
func (t teller) refuses(op sdk.Operation, value, has string) *sdk.Error {
	k := key(t.label, op.Account)
	switch {
	case strings.HasPrefix(op.Account, "ghost") && !t.spec.Exist:
		return sdk.Errorf(sdk.AccountNotFound, "there is no such account for %s, nor for %q", value, value)
	case t.label == vault && !strings.HasPrefix(value, canary) && (value == has || contains(t.had[k], value)):
		return &sdk.Error{Code: sdk.PolicyViolation, Message: "used before", Violations: []sdk.Violation{{Rule: sdk.RuleHistory}}}
	case t.label == vault && strings.HasPrefix(op.Account, "picky") && t.first(k, op.Account, value):
		return &sdk.Error{Code: sdk.PolicyViolation, Message: "too plain", Violations: []sdk.Violation{{Rule: sdk.RuleDictionary}}}
	case op.Verb == sdk.Change && op.Old.Reveal() != has:
		return sdk.Errorf(sdk.WrongCurrentPassword, "that is not the password")
	case op.Verb == sdk.Set && t.label == cloud && op.MustChange == nil && strings.HasPrefix(op.Account, "fresh") && t.now[k] == "":
		return &sdk.Error{Code: sdk.AccountStatus, AccountStatus: sdk.StatusPending, Message: "nobody has logged in yet"}
	}
	return nil
}

// first reports whether the value is the first one that a picky account is
// offered: that one it never takes.
func (t teller) first(k, account, value string) bool {
	if t.refused[k] == "" && t.now[k] == "" {
		t.write(entry{What: denied, Label: t.label, Account: account, Value: value})
	}
	return t.refused[k] == value
}

func contains(list []string, s string) bool {
	for _, x := range list {
		if x == s {
			return true
		}
	}
	return false
}

// begin notes a call, and returns what notes its end.
func (t teller) begin(verb string) (end func()) {
	t.underWay.add(verb, 1)
	t.at(under(verb))
	return func() { t.underWay.add(verb, -1) }
}

// gaveUp is what a call says that was cancelled while the system had it.
func (t teller) gaveUp(ctx context.Context, verb string) error {
	defer t.begin(verb)()
	if ctx.Err() != nil {
		return sdk.Errorf(sdk.Cancelled, "given up")
	}
	return nil
}

// asked is a teller that tells whether a value is in force.
type asked struct{ teller }

func (t asked) Verify(ctx context.Context, account, _ string, v secret.Value) (sdk.Verdict, error) {
	if err := t.gaveUp(ctx, "verify"); err != nil {
		return sdk.CannotTell, err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.has(t.label, account) == v.Reveal() {
		return sdk.Accepted, nil
	}
	return sdk.Rejected, nil
}

func (t asked) Find(ctx context.Context, account string) (sdk.Account, error) {
	if err := t.gaveUp(ctx, "find"); err != nil {
		return sdk.Account{}, err
	}
	return sdk.Account{Account: account, ID: account, Status: sdk.StatusActive}, nil
}

// picks is a teller that picks values itself.
type picks struct{ teller }

func (t picks) Reset(ctx context.Context, op sdk.Operation) sdk.Receipt {
	defer t.begin("reset")()
	lost, _ := t.loses(op)
	t.at(atEffect)
	v := fmt.Sprintf("picked-%016x", rand.Uint64())
	t.mu.Lock()
	closed := t.closed
	if !closed {
		t.write(entry{What: given, Label: t.label, Account: op.Account, Value: v, Op: op.ID})
	}
	t.mu.Unlock()
	t.at(atAnswer)
	if ctx.Err() != nil {
		return sdk.Lost(sdk.Errorf(sdk.Cancelled, "given up"))
	}
	if lost || closed {
		return cut()
	}
	return sdk.Receipt{Outcome: sdk.Applied, Value: secret.New(v)}
}

func (t picks) Unlock(ctx context.Context, _ sdk.Operation) sdk.Receipt {
	if err := t.gaveUp(ctx, "unlock"); err != nil {
		return sdk.Lost(sdk.AsError(err, sdk.Internal))
	}
	return sdk.OK()
}

func (t picks) Revoke(ctx context.Context, _ sdk.Operation) sdk.Receipt {
	if err := t.gaveUp(ctx, "revoke"); err != nil {
		return sdk.Lost(sdk.AsError(err, sdk.Internal))
	}
	return sdk.OK()
}

func (t picks) Generate(ctx context.Context, _ string, n int) ([]secret.Value, error) {
	if err := t.gaveUp(ctx, "generate"); err != nil {
		return nil, err
	}
	list := make([]secret.Value, n)
	for i := range list {
		list[i] = secret.New(fmt.Sprintf("Suggested-%016x", rand.Uint64()))
	}
	return list, nil
}

// Describe and Configure make the bank a backend that can be served.
func (b *bank) Describe() sdk.Description {
	return sdk.Description{Name: "bank", Verbs: append(sdk.AskedVerbs(), sdk.Set, sdk.Change, sdk.Handover), Abilities: []sdk.Ability{sdk.CanVerify, sdk.CanFind, sdk.CanReset, sdk.CanUnlock, sdk.CanRevoke, sdk.CanGenerate}}
}

// Configure opens the instance of a label.
func (b *bank) Configure(_ context.Context, c sdk.Config) (sdk.Instance, error) {
	t := teller{b, c.Label}
	switch c.Label {
	case vault:
		return asked{t}, nil
	case desk:
		return picks{t}, nil
	}
	return t, nil
}

// describe is what the host knows of a label's system.
func describe(label string) (sdk.Description, []sdk.Ability) {
	switch label {
	case vault:
		return sdk.Description{Name: label, Verbs: []sdk.Verb{sdk.Set}}, []sdk.Ability{sdk.CanVerify, sdk.CanFind}
	case cloud:
		return sdk.Description{Name: label, Verbs: []sdk.Verb{sdk.Set, sdk.Change}, ReplaySafe: []sdk.Verb{sdk.Set}, Recover: sdk.SetThenChange}, nil
	case desk:
		return sdk.Description{Name: label, Verbs: []sdk.Verb{sdk.Reset}}, []sdk.Ability{sdk.CanReset, sdk.CanUnlock, sdk.CanRevoke, sdk.CanGenerate}
	}
	// Without a verify, what was lost of a handover is settled by sending it again.
	return sdk.Description{Name: label, Verbs: []sdk.Verb{sdk.Set, sdk.Handover}, ReplaySafe: []sdk.Verb{sdk.Set, sdk.Handover}}, nil
}

// die ends the process as kill -9 does.
func die() {
	_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
	select {}
}
