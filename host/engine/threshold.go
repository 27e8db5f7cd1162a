package engine

import (
	"fmt"
	"slices"

	"github.com/rekey-host/rekey/host/ledger"
	"github.com/rekey-host/rekey/sdk"
)

// InARow is how many like failures in a row stop a run that says nothing of
// waves: whatever all of them hit, the rest would hit too.
const InARow = 20

// Limit is how many users of a wave may fail before it stops; -1: any number.
func (w WaveRule) Limit(planned int64) int64 {
	switch {
	case w.MaxPercent >= 0:
		return int64(float64(planned) * w.MaxPercent / 100)
	case w.MaxFailures >= 0:
		return int64(w.MaxFailures)
	}
	return -1
}

// Fails reports whether a user counts against the wave's limit.
func (w WaveRule) Fails(status ledger.Status, code sdk.Code) bool {
	return failure(status) && !slices.Contains(w.Tolerate, code)
}

func failure(s ledger.Status) bool {
	return s == ledger.Failed || s == ledger.Partial || s == ledger.Unresolved
}

// ofTheAccount reports whether a code is about one account, or what a script
// says of one user: a list may well have twenty retired accounts in a row.
func ofTheAccount(c sdk.Code) bool {
	return c.OfAccount() || c == DuplicateAccount || c == ScriptFailed
}

// threshold counts the failures of one wave. The zero threshold has no limit
// and no rule.
type threshold struct {
	rule   WaveRule
	limit  int64 // negative: none
	failed int64 // those that the ledger had when the process began among them

	code  sdk.Code // of the last failures in a row
	alike int      // how many they are
}

// add counts a user that ended and returns why the run has to stop, or "".
func (t *threshold) add(status ledger.Status, code sdk.Code) string {
	if reason := t.row(status, code); reason != "" {
		return reason
	}
	if t.limit < 0 || !t.rule.Fails(status, code) {
		return ""
	}
	if t.failed++; t.failed <= t.limit {
		return ""
	}
	return Over(t.rule.Name, t.failed, t.limit)
}

// Over says that a wave has failed too often.
func Over(wave string, failed, limit int64) string {
	return fmt.Sprintf("wave %q: %d users failed, more than max_failures allows (%d)", wave, failed, limit)
}

// row counts failures of one code in a row. A user that is done ends the row,
// one that is skipped or has a fault of its own does not.
func (t *threshold) row(status ledger.Status, code sdk.Code) string {
	switch {
	case t.rule.InARow == 0:
		return ""
	case status == ledger.Done:
		t.alike = 0
		return ""
	case !failure(status) || ofTheAccount(code):
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
