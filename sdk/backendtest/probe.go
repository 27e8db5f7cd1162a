package backendtest

import (
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rekey-host/rekey/sdk"
	"github.com/rekey-host/rekey/sdk/secret"
)

// check is one promise of the contract.
type check struct {
	name string
	when condition // nil: always
	run  func(p *probe)
}

// scene is what decides whether a check applies.
type scene struct {
	d      sdk.Description
	target Target
	near   bool // the backend is in this process
	bound  bool // a confinement holds it
}

func (s scene) can(ability sdk.Ability) bool {
	return s.d.Can(ability) && !slices.Contains(s.target.Lacks, ability)
}

// relayed reports whether the kit can stand between the backend and its server.
func (s scene) relayed() bool { return s.target.Server != "" }

// sees reports whether a value can be looked at other than by trust.
func (s scene) sees() bool {
	return s.target.Holds != nil || s.can(sdk.CanVerify) && !s.target.Unverifiable
}

// sceneOf is what a plugin and its target are.
func sceneOf(options Options, plugin plugin, description sdk.Description, target Target) scene {
	_, isNear := plugin.(*direct)
	return scene{d: description, target: target, near: isNear, bound: !isNear && options.Confine != nil}
}

// lacks returns why the check does not apply; "" if it does.
func (c check) lacks(stage scene) string {
	if c.when == nil {
		return ""
	}
	return c.when(stage)
}

// describe asks for the Description, for as long as patience lasts.
func describe(options Options, plugin plugin) (sdk.Description, error) {
	ctx, stop := context.WithTimeout(context.Background(), options.Patience)
	defer stop()
	return plugin.describe(ctx)
}

// probe runs one check. Its methods are for one goroutine, but for fail.
type probe struct {
	t      testing.TB
	o      Options
	plugin plugin
	scene
	log *journal

	opened []subject
	extra  subject // another instance on the target, to look
	values int
	began  time.Time

	mu       sync.Mutex
	problems []string
}

// stopped ends a check that cannot go on.
type stopped struct{}

// try runs the check on a target of its own and returns its complaints.
func (c check) try(t testing.TB, options Options, plugin plugin, description sdk.Description) []string {
	_, isNear := plugin.(*direct)
	made := &probe{t: t, o: options, plugin: plugin, log: &journal{}, began: time.Now()}
	made.scene = scene{d: description, target: options.Target(t), near: isNear}
	made.guard(func() {
		made.sane()
		made.confine()
		c.run(made)
	})
	made.guard(made.closeAll)
	return made.problems
}

// guard turns the end of a check, and a panic of the backend, into a problem.
func (p *probe) guard(call func()) {
	defer func() {
		switch value := recover(); value.(type) {
		case nil, stopped:
		default:
			p.fail("panic: %v", value)
		}
	}()
	call()
}

func (p *probe) sane() {
	switch {
	case len(p.target.Accounts) < 3:
		p.stop("Target: %d accounts, want at least 3", len(p.target.Accounts))
	case !p.sees():
		p.stop("Target: without Holds, and without the ability verify, nothing proves that a value is there")
	case !p.d.Does(sdk.Set) && p.target.Present == "":
		p.stop("Target: without set, Present is needed for a change")
	}
}

// confine has the plugin's process be the one for the target, where it is confined.
func (p *probe) confine() {
	if wired, ok := p.plugin.(*wired); ok {
		if err := wired.settle(p.d, filled(p.target.Config, p.d)); err != nil {
			p.stop("%v", err)
		}
	}
}

func (p *probe) closeAll() {
	for _, subject := range p.opened {
		if err := subject.close(); err != nil {
			p.fail("Close: %v", err)
		}
	}
}

// fail notes a problem and goes on.
func (p *probe) fail(format string, args ...any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.problems = append(p.problems, fmt.Sprintf(format, args...))
}

// stop notes a problem and ends the check.
func (p *probe) stop(format string, args ...any) {
	p.fail(format, args...)
	panic(stopped{})
}

// open configures an instance on the check's target; it is closed at the end.
func (p *probe) open() subject {
	return p.openWith(func(*sdk.Config) {})
}

// openWith opens an instance with another configuration.
func (p *probe) openWith(edit func(*sdk.Config)) subject {
	config := p.target.Config
	edit(&config)
	subject, err := p.configure(config)
	if err != nil {
		p.stop("Configure: %v", err)
	}
	p.opened = append(p.opened, subject)
	return subject
}

