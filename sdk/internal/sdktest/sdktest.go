// Package sdktest holds the SDKs of other languages to what the conformance kit
// cannot see from outside: what they do with a backend that misbehaves. Each
// language has a program rekey-backend-faulty with the same faults.
package sdktest

import (
	"context"
	"crypto/tls"
	"encoding/hex"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/go-plugin"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/types/descriptorpb"

	"github.com/rekey-host/rekey/sdk"
	"github.com/rekey-host/rekey/sdk/dial"
	"github.com/rekey-host/rekey/sdk/internal/backendpb"
	"github.com/rekey-host/rekey/sdk/secret"
)

// Folder returns a folder with the files: what an author has.
func Folder(t testing.TB, files ...string) string {
	t.Helper()
	dir := t.TempDir()
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, filepath.Base(file)), text, 0o755)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// Python fails, naming the Debian packages, where rekey.py cannot run.
func Python(t testing.TB) {
	t.Helper()
	if out, err := exec.CommandContext(t.Context(), "/usr/bin/python3", "-c", "import grpc, google.protobuf").CombinedOutput(); err != nil {
		t.Fatalf("apt-get install python3-grpcio python3-protobuf: %v\n%s", err, out)
	}
	if _, err := exec.LookPath("openssl"); err != nil {
		t.Fatalf("apt-get install openssl: %v", err)
	}
}

// Node fails where rekey.js cannot run, and links the modules that make packages
// installed in sdk/node into a folder.
func Node(t testing.TB, sdkNode, folder string) {
	t.Helper()
	modules, err := filepath.Abs(filepath.Join(sdkNode, "node_modules"))
	if err == nil {
		_, err = os.Stat(filepath.Join(modules, "@grpc", "grpc-js"))
	}
	if err != nil {
		t.Fatalf("make packages: %v", err)
	}
	if err := os.CopyFS(filepath.Join(folder, "node_modules"), os.DirFS(modules)); err != nil {
		t.Fatal(err)
	}
}

// Short fails if a file has more lines of code than most: neither empty nor a comment.
func Short(t testing.TB, file string, most int) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	code := 0
	for line := range strings.Lines(string(text)) {
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "#") && !strings.HasPrefix(line, "//") {
			code++
		}
	}
	if code > most {
		t.Errorf("%s has %d lines of code, want at most %d", file, code, most)
	}
}

// Messages fails unless a file embeds the messages of the contract; set is
// what it embeds, a FileDescriptorSet.
func Messages(t testing.TB, name string, set []byte) {
	t.Helper()
	var got descriptorpb.FileDescriptorSet
	if err := proto.Unmarshal(set, &got); err != nil || len(got.File) != 1 {
		t.Fatalf("%s embeds no messages: %v", name, err)
	}
	want := protodesc.ToFileDescriptorProto(backendpb.File_backend_proto)
	if !proto.Equal(want, got.File[0]) {
		t.Errorf("%s has the messages of another backend.proto; run make generate", name)
	}
}

// Started starts a program as a host does. The test ends it.
func Started(t testing.TB, program string) (*dial.Client, *plugin.Client) {
	t.Helper()
	theirs, mine, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	config := dial.Config(dial.Options{})
	config.Cmd = exec.CommandContext(t.Context(), program)
	config.Cmd.ExtraFiles = []*os.File{theirs}
	config.Cmd.Env = append(os.Environ(), "PLUGIN_LIVENESS_FD=3", "PLUGIN_UNIX_SOCKET_DIR="+t.TempDir())
	config.StartTimeout = time.Minute
	client := plugin.NewClient(config)
	dialed, err := dial.Dispense(client)
	_ = theirs.Close()
	t.Cleanup(func() {
		_ = mine.Close()
		client.Kill()
	})
	if err != nil {
		t.Fatal(err)
	}
	return dialed, client
}

// value is what no text may show.
const value = "Corr3ct-horse-battery"

func set(account string) sdk.Operation {
	return sdk.Operation{ID: account, Attempt: 1, Verb: sdk.Set, Account: account, Kind: "web", Value: secret.New(value)}
}

// opened opens an instance that does two operations at once, each within half a second.
func opened(t testing.TB, client *dial.Client) *dial.Instance {
	t.Helper()
	instance, err := client.Configure(t.Context(), sdk.Config{Concurrency: 2, Timeout: 500 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = instance.Close() })
	return instance
}

// submitted are the answers to operations, sent at once, by their accounts.
func submitted(t testing.TB, instance *dial.Instance, ops ...sdk.Operation) func() map[string][]sdk.Receipt {
	t.Helper()
	type answer struct {
		account string
		receipt sdk.Receipt
	}
	answers := make(chan answer, len(ops))
	instance.Submit(ops, func(n int, receipt sdk.Receipt) { answers <- answer{ops[n].Account, receipt} })
	return func() map[string][]sdk.Receipt {
		t.Helper()
		got := map[string][]sdk.Receipt{}
		late := time.After(20 * time.Second)
		for range ops {
			select {
			case one := <-answers:
				got[one.account] = append(got[one.account], one.receipt)
			case <-late:
				t.Fatalf("no answer in 20 s; there are %v", got)
			}
		}
		return got
	}
}

