package engine

import (
	"context"

	"github.com/rekey-host/rekey/host/journal"
	"github.com/rekey-host/rekey/sdk"
)

// stamped settles a lost answer by the account's change stamp, without a logon
// attempt: one that is what it was before the attempt says that nothing took
// effect; another one that something did, which is taken for the attempt only
// where the backend cannot verify at all: others' stamps may move with any change
// of an entry. CannotTell: there is no stamp to compare.
func (x *executor) stamped(a *journal.Attempt) sdk.Verdict {
	l, was := x.dispatcher, stampBefore(x.history, a)
	if was == "" || !l.backend.Can(sdk.CanFind) || len(l.backend.Description.Kinds) > 1 || x.run.hard.Err() != nil {
		return sdk.CannotTell
	}
	var found sdk.Account
	var failure error
	err := l.direct(x.run.hard, func(ctx context.Context) {
		found, failure = l.backend.Instance.Find(ctx, x.step.Account)
	})
	switch {
	case err != nil || failure != nil || found.Stamp == "":
		return sdk.CannotTell
	case found.Stamp == was:
		return sdk.Rejected
	case l.backend.Can(sdk.CanVerify):
		return sdk.CannotTell // a verify says whose change it was
	default:
		return sdk.Accepted
	}
}

// stampBefore returns the newest stamp that the account is known to have had
// before the attempt, "" if there is none, or something may have changed since.
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
