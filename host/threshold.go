package host

import (
	"encoding/json"
	"fmt"

	"github.com/rekey-host/rekey/host/journal"
	"github.com/rekey-host/rekey/host/ledger"
)

// wavesOf are the rules that a run was planned with.
func wavesOf(r *ledger.Run) ([]journal.WaveRule, error) {
	var rules []journal.WaveRule
	if err := json.Unmarshal(r.Header().Waves, &rules); err != nil {
		return nil, fmt.Errorf("waves of run %s: %w", r.ID(), err)
	}
	return rules, nil
}

// failedOf counts, for each wave that has a limit, the users that stand against
// it in the ledger, those that are put back left out.
func failedOf(r *ledger.Run, rules []journal.WaveRule, waves []ledger.WaveCounts, back map[int64]bool) ([]int64, error) {
	failed := make([]int64, len(rules))
	for i, rule := range rules {
		c := waves[i].Counts
		failed[i] = c.Failed + c.Partial + c.Unknown
		if rule.Limit(c.Total) < 0 || failed[i] == 0 || len(rule.Tolerate) == 0 && len(back) == 0 {
			continue
		}
		n, err := countFailed(r, rule, back)
		if err != nil {
			return nil, err
		}
		failed[i] = n
	}
	return failed, nil
}

func countFailed(r *ledger.Run, rule journal.WaveRule, back map[int64]bool) (n int64, err error) {
	f := ledger.Filter{Wave: rule.Name, Status: []journal.Status{journal.Failed, journal.Partial, journal.Unresolved}}
	err = r.Each(f, ledger.OrderApply, func(u ledger.User) error {
		if rule.Fails(u.Status, u.Code) && !back[u.Pos] {
			n++
		}
		return nil
	})
	return n, err
}

// over says which wave of a run has failed more often than it may, those that
// are put back left out; "": none. It matters as long as users are left.
func over(r *ledger.Run, back map[int64]bool) (string, error) {
	rules, err := wavesOf(r)
	if err != nil {
		return "", err
	}
	waves, err := r.WaveCounts()
	if err != nil {
		return "", err
	}
	failed, err := failedOf(r, rules, waves, back)
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
func overAgain(r *ledger.Run) (string, error) {
	users, err := unknown(r)
	if err != nil {
		return "", err
	}
	return over(r, among(users))
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
func underLimit(r *ledger.Run, users []int64, o RunOptions) error {
	if o.OverThreshold {
		return nil
	}
	c, err := r.Counts()
	if err != nil || c.Pending+c.Held == 0 {
		return err
	}
	reason, err := over(r, among(users))
	if err != nil || reason == "" {
		return err
	}
	return &UsageError{Message: reason + ", those left out that are retried", Fix: "retry more of them, or give --over-threshold"}
}
