package host

import (
	"encoding/json"
	"fmt"

	"github.com/rekey-host/rekey/host/journal"
	"github.com/rekey-host/rekey/host/ledger"
)

// wavesOf are the rules that a run was planned with.
func wavesOf(run *ledger.Run) ([]journal.WaveRule, error) {
	var rules []journal.WaveRule
	if err := json.Unmarshal(run.Header().Waves, &rules); err != nil {
		return nil, fmt.Errorf("waves of run %s: %w", run.ID(), err)
	}
	return rules, nil
}

// failedOf counts, for each wave with a limit, the users that stand against
// it in the ledger, without those put back.
func failedOf(run *ledger.Run, rules []journal.WaveRule, waves []ledger.WaveCounts, back map[int64]bool) ([]int64, error) {
	failed := make([]int64, len(rules))
	for i, rule := range rules {
		counts := waves[i].Counts
		failed[i] = counts.Failed + counts.Partial + counts.Unknown
		if rule.Limit(counts.Total) < 0 || failed[i] == 0 || len(rule.Tolerate) == 0 && len(back) == 0 {
			continue
		}
		count, err := countFailed(run, rule, back)
		if err != nil {
			return nil, err
		}
		failed[i] = count
	}
	return failed, nil
}

func countFailed(run *ledger.Run, rule journal.WaveRule, back map[int64]bool) (count int64, err error) {
	filter := ledger.Filter{Wave: rule.Name, Status: []journal.Status{journal.Failed, journal.Partial, journal.Unresolved}}
	err = run.Each(filter, ledger.OrderApply, func(user ledger.User) error {
		if rule.Fails(user.Status, user.Code) && !back[user.Pos] {
			count++
		}
		return nil
	})
	return count, err
}

// over says which wave of a run has failed more often than it may, those that
// are put back left out; "": none. It matters as long as users are left.
func over(run *ledger.Run, back map[int64]bool) (string, error) {
	rules, err := wavesOf(run)
	if err != nil {
		return "", err
	}
	waves, err := run.WaveCounts()
	if err != nil {
		return "", err
	}
	failed, err := failedOf(run, rules, waves, back)
	if err != nil {
		return "", err
	}
	for i, rule := range rules {
		if limit := rule.Limit(waves[i].Total); limit >= 0 && failed[i] > limit {
			return journal.Over(rule.Name, failed[i], limit), nil
		}
	}
	return "", nil
}

// overAgain is over as the next resume finds it: that tries the users with an
// unknown outcome once more, so they do not stand against a limit.
func overAgain(run *ledger.Run) (string, error) {
	users, err := unknown(run)
	if err != nil {
		return "", err
	}
	return over(run, among(users))
}

func among(users []int64) map[int64]bool {
	set := make(map[int64]bool, len(users))
	for _, pos := range users {
		set[pos] = true
	}
	return set
}

// underLimit refuses a retry that leaves a wave above its limit: it would go on
// with users that were never begun.
func underLimit(run *ledger.Run, users []int64, runOptions RunOptions) error {
	if runOptions.OverThreshold {
		return nil
	}
	counts, err := run.Counts()
	if err != nil || counts.Pending+counts.Held == 0 {
		return err
	}
	reason, err := over(run, among(users))
	if err != nil || reason == "" {
		return err
	}
	return &UsageError{Message: reason + ", those left out that are retried", Fix: "retry more of them, or give --over-threshold"}
}
