// Package node holds rekey.js to the contract.
package node

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rekey-host/rekey/sdk/backendtest"
	"github.com/rekey-host/rekey/sdk/backendtest/targetfile"
	"github.com/rekey-host/rekey/sdk/internal/sdktest"
)

// program is one of testdata with what it needs beside it.
func program(t *testing.T, name string) string {
	t.Helper()
	folder := sdktest.Folder(t, "rekey.js", "testdata/"+name)
	sdktest.Node(t, ".", folder)
	return filepath.Join(folder, name)
}

func TestABackendWithEveryAbilityKeepsTheContract(t *testing.T) {
	file, err := targetfile.Read("testdata/target.json")
	if err != nil {
		t.Fatal(err)
	}
	backendtest.RunExecutable(t, backendtest.Options{Target: file.Target}, program(t, "rekey-backend-everything"))
}

func TestABackendWithFaults(t *testing.T) { sdktest.Run(t, program(t, "rekey-backend-faulty")) }

// TestWithoutItsPackagesItSaysWhatToDo, in one line and not by a stack.
func TestWithoutItsPackagesItSaysWhatToDo(t *testing.T) {
	dir := t.TempDir()
	for _, file := range []string{"rekey.js", "testdata/rekey-backend-everything"} {
		text, err := os.ReadFile(file)
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, filepath.Base(file)), text, 0o755)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	node := exec.CommandContext(t.Context(), "node", filepath.Join(dir, "rekey-backend-everything"))
	node.Env = append(os.Environ(), "REKEY_PLUGIN=rekey-backend-v1", "NODE_PATH=")
	said, err := node.CombinedOutput()
	if want := "@grpc/grpc-js is not there: npm install in " + dir + "\n"; err == nil || string(said) != want {
		t.Errorf("%v, %s\nwant %s", err, said, want)
	}
}

func TestASecretOfASettingIsKnownOnce(t *testing.T) {
	folder := sdktest.Folder(t, "rekey.js", "testdata/inside.js")
	if said, err := exec.CommandContext(t.Context(), "node", filepath.Join(folder, "inside.js")).CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, said)
	}
}

func TestMessagesAreThoseOfTheProto(t *testing.T) {
	text, err := os.ReadFile("rekey.js")
	if err != nil {
		t.Fatal(err)
	}
	_, after, _ := strings.Cut(string(text), "const DESCRIPTOR = `")
	embedded, _, _ := strings.Cut(after, "`")
	packed, err := base64.StdEncoding.DecodeString(strings.ReplaceAll(embedded, "\n", ""))
	if err != nil {
		t.Fatal(err)
	}
	unpacked, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		t.Fatal(err)
	}
	set, err := io.ReadAll(unpacked)
	if err != nil {
		t.Fatal(err)
	}
	sdktest.Messages(t, "rekey.js", set)
}
