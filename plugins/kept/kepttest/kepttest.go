// Package kepttest holds the reports of package kept to what the kit finds.
package kepttest

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/rekey-host/rekey/plugins/kept"
	"github.com/rekey-host/rekey/sdk/backendtest"
)

var update = flag.Bool("update", false, "write the reports of plugins/kept")

// Report returns what backendtest.Options.Report is for a test that holds a backend to
// the contract. At the end of the test the report at path has to say the same; with
// -update it is written. A test of which -run or -skip leave parts out shows neither.
func Report(t *testing.T, path string) func(backendtest.Promise) {
	t.Helper()
	found := &tally{kept: map[string]bool{}, why: map[string]string{}}
	t.Cleanup(func() {
		if len(found.order) > 0 && whole() {
			found.settle(t, path)
		}
	})
	return found.note
}

// whole reports whether go test was asked for tests and not for parts of them.
func whole() bool {
	return !slices.ContainsFunc([]string{"test.run", "test.skip"}, func(name string) bool {
		return strings.Contains(flag.Lookup(name).Value.String(), "/")
	})
}

// tally is what the runs of the kit found so far.
type tally struct {
	order []string          // as the kit names them
	kept  map[string]bool   // those that were tried
	why   map[string]string // those that were not, in the words that sort first
}

// note takes in what came of a promise: it is broken where one run finds it so, and
// kept where one tried it.
func (f *tally) note(came backendtest.Promise) {
	if !slices.Contains(f.order, came.Name) {
		f.order = append(f.order, came.Name)
	}
	if came.Why != "" {
		if why, there := f.why[came.Name]; !there || came.Why < why {
			f.why[came.Name] = came.Why
		}
		return
	}
	before, tried := f.kept[came.Name]
	f.kept[came.Name] = came.Kept && (before || !tried)
}

func (f *tally) report() kept.Report {
	made := kept.Report{}
	for _, name := range f.order {
		switch keeps, tried := f.kept[name]; {
		case !tried:
			made.LeftOut = append(made.LeftOut, kept.LeftOut{Name: name, Why: f.why[name]})
		case keeps:
			made.Kept = append(made.Kept, name)
		default:
			made.Broken = append(made.Broken, name)
		}
	}
	return made
}

// settle compares the report with the file, or writes it.
func (f *tally) settle(t *testing.T, path string) {
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	if err := encoder.Encode(f.report()); err != nil {
		t.Fatal(err)
	}
	if *update {
		if err := os.WriteFile(path, text.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	there, err := os.ReadFile(path)
	if difference := cmp.Diff(string(there), text.String()); err != nil || difference != "" {
		t.Errorf("%s is not what the kit finds; look at the difference, and run this test with -update: %v\n%s", path, err, difference)
	}
}
