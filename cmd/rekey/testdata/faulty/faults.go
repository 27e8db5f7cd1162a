package main

import (
	"context"
	"encoding/base64"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/rekey-host/rekey/sdk"
	"github.com/rekey-host/rekey/sdk/secret"
)

// fault is what a plugin of the SDK does otherwise than it should. What is nil is
// done well, and an ability without a function is not there.
type fault struct {
	describe  func(*sdk.Description)
	configure func(sdk.Config) error
	apply     func(*instance, context.Context, sdk.Operation) sdk.Receipt
	batch     func(*instance, []sdk.Operation) []sdk.Receipt
	verify    func(*instance, string, secret.Value) (sdk.Verdict, error)
	policy    func() (sdk.Policy, error)
	check     func() []sdk.Finding
	generate  func(int) ([]secret.Value, error)
	reset     func(*instance, sdk.Operation) sdk.Receipt
	close     func()
}

type backend struct {
	mode  string
	fault fault
}

// Describe is right but for what the fault makes of it.
func (b *backend) Describe() sdk.Description {
	description := sdk.Description{Name: b.mode, Version: "1", Summary: "is wrong on purpose", Verbs: []sdk.Verb{sdk.Set}, Paths: []string{"write {target}"},
		Config: []sdk.Field{{Name: "target", Type: sdk.Path, Required: true}, {Name: "password", Type: sdk.Secret}},
		Limits: sdk.Limits{Concurrency: 4}, Abilities: sdk.AbilitiesOf(b.instance(sdk.Config{}))}
	if b.fault.reset != nil {
		description.Verbs = append(description.Verbs, sdk.Reset)
	}
	if b.fault.describe != nil {
		b.fault.describe(&description)
	}
	return description
}

// Configure opens an instance.
func (b *backend) Configure(_ context.Context, config sdk.Config) (sdk.Instance, error) {
	if b.fault.configure != nil {
		if err := b.fault.configure(config); err != nil {
			return nil, err
		}
	}
	return b.instance(config), nil
}

func (b *backend) instance(config sdk.Config) sdk.Instance {
	made := &instance{fault: b.fault, config: config, accounts: accounts(config.Text("target"))}
	if b.fault.batch != nil {
		return batching{made}
	}
	return made
}

type instance struct {
	fault    fault
	config   sdk.Config
	accounts accounts
	calls    atomic.Int64
	mu       sync.Mutex
	others   []string // values of other operations
}

// Lacks returns the abilities that the fault has no function for.
func (i *instance) Lacks() []sdk.Ability {
	var lacks []sdk.Ability
	for ability, missing := range map[sdk.Ability]bool{sdk.CanVerify: i.fault.verify == nil, sdk.CanPolicy: i.fault.policy == nil,
		sdk.CanCheck: i.fault.check == nil, sdk.CanGenerate: i.fault.generate == nil, sdk.Ability(sdk.Reset): i.fault.reset == nil} {
		if missing {
			lacks = append(lacks, ability)
		}
	}
	return lacks
}

// Apply gives the account its value.
func (i *instance) Apply(ctx context.Context, op sdk.Operation) sdk.Receipt {
	if i.fault.apply != nil {
		return i.fault.apply(i, ctx, op)
	}
	i.accounts.set(op.Account, op.Value)
	return sdk.OK()
}

// Close does nothing, if it is well.
func (i *instance) Close() error {
	if i.fault.close != nil {
		i.fault.close()
	}
	return nil
}

// Verify asks for the value.
func (i *instance) Verify(_ context.Context, account, _ string, value secret.Value) (sdk.Verdict, error) {
	return i.fault.verify(i, account, value)
}

// Policy tells the rules.
func (i *instance) Policy(context.Context, string, string) (sdk.Policy, error) {
	return i.fault.policy()
}

// Check looks.
func (i *instance) Check(context.Context) []sdk.Finding { return i.fault.check() }

// Generate makes values.
func (i *instance) Generate(_ context.Context, _ string, count int) ([]secret.Value, error) {
	return i.fault.generate(count)
}

// Reset lets the target choose.
func (i *instance) Reset(_ context.Context, op sdk.Operation) sdk.Receipt {
	return i.fault.reset(i, op)
}

