package serve

import (
	"context"
	"crypto/tls"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rekey-host/rekey/sdk"
	"github.com/rekey-host/rekey/sdk/dial"
	"github.com/rekey-host/rekey/sdk/internal/peer"
	"github.com/rekey-host/rekey/sdk/secret"
)

// counting is a backend that counts what is open and what runs.
type counting struct{ open, running atomic.Int64 }

func (c *counting) Describe() sdk.Description {
	return sdk.Description{Name: "counting", Verbs: []sdk.Verb{sdk.Set}}
}

func (c *counting) Configure(context.Context, sdk.Config) (sdk.Instance, error) {
	c.open.Add(1)
	return c, nil
}

func (c *counting) Apply(ctx context.Context, op sdk.Operation) sdk.Receipt {
	c.running.Add(1)
	defer c.running.Add(-1)
	if op.Account == "waits" {
		<-ctx.Done()
		return sdk.Lost(sdk.Errorf(sdk.Cancelled, "given up"))
	}
	return sdk.OK()
}

func (c *counting) Close() error { c.open.Add(-1); return nil }

func identity(t *testing.T, name string) (own tls.Certificate, pin string) {
	t.Helper()
	dir := t.TempDir()
	own, err := peer.Identity(filepath.Join(dir, name+".crt"), filepath.Join(dir, name+".key"))
	if err == nil {
		pin, err = peer.Pin(own.Certificate[0])
	}
	if err != nil {
		t.Fatal(err)
	}
	return own, pin
}

func until(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !holds(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal(what)
		}
	}
}

// TestWhatAHostElsewhereOpenedEndsWithItsConnection, and not what another opened, who calls
// it by the same name; a stranger opens nothing.
func TestWhatAHostElsewhereOpenedEndsWithItsConnection(t *testing.T) {
	t.Parallel()
	own, pin := identity(t, "own")
	ours, client := identity(t, "client")
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	backend := &counting{}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan struct{})
	server := farServer{guarded: newGuarded(backend, io.Discard), tls: peer.Config(own, []string{client})}
	go func() { server.serve(ctx, listener); close(ended) }()

	connected := func(own tls.Certificate) (*dial.Link, *dial.Client) {
		link, err := dial.Connect(ctx, dial.Endpoint{Network: "tcp", Address: listener.Addr().String(), TLS: dial.Pinned(own, pin)})
		if err != nil {
			t.Fatal(err)
		}
		client, hangUp, err := link.Client(dial.Options{Gone: link.Gone()})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = hangUp() })
		return link, client
	}
	first, one := connected(ours)
	_, two := connected(ours)
	config := sdk.Config{Label: "x", Concurrency: 2, Timeout: time.Minute}
	lost, err := one.Configure(ctx, config)
	if err != nil {
		t.Fatal(err)
	}
	stays, err := two.Configure(ctx, config)
	if err != nil {
		t.Fatal(err)
	}
	receipts := make(chan sdk.Receipt, 2)
	answer := func(_ int, receipt sdk.Receipt) { receipts <- receipt }
	lost.Submit([]sdk.Operation{{ID: "1", Verb: sdk.Set, Account: "waits", Value: secret.New("a value of one")}}, answer)
	until(t, "the operation does not begin", func() bool { return backend.running.Load() == 1 })
	_ = first.Close()
	if receipt := <-receipts; receipt.Outcome != sdk.Unknown || receipt.Err.Code != sdk.ConnectionLost {
		t.Errorf("what was under way is %v %v", receipt.Outcome, receipt.Err)
	}
	until(t, "what the host opened does not end with its connection", func() bool { return backend.open.Load() == 1 && backend.running.Load() == 0 })
	stays.Submit([]sdk.Operation{{ID: "1", Verb: sdk.Set, Account: "ann", Value: secret.New("a value of two")}}, answer)
	if receipt := <-receipts; receipt.Outcome != sdk.Applied {
		t.Errorf("the other host: %v %v", receipt.Outcome, receipt.Err)
	}

	strangers, _ := identity(t, "stranger")
	link, stranger := connected(strangers)
	if _, err := stranger.Describe(ctx); err == nil {
		t.Error("a stranger is answered")
	}
	until(t, "the stranger is not told why", func() bool { return strings.Contains(link.Why(), "--client-pin") })
	_, err = dial.Connect(ctx, dial.Endpoint{Network: "tcp", Address: listener.Addr().String(), TLS: dial.Pinned(ours, client)})
	if dial.Stranger(err) != pin {
		t.Errorf("who is not the one that was asked for: %v", err)
	}
	stop()
	select {
	case <-ended:
	case <-time.After(20 * time.Second):
		t.Fatal("it does not end")
	}
	if open := backend.open.Load(); open != 0 {
		t.Errorf("%d instances are left open", open)
	}
}

// TestAKeyThatOthersMayReadIsRefused, and a half of an identity is none.
func TestAKeyThatOthersMayReadIsRefused(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	cert, key := filepath.Join(dir, "a.crt"), filepath.Join(dir, "a.key")
	if _, err := peer.Read(cert, key); err == nil {
		t.Error("nothing is an identity")
	}
	if _, err := peer.Identity(cert, key); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(key, 0o640); err != nil {
		t.Fatal(err)
	}
	if _, err := peer.Identity(cert, key); err == nil || !strings.Contains(err.Error(), "others may read it; chmod 600 it") {
		t.Errorf("got %v", err)
	}
	if err := os.Remove(cert); err != nil {
		t.Fatal(err)
	}
	if _, err := peer.Identity(cert, key); err == nil {
		t.Error("a key alone is an identity")
	}
}

// TestServeSaysWhatItWants in one line each.
func TestServeSaysWhatItWants(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	options := farOptions{name: "x", address: "127.0.0.1:0"}
	if err := serveFar(&counting{}, options); err == nil || !strings.Contains(err.Error(), "serve wants --listen HOST:PORT, --cert FILE, --key FILE and --client-pin HEX") {
		t.Errorf("without files: %v", err)
	}
	options.cert, options.key = filepath.Join(dir, "x.crt"), filepath.Join(dir, "x.key")
	if err := serveFar(&counting{}, options); err == nil || !strings.Contains(err.Error(), "its key is SHA-256 ") {
		t.Errorf("without clients: %v", err)
	}
	var clients pins
	if err := clients.Set("12"); err == nil || !strings.Contains(err.Error(), "64 small hex digits") {
		t.Errorf("no pin: %v", err)
	}
	if got := far(&counting{}, []string{"--nosuch"}); got != 2 {
		t.Errorf("a wrong flag: %d", got)
	}
}
