package workflow

import (
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"go.starlark.net/starlark"
	"go.starlark.net/syntax"
	"pgregory.net/rapid"

	"github.com/rekey-host/rekey/host/source"
)

// TestARateIsTheSameInAnyUnit.
func TestARateIsTheSameInAnyUnit(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		hundredths := rapid.IntRange(1, 100_000).Draw(rt, "hundredths")
		perSecond := float64(hundredths) / 100
		for unit, factor := range map[string]float64{"s": 1, "m": 60, "h": 3600} {
			text := strconv.FormatFloat(perSecond*factor, 'f', -1, 64) + "/" + unit
			flow := mustLoad(t, script(t, fmt.Sprintf("workflow(users = rows([\"ann\"], key = \"login\"), backend = backend(\"memory\", rate = %q))\n", text)))
			if got := flow.Backends[0].Rate; math.Abs(got-perSecond) > perSecond*1e-9 {
				rt.Fatalf("%s is %g/s, want %g/s", text, got, perSecond)
			}
		}
	})
}

// TestFailuresAreANumberOrAShare, and nothing beyond all users.
func TestFailuresAreANumberOrAShare(t *testing.T) {
	ruleOf := func(value string) (failures int, percent float64, wrong string) {
		o := script(t, "workflow(users = rows([\"ann\"], key = \"login\"), backend = backend(\"memory\"), waves = {\"a\": wave_rule(max_failures = "+value+")})\n")
		if wrong = problems(t, o); wrong != "" {
			return 0, 0, wrong
		}
		rule := mustLoad(t, o).Waves[0]
		return rule.MaxFailures, rule.MaxPercent, ""
	}
	rapid.Check(t, func(rt *rapid.T) {
		number := rapid.IntRange(-3, 110).Draw(rt, "number")
		failures, _, wrong := ruleOf(strconv.Itoa(number))
		if taken := wrong == ""; taken != (number >= 0) || taken && failures != number {
			rt.Fatalf("%d: %d %s", number, failures, wrong)
		}
		for _, text := range []string{fmt.Sprintf("%d%%", number), fmt.Sprintf(" %d.0 %% ", number), fmt.Sprintf("%de0%%", number)} {
			_, percent, wrong := ruleOf(strconv.Quote(text))
			spaced := strings.Contains(text, ".0 ")
			if taken := wrong == ""; taken != (number >= 0 && number <= 100 && !spaced) || taken && percent != float64(number) {
				rt.Fatalf("%q: %g %s", text, percent, wrong)
			}
		}
	})
}

// TestAPluginsLimitIsReachedAndNotPassed: a script may only lower it.
func TestAPluginsLimitIsReachedAndNotPassed(t *testing.T) {
	most := directory().Limits
	for concurrency := range most.Concurrency + 3 {
		got := problems(t, script(t, fmt.Sprintf("workflow(users = rows([\"ann\"], key = \"login\"), backend = backend(\"ldap\", url = \"ldap://x\", concurrency = %d))\n", concurrency)))
		if taken := got == ""; taken != (concurrency >= 1 && concurrency <= most.Concurrency) {
			t.Errorf("concurrency = %d of at most %d: %s", concurrency, most.Concurrency, got)
		}
	}
	for _, rate := range []float64{most.PerSecond - 1, most.PerSecond, most.PerSecond + 1} {
		got := problems(t, script(t, fmt.Sprintf("workflow(users = rows([\"ann\"], key = \"login\"), backend = backend(\"ldap\", url = \"ldap://x\", rate = \"%g/s\"))\n", rate)))
		if taken := got == ""; taken != (rate <= most.PerSecond) {
			t.Errorf("rate = %g/s of at most %g: %s", rate, most.PerSecond, got)
		}
	}
	flow := mustLoad(t, script(t, "workflow(users = rows([\"ann\"], key = \"login\"), backend = backend(\"ldap\", url = \"ldap://x\"))\n"))
	if got := flow.Backends[0].Timeout; got != most.Timeout {
		t.Errorf("timeout %s, want the plugin's, %s", got, most.Timeout)
	}
	flow = mustLoad(t, script(t, "workflow(users = rows([\"ann\"], key = \"login\"), backend = backend(\"ldap\", url = \"ldap://x\", timeout = \"1m\"))\n"))
	if got := flow.Backends[0].Timeout; got != time.Minute {
		t.Errorf("timeout %s, want the script's", got)
	}
}

// TestUsersAreToldApartByTheirKeys, whatever else is in their rows.
func TestUsersAreToldApartByTheirKeys(t *testing.T) {
	columns := newSchema(source.Schema{Columns: []source.Column{{Name: "login"}, {Name: "team"}}})
	user := rapid.Custom(func(t *rapid.T) *userValue {
		key := rapid.SampledFrom([]string{"ann", "bob", "é"}).Draw(t, "key")
		return &userValue{schema: columns, key: key, cells: []any{key, rapid.String().Draw(t, "team")}}
	})
	rapid.Check(t, func(rt *rapid.T) {
		left, right := user.Draw(rt, "left"), user.Draw(rt, "right")
		equal, err := starlark.Equal(left, right)
		if equal != (left.key == right.key) || err != nil {
			rt.Fatalf("%v == %v is %v, %v", left, right, equal, err)
		}
		leftHash, _ := left.Hash()
		rightHash, _ := right.Hash()
		if equal && leftHash != rightHash {
			rt.Fatalf("%v has two hashes", left)
		}
		if _, err := starlark.Compare(syntax.LT, left, right); err == nil {
			rt.Fatal("users have an order")
		}
		for i, name := range left.AttrNames() {
			byName, _ := left.Attr(name)
			byKey, found, err := left.Get(starlark.String(name))
			if byName != starlark.Value(starlark.String(left.cells[i].(string))) || byKey != byName || !found || err != nil {
				rt.Fatalf("%s of %v is %v, %v", name, left, byName, byKey)
			}
		}
	})
}

// TestPrintedLinesAreWholeAndBounded, however many print at once.
func TestPrintedLinesAreWholeAndBounded(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		limit := rapid.IntRange(1, 20).Draw(rt, "limit")
		texts := rapid.SliceOfN(rapid.StringOfN(rapid.SampledFrom([]rune("ab\n")), 0, 6, -1), 0, 20).Draw(rt, "texts")
		var out strings.Builder
		made := &printer{w: io.Writer(&out), left: limit}
		var printing sync.WaitGroup
		want := map[string]bool{"w:1: more output of print is left out": true}
		count := 0
		for _, text := range texts {
			for line := range strings.SplitSeq(text, "\n") {
				want["w:1: "+line] = true
				count++
			}
			printing.Go(func() { made.line("w:1: ", text) })
		}
		printing.Wait()
		lines := strings.SplitAfter(out.String(), "\n")
		lines = lines[:len(lines)-1]
		if len(lines) != min(count, limit+1) {
			rt.Fatalf("%d lines of %d, limit %d", len(lines), count, limit)
		}
		if i := slices.IndexFunc(lines, func(line string) bool { return !want[strings.TrimSuffix(line, "\n")] }); i >= 0 {
			rt.Fatalf("%q was not printed", lines[i])
		}
		if left := slices.Contains(lines, "w:1: more output of print is left out\n"); left != (count > limit) {
			rt.Fatalf("%d lines, limit %d: left out %v", count, limit, left)
		}
	})
}