type batching struct{ *instance }

// ApplyBatch does several.
func (b batching) ApplyBatch(_ context.Context, ops []sdk.Operation) []sdk.Receipt {
	return b.fault.batch(b.instance, ops)
}

// done gives the account its value and says so.
func (i *instance) done(op sdk.Operation) sdk.Receipt {
	i.accounts.set(op.Account, op.Value)
	return sdk.OK()
}

func failed(code sdk.Code, text string) sdk.Receipt { return sdk.Refuse(sdk.Errorf(code, "%s", text)) }

// told refuses with what text makes of a value.
func told(text func(i *instance, value string) string) fault {
	return fault{apply: func(i *instance, _ context.Context, op sdk.Operation) sdk.Receipt {
		said := text(i, op.Value.Reveal())
		fmt.Fprintln(os.Stderr, said)
		return failed(sdk.TargetError, said)
	}}
}

func replaySafe(made fault) fault {
	made.describe = func(d *sdk.Description) { d.ReplaySafe = []sdk.Verb{sdk.Set} }
	return made
}

func applying(apply func(i *instance, op sdk.Operation) sdk.Receipt) fault {
	return fault{apply: func(i *instance, _ context.Context, op sdk.Operation) sdk.Receipt { return apply(i, op) }}
}

func verifying(verify func(i *instance, account string, value secret.Value) (sdk.Verdict, error)) fault {
	return fault{verify: verify}
}

func truly(i *instance, account string, value secret.Value) (sdk.Verdict, error) {
	if i.accounts.has(account, value) {
		return sdk.Accepted, nil
	}
	return sdk.Rejected, nil
}

func says(verdict sdk.Verdict) func(*instance, string, secret.Value) (sdk.Verdict, error) {
	return func(*instance, string, secret.Value) (sdk.Verdict, error) { return verdict, nil }
}

// faults are the modes of a plugin that stands on the SDK.
func faults() map[string]fault {
	all := map[string]fault{"honest": {verify: truly}}
	for _, some := range []map[string]fault{descriptions(), deaths(), delays(), lies(), leaks(), floods(), questions()} {
		for mode, made := range some {
			all[mode] = made
		}
	}
	return all
}

func descriptions() map[string]fault {
	return map[string]fault{
		"wrong-name":        {describe: func(d *sdk.Description) { d.Name = "another" }},
		"egress-typo":       {describe: func(d *sdk.Description) { d.Egress = []string{"{hots}"} }},
		"path-typo":         {describe: func(d *sdk.Description) { d.Paths = []string{"write {traget}"} }},
		"describe-panics":   {describe: func(*sdk.Description) { panic("in Describe") }},
		"describe-exits":    {describe: func(*sdk.Description) { os.Exit(4) }},
		"describe-hangs":    {describe: func(*sdk.Description) { select {} }},
		"describe-too-much": {describe: func(d *sdk.Description) { d.Doc = strings.Repeat("a word ", 1<<20) }},
		"configure-panics":  {configure: func(c sdk.Config) error { panic("in Configure: " + c.Secret("password").Reveal()) }},
		"configure-refuses": {configure: func(c sdk.Config) error { return fmt.Errorf("cannot log in with %s", c.Secret("password").Reveal()) }},
		"configure-exits":   {configure: func(sdk.Config) error { os.Exit(5); return nil }},
		"version-of-a-start": {describe: func(d *sdk.Description) {
			d.Version, d.ReplaySafe = fmt.Sprint(os.Getpid()), []sdk.Verb{sdk.Set}
		}, apply: crashOnce},
	}
}

func crashOnce(i *instance, _ context.Context, op sdk.Operation) sdk.Receipt {
	if i.accounts.first("crashed") {
		fmt.Fprintln(os.Stderr, "the only crash")
		os.Exit(7)
	}
	return i.done(op)
}

