package ssh_test

import (
	"strings"
	"sync"
	"testing"

	"github.com/rekey-host/rekey/plugins/internal/shacrypt"
	"github.com/rekey-host/rekey/plugins/ssh"
	"github.com/rekey-host/rekey/plugins/ssh/sshtest"
	"github.com/rekey-host/rekey/sdk"
	"github.com/rekey-host/rekey/sdk/secret"
)

// line is a line of a shadow file for a user with a password.
func line(user, value string) string {
	return user + ":" + shacrypt.SHA512.Crypt([]byte(value), []byte("saltsalt"), 1000) + ":19000:0:99999:7:::"
}

func handOver(account, value string) sdk.Operation {
	op := set(account, value)
	op.Verb = sdk.Handover
	return op
}

// asService is an instance that logs in by password, as an ordinary user.
func asService(t *testing.T, server *sshtest.Server, more ...any) *ssh.Instance {
	t.Helper()
	return open(t, server, append([]any{"user", "svc", "key_file", "", "password", secret.New("service-0")}, more...)...)
}

// told is one that is told what was handed over since.
func told(t *testing.T, server *sshtest.Server, handed ...string) *ssh.Instance {
	t.Helper()
	var values []secret.Value
	for _, value := range handed {
		values = append(values, secret.New(value))
	}
	return asService(t, server, "handed", values)
}

func serviceHost(t *testing.T) *sshtest.Server {
	t.Helper()
	return sshtest.Start(t, sshtest.Options{Users: []string{line("svc", "service-0"), "ann:$6$saltsalt$x:19000:0:99999:7:::"}, Sudo: "svc ALL=(ALL) NOPASSWD: ALL\n"})
}

// TestTheLoginIsHandedOver: this instance goes on, with what runs meanwhile, and so
// does the next one that is told the value, wherever it stands among those that never
// arrived.
func TestTheLoginIsHandedOver(t *testing.T) {
	server := serviceHost(t)
	svc, ann := "svc@"+server.Address, "ann@"+server.Address
	i := asService(t, server)
	applied(t, i, set(ann, "first"))
	var all sync.WaitGroup
	for range 3 {
		all.Go(func() { applied(t, i, set(ann, "meanwhile")) })
	}
	applied(t, i, handOver(svc, "service-1"))
	all.Wait()
	if !logsIn(t, server, "svc", "service-1") || logsIn(t, server, "svc", "service-0") {
		t.Error("the new password does not work, or the old one does")
	}
	applied(t, i, set(ann, "second"))
	again := handOver(svc, "service-1")
	again.Attempt = 2
	if r := i.Apply(t.Context(), again); r.Outcome != sdk.AlreadyApplied {
		t.Errorf("once more: %v %v", r.Outcome, r.Err)
	}
	applied(t, i, handOver(svc, "service-2"))
	next := told(t, server, "never-arrived", "service-2", "service-1")
	applied(t, next, set(ann, "third"))
	again = handOver(svc, "service-2")
	again.Attempt = 2
	if r := next.Apply(t.Context(), again); r.Outcome != sdk.AlreadyApplied {
		t.Errorf("once more, by the next one: %v %v", r.Outcome, r.Err)
	}
	wantRefused(t, asService(t, server).Apply(t.Context(), set(ann, "fourth")), sdk.PermissionDenied, server.Address)
}

// TestOnlyTheLoginIsHandedOver, on a host of its own, where a password is asked for;
// and it is nothing else than handed over.
func TestOnlyTheLoginIsHandedOver(t *testing.T) {
	server := serviceHost(t)
	svc := "svc@" + server.Address
	i := asService(t, server)
	must := true
	later := handOver(svc, "service-1")
	later.MustChange = &must
	second := handOver("ann@"+server.Address, "first")
	second.Attempt = 2
	for _, test := range []struct {
		i    *ssh.Instance
		op   sdk.Operation
		code sdk.Code
		says string
	}{
		{i, handOver("ann@"+server.Address, "first"), sdk.InvalidOperation, "rekey is logged in as"},
		{i, second, sdk.PermissionDenied, "rekey is logged in as"},
		{i, handOver("svc@127.0.0.1:9", "first"), sdk.InvalidOperation, "rekey is logged in as"},
		{i, set(svc, "first"), sdk.Protected, "step.handover"},
		{i, later, sdk.Unsupported, "must_change"},
		{asService(t, server, "hosts", []string{server.Address, "127.0.0.1:9"}), handOver(svc, "first"), sdk.InvalidOperation, "a backend of its own"},
		{asService(t, server, "jump", []string{svc}), handOver(svc, "first"), sdk.InvalidOperation, "no jump host"},
		{open(t, server, "user", "rekey"), handOver("rekey@"+server.Address, "first"), sdk.Unsupported, "key_file"},
	} {
		wantRefused(t, test.i.Apply(t.Context(), test.op), test.code, test.says)
	}
	if !logsIn(t, server, "svc", "service-0") {
		t.Error("the password of the login is another one")
	}
}

// TestALoginThatNeedsNoPasswordIsNotHandedOver: that would prove nothing.
func TestALoginThatNeedsNoPasswordIsNotHandedOver(t *testing.T) {
	server := sshtest.Start(t, sshtest.Options{Users: []string{"svc::19000:0:99999:7:::"}, Config: "PermitEmptyPasswords yes\n"})
	i, svc := asService(t, server), "svc@"+server.Address
	r := i.Apply(t.Context(), handOver(svc, "service-1"))
	if r.Outcome != sdk.Refused || r.Err.Code != sdk.Unsupported && r.Err.Code != sdk.PermissionDenied {
		t.Errorf("%v %v", r.Outcome, r.Err)
	}
}

// TestALoginNeedsAKeyOrAPassword.
func TestALoginNeedsAKeyOrAPassword(t *testing.T) {
	config := sdk.Config{Values: map[string]any{"user": "svc", "known_hosts": "/x", "port": int64(22), "sudo": "auto", "locked": "refuse", "rounds": int64(1000)}}
	_, err := ssh.New().Configure(t.Context(), config)
	if failure := sdk.AsError(err, ""); failure == nil || failure.Code != sdk.InvalidConfig || !strings.Contains(failure.Message, "key_file: missing, and so is password") {
		t.Errorf("%v", err)
	}
}
