// Package node holds the example of a backend in Node to the contract.
package node

import (
	"path/filepath"
	"testing"

	"github.com/rekey-host/rekey/sdk/backendtest"
	"github.com/rekey-host/rekey/sdk/backendtest/targetfile"
	"github.com/rekey-host/rekey/sdk/internal/sdktest"
)

func TestBackendInNodeKeepsTheContract(t *testing.T) {
	file, err := targetfile.Read("target.json")
	if err != nil {
		t.Fatal(err)
	}
	folder := sdktest.Folder(t, "../../node/rekey.js", "rekey-backend-jsonstore")
	sdktest.Node(t, "../../node", folder)
	backendtest.RunExecutable(t, backendtest.Options{Target: file.Target}, filepath.Join(folder, "rekey-backend-jsonstore"))
}

func TestTheExampleIsShort(t *testing.T) { sdktest.Short(t, "rekey-backend-jsonstore", 40) }
