package sqltable_test

import (
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/rekey-host/rekey/plugins/sqltable"
	"github.com/rekey-host/rekey/sdk"
	"github.com/rekey-host/rekey/sdk/backendtest"
	"github.com/rekey-host/rekey/sdk/define"
)

// TestADefinitionKeepsTheContract: what an application's tables are called is asked of
// its user, and all else stands in the definition.
func TestADefinitionKeepsTheContract(t *testing.T) {
	_, own, _, _ := runtime.Caller(0)
	path := filepath.Join(filepath.Dir(own), "testdata", "app.star")
	backend, err := define.Of(sqltable.New(), path, "")
	if err != nil {
		t.Fatal(err)
	}
	description := backend.Describe()
	if len(description.Egress) != 0 || !slices.Equal(description.Target, []string{"users", "logins", "engine", "path"}) || !slices.Contains(description.Paths, "write {path}") {
		t.Errorf("its egress is %q, its target %q, its paths %q", description.Egress, description.Target, description.Paths)
	}
	backendtest.Run(t, backendtest.Options{Backend: backend, Target: func(t testing.TB) backendtest.Target {
		made := target(t, sqlite(t))
		values := made.Config.Values
		made.Config = sdk.Config{Values: map[string]any{"definition": path, "engine": "sqlite", "path": values["path"], "users": values["table"],
			"logins": strings.Fields(values["sessions"].(string))[2]}}
		made.Wrong = []backendtest.Wrong{{Field: "engine", Value: "oracle"}, {Field: "users"}}
		return made
	}})
}
