// Package python holds the example of a backend in Python to the contract.
package python

import (
	"path/filepath"
	"testing"

	"github.com/rekey-host/rekey/sdk/backendtest"
	"github.com/rekey-host/rekey/sdk/backendtest/targetfile"
	"github.com/rekey-host/rekey/sdk/internal/sdktest"
)

func TestBackendInPythonKeepsTheContract(t *testing.T) {
	sdktest.Python(t)
	file, err := targetfile.Read("target.json")
	if err != nil {
		t.Fatal(err)
	}
	folder := sdktest.Folder(t, "../../python/rekey.py", "rekey-backend-jsonfile")
	backendtest.RunExecutable(t, backendtest.Options{Target: file.Target}, filepath.Join(folder, "rekey-backend-jsonfile"))
}

func TestTheExampleIsShort(t *testing.T) { sdktest.Short(t, "rekey-backend-jsonfile", 40) }
