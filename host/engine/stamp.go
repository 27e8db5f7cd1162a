package engine

import (
	"github.com/rekey-host/rekey/host/journal"
	"github.com/rekey-host/rekey/sdk"
)

// stampBefore returns the newest stamp that the account is known to have had
// before the attempt, "" if none is known, or something may have changed since.
func stampBefore(h *journal.History, a *journal.Attempt) string {
	stamp := ""
	for _, r := range h.Records() {
		if r.Backend != a.Intent.Backend || r.Account != a.Intent.Account {
			continue
		}
		if r == a.Intent {
			return stamp
		}
		switch {
		case r.Kind == journal.Answer && r.Verb == journal.Find && r.Outcome == sdk.Applied,
			r.Kind == journal.Outcome && r.Outcome != sdk.Refused:
			stamp = r.Detail.Stamp
		}
	}
	return ""
}
