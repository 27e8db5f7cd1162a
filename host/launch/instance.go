package launch

import (
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rekey-host/rekey/sdk"
	"github.com/rekey-host/rekey/sdk/dial"
	"github.com/rekey-host/rekey/sdk/secret"
)

// Instance is one configured instance that outlives its process: what was in
// flight when that died is Unknown with ConnectionLost, what comes after starts
// another one and is sent there. When none can be had, operations are
// Refused with TargetUnavailable. Its secrets stay in memory for that. The
// methods are those of dial.Instance.
type Instance struct {
	plugin  *Plugin
	config  sdk.Config
	opening chan struct{} // of one element: who may configure it again
	current atomic.Pointer[dial.Instance]
	process atomic.Pointer[process] // of current

	ctx  context.Context // ends with Close
	stop context.CancelFunc

	mu     sync.Mutex // of closed, of config.Handed, and of wg's counter against its waiter
	closed bool
	wg     sync.WaitGroup // of submissions that wait for a process
}

// Label returns the name that the script gave the instance.
func (i *Instance) Label() string { return i.config.Label }

// Values returns the settings that may be shown, as they were given.
func (i *Instance) Values() map[string]any { return i.config.Values }

// Description returns what the plugin says of itself.
func (i *Instance) Description() sdk.Description {
	if process := i.process.Load(); process != nil {
		return process.description
	}
	return sdk.Description{}
}

// Abilities returns what the instance can do with its settings.
func (i *Instance) Abilities() []sdk.Ability {
	if instance := i.current.Load(); instance != nil {
		return instance.Abilities()
	}
	return nil
}

// Plugin returns what serves the instance, and others with it.
func (i *Instance) Plugin() *Plugin { return i.plugin }

// Breaches lists what the instance's plugin did against the contract so far.
func (i *Instance) Breaches() []string { return i.plugin.Breaches() }

// ready returns the instance in the process if both live.
func (i *Instance) ready() *dial.Instance {
	instance := i.current.Load()
	if instance == nil {
		return nil
	}
	select {
	case <-instance.Done():
		return nil
	default:
		return instance
	}
}

// open returns the instance in a process, configured anew if need be.
func (i *Instance) open(ctx context.Context) (*dial.Instance, error) {
	if instance := i.ready(); instance != nil {
		return instance, nil
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(i.ctx, cancel)()
	select {
	case i.opening <- struct{}{}:
		defer func() { <-i.opening }()
	case <-ctx.Done():
		return nil, sdk.Errorf(sdk.Cancelled, "plugin %s: given up before it was ready", i.plugin.command.Name)
	}
	if instance := i.ready(); instance != nil {
		return instance, nil
	}
	i.discard()
	proc, err := i.plugin.running(ctx)
	if err != nil {
		return nil, err
	}
	d, err := proc.client.Configure(ctx, i.settings())
	if err != nil {
		if errors.Is(err, &sdk.Error{Code: sdk.Timeout}) && ctx.Err() == nil {
			proc.kill("it did not answer when it was configured")
		}
		return nil, err
	}
	for _, ability := range d.Abilities() {
		if !proc.description.Can(ability) {
			i.plugin.record.breaches.Note(dial.Undeclared)
		}
	}
	i.process.Store(proc)
	i.current.Store(d)
	if i.ctx.Err() != nil { // Close did not see it
		_ = d.Close()
	}
	return d, nil
}

// discard ends the rest of the instance before. If its process lives, it
// broke the contract, and it may still do anything: it goes too.
func (i *Instance) discard() {
	old := i.current.Load()
	if old == nil {
		return
	}
	if proc := i.process.Load(); proc != nil && proc.why() == "" {
		proc.killAndWait("it broke the stream of its operations")
	}
	_ = old.Close()
}

// refusal is why an operation could not be sent.
func (i *Instance) refusal(err error) *sdk.Error {
	var start *StartError
	if errors.As(err, &start) {
		return sdk.Errorf(sdk.TargetUnavailable, "%s", start.Error())
	}
	return sdk.AsError(err, sdk.TargetUnavailable)
}

// settings are what the instance is configured with now.
func (i *Instance) settings() sdk.Config {
	i.mu.Lock()
	defer i.mu.Unlock()
	config := i.config
	if reach := i.plugin.command.Reach; reach != nil && reach.Patient {
		config.Timeout = max(config.Timeout, breakpoint)
	}
	return config
}

// breakpoint is the time of an operation where an author may stop the plugin in it.
const breakpoint = time.Hour

// remember keeps the value about to become the password that the instance logs in
// with: the next process may need it. What the returned function is told of it
// decides what stays: each value too many is a failed logon of the next process.
func (i *Instance) remember(ops []sdk.Operation, answer func(count int, receipt sdk.Receipt)) func(count int, receipt sdk.Receipt) {
	var sent map[int]secret.Value
	fresh := map[int]bool{}
	for index := range ops {
		if ops[index].Verb != sdk.Handover {
			continue
		}
		if sent == nil {
			sent = map[int]secret.Value{}
		}
		sent[index] = ops[index].Value
		fresh[index] = i.hand(ops[index].Value)
	}
	if sent == nil {
		return answer
	}
	return func(count int, receipt sdk.Receipt) {
		if value, ok := sent[count]; ok {
			i.settled(value, receipt.Outcome, fresh[count])
		}
		answer(count, receipt)
	}
}

// hand puts a value first, and reports whether it was not there before.
func (i *Instance) hand(value secret.Value) (fresh bool) {
	i.mu.Lock()
	defer i.mu.Unlock()
	others := slices.DeleteFunc(slices.Clone(i.config.Handed), value.Equal)
	fresh = len(others) == len(i.config.Handed)
	i.config.Handed = append([]secret.Value{value}, others...)
	return fresh
}

// settled forgets what cannot be in force any more: those before a value that
// took effect, and of one refused and never sent before.
func (i *Instance) settled(value secret.Value, outcome sdk.Outcome, fresh bool) {
	i.mu.Lock()
	defer i.mu.Unlock()
	switch at := slices.IndexFunc(i.config.Handed, value.Equal); {
	case at < 0:
	case outcome == sdk.Applied, outcome == sdk.AlreadyApplied:
		i.config.Handed = slices.Clone(i.config.Handed[:at+1])
	case outcome == sdk.Refused && fresh:
		i.config.Handed = slices.Delete(slices.Clone(i.config.Handed), at, at+1)
	}
}

// Submit sends operations of Set, Change, Handover and Verify; see dial.Instance.
func (i *Instance) Submit(ops []sdk.Operation, answer func(count int, receipt sdk.Receipt)) {
	answer = i.remember(ops, answer)
	if instance := i.ready(); instance != nil {
		instance.Submit(ops, answer)
		return
	}
	waiting := i.run(func() {
		instance, err := i.open(i.ctx)
		if err == nil {
			instance.Submit(ops, answer)
			return
		}
		refuse(ops, i.refusal(err), answer)
	})
	if !waiting {
		refuse(ops, sdk.Errorf(sdk.Unreachable, "not sent: the backend is closed"), answer)
	}
}

func refuse(ops []sdk.Operation, failure *sdk.Error, answer func(count int, receipt sdk.Receipt)) {
	for index := range ops {
		answer(index, sdk.Refuse(failure))
	}
}

func (i *Instance) run(call func()) bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.closed {
		return false
	}
	i.wg.Go(call)
	return true
}

