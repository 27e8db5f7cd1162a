package ssh_test

import (
	"context"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rekey-host/rekey/plugins/ssh"
	"github.com/rekey-host/rekey/plugins/ssh/sshtest"
	"github.com/rekey-host/rekey/sdk"
)

// silent is another address of a host, which after some messages passes none any
// more, and closes nothing. Connections that come after that are served.
type silent struct {
	net.Listener
	left  atomic.Int64 // messages
	fell  atomic.Bool
	once  sync.Once
	over  chan struct{}
	tasks sync.WaitGroup
}

// fallsSilent makes one that passes so many messages.
func fallsSilent(t *testing.T, to string, after int64) *silent {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	made := &silent{Listener: listener, over: make(chan struct{})}
	made.left.Store(after)
	made.tasks.Go(func() { made.serve(to) })
	t.Cleanup(made.end)
	return made
}

// end closes it, and all that hangs on it. It may be called again.
func (s *silent) end() {
	s.once.Do(func() {
		_ = s.Close()
		close(s.over)
		s.tasks.Wait()
	})
}

func (s *silent) serve(to string) {
	for {
		near, err := s.Accept()
		if err != nil {
			return
		}
		far, err := net.Dial("tcp", to)
		if err != nil {
			_ = near.Close()
			continue
		}
		passes := s.passes
		if s.fell.Load() {
			passes = func() bool { return true }
		}
		for _, pair := range [][2]net.Conn{{near, far}, {far, near}} {
			s.tasks.Go(func() { s.pass(pair[0], pair[1], passes) })
			s.tasks.Go(func() { <-s.over; _ = pair[0].Close() })
		}
	}
}

// passes reports whether one more message does.
func (s *silent) passes() bool {
	if s.left.Add(-1) >= 0 {
		return true
	}
	s.fell.Store(true)
	return false
}

func (s *silent) pass(to, from net.Conn, passes func() bool) {
	buffer := make([]byte, 32<<10)
	for {
		count, err := from.Read(buffer)
		if err != nil {
			_ = to.Close()
			return
		}
		if !passes() {
			<-s.over
			return
		}
		if _, err := to.Write(buffer[:count]); err != nil {
			return
		}
	}
}

// behind is an instance that reaches a host over a jump.
func behind(t *testing.T, jump string, first, last *sshtest.Server) *ssh.Instance {
	t.Helper()
	known := filepath.Join(t.TempDir(), "known")
	if err := os.WriteFile(known, []byte(sshtest.Line(jump, first.HostKey)+sshtest.Line(last.Address, last.HostKey)), 0o600); err != nil {
		t.Fatal(err)
	}
	return open(t, first, "known_hosts", known, "jump", []string{"rekey@" + jump}, "hosts", []string{last.Address})
}

// within fails the test if something takes longer than it may.
func within(t *testing.T, span time.Duration, what string, do func()) {
	t.Helper()
	done := make(chan struct{})
	go func() { do(); close(done) }()
	select {
	case <-done:
	case <-time.After(span):
		t.Errorf("%s takes more than %s", what, span)
	}
}

// allow has a host let in whom another one lets in.
func allow(t *testing.T, on, as *sshtest.Server) {
	t.Helper()
	key, err := os.ReadFile(filepath.Join(filepath.Dir(as.KeyFile), "authorized_keys"))
	if err == nil {
		err = os.WriteFile(filepath.Join(filepath.Dir(on.KeyFile), "authorized_keys"), key, 0o644)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// TestAJumpHostThatFallsSilent at any message: while it is dialled, in its handshake
// and that of the host behind it, while a channel is opened, while a program runs, and
// when all is closed. The deadline holds, and what has happened is told.
func TestAJumpHostThatFallsSilent(t *testing.T) {
	const workers, step, most = 6, 2, 72
	first := sshtest.Start(t, sshtest.Options{Config: "MaxStartups 100\n"})
	var outcomes [4]atomic.Int64
	var all sync.WaitGroup
	for worker := range int64(workers) {
		last := sshtest.Start(t, sshtest.Options{Users: []string{"ann:$6$saltsalt$x:19000:0:99999:7:::"}})
		allow(t, last, first)
		all.Go(func() {
			for after := worker * step; after < most; after += workers * step {
				outcomes[oneSilence(t, first, last, after)].Add(1)
			}
		})
	}
	all.Wait()
	applied, refused, unknown := outcomes[sdk.Applied].Load(), outcomes[sdk.Refused].Load(), outcomes[sdk.Unknown].Load()
	if refused < 8 || unknown == 0 || applied == 0 {
		t.Errorf("applied, refused and unknown %d, %d and %d times: not every stage was met", applied, refused, unknown)
	}
}

// oneSilence sets a value over a jump host that falls silent after so many messages.
func oneSilence(t *testing.T, first, last *sshtest.Server, after int64) sdk.Outcome {
	const deadline = 1000 * time.Millisecond
	relay := fallsSilent(t, first.Address, after)
	defer relay.end()
	i := behind(t, relay.Addr().String(), first, last)
	ctx, stop := context.WithTimeout(t.Context(), deadline)
	defer stop()
	var r sdk.Receipt
	within(t, deadline+2*time.Second, "a set", func() { r = i.Apply(ctx, set("ann@"+last.Address, canary)) })
	switch {
	case r.Outcome == sdk.Applied:
		relay.left.Store(0)
	case r.Err == nil || r.Err.Code != sdk.Timeout:
		t.Errorf("after %d messages: %v %v", after, r.Outcome, r.Err)
	}
	within(t, 2*time.Second, "Close", func() { _ = i.Close() })
	return r.Outcome
}

// TestASilentJumpHostIsDialledAnew: nothing waits for the connection that was.
func TestASilentJumpHostIsDialledAnew(t *testing.T) {
	first, last := sshtest.Start(t, sshtest.Options{}), sshtest.Start(t, sshtest.Options{Users: []string{"ann:$6$saltsalt$x:19000:0:99999:7:::"}})
	allow(t, last, first)
	relay := fallsSilent(t, first.Address, 1<<40)
	i, ann := behind(t, relay.Addr().String(), first, last), "ann@"+last.Address
	applied(t, i, set(ann, "one"))
	relay.left.Store(0)
	ctx, stop := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer stop()
	if r := i.Apply(ctx, set(ann, "two")); r.Outcome == sdk.Applied || r.Err.Code != sdk.Timeout {
		t.Errorf("%v %v, want Timeout", r.Outcome, r.Err)
	}
	next, stop := context.WithTimeout(t.Context(), 10*time.Second)
	defer stop()
	for r := i.Apply(next, set(ann, "three")); r.Outcome != sdk.Applied; r = i.Apply(next, set(ann, "three")) {
		if next.Err() != nil || !strings.Contains(r.Err.Message, last.Address) && r.Err.Code != sdk.Unreachable {
			t.Fatalf("%v %v", r.Outcome, r.Err)
		}
	}
	if !last.Holds("ann", "three") {
		t.Error("the value is not there")
	}
}
