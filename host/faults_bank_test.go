package host_test

import (
	"bufio"
	"context"
	"encoding/base64"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"os"
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
	file    *os.File
	now     map[string]string   // by label and account
	had     map[string][]string // older values
	refused map[string]string   // the first value, of accounts that refuse that
}

// entry is one line of the bank's file.
type entry struct{ what, label, account, value string }

const (
	given  = "given"
	denied = "denied"
)

func key(label, account string) string { return label + "/" + account }

func openBank(spec life, at func(string)) (*bank, error) {
	b := &bank{spec: spec, at: at, now: map[string]string{}, had: map[string][]string{}, refused: map[string]string{}}
	list, err := bankEntries(spec.Bank)
	if err != nil {
		return nil, err
	}
	for _, e := range list {
		b.take(e)
	}
	b.file, err = os.OpenFile(spec.Bank, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
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
		f := strings.Split(lines.Text(), "\t")
		if len(f) != 4 {
			return nil, fmt.Errorf("the bank's file has the line %q", lines.Text())
		}
		value, err := base64.StdEncoding.DecodeString(f[3])
		if err != nil {
			return nil, err
		}
		list = append(list, entry{f[0], f[1], f[2], string(value)})
	}
	return list, nil
}

func (b *bank) take(e entry) {
	k := key(e.label, e.account)
	if e.what == denied {
		b.refused[k] = e.value
		return
	}
	b.had[k] = append(b.had[k], b.holds(e.label, e.account))
	b.now[k] = e.value
}

// holds returns the value that is in force.
func (b *bank) holds(label, account string) string {
	if v, ok := b.now[key(label, account)]; ok {
		return v
	}
	return before(label, account)
}

// write puts a line into the file.
func (b *bank) write(e entry) {
	line := fmt.Sprintf("%s\t%s\t%s\t%s\n", e.what, e.label, e.account, base64.StdEncoding.EncodeToString([]byte(e.value)))
	if _, err := b.file.WriteString(line); err != nil {
		panic(err)
	}
	b.take(e)
}

// Points of the bank at which a process may end.
const (
	atEffect = "bank/effect" // an operation is about to take effect
	atAnswer = "bank/answer" // it took effect, and nobody was told
)

// teller is one backend's instance.
type teller struct {
	*bank
	label string
}

func (teller) Close() error { return nil }

// Apply does what the label's system does with a set or a change, and may lose
// the answer.
func (t teller) Apply(_ context.Context, op sdk.Operation) sdk.Receipt {
	lost, effect := t.loses(op)
	t.at(atEffect)
	if lost && !effect {
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
	h := fnv.New64a()
	_, place, _ := strings.Cut(op.ID, "-") // behind the run's name, which is another each time
	fmt.Fprint(h, t.spec.Seed, place, op.Attempt)
	n := rand.New(rand.NewPCG(h.Sum64(), 1)).IntN(200)
	return n < 2*t.spec.Lose, n%2 == 0
}

func (t teller) do(op sdk.Operation) sdk.Receipt {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		return cut()
	}
	value, has := op.Value.Reveal(), t.holds(t.label, op.Account)
	if e := t.refuses(op, value, has); e != nil {
		if op.Attempt > 1 && value == has && e.Code != sdk.AccountNotFound {
			return sdk.Receipt{Outcome: sdk.AlreadyApplied}
		}
		return sdk.Refuse(e)
	}
	t.write(entry{given, t.label, op.Account, value})
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
		t.write(entry{denied, t.label, account, value})
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

// asked is a teller that tells whether a value is in force.
type asked struct{ teller }

func (t asked) Verify(_ context.Context, account, _ string, v secret.Value) (sdk.Verdict, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.holds(t.label, account) == v.Reveal() {
		return sdk.Accepted, nil
	}
	return sdk.Rejected, nil
}

func (t asked) Find(_ context.Context, account string) (sdk.Account, error) {
	return sdk.Account{Account: account, ID: account, Status: sdk.StatusActive}, nil
}

// picks is a teller that picks values itself.
type picks struct{ teller }

func (t picks) Reset(_ context.Context, op sdk.Operation) sdk.Receipt {
	lost, _ := t.loses(op)
	t.at(atEffect)
	v := fmt.Sprintf("picked-%016x", rand.Uint64())
	t.mu.Lock()
	closed := t.closed
	if !closed {
		t.write(entry{given, t.label, op.Account, v})
	}
	t.mu.Unlock()
	t.at(atAnswer)
	if lost || closed {
		return cut()
	}
	return sdk.Receipt{Outcome: sdk.Applied, Value: secret.New(v)}
}

// Describe and Configure make the bank a backend that can be served.
func (b *bank) Describe() sdk.Description { return sdk.Description{Name: "bank"} }

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
		return sdk.Description{Name: label, Verbs: []sdk.Verb{sdk.Reset}}, []sdk.Ability{sdk.CanReset}
	}
	return sdk.Description{Name: label, Verbs: []sdk.Verb{sdk.Set}, ReplaySafe: []sdk.Verb{sdk.Set}}, nil
}

// die ends the process as kill -9 does.
func die() {
	_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
	select {}
}
