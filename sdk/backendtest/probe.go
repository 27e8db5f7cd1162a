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
	when func(s scene) bool // nil: always
	run  func(p *probe)
}

// scene is what decides whether a check applies.
type scene struct {
	d      sdk.Description
	target Target
	near   bool // the backend is in this process
}

func (s scene) can(a sdk.Ability) bool { return s.d.Can(a) && !slices.Contains(s.target.Lacks, a) }

// sees reports whether a value can be looked at other than by trust.
func (s scene) sees() bool {
	return s.target.Holds != nil || s.can(sdk.CanVerify) && !s.target.Unverifiable
}

// applicable are the checks for a plugin and its target.
func applicable(_ Options, p plugin, d sdk.Description, target Target) []check {
	_, isNear := p.(*direct)
	s := scene{d: d, target: target, near: isNear}
	var list []check
	for _, c := range checks() {
		if c.when == nil || c.when(s) {
			list = append(list, c)
		}
	}
	return list
}

// describe asks for the Description, for as long as patience lasts.
func describe(o Options, p plugin) (sdk.Description, error) {
	ctx, stop := context.WithTimeout(context.Background(), o.Patience)
	defer stop()
	return p.describe(ctx)
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

	mu       sync.Mutex
	problems []string
}

// stopped ends a check that cannot go on.
type stopped struct{}

// try runs the check on a target of its own and returns what is wrong.
func (c check) try(t testing.TB, o Options, p plugin, d sdk.Description) []string {
	_, isNear := p.(*direct)
	x := &probe{t: t, o: o, plugin: p, log: &journal{}}
	x.scene = scene{d: d, target: o.Target(t), near: isNear}
	x.guard(func() {
		x.sane()
		c.run(x)
	})
	x.guard(x.closeAll)
	return x.problems
}

