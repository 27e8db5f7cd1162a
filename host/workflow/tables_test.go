package workflow

import (
	"slices"
	"strings"
	"testing"

	"github.com/rekey-host/rekey/host/journal"
	"github.com/rekey-host/rekey/host/report"
	"github.com/rekey-host/rekey/host/workflow/lang"
)

// TestTheTablesAgree: what the language lists does something, and what the host
// can do is listed.
func TestTheTablesAgree(t *testing.T) {
	table, all := lang.New(), functions()
	for name := range all {
		if table.Lookup(name) == nil {
			t.Errorf("%s does something, and the table of the language does not list it", name)
		}
	}
	for _, entry := range table.Entries() {
		called := entry.Use == lang.Function && entry.Later == "" && entry.Name != "workflow"
		if called && all[entry.Name] == nil {
			t.Errorf("the table of the language lists %s, which does nothing", entry.Name)
		}
	}
	for _, verb := range journal.StepVerbs() {
		if table.Lookup("step."+verb) == nil || table.Lookup("step.try_"+verb) == nil {
			t.Errorf("the table of the language does not list the steps of %s", verb)
		}
	}
	formats := report.Formats()
	for _, entry := range table.Entries() {
		name, ok := strings.CutPrefix(entry.Name, "report.")
		if ok && entry.Later == "" && name != "summary" && !slices.ContainsFunc(formats, func(format report.Format) bool { return format.Name == name }) {
			t.Errorf("the table of the language lists %s, and host/report has no such format", entry.Name)
		}
	}
}
