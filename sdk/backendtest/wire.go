package backendtest

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/rekey-host/rekey/sdk"
	"github.com/rekey-host/rekey/sdk/dial"
	pb "github.com/rekey-host/rekey/sdk/internal/backendpb"
	"github.com/rekey-host/rekey/sdk/secret"
	"github.com/rekey-host/rekey/sdk/serve"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
)

// childKey names, in the environment of a child, the test that serves.
const childKey = "REKEY_BACKENDTEST_SERVE"

// serveIfChild serves the backend and ends the process, if this process was
// started for that by the same test.
func serveIfChild(t *testing.T, options Options) {
	if os.Getenv(childKey) != t.Name() {
		return
	}
	if err := serve.Serve(options.Backend); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

// self is this test binary as a plugin: it serves the backend of the test.
func self(t *testing.T) command {
	t.Helper()
	path, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	name := strings.TrimSuffix(t.Name(), "/wire")
	pattern := "^" + strings.ReplaceAll(quoteMeta(name), "/", "$/^") + "$"
	return command{path: path, args: []string{"-test.run=" + pattern}, env: []string{
		childKey + "=" + name,
		"GORACE=atexit_sleep_ms=0", // a test binary built with -race lingers otherwise
	}}
}

// quoteMeta quotes what a pattern of tests would read.
func quoteMeta(name string) string {
	var out strings.Builder
	for _, letter := range name {
		if strings.ContainsRune(`\.+*?()|[]{}^$`, letter) {
			out.WriteByte('\\')
		}
		out.WriteRune(letter)
	}
	return out.String()
}

// wired is a plugin in a process of its own. A confined one has a process for each
// set of grants that its instances need, as it has in a run.
type wired struct {
	command command
	log     *journal
	confine func(sdk.Description, sdk.Config) (Confinement, error) // nil: nothing does

	mu     sync.Mutex
	now    *running   // what is watched, and described; nil: it is stopped
	others []*running // those with other grants
}

// running is one process of a plugin, with the host's end of the wire.
type running struct {
	command command
	process *process
	client  *dial.Client
	close   func() error
	open    int // instances, under wired.mu
}

func (r *running) stop() error { return errors.Join(r.close(), r.process.end()) }

// startWired starts a plugin's process; the test ends it.
func startWired(t *testing.T, command command) *wired {
	t.Helper()
	made := &wired{command: command, log: &journal{}}
	t.Cleanup(func() {
		if err := made.stop(); err != nil {
			t.Errorf("end of the plugin: %v", err)
		}
	})
	if err := made.start(); err != nil {
		t.Fatalf("start of the plugin: %v\n%s", err, made.log)
	}
	return made
}

func (w *wired) start() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	started, err := w.run(w.command)
	if err == nil {
		w.now = started
	}
	return err
}

func (w *wired) run(command command) (*running, error) {
	process, err := start(command, w.log)
	if err != nil {
		return nil, err
	}
	client, closeConn, err := dial.Over(process.connect, dial.Options{Gone: process.gone})
	if err != nil {
		return nil, errors.Join(err, process.end())
	}
	return &running{command: command, process: process, client: client, close: closeConn}, nil
}

func (w *wired) stop() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	all := w.others
	if w.now != nil {
		all = append(all, w.now)
	}
	w.now, w.others = nil, nil
	var errs []error
	for _, one := range all {
		errs = append(errs, one.stop())
	}
	return errors.Join(errs...)
}

func (w *wired) restart() error { return errors.Join(w.stop(), w.start()) }

func (w *wired) logged() string { return w.log.String() }

func (w *wired) describe(ctx context.Context) (sdk.Description, error) {
	return w.now.client.Describe(ctx)
}

// settle has the process with the grants of these settings be the one that is watched.
func (w *wired) settle(description sdk.Description, config sdk.Config) error {
	if w.confine == nil {
		return nil
	}
	confinement, err := w.confine(description, config)
	if err != nil {
		return err
	}
	if slices.Equal(confinement.Grants, w.now.command.confinement.Grants) {
		return nil
	}
	w.command.confinement = confinement
	return w.restart()
}