// Ask carries out an operation of one of sdk.AskedVerbs.
func (i *Instance) Ask(ctx context.Context, op sdk.Operation) sdk.Receipt {
	instance, err := i.open(ctx)
	if err != nil {
		return sdk.Refuse(i.refusal(err))
	}
	return instance.Ask(ctx, op)
}

// Find returns the state of an account. The error is an *sdk.Error.
func (i *Instance) Find(ctx context.Context, account string) (sdk.Account, error) {
	instance, err := i.open(ctx)
	if err != nil {
		return sdk.Account{}, i.refusal(err)
	}
	return instance.Find(ctx, account)
}

// Accounts calls yield for each account that the filter selects. Which of the
// attributes are secrets the plugin does not know.
func (i *Instance) Accounts(ctx context.Context, filter string, attributes, secrets []string, yield func(sdk.Account) error) error {
	instance, err := i.open(ctx)
	if err != nil {
		return i.refusal(err)
	}
	return instance.Accounts(ctx, filter, attributes, secrets, yield)
}

// Resolve returns one identity a name, in the same order. The error is an
// *sdk.Error.
func (i *Instance) Resolve(ctx context.Context, names []string) ([]sdk.Identity, error) {
	instance, err := i.open(ctx)
	if err != nil {
		return nil, i.refusal(err)
	}
	return instance.Resolve(ctx, names)
}

// Policy returns the rules of the target. The error is an *sdk.Error.
func (i *Instance) Policy(ctx context.Context, account, kind string) (sdk.Policy, error) {
	instance, err := i.open(ctx)
	if err != nil {
		return sdk.Policy{}, i.refusal(err)
	}
	return instance.Policy(ctx, account, kind)
}

// Verify asks the target once whether it accepts a value. The error is an
// *sdk.Error.
func (i *Instance) Verify(ctx context.Context, account, kind string, value secret.Value) (sdk.Verdict, error) {
	instance, err := i.open(ctx)
	if err != nil {
		return sdk.CannotTell, i.refusal(err)
	}
	return instance.Verify(ctx, account, kind, value)
}

// Generate returns count values that the target would accept. The error is an
// *sdk.Error.
func (i *Instance) Generate(ctx context.Context, kind string, count int) ([]secret.Value, error) {
	instance, err := i.open(ctx)
	if err != nil {
		return nil, i.refusal(err)
	}
	return instance.Generate(ctx, kind, count)
}

// Check returns mistakes, and whatever is worth knowing.
func (i *Instance) Check(ctx context.Context) []sdk.Finding {
	instance, err := i.open(ctx)
	if err != nil {
		failure := i.refusal(err)
		return []sdk.Finding{{Severity: sdk.Bad, Code: failure.Code, Message: failure.Message}}
	}
	return instance.Check(ctx)
}

// drain is how long operations may go on when an instance is closed.
const drain = 800 * time.Millisecond

// Close ends the instance; operations in flight get a moment to end. It may be
// called again.
func (i *Instance) Close() error {
	i.mu.Lock()
	i.closed = true
	i.mu.Unlock()
	i.stop()
	defer i.plugin.forget(i)
	defer i.wg.Wait()
	if instance := i.current.Load(); instance != nil {
		return instance.CloseWithin(drain)
	}
	return nil
}
