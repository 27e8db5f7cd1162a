package backendtest

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
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

// wired is a plugin in a process of its own.
type wired struct {
	command command
	log     *journal

	mu      sync.Mutex
	process *process
	client  *dial.Client
	close   func() error
}

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
	process, err := start(w.command, w.log)
	if err != nil {
		return err
	}
	client, closeConn, err := dial.Over(process.connect, dial.Options{Gone: process.gone})
	if err != nil {
		return errors.Join(err, process.end())
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.process, w.client, w.close = process, client, closeConn
	return nil
}

func (w *wired) stop() error {
	w.mu.Lock()
	process, closeConn := w.process, w.close
	w.process = nil
	w.mu.Unlock()
	if process == nil {
		return nil
	}
	return errors.Join(closeConn(), process.end())
}

func (w *wired) restart() error { return errors.Join(w.stop(), w.start()) }

func (w *wired) logged() string { return w.log.String() }

func (w *wired) describe(ctx context.Context) (sdk.Description, error) {
	return w.client.Describe(ctx)
}

func (w *wired) configure(ctx context.Context, config sdk.Config) (subject, error) {
	instance, err := w.client.Configure(ctx, config)
	if err != nil {
		return nil, err
	}
	return far{instance}, nil
}

// raw opens a connection of its own.
func (w *wired) raw() (pb.BackendClient, func() error, error) {
	dialer := func(ctx context.Context, _ string) (net.Conn, error) { return w.process.connect(ctx) }
	conn, err := grpc.NewClient("passthrough:///plugin", grpc.WithContextDialer(dialer), // w.process makes it private
		grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithDisableRetry(), grpc.WithDisableServiceConfig())
	if err != nil {
		return nil, nil, err
	}
	return pb.NewBackendClient(conn), conn.Close, nil
}

func (w *wired) watched() *process { return w.process }

// far is an instance in another process.
type far struct{ *dial.Instance }

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

func (f far) close() error { return f.Close() }
