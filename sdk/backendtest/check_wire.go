package backendtest

import (
	"context"
	"crypto/tls"
	"strings"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"

	"github.com/rekey-host/rekey/sdk"
	pb "github.com/rekey-host/rekey/sdk/internal/backendpb"
	"github.com/rekey-host/rekey/sdk/internal/wire"
	"github.com/rekey-host/rekey/sdk/secret"
)

// strangersAreRefused: whoever has not the host's certificate asks for no password.
func strangersAreRefused(probe *probe) {
	process := probe.plugin.(watchable).watched()
	foreign, _, err := certificate()
	if err != nil {
		probe.stop("certificate: %v", err)
	}
	for who, certificates := range map[string][]tls.Certificate{"without a certificate": nil, "with a certificate that is not the host's": {foreign}} {
		config := process.tls.Clone()
		config.Certificates = certificates
		if answered(probe, process, credentials.NewTLS(config)) {
			probe.fail("a client %s is answered", who)
		}
	}
}

// answered reports whether a client gets an answer to Describe.
func answered(probe *probe, process *process, as credentials.TransportCredentials) (ok bool) {
	conn, err := grpc.NewClient("unix:"+process.address, grpc.WithTransportCredentials(as), grpc.WithAuthority("localhost"), grpc.WithDisableRetry())
	if err != nil {
		probe.stop("connection: %v", err)
	}
	defer func() { _ = conn.Close() }()
	ctx, stop := context.WithTimeout(probe.t.Context(), 5*time.Second)
	defer stop()
	_, err = pb.NewBackendClient(conn).Describe(ctx, &pb.DescribeRequest{})
	return err == nil
}

// socketIsWhereItWasTold: other users of the machine cannot reach that directory.
func socketIsWhereItWasTold(probe *probe) {
	process := probe.plugin.(watchable).watched()
	if process.network != "unix" || !strings.HasPrefix(process.address, process.dir+"/") {
		probe.fail("the socket is %s %s, want it in PLUGIN_UNIX_SOCKET_DIR, %s", process.network, process.address, process.dir)
	}
}

// longMessages: a message of more than 1 MiB is no operation.
func longMessages(probe *probe) {
	account := probe.target.Accounts[0]
	value := known(probe, probe.open(), account)
	onLine(probe, func(l line) {
		if err := l.configure("mine"); err != nil {
			probe.stop("Configure: %v", err)
		}
		defer func() { _ = l.close("mine") }()
		operation, err := wire.EncodeOperation(anyOp(probe, account, probe.value()))
		if err != nil {
			probe.stop("operation: %v", err)
		}
		operation.Value.Value = []byte(strings.Repeat("4A-long", 300_000))
		probe.patiently("Apply", func(ctx context.Context) {
			_, err = l.rpc.Apply(ctx, &pb.ApplyRequest{Instance: "mine", Operation: operation})
		})
		if err == nil {
			probe.fail("a message of 2 MB is taken, want the call to fail: the limit is 1 MiB")
		}
	})
	probe.wantHolds(account, value, "a message of 2 MB")
}

// answersOnce sends a frame and no more: each operation is answered, and no other.
func answersOnce(probe *probe) {
	onLine(probe, func(l line) {
		opened, err := l.open("mine")
		if err != nil {
			probe.stop("Configure: %v", err)
		}
		defer func() { _ = l.close("mine") }()
		if !opened.GetStream() {
			return
		}
		var ops []sdk.Operation
		for _, account := range probe.target.Accounts[:3] {
			ops = append(ops, anyOp(probe, account, probe.value()))
		}
		ops = append(ops, probe.op("no-such-verb", probe.target.Accounts[0], ""))
		got := map[uint64]int{}
		for _, answer := range l.stream("mine", ops...) {
			got[answer.GetNumber()]++
		}
		for number, times := range got {
			if number >= uint64(len(ops)) {
				probe.fail("an answer to operation %d, which was never sent", number)
			} else if times > 1 {
				probe.fail("operation %d of a frame was answered %d times, want once", number, times)
			}
		}
		for number := range ops {
			if got[uint64(number)] == 0 {
				probe.fail("operation %d of a frame was not answered when the stream ended", number)
			}
		}
	})
}

