package engine

import (
	"fmt"

	"github.com/rekey-host/rekey/host/journal"
	"github.com/rekey-host/rekey/sdk"
)

// ofTheAccount reports whether a code is about one account, or what a script
// says of one user: a list may well have twenty retired accounts in a row.
func ofTheAccount(code sdk.Code) bool {
	return code.OfAccount() || code == journal.DuplicateAccount || code == journal.ScriptFailed
}

// threshold counts the failures of one wave. The zero threshold has no limit
// and no rule.
type threshold struct {
	rule   journal.WaveRule
	limit  int64 // negative: none
	failed int64 // those that the ledger had when the process began among them
	waived int64 // those that the ledger had and that do not count, as the operator has said

	code  sdk.Code // of the last failures in a row
	alike int      // how many they are
}

// add counts a user that ended and returns why the run has to stop, or "".
func (t *threshold) add(status journal.Status, code sdk.Code) string {
	if reason := t.row(status, code); reason != "" {
		return reason
	}
	if t.limit < 0 || !t.rule.Fails(status, code) {
		return ""
	}
	if t.failed++; t.failed <= t.limit {
		return ""
	}
	if t.waived > 0 {
		return fmt.Sprintf("wave %q: %d more users failed (%d in all), more than max_failures allows (%d)", t.rule.Name, t.failed, t.failed+t.waived, t.limit)
	}
	return journal.Over(t.rule.Name, t.failed, t.limit)
}

// row counts failures of one code in a row. A done user ends the row, a skipped
// one or one with a fault of its own does not.
func (t *threshold) row(status journal.Status, code sdk.Code) string {
	switch {
	case t.rule.InARow == 0:
		return ""
	case status == journal.Done:
		t.alike = 0
		return ""
	case !status.Failure() || ofTheAccount(code):
		return ""
	case code != t.code:
		t.code, t.alike = code, 0
	}
	if t.alike++; t.alike < t.rule.InARow {
		return ""
	}
	t.alike = 0
	return fmt.Sprintf("%d users in a row failed with %s, and the others would too; without waves that ends a run", t.rule.InARow, code)
}
