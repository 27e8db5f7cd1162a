package backendtest

import (
	"context"
	"crypto/tls"
	"encoding/base64"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"google.golang.org/grpc"

	"github.com/rekey-host/rekey/sdk"
	pb "github.com/rekey-host/rekey/sdk/internal/backendpb"
	"github.com/rekey-host/rekey/sdk/serve"
)

func TestAnHonestBackendOfAServerPasses(t *testing.T) {
	Run(t, Options{Backend: &teller{}, Target: banked})
}

// TestEveryLieOfALostConnectionIsCaught: each by the check that names it.
func TestEveryLieOfALostConnectionIsCaught(t *testing.T) {
	for _, tt := range []struct {
		name  string
		check string
		b     *teller
	}{
		{"a cut connection is answered refused", "faults/sets tell the truth", &teller{cut: sdk.Refuse}},
		{"a cut connection is answered applied", "faults/sets tell the truth", &teller{cut: func(*sdk.Error) sdk.Receipt { return sdk.OK() }}},
		{"looks at no deadline", "faults/sets tell the truth", &teller{patient: true}},
		{"verify says rejected when the server is away", "faults/verify tells the truth", &teller{verify: func(error) (sdk.Verdict, error) { return sdk.Rejected, nil }}},
		{"verify says accepted when it was cut", "faults/verify tells the truth", &teller{verify: func(error) (sdk.Verdict, error) { return sdk.Accepted, nil }}},
		{"verify says rejected when the server is gone", "down/a lost target is told as such", &teller{verify: func(error) (sdk.Verdict, error) { return sdk.Rejected, nil }}},
		{"find knows no account when the server is away", "faults/find says nothing of an account", &teller{find: func(error) error { return sdk.Errorf(sdk.AccountNotFound, "none") }}},
		{"find finds nothing when the server is gone", "down/a lost target is told as such", &teller{find: func(error) error { return nil }}},
		{"a cut list is a short one", "faults/a list is never short in silence", &teller{short: true}},
		{"a refused id is remembered as applied", "faults/a target that is back is asked again", &teller{apply: func(t *till, ctx context.Context, op sdk.Operation) sdk.Receipt {
			t.mu.Lock()
			known := t.past[op.ID]
			t.past[op.ID] = true
			t.mu.Unlock()
			if known {
				return sdk.Receipt{Outcome: sdk.AlreadyApplied}
			}
			return t.set(ctx, op)
		}}},
		{"says already applied at once", "faults/sets tell the truth", &teller{receipts: func(r sdk.Receipt) sdk.Receipt {
			if r.Outcome == sdk.Applied {
				r.Outcome = sdk.AlreadyApplied
			}
			return r
		}}},
		{"has one stamp for all receipts", "set/stamps differ", &teller{receipts: func(r sdk.Receipt) sdk.Receipt { r.Stamp = "same"; return r }}},
		{"declares the egress of a setting that there is not", "describe/makes sense", &teller{describe: func(d *sdk.Description) { d.Egress = []string{"{port}"} }}},
		{"takes must_change and says nothing of it", "set/can demand a change at the next logon", &teller{describe: func(d *sdk.Description) { d.MustChange = nil }}},
		{"quotes a half of the value in each text", checkOfShards, &teller{apply: func(t *till, ctx context.Context, op sdk.Operation) sdk.Receipt {
			r := t.set(ctx, op)
			if r.Err != nil {
				half := op.Value.Reveal()
				r.Err.Message, r.Err.Native = half[:len(half)/2], half[len(half)/2:]
			}
			return r
		}}},
		{"quotes the value where the connection is cut", checkOfShards, &teller{apply: func(t *till, ctx context.Context, op sdk.Operation) sdk.Receipt {
			r := t.set(ctx, op)
			if r.Err != nil && r.Err.Code == sdk.ConnectionLost {
				r.Err.Message += " after " + op.Value.Reveal()[:8]
			}
			return r
		}}},
		{"spaces the value out", checkOfShards, &teller{apply: func(t *till, ctx context.Context, op sdk.Operation) sdk.Receipt {
			r := t.set(ctx, op)
			if r.Err != nil {
				r.Err.Message = strings.Join(strings.Split(op.Value.Reveal(), ""), " ")
			}
			return r
		}}},
		{"turns the value round", checkOfShards, &teller{apply: func(t *till, ctx context.Context, op sdk.Operation) sdk.Receipt {
			r := t.set(ctx, op)
			if r.Err != nil {
				letters := []rune(op.Value.Reveal())
				slices.Reverse(letters)
				r.Err.Native = string(letters)
			}
			return r
		}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if found := findings(t, Options{Backend: tt.b, Target: banked, Patience: 2 * time.Second}, tt.check); len(found[tt.check]) == 0 {
				t.Errorf("the check %q found nothing", tt.check)
			}
		})
	}
}

