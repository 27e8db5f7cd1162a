package engine

import (
	"testing"

	"github.com/rekey-host/rekey/host/journal"
	"github.com/rekey-host/rekey/sdk"
)

// TestAThresholdCounts what a wave's rule says, from where the ledger stands.
func TestAThresholdCounts(t *testing.T) {
	type end struct {
		status journal.Status
		code   sdk.Code
	}
	times := func(n int, e end) (list []end) {
		for range n {
			list = append(list, e)
		}
		return list
	}
	denied, gone, timeout := end{journal.Failed, sdk.PermissionDenied}, end{journal.Failed, sdk.AccountNotFound}, end{journal.Unresolved, sdk.Timeout}
	ok, skipped, said := end{journal.Done, ""}, end{journal.Skipped, ""}, end{journal.Failed, journal.ScriptFailed}
	join := func(parts ...[]end) (all []end) {
		for _, p := range parts {
			all = append(all, p...)
		}
		return all
	}
	none, row := journal.WaveRule{MaxFailures: -1, MaxPercent: -1}, journal.WaveRule{MaxFailures: -1, MaxPercent: -1, InARow: journal.InARow}
	two := journal.WaveRule{Name: "w", MaxFailures: 2, MaxPercent: -1, Tolerate: []sdk.Code{sdk.AccountNotFound}}
	part := journal.WaveRule{MaxFailures: -1, MaxPercent: 2}
	for _, tt := range []struct {
		name  string
		rule  journal.WaveRule
		had   int64 // failures in the ledger
		ends  []end
		after int // of them it stops; 0: it does not
	}{
		{"no limit", none, 0, times(100, denied), 0},
		{"nobody may fail", journal.WaveRule{MaxPercent: -1}, 0, []end{ok, skipped, denied}, 3},
		{"a number", two, 0, times(5, denied), 3},
		{"unknown and partial count", two, 0, []end{timeout, {journal.Partial, sdk.NotAccepted}, timeout}, 3},
		{"tolerated and skipped do not", two, 0, join(times(9, gone), times(9, skipped)), 0},
		{"what the ledger has counts", two, 2, []end{ok, denied}, 2},
		{"above it already", two, 5, []end{ok, ok, denied}, 3},
		{"a percentage", part, 0, times(5, denied), 3},
		{"twenty in a row", row, 0, times(30, denied), 20},
		{"unknown in a row", row, 0, times(30, timeout), 20},
		{"a user that is done between", row, 0, join(times(19, denied), []end{ok}, times(19, denied)), 0},
		{"another code between", row, 0, join(times(19, denied), []end{timeout}, times(19, denied)), 0},
		{"skipped ones between", row, 0, join(times(19, denied), []end{skipped, gone, said}, times(3, denied)), 23},
		{"accounts that are not there", row, 0, times(100, gone), 0},
		{"what the script says", row, 0, times(100, said), 0},
	} {
		th := threshold{rule: tt.rule, limit: tt.rule.Limit(100), failed: tt.had}
		stopped := 0
		for i, e := range tt.ends {
			if th.add(e.status, e.code) != "" {
				stopped = i + 1
				break
			}
		}
		if stopped != tt.after {
			t.Errorf("%s: stops after %d, want %d", tt.name, stopped, tt.after)
		}
	}
}

// TestWhatWasWaivedIsSaid where something was: the number of all is another one.
func TestWhatWasWaivedIsSaid(t *testing.T) {
	for waived, want := range map[int64]string{
		0: `wave "w": 1 users failed, more than max_failures allows (0)`, 4: `wave "w": 1 more users failed (5 in all), more than max_failures allows (0)`,
	} {
		th := threshold{rule: journal.WaveRule{Name: "w", MaxPercent: -1}, waived: waived}
		if got := th.add(journal.Failed, sdk.PermissionDenied); got != want {
			t.Errorf("%d waived: %s, want %s", waived, got, want)
		}
	}
}
