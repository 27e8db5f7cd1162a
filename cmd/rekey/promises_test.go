package main_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
)

// TestEveryBundledBackendHasTheReportOfTheKit, and shows it: what is kept, and what does
// not apply and why. Of a plugin that is not bundled none is known.
func TestEveryBundledBackendHasTheReportOfTheKit(t *testing.T) {
	t.Parallel()
	p := newPlace(t, "REKEY_PLUGIN_DIR="+leakyPlugin(t, "1"))
	for line := range strings.Lines(p.must(0, "backends").stdout) {
		name := strings.Fields(line)[0]
		var shown struct {
			Promises *struct {
				Kept    []string `json:"kept"`
				Broken  []string `json:"broken"`
				LeftOut []struct {
					Name string `json:"name"`
					Why  string `json:"why"`
				} `json:"left_out"`
			} `json:"promises"`
		}
		must(t, json.Unmarshal([]byte(p.must(0, "backends", name, "--json").stdout), &shown))
		text := p.must(0, "backends", name).stdout
		if name == "leaky" {
			if shown.Promises != nil || !strings.Contains(text, "\npromises         not known here; rekey plugin test finds out\n") {
				t.Errorf("a plugin that is not bundled: %+v\n%s", shown.Promises, text)
			}
			continue
		}
		if shown.Promises == nil || !slices.Contains(shown.Promises.Kept, "describe/is stable") || len(shown.Promises.Broken) > 0 {
			t.Errorf("%s: %+v; has its test been run with -update?", name, shown.Promises)
			continue
		}
		for _, one := range shown.Promises.LeftOut {
			if one.Why == "" || !strings.Contains(text, "  "+one.Why+": ") || !strings.Contains(text, one.Name) {
				t.Errorf("%s: %+v is not shown", name, one)
			}
		}
		if !strings.Contains(text, "\npromises kept, as the conformance kit finds in this release\n  describe             is stable; makes sense; ") {
			t.Errorf("%s: %s", name, text)
		}
	}
	if r := p.must(0, "backends", "http", absolute(t, "../../plugins/http/testdata/little.star")); !strings.Contains(r.stdout, "not known here") {
		t.Errorf("the report of http is of none of its definitions: %s", r.stdout)
	}
}