// TestAFaultThatWasNotMetShowsNothing: a backend that goes past the relay fails, and
// does not pass untried.
func TestAFaultThatWasNotMetShowsNothing(t *testing.T) {
	for check, question := range map[string]string{
		"faults/sets tell the truth": "set", "faults/verify tells the truth": "verify", "faults/find says nothing of an account": "find",
		"faults/a list is never short in silence": "list", checkOfShards: "set",
	} {
		backend := &teller{stray: question}
		target := func(t testing.TB) Target {
			made := banked(t)
			backend.home = made.Server
			return made
		}
		found := findings(t, Options{Backend: backend, Target: target, Patience: 2 * time.Second}, check)[check]
		if !strings.Contains(fmt.Sprint(found), "made no exchange through the relay") {
			t.Errorf("%s: %v", check, found)
		}
	}
}

const checkOfShards = "leaks/no six characters of a secret, whatever fails"

// TestWhatAProcessDoesIsCaught: what only a plugin in a process of its own can do.
func TestWhatAProcessDoesIsCaught(t *testing.T) {
	for _, tt := range []struct {
		name  string
		check string
		b     *teller
	}{
		{"leaves a child in a session of its own", "close/leaves no process", &teller{apply: func(t *till, ctx context.Context, op sdk.Operation) sdk.Receipt {
			child := exec.Command("/bin/sleep", "60")
			child.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
			_ = child.Start()
			return t.set(ctx, op)
		}}},
		{"leaves the value in a file elsewhere", checkOfShards, &teller{apply: func(t *till, ctx context.Context, op sdk.Operation) sdk.Receipt {
			if strings.HasPrefix(op.Value.Reveal(), shards) {
				_ = os.WriteFile(filepath.Join("/tmp", "rekey-child-"+op.ID), []byte(op.Value.Reveal()[4:]), 0o600)
			}
			return t.set(ctx, op)
		}}},
		{"says that it is done, and asks no server", "wire/no more at once than allowed", &teller{apply: func(*till, context.Context, sdk.Operation) sdk.Receipt { return sdk.OK() }}},
		{"says that it is done, and asks no server, while it is closed", "close/waits for what runs", &teller{apply: func(*till, context.Context, sdk.Operation) sdk.Receipt { return sdk.OK() }}},
		{"does two things at once", "wire/no more at once than allowed", &teller{apply: func(t *till, ctx context.Context, op sdk.Operation) sdk.Receipt {
			other := make(chan sdk.Receipt)
			go func() { other <- t.set(ctx, op) }()
			defer func() { <-other }()
			return t.set(ctx, op)
		}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			o := Options{Backend: tt.b, Target: banked}
			serveIfChild(t, o)
			t.Cleanup(func() {
				left, _ := filepath.Glob("/tmp/rekey-child-*")
				for _, name := range left {
					_ = os.Remove(name)
				}
			})
			if found := findingsOf(t, o, startWired(t, self(t)), tt.check); len(found[tt.check]) == 0 {
				t.Errorf("the check %q found nothing", tt.check)
			}
		})
	}
}

// hasty is a plugin whose Close waits for nothing.
type hasty struct{ pb.BackendClient }

func (h hasty) Close(_ context.Context, in *pb.CloseRequest, o ...grpc.CallOption) (*pb.CloseResponse, error) {
	go func() { _, _ = h.BackendClient.Close(context.Background(), in, o...) }()
	return &pb.CloseResponse{}, nil
}

// stuttering is a plugin that gives each answer twice.
type stuttering struct{ pb.BackendClient }

type twice struct {
	grpc.BidiStreamingClient[pb.OperationFrame, pb.AnswerFrame]
}

func (s stuttering) ApplyStream(ctx context.Context, o ...grpc.CallOption) (grpc.BidiStreamingClient[pb.OperationFrame, pb.AnswerFrame], error) {
	stream, err := s.BackendClient.ApplyStream(ctx, o...)
	return twice{stream}, err
}

func (t twice) Recv() (*pb.AnswerFrame, error) {
	frame, err := t.BidiStreamingClient.Recv()
	if frame != nil {
		frame.Answers = append(frame.Answers, frame.Answers...)
	}
	return frame, err
}

// roomy is a plugin that takes messages of any length.
type roomy struct{ pb.BackendClient }

func (r roomy) Apply(ctx context.Context, in *pb.ApplyRequest, o ...grpc.CallOption) (*pb.ApplyResponse, error) {
	if value := in.GetOperation().GetValue(); len(value.GetValue()) > 1<<20 {
		value.Value = value.GetValue()[:20]
	}
	return r.BackendClient.Apply(ctx, in, o...)
}