// guard turns the end of a check, and a panic of the backend, into a problem.
func (p *probe) guard(f func()) {
	defer func() {
		switch r := recover(); r.(type) {
		case nil, stopped:
		default:
			p.fail("panic: %v", r)
		}
	}()
	f()
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

func (p *probe) closeAll() {
	for _, s := range p.opened {
		if err := s.close(); err != nil {
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
	s, err := p.configure(p.target.Config)
	if err != nil {
		p.stop("Configure: %v", err)
	}
	p.opened = append(p.opened, s)
	return s
}

// configure fills in what c lacks and opens an instance.
func (p *probe) configure(c sdk.Config) (subject, error) {
	c = filled(c, p.d)
	c.Log = slog.New(slog.NewTextHandler(p.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	var s subject
	var err error
	p.patiently("Configure", func(ctx context.Context) { s, err = p.plugin.configure(ctx, c) })
	if err != nil {
		return nil, err
	}
	return watched{s, p}, nil
}

// filled returns c as the host would make it: with defaults, a deadline and a
// concurrency within the limits.
func filled(c sdk.Config, d sdk.Description) sdk.Config {
	c.Values = maps.Clone(c.Values)
	if c.Values == nil {
		c.Values = map[string]any{}
	}
	for _, f := range d.Config {
		if _, given := c.Values[f.Name]; !given && f.Default != nil && f.Type != sdk.Secret {
			c.Values[f.Name] = asValue(f.Default)
		}
	}
	if c.Label == "" {
		c.Label = "kit"
	}
	if c.Concurrency == 0 {
		c.Concurrency = 4
	}
	if d.Limits.Concurrency > 0 {
		c.Concurrency = min(c.Concurrency, d.Limits.Concurrency)
	}
	if c.Timeout == 0 {
		c.Timeout = 10 * time.Second
	}
	return c
}

// asValue is a default as Config.Values has it.
func asValue(v any) any {
	if n, ok := v.(int); ok {
		return int64(n)
	}
	return v
}

// patiently calls f and ends the check if it hangs.
func (p *probe) patiently(what string, f func(context.Context)) {
	ctx, cancel := context.WithTimeout(context.Background(), p.o.Patience)
	defer cancel()
	p.within(what, func() { f(ctx) })
}

func (p *probe) within(what string, f func()) {
	type end struct{ panicked any }
	done := make(chan end, 1)
	go func() {
		var e end
		defer func() { done <- e }()
		defer func() { e.panicked = recover() }()
		f()
	}()
	limit := time.NewTimer(p.o.Patience + p.o.Patience/2)
	defer limit.Stop()
	select {
	case e := <-done:
		if e.panicked != nil {
			panic(e.panicked)
		}
	case <-limit.C:
		p.stop("%s: no answer after %v", what, p.o.Patience)
	}
}

// value returns a good value that was not used before.
func (p *probe) value() string { return p.valueOf(p.kind()) }

// valueOf returns a good value for a kind that was not used before.
func (p *probe) valueOf(kind string) string {
	n := p.values
	p.values++
	switch f := p.target.Values[kind]; {
	case f != nil:
		return f(n)
	case p.target.Value != nil:
		return p.target.Value(n)
	}
	return goodValue()
}

// goodValue pairs each random letter with one of the other case, so that none
// stands beside its like.
func goodValue() string {
	v := "x7."
	for _, c := range strings.ToLower(rand.Text()[:8]) {
		v += string(c) + "Q"
	}
	return v + "z"
}

// op is a new operation.
func (p *probe) op(verb sdk.Verb, account, value string) sdk.Operation {
	op := sdk.Operation{ID: "kit-" + rand.Text(), Attempt: 1, Verb: verb, Account: account, Kind: p.kind(), Requestor: "kit", SourceSystem: "backendtest"}
	if verb == sdk.Set || verb == sdk.Change {
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

// kind is the one that the target names, else the first that is declared.
func (p *probe) kind() string {
	if p.target.Kind != "" || len(p.d.Kinds) == 0 {
		return p.target.Kind
	}
	return p.d.Kinds[0].Name
}

// give makes value the account's present one, whatever the backend has for
// that, and ends the check if it cannot.
func (p *probe) give(s subject, account, value string) sdk.Receipt {
	op := p.set(account, value)
	if !p.d.Does(sdk.Set) {
		op = p.change(account, p.target.Present, value)
	}
	r := s.apply(p.t.Context(), op)
	if !ok(r) {
		p.stop("%s of account %q: %s, want applied", op.Verb, account, said(r))
	}
	return r
}

func ok(r sdk.Receipt) bool { return r.Outcome == sdk.Applied || r.Outcome == sdk.AlreadyApplied }

// said is a receipt in a message.
func said(r sdk.Receipt) string {
	if r.Err == nil {
		return r.Outcome.String()
	}
	return fmt.Sprintf("%v (%v)", r.Outcome, r.Err)
}

// holds reports whether the target accepts the value now.
func (p *probe) holds(account, kind, value string) bool {
	if p.target.Holds != nil {
		return p.target.Holds(account, kind, value)
	}
	if p.extra == nil {
		p.extra = p.open()
	}
	v, err := p.extra.verify(p.t.Context(), account, kind, secret.New(value))
	if err != nil {
		p.stop("Verify of account %q: %v", account, err)
	}
	return v == sdk.Accepted || v == sdk.AcceptedMustChange
}

// wantHolds notes a problem unless the target accepts the value.
func (p *probe) wantHolds(account, value, after string) {
	p.t.Helper()
	if !p.holds(account, p.kind(), value) {
		p.fail("%s: the target does not accept the value of account %q", after, account)
	}
}

// wantRefused notes a problem unless r is a refusal with one of the codes.
func (p *probe) wantRefused(r sdk.Receipt, what string, codes ...sdk.Code) {
	if r.Outcome != sdk.Refused || r.Err == nil || !slices.Contains(codes, r.Err.Code) {
		p.fail("%s: %s, want refused %v", what, said(r), codes)
	}
}

// wantTruth notes a problem unless the target is as the answer says: was held
// before, want is what was sent.
func (p *probe) wantTruth(r sdk.Receipt, account, was, want, what string) {
	switch {
	case ok(r) && !p.holds(account, p.kind(), want):
		p.fail("%s: the answer is %v, but the target does not accept the new value", what, r.Outcome)
	case r.Outcome == sdk.Refused && !p.holds(account, p.kind(), was):
		p.fail("%s: the answer is refused (%v), but the target no longer accepts the value from before", what, r.Err)
	}
}

// wantCode notes a problem unless err is an *sdk.Error of one of the codes.
func (p *probe) wantCode(err error, what string, codes ...sdk.Code) {
	e := sdk.AsError(err, "no code")
	if e == nil || !slices.Contains(codes, e.Code) {
		p.fail("%s: %v, want %v", what, err, codes)
	}
}

// journal collects what a backend logs.
type journal struct {
	mu sync.Mutex
	b  bytes.Buffer
}

// Write adds to the journal.
func (j *journal) Write(b []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.b.Write(b)
}

// String returns all that was written.
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

func (w watched) apply(ctx context.Context, op sdk.Operation) (r sdk.Receipt) {
	w.p.within("Apply", func() { r = w.subject.apply(ctx, op) })
	w.sound(r, op.Verb)
	return r
}

func (w watched) submit(ops []sdk.Operation) (receipts []sdk.Receipt) {
	w.p.within("operations at once", func() { receipts = w.subject.submit(ops) })
	for n, r := range receipts {
		w.sound(r, ops[n].Verb)
	}
	return receipts
}

func (w watched) reset(ctx context.Context, op sdk.Operation) (r sdk.Receipt) {
	w.p.within("Reset", func() { r = w.subject.reset(ctx, op) })
	w.sound(r, op.Verb)
	return r
}

func (w watched) unlock(ctx context.Context, op sdk.Operation) (r sdk.Receipt) {
	w.p.within("Unlock", func() { r = w.subject.unlock(ctx, op) })
	w.sound(r, op.Verb)
	return r
}

func (w watched) find(ctx context.Context, account string) (a sdk.Account, err error) {
	w.p.within("Find", func() { a, err = w.subject.find(ctx, account) })
	return a, err
}

func (w watched) list(ctx context.Context, filter string, attributes []string, yield func(sdk.Account) error) (err error) {
	w.p.within("List", func() { err = w.subject.list(ctx, filter, attributes, yield) })
	return err
}

func (w watched) policy(ctx context.Context, account, kind string) (x sdk.Policy, err error) {
	w.p.within("Policy", func() { x, err = w.subject.policy(ctx, account, kind) })
	return x, err
}

func (w watched) verify(ctx context.Context, account, kind string, v secret.Value) (x sdk.Verdict, err error) {
	w.p.within("Verify", func() { x, err = w.subject.verify(ctx, account, kind, v) })
	return x, err
}

func (w watched) generate(ctx context.Context, kind string, n int) (x []secret.Value, err error) {
	w.p.within("Generate", func() { x, err = w.subject.generate(ctx, kind, n) })
	return x, err
}

func (w watched) check(ctx context.Context) (x []sdk.Finding) {
	w.p.within("Check", func() { x = w.subject.check(ctx) })
	return x
}

func (w watched) close() (err error) {
	w.p.within("Close", func() { err = w.subject.close() })
	return err
}

// sound notes an answer that contradicts itself.
func (w watched) sound(r sdk.Receipt, verb sdk.Verb) {
	switch {
	case ok(r) && r.Err != nil:
		w.p.fail("%s: the answer is %v and has an error: %v", verb, r.Outcome, r.Err)
	case !ok(r) && r.Err == nil:
		w.p.fail("%s: the answer is %v and does not say why", verb, r.Outcome)
	case r.Err != nil && !slices.Contains(sdk.Codes(), r.Err.Code):
		w.p.fail("%s: code %q is not one of the contract", verb, r.Err.Code)
	case r.Err != nil && (r.Err.Code == sdk.PolicyViolation) != (len(r.Err.Violations) > 0):
		w.p.fail("%s: %s has %d violations: PolicyViolation lists the rules, others have none", verb, r.Err.Code, len(r.Err.Violations))
	}
}
