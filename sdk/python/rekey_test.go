// Package python holds rekey.py to the contract.
package python

import (
	"encoding/base64"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rekey-host/rekey/sdk/backendtest"
	"github.com/rekey-host/rekey/sdk/backendtest/targetfile"
	"github.com/rekey-host/rekey/sdk/internal/sdktest"
)

func TestABackendWithEveryAbilityKeepsTheContract(t *testing.T) {
	sdktest.Python(t)
	file, err := targetfile.Read("testdata/target.json")
	if err != nil {
		t.Fatal(err)
	}
	folder := sdktest.Folder(t, "rekey.py", "testdata/rekey-backend-everything")
	backendtest.RunExecutable(t, backendtest.Options{Target: file.Target}, filepath.Join(folder, "rekey-backend-everything"))
}

func TestABackendWithFaults(t *testing.T) {
	sdktest.Python(t)
	sdktest.Run(t, filepath.Join(sdktest.Folder(t, "rekey.py", "testdata/rekey-backend-faulty"), "rekey-backend-faulty"))
}

func TestNothingOfAClosedInstanceStays(t *testing.T) {
	sdktest.Python(t)
	folder := sdktest.Folder(t, "rekey.py", "testdata/inside.py")
	if said, err := exec.CommandContext(t.Context(), "/usr/bin/python3", filepath.Join(folder, "inside.py")).CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, said)
	}
}

func TestMessagesAreThoseOfTheProto(t *testing.T) {
	sdktest.Python(t)
	cmd := exec.CommandContext(t.Context(), "/usr/bin/python3", "-c", "import base64, gzip, rekey; print(base64.b64encode(gzip.decompress(base64.b64decode(rekey.DESCRIPTOR))).decode())")
	cmd.Dir = sdktest.Folder(t, "rekey.py")
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	set, err := base64.StdEncoding.DecodeString(strings.TrimSpace(string(out)))
	if err != nil {
		t.Fatal(err)
	}
	sdktest.Messages(t, "rekey.py", set)
}