// with returns the process whose grants are those of the settings, and counts one
// more instance of it.
func (w *wired) with(ctx context.Context, config sdk.Config) (*running, error) {
	if w.confine == nil {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.now.open++
		return w.now, nil
	}
	description, err := w.describe(ctx)
	if err != nil {
		return nil, err
	}
	command := w.command
	if command.confinement, err = w.confine(description, config); err != nil {
		return nil, err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, one := range append(slices.Clone(w.others), w.now) {
		if slices.Equal(one.command.confinement.Grants, command.confinement.Grants) {
			one.open++
			return one, nil
		}
	}
	err = w.tidy()
	started, failed := w.run(command)
	if err = errors.Join(err, failed); err != nil {
		return nil, err
	}
	started.open++
	w.others = append(w.others, started)
	return started, nil
}

// tidy stops the processes without an instance, but for the one that is watched.
func (w *wired) tidy() error {
	var errs []error
	w.others = slices.DeleteFunc(w.others, func(one *running) bool {
		if one.open > 0 {
			return false
		}
		errs = append(errs, one.stop())
		return true
	})
	return errors.Join(errs...)
}

// without counts an instance less.
func (w *wired) without(process *running) {
	w.mu.Lock()
	defer w.mu.Unlock()
	process.open--
}

func (w *wired) configure(ctx context.Context, config sdk.Config) (subject, error) {
	process, err := w.with(ctx, config)
	if err != nil {
		return nil, err
	}
	instance, err := process.client.Configure(ctx, config)
	if err != nil {
		w.without(process)
		return nil, err
	}
	return far{instance, sync.OnceFunc(func() { w.without(process) })}, nil
}

// raw opens a connection of its own, to the process for these settings.
func (w *wired) raw(ctx context.Context, config sdk.Config) (pb.BackendClient, func() error, error) {
	process, err := w.with(ctx, config)
	if err != nil {
		return nil, nil, err
	}
	dialer := func(ctx context.Context, _ string) (net.Conn, error) { return process.process.connect(ctx) }
	conn, err := grpc.NewClient("passthrough:///plugin", grpc.WithContextDialer(dialer), // the process makes it private
		grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithDisableRetry(), grpc.WithDisableServiceConfig())
	if err != nil {
		return nil, nil, err
	}
	hangUp := func() error {
		w.without(process)
		return conn.Close()
	}
	return pb.NewBackendClient(conn), hangUp, nil
}

func (w *wired) watched() *process { return w.now.process }

// far is an instance in another process.
type far struct {
	*dial.Instance
	closed func()
}

func (f far) abilities() []sdk.Ability { return f.Abilities() }

func (f far) apply(_ context.Context, op sdk.Operation) sdk.Receipt {
	return f.submit([]sdk.Operation{op})[0]
}

// submit sends one frame and waits for its answers. One that came twice is
// Unknown.
func (f far) submit(ops []sdk.Operation) []sdk.Receipt {
	type answer struct {
		n int
		r sdk.Receipt
	}
	answers := make(chan answer, 2*len(ops))
	f.Submit(ops, func(count int, receipt sdk.Receipt) { answers <- answer{count, receipt} })
	receipts := make([]sdk.Receipt, len(ops))
	for range ops {
		answer := <-answers
		receipts[answer.n] = answer.r
	}
	return receipts
}

func (f far) ask(ctx context.Context, op sdk.Operation) sdk.Receipt { return f.Ask(ctx, op) }

func (f far) find(ctx context.Context, account string) (sdk.Account, error) {
	return f.Find(ctx, account)
}

func (f far) list(ctx context.Context, filter string, attributes []string, yield func(sdk.Account) error) error {
	return f.List(ctx, filter, attributes, yield)
}

func (f far) resolve(ctx context.Context, names []string) ([]sdk.Identity, error) {
	return f.Resolve(ctx, names)
}

func (f far) policy(ctx context.Context, account, kind string) (sdk.Policy, error) {
	return f.Policy(ctx, account, kind)
}

func (f far) verify(ctx context.Context, account, kind string, value secret.Value) (sdk.Verdict, error) {
	return f.Verify(ctx, account, kind, value)
}

func (f far) generate(ctx context.Context, kind string, count int) ([]secret.Value, error) {
	return f.Generate(ctx, kind, count)
}

func (f far) check(ctx context.Context) []sdk.Finding { return f.Check(ctx) }

func (f far) close() error {
	defer f.closed()
	return f.Close()
}
