// Package python holds a backend that is written in Python, from the .proto
// and the README beside it alone, to the contract.
package python

import (
	"encoding/hex"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/testing/protocmp"
	"google.golang.org/protobuf/types/descriptorpb"

	"github.com/rekey-host/rekey/sdk"
	"github.com/rekey-host/rekey/sdk/backendtest"
	"github.com/rekey-host/rekey/sdk/internal/backendpb"
)

const plugin = "./rekey-backend-jsonfile"

// needs fails, naming the Debian packages, where the backend cannot run.
func needs(t *testing.T) {
	t.Helper()
	for _, name := range []string{plugin, "rekey_plugin.py", "backend_pb2.py"} { // so that go test knows what it depends on
		if _, err := os.ReadFile(name); err != nil {
			t.Fatal(err)
		}
	}
	if out, err := exec.CommandContext(t.Context(), "/usr/bin/python3", "-c", "import grpc, google.protobuf").CombinedOutput(); err != nil {
		t.Fatalf("apt-get install python3-grpcio python3-protobuf: %v\n%s", err, out)
	}
	if _, err := exec.LookPath("openssl"); err != nil {
		t.Fatalf("apt-get install openssl: %v", err)
	}
}

func target(t testing.TB) backendtest.Target {
	path := filepath.Join(t.TempDir(), "accounts.json")
	if err := os.WriteFile(path, []byte(`{"ann": {}, "bob": {}, "o'dée": {}, "eve": {"disabled": true}}`), 0o600); err != nil {
		t.Fatal(err)
	}
	return backendtest.Target{
		Config:   sdk.Config{Values: map[string]any{"path": path}},
		Accounts: []string{"ann", "bob", "o'dée"},
		Missing:  "nobody",
		Refusing: map[string]sdk.Code{"eve": sdk.AccountStatus},
		Wrong:    []backendtest.Wrong{{Field: "path"}},
		Down:     func() { _ = os.Remove(path) },
	}
}

func TestBackendInPythonKeepsTheContract(t *testing.T) {
	needs(t)
	backendtest.RunExecutable(t, backendtest.Options{Target: target}, plugin)
}

func TestStubsAreThoseOfTheProto(t *testing.T) {
	needs(t)
	cmd := exec.CommandContext(t.Context(), "/usr/bin/python3", "-B", "-c", "import backend_pb2; print(backend_pb2.DESCRIPTOR.serialized_pb.hex(), end='')")
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	var got descriptorpb.FileDescriptorProto
	if raw, err := hex.DecodeString(string(out)); err != nil || proto.Unmarshal(raw, &got) != nil {
		t.Fatalf("backend_pb2.py describes nothing: %v", err)
	}
	// protoc leaves the names in JSON out of the stubs of Python.
	nameless := protocmp.IgnoreFields(&descriptorpb.FieldDescriptorProto{}, "json_name")
	want := protodesc.ToFileDescriptorProto(backendpb.File_backend_proto)
	if diff := cmp.Diff(want, &got, protocmp.Transform(), nameless); diff != "" {
		t.Errorf("backend_pb2.py is of another backend.proto, run make generate:\n%s", diff)
	}
}