// deadlineOverTheWire: a server that says nothing holds an operation no longer than
// its deadline, in any language.
func deadlineOverTheWire(probe *probe) {
	account := probe.target.Accounts[0]
	known(probe, probe.open(), account)
	relay := probe.between(withholds, 0)
	defer relay.close()
	subject := probe.behind(relay, faultTimeout)
	began := time.Now()
	receipt := subject.apply(probe.t.Context(), probe.set(account, probe.value()))
	if took := time.Since(began); took > faultTimeout+3*time.Second {
		probe.fail("an operation with a deadline of %v was answered after %v", faultTimeout, took.Round(time.Millisecond))
	}
	if ok(receipt) {
		probe.fail("an operation whose server never answered: %s", said(receipt))
	}
	relay.settle()
	probe.opened = append(probe.opened, subject)
}

// staysWithin counts what is under way at the server at once, when more operations
// come in one frame than may be done at once.
func staysWithin(probe *probe) {
	relay := probe.between(passes, 0)
	defer relay.close()
	relay.slow(30 * time.Millisecond)
	config := probe.configBehind(relay, 20*time.Second)
	config.Concurrency = 1
	subject, err := probe.configure(config)
	if err != nil {
		probe.stop("Configure: %v", err)
	}
	var ops []sdk.Operation
	for _, account := range probe.target.Accounts {
		ops = append(ops, probe.set(account, probe.value()))
	}
	for index, receipt := range subject.submit(ops) {
		if !ok(receipt) {
			probe.fail("operation %d of %d in a frame: %s, want applied", index, len(ops), said(receipt))
		}
	}
	if err := subject.close(); err != nil {
		probe.fail("Close: %v", err)
	}
	switch most := relay.busiest(); {
	case most == 0:
		probe.unmet("a set")
	case most > 1:
		probe.fail("%d operations at once at the server, with a concurrency of 1", most)
	}
}

// closeWaits: what runs is done when Close has returned, and says so.
func closeWaits(probe *probe) {
	account := probe.target.Accounts[0]
	was := known(probe, probe.open(), account)
	relay := probe.between(passes, 0)
	defer relay.close()
	relay.slow(200 * time.Millisecond)
	op := probe.set(account, probe.value())
	var receipt sdk.Receipt
	var failed error
	config := probe.configBehind(relay, 10*time.Second)
	onLineFor(probe, config, func(l line) {
		if _, err := l.openWith("mine", config); err != nil {
			probe.stop("Configure: %v", err)
		}
		var done sync.WaitGroup
		done.Go(func() { probe.guard(func() { receipt, failed = l.apply("mine", op) }) })
		if !relay.begun(5 * time.Second) {
			probe.unmet("a set")
		}
		if err := l.close("mine"); err != nil {
			probe.fail("Close: %v", err)
		}
		held := probe.holds(account, probe.kind(), op.Value.Reveal())
		done.Wait()
		switch {
		case failed != nil:
			probe.fail("an operation that ran when its instance was closed: %v, want it answered", failed)
		case ok(receipt) && !held:
			probe.fail("Close returned before an operation that ran was done")
		}
	})
	if failed == nil {
		probe.wantTruth(receipt, account, was, op.Value.Reveal(), "an operation that ran when its instance was closed")
	}
}

// begun waits until an exchange has begun; false: none did within the limit.
func (r *relay) begun(limit time.Duration) bool {
	for end := time.Now().Add(limit); time.Now().Before(end); time.Sleep(time.Millisecond) {
		r.mu.Lock()
		begun := r.exchanges > 0
		r.mu.Unlock()
		if begun {
			return true
		}
	}
	return false
}

// leavesNoProcess: what a plugin has started ends with it.
func leavesNoProcess(probe *probe) {
	subject, account := probe.open(), probe.target.Accounts[0]
	value := known(probe, subject, account)
	if probe.can(sdk.CanVerify) {
		_, _ = subject.verify(probe.t.Context(), account, probe.kind(), secret.New(value))
	}
	probe.closeAll()
	probe.opened = nil
	if err := probe.plugin.restart(); err != nil {
		probe.fail("%v", err)
	}
}
