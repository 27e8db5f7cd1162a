package command_test

import (
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/rekey-host/rekey/plugins/command"
	"github.com/rekey-host/rekey/sdk"
	"github.com/rekey-host/rekey/sdk/backendtest"
	"github.com/rekey-host/rekey/sdk/define"
)

// definitionPath is where the definition of these tests is: a plugin works in the root.
func definitionPath() string {
	_, own, _, _ := runtime.Caller(0)
	return filepath.Join(filepath.Dir(own), "testdata", "image.star")
}

// definedTarget is target with the settings of the definition.
func definedTarget(t testing.TB) backendtest.Target {
	made := target(t)
	words := made.Config.Values["verify"].([]string)
	made.Config = sdk.Config{Values: map[string]any{"definition": definitionPath(), "root": strings.TrimSuffix(words[1], "/etc/shadow"), "tool": words[0], "min_length": int64(8)}}
	made.Wrong = []backendtest.Wrong{{Field: "root"}, {Field: "min_length", Value: int64(-1)}}
	return made
}

// TestADefinitionKeepsTheContract: its user gives two settings, and the whole of the
// contract holds as with all of them.
func TestADefinitionKeepsTheContract(t *testing.T) {
	backend, err := define.Of(command.New(), definitionPath(), "")
	if err != nil {
		t.Fatal(err)
	}
	description := backend.Describe()
	if !slices.Equal(description.Target, []string{"root"}) || !slices.Contains(description.Paths, "run the programs of the definition") {
		t.Errorf("its target is %q, its paths are %q", description.Target, description.Paths)
	}
	backendtest.Run(t, backendtest.Options{Backend: backend, Target: definedTarget})
}

// TestWhatADefinitionGetsWrong is told with its place.
func TestWhatADefinitionGetsWrong(t *testing.T) {
	for text, want := range map[string]string{
		`{"set": ["/bin/true"], "sett": 1}`: `x.star: configure: there is no "sett"; did you mean "set"?`,
		`{"set": 7}`:                        `x.star: configure: set: got a whole number, want a list of strings`,
		`{"set": ["/bin/cat", "{account}"], "set_input": "{value}", "answers": ["Nonsense: exit 1"]}`: "Nonsense",
		`[]`:            "x.star: configure returned a list",
		`{"set": {}}`:   "x.star: configure: set: want a text, a number",
		`settings.dirr`: "x.star:3: configure: ",
	} {
		backend, err := command.New().Define("x.star", "command(summary = \"x\", settings = [setting(\"dir\")])\ndef configure(settings):\n    return "+text+"\n")
		if err != nil {
			t.Fatal(err)
		}
		_, err = backend.Configure(t.Context(), sdk.Config{Values: map[string]any{"definition": "x.star"}})
		if failure := sdk.AsError(err, sdk.Internal); failure == nil || failure.Code != sdk.InvalidConfig || !strings.Contains(failure.Message, want) {
			t.Errorf("%s: %v, want %s", text, err, want)
		}
	}
}