// TestWhatForeignPluginsDoIsCaught: what the sdk does not let a plugin do.
func TestWhatForeignPluginsDoIsCaught(t *testing.T) {
	o := Options{Backend: &teller{}, Target: banked}
	serveIfChild(t, o)
	good := startWired(t, self(t))
	for check, spoil := range map[string]func(pb.BackendClient) pb.BackendClient{
		"close/waits for what runs":            func(c pb.BackendClient) pb.BackendClient { return hasty{c} },
		"wire/each operation is answered once": func(c pb.BackendClient) pb.BackendClient { return stuttering{c} },
		"wire/a message has a limit":           func(c pb.BackendClient) pb.BackendClient { return roomy{c} },
	} {
		if found := findingsOf(t, o, foreign{good, spoil}, check); len(found[check]) == 0 {
			t.Errorf("the check %q found nothing", check)
		}
	}
}

// strange is a plugin's process that is not built on serve: it asks no client for a
// certificate unless auth says so, and opens its socket where it likes.
func strange(t *testing.T, backend sdk.Backend, auth tls.ClientAuthType, dir func() string) {
	if os.Getenv(childKey) != t.Name() {
		return
	}
	cert, _, err := certificate()
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir(), "strange")
	socket, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	stop := serve.On(tls.NewListener(socket, &tls.Config{Certificates: []tls.Certificate{cert}, ClientAuth: auth, NextProtos: []string{"h2"}, MinVersion: tls.VersionTLS12}), backend)
	fmt.Printf("1|1|unix|%s|grpc|%s\n", path, base64.RawStdEncoding.EncodeToString(cert.Certificate[0]))
	_, _ = io.Copy(io.Discard, os.NewFile(3, "liveness"))
	stop()
	_ = os.Remove(path)
	os.Exit(0)
}

func TestAPluginThatAsksForNoCertificateIsCaught(t *testing.T) {
	for name, auth := range map[string]tls.ClientAuthType{"none": tls.NoClientCert, "any": tls.RequireAnyClientCert} {
		t.Run(name, func(t *testing.T) {
			strange(t, &teller{}, auth, func() string { return os.Getenv("PLUGIN_UNIX_SOCKET_DIR") })
			const check = "wire/strangers are refused"
			if found := findingsOf(t, Options{Target: banked}, startWired(t, self(t)), check); len(found[check]) == 0 {
				t.Errorf("the check %q found nothing", check)
			}
		})
	}
}

func TestAPluginWhoseSocketIsElsewhereIsCaught(t *testing.T) {
	strange(t, &teller{}, tls.RequireAnyClientCert, func() string {
		dir, err := os.MkdirTemp("/tmp", "rk-elsewhere")
		if err != nil {
			panic(err)
		}
		return dir
	})
	t.Cleanup(func() {
		left, _ := filepath.Glob("/tmp/rk-elsewhere*")
		for _, name := range left {
			_ = os.RemoveAll(name)
		}
	})
	const check = "wire/the socket is where it was told"
	if found := findingsOf(t, Options{Target: banked}, startWired(t, self(t)), check); len(found[check]) == 0 {
		t.Errorf("the check %q found nothing", check)
	}
}

// timeless is a plugin that is never told of a deadline, and so keeps none.
type timeless struct{ *wired }

func (p timeless) configure(ctx context.Context, config sdk.Config) (subject, error) {
	config.Timeout = time.Hour
	return p.wired.configure(ctx, config)
}

func TestAPluginWithoutADeadlineIsCaught(t *testing.T) {
	o := Options{Backend: &teller{}, Target: banked, Patience: 3 * time.Second}
	serveIfChild(t, o)
	const check = "wire/the deadline holds"
	if found := findingsOf(t, o, timeless{startWired(t, self(t))}, check); len(found[check]) == 0 {
		t.Errorf("the check %q found nothing", check)
	}
}

func TestAnUnlockedAccountThatIsRememberedAsRefusedIsCaught(t *testing.T) {
	past := map[string]bool{}
	b := &broken{memory: soundBackend(), apply: func(ctx context.Context, i *instance, op sdk.Operation) sdk.Receipt {
		if past[op.ID] {
			return sdk.Receipt{Outcome: sdk.AlreadyApplied}
		}
		past[op.ID] = true
		return i.real(ctx, op)
	}}
	const check = "faults/an unlocked account is asked again"
	if found := findings(t, Options{Backend: b, Target: soundTarget()}, check); len(found[check]) == 0 {
		t.Errorf("the check %q found nothing", check)
	}
}
