package engine

import (
	"context"

	"github.com/rekey-host/rekey/host/ledger"
	"github.com/rekey-host/rekey/sdk"
)

// stamped settles a lost answer by the account's change stamp, without a logon
// attempt: one that is what it was before the attempt says that nothing took
// effect; another one that something did, which is taken for the attempt only
// where the backend cannot verify. CannotTell: there is no stamp to compare.
func (s *Steps) stamped(step Step, l *lane, y *try) sdk.Verdict {
	was := s.stampBefore(y)
	if was == "" || !l.backend.Can(sdk.CanFind) || len(l.backend.Description.Kinds) > 1 || s.crew.hard.Err() != nil {
		return sdk.CannotTell
	}
	var found sdk.Account
	var failure error
	err := l.direct(s.crew.hard, func(ctx context.Context) {
		found, failure = l.backend.Instance.Find(ctx, step.Account)
	})
	switch {
	case err != nil || failure != nil || found.Stamp == "":
		return sdk.CannotTell
	case found.Stamp == was:
		return sdk.Rejected
	case l.backend.Can(sdk.CanVerify) && step.HashFormat == "":
		return sdk.CannotTell // a verify says whose change it was
	default:
		return sdk.Accepted
	}
}

// stampBefore returns the newest stamp that the account is known to have had
// before the try, "" if there is none, or something may have changed since.
func (s *Steps) stampBefore(y *try) string {
	stamp := ""
	for i := range s.log {
		r := &s.log[i]
		if r.Backend != y.intent.Backend || r.Account != y.intent.Account {
			continue
		}
		if r.Kind == ledger.Intent && r.Step == y.intent.Step && r.Try == y.intent.Try {
			return stamp
		}
		switch {
		case r.Kind == ledger.Answer && r.Verb == verbFind && r.Outcome == sdk.Applied,
			r.Kind == ledger.Outcome && r.Outcome != sdk.Refused:
			stamp = r.Detail.Stamp
		}
	}
	return ""
}