func deaths() map[string]fault {
	return map[string]fault{
		"crash-once":   {apply: crashOnce},
		"crash-at-6":   applying(func(i *instance, op sdk.Operation) sdk.Receipt { return i.until(6, op, func() { panicElsewhere() }) }),
		"crash-always": replaySafe(applying(func(*instance, sdk.Operation) sdk.Receipt { panicElsewhere(); return sdk.OK() })),
		"exit-0":       applying(func(i *instance, op sdk.Operation) sdk.Receipt { return i.until(3, op, func() { os.Exit(0) }) }),
		"kills-itself": applying(func(i *instance, op sdk.Operation) sdk.Receipt {
			return i.until(3, op, func() { signal(syscall.SIGKILL) })
		}),
		"stops-itself": applying(func(i *instance, op sdk.Operation) sdk.Receipt {
			return i.until(3, op, func() { signal(syscall.SIGSTOP) })
		}),
		"panics": applying(func(*instance, sdk.Operation) sdk.Receipt { panic("in a call") }),
		"balloon": applying(func(*instance, sdk.Operation) sdk.Receipt {
			return failed(sdk.Internal, fmt.Sprint(len(make([]byte, 64<<30))))
		}),
		"close-panics": {close: func() { panic("in Close") }},
		"close-hangs":  {close: func() { select {} }},
		"closes-its-descriptors": applying(func(i *instance, op sdk.Operation) sdk.Receipt {
			return i.until(3, op, func() {
				for fd := 3; fd < 64; fd++ {
					_ = syscall.Shutdown(fd, syscall.SHUT_RDWR)
				}
				select {}
			})
		}),
		"unlinks-its-socket": applying(func(i *instance, op sdk.Operation) sdk.Receipt {
			sockets, _ := filepath.Glob(os.Getenv("PLUGIN_UNIX_SOCKET_DIR") + "/plugin*")
			for _, path := range sockets {
				_ = os.Remove(path)
			}
			return i.done(op)
		}),
		"child-in-a-session": applying(func(i *instance, op sdk.Operation) sdk.Receipt { linger(true); return i.done(op) }),
		"child":              applying(func(i *instance, op sdk.Operation) sdk.Receipt { linger(false); return i.done(op) }),
		"replaces-itself": replaySafe(applying(func(i *instance, op sdk.Operation) sdk.Receipt {
			return i.until(3, op, func() {
				i.mu.Lock()
				self := os.Args[0]
				text, _ := os.ReadFile(self)
				_ = os.Remove(self)
				_ = os.WriteFile(self, append(text, 0), 0o755)
				os.Exit(6)
			})
		})),
	}
}

// until serves so many operations, and then does something else.
func (i *instance) until(count int64, op sdk.Operation, then func()) sdk.Receipt {
	if i.calls.Add(1) >= count {
		then()
	}
	return i.done(op)
}

func signal(which syscall.Signal) {
	_ = syscall.Kill(os.Getpid(), which)
	select {}
}

func panicElsewhere() {
	go panic("in a goroutine")
	select {}
}

func linger(session bool) {
	cmd := exec.Command("/proc/self/exe", "linger")
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: session}
	if err := cmd.Start(); err != nil {
		panic(err)
	}
}

func delays() map[string]fault {
	late := func(i *instance, _ context.Context, op sdk.Operation) sdk.Receipt {
		time.Sleep(900 * time.Millisecond)
		return i.done(op)
	}
	hang := func(*instance, context.Context, sdk.Operation) sdk.Receipt { select {} }
	wait := func(after time.Duration) fault {
		return applying(func(*instance, sdk.Operation) sdk.Receipt {
			return sdk.Refuse(&sdk.Error{Code: sdk.RateLimited, Message: "later", RetryAfter: after})
		})
	}
	return map[string]fault{
		"late": {apply: late}, "late-replayed": replaySafe(fault{apply: late}),
		"hangs": {apply: hang}, "hangs-replayed": replaySafe(fault{apply: hang}),
		"busy-for-a-year":    wait(365 * 24 * time.Hour),
		"busy-in-the-past":   wait(-time.Hour),
		"conflict-for-ever":  applying(func(*instance, sdk.Operation) sdk.Receipt { return failed(sdk.Conflict, "not now") }),
		"always-unreachable": applying(func(*instance, sdk.Operation) sdk.Receipt { return failed(sdk.Unreachable, "no route") }),
		"late-by-a-moment": {apply: func(i *instance, _ context.Context, op sdk.Operation) sdk.Receipt {
			time.Sleep(50 * time.Millisecond)
			return i.done(op)
		}, verify: truly},
	}
}