// configure fills in what config lacks and opens an instance.
func (p *probe) configure(config sdk.Config) (subject, error) {
	config = filled(config, p.d)
	config.Log = slog.New(slog.NewTextHandler(p.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	var s subject
	var err error
	p.patiently("Configure", func(ctx context.Context) { s, err = p.plugin.configure(ctx, config) })
	if err != nil {
		return nil, err
	}
	return watched{s, p}, nil
}

// filled returns config as the host would make it: with defaults, a deadline and a
// concurrency within the limits.
func filled(config sdk.Config, description sdk.Description) sdk.Config {
	config.Values = maps.Clone(config.Values)
	if config.Values == nil {
		config.Values = map[string]any{}
	}
	for _, field := range description.Config {
		if _, given := config.Values[field.Name]; !given && field.Default != nil && field.Type != sdk.Secret {
			config.Values[field.Name] = asValue(field.Default)
		}
	}
	if config.Label == "" {
		config.Label = "kit"
	}
	if config.Concurrency == 0 {
		config.Concurrency = 4
	}
	if description.Limits.Concurrency > 0 {
		config.Concurrency = min(config.Concurrency, description.Limits.Concurrency)
	}
	if config.Timeout == 0 {
		config.Timeout = 10 * time.Second
	}
	return config
}

// asValue is a default as Config.Values has it.
func asValue(value any) any {
	if count, ok := value.(int); ok {
		return int64(count)
	}
	return value
}

// patiently calls call and ends the check if it hangs.
func (p *probe) patiently(what string, call func(context.Context)) {
	ctx, cancel := context.WithTimeout(context.Background(), p.o.Patience)
	defer cancel()
	p.within(what, func() { call(ctx) })
}

func (p *probe) within(what string, call func()) {
	type end struct{ panicked any }
	done := make(chan end, 1)
	go func() {
		var e end
		defer func() { done <- e }()
		defer func() { e.panicked = recover() }()
		call()
	}()
	limit := time.NewTimer(p.o.Patience + p.o.Patience/2)
	defer limit.Stop()
	select {
	case end := <-done:
		if end.panicked != nil {
			panic(end.panicked)
		}
	case <-limit.C:
		p.stop("%s: no answer after %v", what, p.o.Patience)
	}
}

// value returns a fresh good value.
func (p *probe) value() string { return p.valueOf(p.kind()) }

// valueOf returns a fresh good value for a kind.
func (p *probe) valueOf(kind string) string {
	p.mu.Lock()
	count := p.values
	p.values++
	p.mu.Unlock()
	switch call := p.target.Values[kind]; {
	case call != nil:
		return call(count)
	case p.target.Value != nil:
		return p.target.Value(count)
	}
	return goodValue()
}

// goodValue pairs each random letter with one of the other case, so that no letter
// stands beside its like.
func goodValue() string {
	value := "x7."
	for _, letter := range strings.ToLower(rand.Text()[:8]) {
		value += string(letter) + "Q"
	}
	return value + "z"
}

// op is a new operation.
func (p *probe) op(verb sdk.Verb, account, value string) sdk.Operation {
	op := sdk.Operation{ID: "kit-" + rand.Text(), Attempt: 1, Verb: verb, Account: account, Kind: p.kind(), Requestor: "kit", SourceSystem: "backendtest"}
	if verb == sdk.Set || verb == sdk.Change || verb == sdk.Handover {
		op.Value = secret.New(value)
	}
	if verb == sdk.Set {
		op.Options = p.target.Options
	}
	return op
}

func (p *probe) set(account, value string) sdk.Operation { return p.op(sdk.Set, account, value) }

func (p *probe) change(account, old, value string) sdk.Operation {
	op := p.op(sdk.Change, account, value)
	op.Old = secret.New(old)
	return op
}

// kind is the one that the target names, else the first declared one.
func (p *probe) kind() string {
	if p.target.Kind != "" || len(p.d.Kinds) == 0 {
		return p.target.Kind
	}
	return p.d.Kinds[0].Name
}

// give makes value the account's present one, whatever the backend has for
// that, and ends the check if it cannot.
func (p *probe) give(subject subject, account, value string) sdk.Receipt {
	op := p.set(account, value)
	if !p.d.Does(sdk.Set) {
		op = p.change(account, p.target.Present, value)
	}
	receipt := subject.apply(p.t.Context(), op)
	if !ok(receipt) {
		p.stop("%s of account %q: %s, want applied", op.Verb, account, said(receipt))
	}
	return receipt
}

func ok(receipt sdk.Receipt) bool {
	return receipt.Outcome == sdk.Applied || receipt.Outcome == sdk.AlreadyApplied
}

// said is a receipt in a message.
func said(receipt sdk.Receipt) string {
	if receipt.Err == nil {
		return receipt.Outcome.String()
	}
	return fmt.Sprintf("%v (%v)", receipt.Outcome, receipt.Err)
}

// holds reports whether the target accepts the value now.
func (p *probe) holds(account, kind, value string) bool {
	if p.target.Holds != nil {
		return p.target.Holds(account, kind, value)
	}
	if p.extra == nil {
		p.extra = p.open()
	}
	verdict, err := p.extra.verify(p.t.Context(), account, kind, secret.New(value))
	if err != nil {
		p.stop("Verify of account %q: %v", account, err)
	}
	return verdict == sdk.Accepted || verdict == sdk.AcceptedMustChange
}

// wantHolds notes a problem unless the target accepts the value.
func (p *probe) wantHolds(account, value, after string) {
	p.t.Helper()
	if !p.holds(account, p.kind(), value) {
		p.fail("%s: the target does not accept the value of account %q", after, account)
	}
}

// wantRefused notes a problem unless receipt is a refusal with one of the codes.
func (p *probe) wantRefused(receipt sdk.Receipt, what string, codes ...sdk.Code) {
	if receipt.Outcome != sdk.Refused || receipt.Err == nil || !slices.Contains(codes, receipt.Err.Code) {
		p.fail("%s: %s, want refused %v", what, said(receipt), codes)
	}
}

// wantTruth notes a problem unless the target is as the answer says: was held
// before, want is what was sent.
func (p *probe) wantTruth(receipt sdk.Receipt, account, was, want, what string) {
	switch {
	case ok(receipt) && !p.holds(account, p.kind(), want):
		p.fail("%s: the answer is %v, but the target does not accept the new value", what, receipt.Outcome)
	case receipt.Outcome == sdk.Refused && !p.holds(account, p.kind(), was):
		p.fail("%s: the answer is refused (%v), but the target no longer accepts the value from before", what, receipt.Err)
	}
}

// wantCode notes a problem unless err is an *sdk.Error of one of the codes.
func (p *probe) wantCode(err error, what string, codes ...sdk.Code) {
	failure := sdk.AsError(err, "no code")
	if failure == nil || !slices.Contains(codes, failure.Code) {
		p.fail("%s: %v, want %v", what, err, codes)
	}
}

// journal collects what a backend logs.
type journal struct {
	mu sync.Mutex
	b  bytes.Buffer
}

// Write adds to the journal.
func (j *journal) Write(data []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.b.Write(data)
}

// String returns all text written.
func (j *journal) String() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.b.String()
}

// watched is a subject whose calls may not hang and whose answers have to make
// sense in themselves.
type watched struct {
	subject
	p *probe
}

func (w watched) apply(ctx context.Context, op sdk.Operation) (receipt sdk.Receipt) {
	w.p.within("Apply", func() { receipt = w.subject.apply(ctx, op) })
	w.sound(receipt, op.Verb)
	return receipt
}

func (w watched) submit(ops []sdk.Operation) (receipts []sdk.Receipt) {
	w.p.within("operations at once", func() { receipts = w.subject.submit(ops) })
	for index, receipt := range receipts {
		w.sound(receipt, ops[index].Verb)
	}
	return receipts
}

func (w watched) ask(ctx context.Context, op sdk.Operation) (receipt sdk.Receipt) {
	w.p.within(op.Verb.Method(), func() { receipt = w.subject.ask(ctx, op) })
	w.sound(receipt, op.Verb)
	return receipt
}

func (w watched) find(ctx context.Context, account string) (a sdk.Account, err error) {
	w.p.within("Find", func() { a, err = w.subject.find(ctx, account) })
	return a, err
}

func (w watched) list(ctx context.Context, filter string, attributes []string, yield func(sdk.Account) error) (err error) {
	w.p.within("List", func() { err = w.subject.list(ctx, filter, attributes, yield) })
	return err
}

func (w watched) policy(ctx context.Context, account, kind string) (policy sdk.Policy, err error) {
	w.p.within("Policy", func() { policy, err = w.subject.policy(ctx, account, kind) })
	return policy, err
}

func (w watched) verify(ctx context.Context, account, kind string, value secret.Value) (verdict sdk.Verdict, err error) {
	w.p.within("Verify", func() { verdict, err = w.subject.verify(ctx, account, kind, value) })
	return verdict, err
}

func (w watched) generate(ctx context.Context, kind string, count int) (values []secret.Value, err error) {
	w.p.within("Generate", func() { values, err = w.subject.generate(ctx, kind, count) })
	return values, err
}

func (w watched) check(ctx context.Context) (findings []sdk.Finding) {
	w.p.within("Check", func() { findings = w.subject.check(ctx) })
	return findings
}

func (w watched) close() (err error) {
	w.p.within("Close", func() { err = w.subject.close() })
	return err
}

// sound notes an answer that contradicts itself.
func (w watched) sound(receipt sdk.Receipt, verb sdk.Verb) {
	switch {
	case ok(receipt) && receipt.Err != nil:
		w.p.fail("%s: the answer is %v and has an error: %v", verb, receipt.Outcome, receipt.Err)
	case !ok(receipt) && receipt.Err == nil:
		w.p.fail("%s: the answer is %v and does not say why", verb, receipt.Outcome)
	case receipt.Err != nil && !slices.Contains(sdk.Codes(), receipt.Err.Code):
		w.p.fail("%s: code %q is not one of the contract", verb, receipt.Err.Code)
	case receipt.Err != nil && (receipt.Err.Code == sdk.PolicyViolation) != (len(receipt.Err.Violations) > 0):
		w.p.fail("%s: %s has %d violations: PolicyViolation lists the rules, others have none", verb, receipt.Err.Code, len(receipt.Err.Violations))
	}
}
