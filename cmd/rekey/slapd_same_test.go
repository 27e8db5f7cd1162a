package main_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
)

// sameScripts are scripts whose users end in every way; what they do depends on
// what the servers say.
var sameScripts = []struct{ name, more, rotate string }{
	{"find and skip", "", `
    found = step.try_find(b, user.login)
    if not found.ok:
        return skip("not on b: " + found.code)
    value = step.generate()
    step.set(a, user.login, value)
    step.set(b, user.login, value)
    step.verify(b, user.login, value)`},
	{"verify decides", "", `
    if not step.try_verify(a, user.login, user.old).ok:
        return failed("the list is old")
    first = step.generate()
    step.set(a, user.login, first)
    step.change(a, user.login, old = first, new = step.generate())`},
	{"revert", `, on_failure = "revert"`, `
    value = step.generate()
    step.change(a, user.login, old = user.old, new = value)
    step.set(b, user.login, value)`},
	{"two backends", "", `
    value = step.generate()
    step.set(a, user.login, value)
    synced = step.try_set(b, user.login, value)
    if not synced.ok:
        return failed("a changed, b refused: " + synced.code)`},
}

// sameRounds is how many interrupted runs are compared with one that was not.
func sameRounds() (n, places int) {
	switch os.Getenv("REKEY_FAULTS") {
	case "full":
		return 96, 6
	case "short":
		return 16, 4
	default:
		return 4, 4
	}
}

// TestFaultsSlapdAnInterruptedRunEndsAsOneThatWasNot: whatever signals and kills
// a run meets, when it was resumed to its end, statuses, codes, steps, rows of
// the report and the number of values are those of a run that met nothing.
func TestFaultsSlapdAnInterruptedRunEndsAsOneThatWasNot(t *testing.T) {
	wanted, places := sameRounds()
	total, differ := newRandomTally(), map[string]int{}
	var all sync.WaitGroup
	for i := range places {
		x := newArena(t, harnessSeed(t)*2000+uint64(i), total)
		x.gentle, x.least = true, 2
		all.Go(func() {
			for n := i; n < wanted && !t.Failed(); n += places {
				x.compare(n, differ)
			}
		})
	}
	all.Wait()
	t.Logf("counts: interrupted and not: %d pairs of runs of %d scripts · kills of the host %d, SIGINT %d, twice %d · that differ %d",
		total.rounds, len(sameScripts), total.hits["kill host"], total.hits["signal"], total.hits["two signals"], len(differ))
	if hits := total.hits["kill host"] + total.hits["signal"] + total.hits["two signals"]; hits < wanted/2 || total.rounds < wanted {
		t.Errorf("%d interruptions in %d pairs: too few to prove anything", hits, total.rounds)
	}
}

// compare makes a run that meets nothing, and one that is interrupted.
func (x *arena) compare(n int, differ map[string]int) {
	script := sameScripts[n%len(sameScripts)]
	x.script(script.rotate, script.more)
	calm := x.ran(n, false)
	interrupted := x.ran(n, true)
	for _, line := range difference(calm, interrupted) {
		x.total.add(differ, script.name)
		x.t.Errorf("pair %d, %s: %s", n, script.name, line)
	}
	x.total.mu.Lock()
	x.total.rounds++
	x.total.mu.Unlock()
}

// ran makes a run to its end, and returns what came of it without the values.
func (x *arena) ran(n int, interrupted bool) []string {
	x.write("users.csv", x.users("revert"))
	run := x.begun(interrupted)
	for range x.luck.IntN(3) {
		if interrupted {
			x.process(true, "resume", run, "--yes", "--overwrite")
		}
	}
	said := x.calm(run)
	x.check(fmt.Sprintf("pair %d, run %s", n, run), run, said)
	return x.essence(run)
}

// essence is what a run came to, one line a user, without what differs between
// any two runs.
func (x *arena) essence(run string) []string {
	var claims []claim
	_ = json.Unmarshal([]byte(x.rekey("reveal", run, "--json").stdout), &claims)
	values, seen := map[string][]string{}, map[claim]bool{}
	for _, c := range claims {
		if same := (claim{Key: c.Key, Backend: c.Backend, Password: c.Password}); !seen[same] { // sent again it is the same value
			seen[same] = true
			values[c.Key] = append(values[c.Key], c.Backend+" "+c.State)
		}
	}
	reported := x.reported(func(class, format string, args ...any) { x.t.Errorf(class+": "+format, args...) })
	var list []string
	for line := range strings.Lines(x.rekey("report", run, "--format", "jsonl", "--out", "-").stdout) {
		var row map[string]any
		if err := json.Unmarshal([]byte(line), &row); err != nil {
			x.t.Error(err)
			return nil
		}
		key := fmt.Sprint(row["key"])
		said := reported[key]
		row["steps"] = sent(row["steps"])
		plain, _ := json.Marshal(without(row, "at", "attempt", "attempts", "id", "ref"))
		list = append(list, fmt.Sprintf("%s values %q reported a %v b %v", plain, values[key], said["a"] != "", said["b"] != ""))
	}
	slices.Sort(list)
	return list
}

// sent are the steps without those that a stop kept from being sent: they were
// taken later.
func sent(steps any) []any {
	list, _ := steps.([]any)
	return slices.DeleteFunc(slices.Clone(list), func(s any) bool {
		step, _ := s.(map[string]any)
		return step["code"] == "Cancelled" && step["message"] == "the run stopped before it was sent"
	})
}

// without returns JSON without some names, at any depth.
func without(v any, names ...string) any {
	switch v := v.(type) {
	case map[string]any:
		left := map[string]any{}
		for name, inner := range v {
			if !slices.Contains(names, name) {
				left[name] = without(inner, names...)
			}
		}
		return left
	case []any:
		left := make([]any, len(v))
		for i := range v {
			left[i] = without(v[i], names...)
		}
		return left
	}
	return v
}

// difference are the lines that only one of two has.
func difference(one, other []string) []string {
	has := map[string]int{}
	for _, line := range one {
		has["- "+line]++
	}
	for _, line := range other {
		if has["- "+line] > 0 {
			has["- "+line]--
		} else {
			has["+ "+line]++
		}
	}
	maps.DeleteFunc(has, func(_ string, n int) bool { return n == 0 })
	return slices.Sorted(maps.Keys(has))
}

// TestFaultsADifferenceBetweenRunsIsSeen is the test of the test.
func TestFaultsADifferenceBetweenRunsIsSeen(t *testing.T) {
	one := []string{"ann done", "bob failed"}
	if got := difference(one, []string{"ann done", "bob failed"}); len(got) > 0 {
		t.Errorf("two equal runs differ: %q", got)
	}
	for _, other := range [][]string{{"ann done"}, {"ann done", "bob done"}, {"ann done", "bob failed", "bob failed"}} {
		if len(difference(one, other)) == 0 {
			t.Errorf("%q and %q are taken for the same", one, other)
		}
	}
}