func lies() map[string]fault {
	return map[string]fault{
		"not-applied": {apply: func(*instance, context.Context, sdk.Operation) sdk.Receipt { return sdk.OK() }, verify: truly},
		"verify-lies": {apply: func(*instance, context.Context, sdk.Operation) sdk.Receipt { return sdk.OK() }, verify: says(sdk.Accepted)},
		"already":     applying(func(*instance, sdk.Operation) sdk.Receipt { return sdk.Receipt{Outcome: sdk.AlreadyApplied} }),
		"contradicts": applying(func(_ *instance, op sdk.Operation) sdk.Receipt {
			if op.Attempt == 1 {
				return failed(sdk.Conflict, "not now")
			}
			return sdk.Receipt{Outcome: sdk.AlreadyApplied}
		}),
		"cut-then-already": replaySafe(applying(func(i *instance, op sdk.Operation) sdk.Receipt {
			if op.Attempt == 1 {
				i.accounts.set(op.Account, op.Value)
				return sdk.Lost(sdk.Errorf(sdk.ConnectionLost, "cut after it"))
			}
			return sdk.Receipt{Outcome: sdk.AlreadyApplied}
		})),
		"cut-before": replaySafe(applying(func(i *instance, op sdk.Operation) sdk.Receipt {
			if op.Attempt == 1 {
				return sdk.Lost(sdk.Errorf(sdk.ConnectionLost, "cut before it"))
			}
			return i.done(op)
		})),
		"refuses-what-it-does": {apply: func(i *instance, _ context.Context, op sdk.Operation) sdk.Receipt {
			i.accounts.set(op.Account, op.Value)
			return failed(sdk.AccountStatus, "locked")
		}, verify: truly},
		"empty-receipt": applying(func(*instance, sdk.Operation) sdk.Receipt { return sdk.Receipt{} }),
		"fewer-receipts": {batch: func(i *instance, ops []sdk.Operation) (list []sdk.Receipt) {
			for _, op := range ops[:len(ops)/2] {
				list = append(list, i.done(op))
			}
			return list
		}},
		"more-receipts": {batch: func(i *instance, ops []sdk.Operation) (list []sdk.Receipt) {
			for _, op := range ops {
				list = append(list, i.done(op), i.done(op))
			}
			return list[:len(ops)+1]
		}},
	}
}

func leaks() map[string]fault {
	return map[string]fault{
		"tells-raw":      told(func(_ *instance, value string) string { return value }),
		"tells-base64":   told(func(_ *instance, value string) string { return base64.StdEncoding.EncodeToString([]byte(value)) }),
		"tells-hex":      told(func(_ *instance, value string) string { return fmt.Sprintf("%x", value) }),
		"tells-halves":   told(func(_ *instance, value string) string { return value[:len(value)/2] + " and " + value[len(value)/2:] }),
		"tells-reversed": told(func(_ *instance, value string) string { return reversed(value) }),
		"tells-spaced":   told(func(_ *instance, value string) string { return strings.Join(strings.Split(value, ""), " ") }),
		"tells-a-piece": told(func(_ *instance, value string) string {
			return "the first characters " + value[:min(12, len(value))] + " are not allowed"
		}),
		"tells-logon": told(func(i *instance, _ string) string { return "as " + i.config.Secret("password").Reveal() }),
		"tells-others": told(func(i *instance, value string) string {
			i.mu.Lock()
			defer i.mu.Unlock()
			i.others = append(i.others, value)
			return strings.Join(i.others, ", ")
		}),
		"tells-in-every-field": applying(func(_ *instance, op sdk.Operation) sdk.Receipt {
			text := op.Value.Reveal()
			return sdk.Receipt{Outcome: sdk.Refused, Ref: text, Stamp: text, Err: &sdk.Error{Code: sdk.PolicyViolation, Message: text, Native: text,
				Violations: []sdk.Violation{{Rule: sdk.Rule(text), Native: text, Message: text}}}}
		}),
		"logs-secrets": applying(func(i *instance, op sdk.Operation) sdk.Receipt {
			i.config.Log.Error(op.Value.Reveal(), "value", op.Value.Reveal(), op.Value.Reveal(), 1)
			fmt.Fprintln(os.Stderr, op.Value.Reveal())
			return i.done(op)
		}),
		"panics-with-secrets": applying(func(_ *instance, op sdk.Operation) sdk.Receipt { panic("with " + op.Value.Reveal()) }),
		"dies-with-secrets": applying(func(_ *instance, op sdk.Operation) sdk.Receipt {
			go panic("with " + op.Value.Reveal())
			select {}
		}),
	}
}

