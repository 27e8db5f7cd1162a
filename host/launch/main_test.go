package launch_test

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/rekey-host/rekey/host/launch"
	"github.com/rekey-host/rekey/sdk"
	"github.com/rekey-host/rekey/sdk/serve"
)

// TestMain turns the test binary into a plugin when it is started as one.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == "plugin" {
		actors[os.Args[2]]()
		os.Exit(0)
	}
	goleak.VerifyTestMain(m)
}

// actors are what a plugin process of these tests may do.
var actors = map[string]func(){
	"good": func() { serve.Main(backend{}) },
}

// backend answers by the account of an operation.
type backend struct{}

func (backend) Describe() sdk.Description {
	return sdk.Description{Name: "test", Version: "1.2.3", Config: []sdk.Field{{Name: "password", Type: sdk.Secret}, {Name: "mood", Type: sdk.String}}}
}

func (backend) Configure(_ context.Context, c sdk.Config) (sdk.Instance, error) {
	return instance{c}, nil
}

type instance struct{ config sdk.Config }

func (instance) Close() error { return nil }

func (i instance) Apply(ctx context.Context, op sdk.Operation) sdk.Receipt {
	return sdk.Receipt{Outcome: sdk.Applied, Ref: op.Account}
}

// command starts this binary as an actor.
func command(t testing.TB, actor string) launch.Command {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return launch.Command{Path: self, Args: []string{"plugin", actor}, Name: "test"}
}

func plugin(t testing.TB, actor string, o launch.Options) *launch.Plugin {
	t.Helper()
	if o.RunDir == "" {
		dir, err := os.MkdirTemp("", "rk")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = os.RemoveAll(dir) })
		o.RunDir = dir
	}
	if o.Log == nil {
		o.Log = slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelDebug}))
	}
	p := launch.New(command(t, actor), o)
	t.Cleanup(func() { _ = p.Close() })
	return p
}

func TestAPluginAppliesWhatItIsSent(t *testing.T) {
	p := plugin(t, "good", launch.Options{})
	i, err := p.Open(t.Context(), sdk.Config{Label: "x", Concurrency: 4, Timeout: time.Second})
	if err != nil {
		t.Fatal(err)
	}
	got := make(chan sdk.Receipt, 1)
	i.Submit([]sdk.Operation{{ID: "1", Verb: sdk.Set, Account: "anna"}}, func(_ int, r sdk.Receipt) { got <- r })
	if r := <-got; r.Outcome != sdk.Applied || r.Ref != "anna" {
		t.Errorf("got %v", fmt.Sprint(r))
	}
}
