package engine

import (
	"github.com/rekey-host/rekey/host/journal"
	"github.com/rekey-host/rekey/sdk"
)

// stampBefore returns the newest stamp that the account is known to have had
// before the attempt, "" if none is known, or something may have changed since.
func stampBefore(history *journal.History, attempt *journal.Attempt) string {
	stamp := ""
	for _, record := range history.Records() {
		if record.Backend != attempt.Intent.Backend || record.Account != attempt.Intent.Account {
			continue
		}
		if record == attempt.Intent {
			return stamp
		}
		switch {
		case record.Kind == journal.Answer && record.Verb == journal.Find && record.Outcome == sdk.Applied,
			record.Kind == journal.Outcome && record.Outcome != sdk.Refused:
			stamp = record.Detail.Stamp
		}
	}
	return ""
}