func reversed(text string) string {
	letters := []rune(text)
	for from, to := 0, len(letters)-1; from < to; from, to = from+1, to-1 {
		letters[from], letters[to] = letters[to], letters[from]
	}
	return string(letters)
}

func floods() map[string]fault {
	return map[string]fault{
		"floods-stderr": applying(func(i *instance, op sdk.Operation) sdk.Receipt {
			for range 1 << 15 {
				fmt.Fprintln(os.Stderr, op.Account+strings.Repeat(" and more", 10))
			}
			return i.done(op)
		}),
		"one-long-line": applying(func(i *instance, op sdk.Operation) sdk.Receipt {
			for range 1 << 10 {
				fmt.Fprint(os.Stderr, strings.Repeat("no end ", 1<<10))
			}
			return i.done(op)
		}),
		"words-without-end": applying(func(*instance, sdk.Operation) sdk.Receipt {
			return failed(sdk.TargetError, strings.Repeat("word ", 1<<20))
		}),
		"terminal-words": applying(func(*instance, sdk.Operation) sdk.Receipt {
			return failed(sdk.TargetError, "\x1b[2J\x1b]0;x\x07red\nrekey: all is well\r\u202e\xff")
		}),
		"findings-without-end": {check: func() (list []sdk.Finding) {
			for n := range 20_000 {
				list = append(list, sdk.Finding{Severity: sdk.Warning, Message: fmt.Sprint("finding ", n)})
			}
			return list
		}},
	}
}

func questions() map[string]fault {
	return map[string]fault{
		"verify-cannot-tell": verifying(says(sdk.CannotTell)),
		"verify-rejects":     verifying(says(sdk.Rejected)),
		"verify-blocked":     verifying(says(sdk.Blocked)),
		"verify-errs": verifying(func(*instance, string, secret.Value) (sdk.Verdict, error) {
			return sdk.Accepted, sdk.Errorf(sdk.Unreachable, "no route")
		}),
		"verify-panics": verifying(func(*instance, string, secret.Value) (sdk.Verdict, error) { panic("in Verify") }),
		"verify-hangs":  verifying(func(*instance, string, secret.Value) (sdk.Verdict, error) { select {} }),
		"check-is-bad": {check: func() []sdk.Finding {
			return []sdk.Finding{{Severity: sdk.Bad, Code: sdk.PermissionDenied, Message: "may not"}}
		}},
		"check-panics":      {check: func() []sdk.Finding { panic("in Check") }},
		"check-hangs":       {check: func() []sdk.Finding { select {} }},
		"policy-absurd":     {policy: func() (sdk.Policy, error) { return sdk.Policy{MinLength: 90, MaxLength: 3}, nil }},
		"policy-negative":   {policy: func() (sdk.Policy, error) { return sdk.Policy{MinLength: -5, MaxLength: -1, Digits: -3}, nil }},
		"policy-panics":     {policy: func() (sdk.Policy, error) { panic("in Policy") }},
		"generates-nothing": {generate: func(int) ([]secret.Value, error) { return nil, nil }},
		"generates-empty":   {generate: func(count int) ([]secret.Value, error) { return make([]secret.Value, count), nil }},
		"generates-one":     {generate: func(int) ([]secret.Value, error) { return []secret.Value{secret.New("the-Same-4-all")}, nil }},
		"reset-to-nothing":  {reset: func(*instance, sdk.Operation) sdk.Receipt { return sdk.OK() }},
	}
}