// Run holds a program with faults to what its SDK promises.
func Run(t *testing.T, program string) {
	client, process := Started(t, program)
	t.Run("an error that quotes the value", func(t *testing.T) { quotes(t, process) })
	slips(t, raw(t, process))
	t.Run("what ignores its deadline is unknown, and the rest goes on", func(t *testing.T) { ignores(t, opened(t, client)) })
	t.Run("as many at once as were asked for", func(t *testing.T) {
		var ops []sdk.Operation
		for i := range 20 {
			ops = append(ops, set("count"+string(rune('a'+i))))
		}
		for account, receipt := range submitted(t, opened(t, client), ops...)() {
			if receipt[0].Outcome != sdk.Applied || receipt[0].Ref > "2" {
				t.Errorf("%s: %s, %s at once", account, receipt[0].Outcome, receipt[0].Ref)
			}
		}
	})
	t.Run("one operation twice is done once", func(t *testing.T) {
		got := submitted(t, opened(t, client), set("countz"), set("countz"))()["countz"]
		if got[0].Outcome+got[1].Outcome != sdk.Applied+sdk.AlreadyApplied {
			t.Errorf("got %s and %s", got[0].Outcome, got[1].Outcome)
		}
	})
	t.Run("what is not declared never reaches the backend", func(t *testing.T) {
		kind, option, change, demand := set("boom"), set("boom"), set("boom"), set("boom")
		yes := true
		kind.Kind, option.Options, change.Verb, demand.MustChange = "k", map[string]any{"o": "x"}, sdk.Change, &yes
		for _, op := range []sdk.Operation{kind, option, change, demand} {
			if got := submitted(t, opened(t, client), op)()["boom"][0]; got.Outcome != sdk.Refused {
				t.Errorf("%+v: %s %v", op, got.Outcome, got.Err)
			}
		}
	})
	t.Run("Close waits for what runs", func(t *testing.T) {
		instance := opened(t, client)
		answers := submitted(t, instance, set("countx"))
		time.Sleep(20 * time.Millisecond) // it has begun, or will be refused
		_ = instance.Close()
		if got := answers()["countx"][0]; got.Outcome == sdk.Unknown {
			t.Errorf("%s %v, want applied, or refused before it was sent", got.Outcome, got.Err)
		}
	})
	t.Run("who has no certificate is turned away", func(t *testing.T) { stranger(t, process.ReattachConfig().Addr) })
}

// raw calls a program without the host's end.
func raw(t testing.TB, process *plugin.Client) backendpb.BackendClient {
	t.Helper()
	protocol, err := process.Client()
	if err != nil {
		t.Fatal(err)
	}
	return backendpb.NewBackendClient(protocol.(*plugin.GRPCClient).Conn)
}

// quotes looks at answers that the host's end has not scrubbed.
func quotes(t *testing.T, process *plugin.Client) {
	raw := raw(t, process)
	if _, err := raw.Configure(t.Context(), &backendpb.ConfigureRequest{Instance: "raw", Concurrency: 1}); err != nil {
		t.Fatal(err)
	}
	for account, want := range map[string]backendpb.Outcome{"boom": backendpb.Outcome_OUTCOME_UNKNOWN, "lies": backendpb.Outcome_OUTCOME_REFUSED, "parts": backendpb.Outcome_OUTCOME_REFUSED} {
		operation := &backendpb.Operation{Id: account, Attempt: 1, Verb: "set", Account: account, Kind: "web", Value: &backendpb.Secret{Value: []byte(value)}}
		answer, err := raw.Apply(t.Context(), &backendpb.ApplyRequest{Instance: "raw", Operation: operation})
		text := strings.ToLower(answer.String())
		if err != nil || answer.GetReceipt().GetOutcome() != want || strings.Contains(text, "horse") || strings.Contains(text, hex.EncodeToString([]byte("horse"))) {
			t.Errorf("%s: %s, %v", account, text, err)
		}
	}
}

// ignores takes both workers away, one after the other.
func ignores(t *testing.T, instance *dial.Instance) {
	begun := time.Now()
	got := submitted(t, instance, set("sleepa"), set("counta"))()
	if one := got["sleepa"][0]; one.Outcome != sdk.Unknown || one.Err.Code != sdk.Timeout || got["counta"][0].Outcome != sdk.Applied {
		t.Errorf("%s %v, and beside it %s", one.Outcome, one.Err, got["counta"][0].Outcome)
	}
	got = submitted(t, instance, set("sleepb"), set("countb"), set("countc"))()
	if one := got["sleepb"][0]; one.Outcome != sdk.Unknown {
		t.Errorf("%s %v", one.Outcome, one.Err)
	}
	if took := time.Since(begun); took > 10*time.Second {
		t.Errorf("it took %v", took)
	}
	if one := submitted(t, instance, set("countd"))()["countd"][0]; one.Outcome != sdk.Refused || one.Err.Code != sdk.Timeout {
		t.Errorf("with no worker left: %s %v", one.Outcome, one.Err)
	}
}

// stranger connects without a certificate.
func stranger(t *testing.T, addr net.Addr) {
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	dialer := tls.Dialer{Config: &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"h2"}}}
	conn, err := dialer.DialContext(ctx, addr.Network(), addr.String())
	if err != nil {
		return
	}
	defer func() { _ = conn.Close() }()
	_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
	_, _ = conn.Write([]byte("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00"))
	count := 0
	for err == nil && count < 1024 { // a server of TLS 1.3 says so in the first read; one that lets strangers in sends its settings
		var n int
		n, err = conn.Read(make([]byte, 512))
		count += n
	}
	if count > 0 {
		t.Errorf("a client without a certificate got %d bytes", count)
	}
}
