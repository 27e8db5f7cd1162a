package engine

import (
	"slices"

	"github.com/rekey-host/rekey/host/ledger"
	"github.com/rekey-host/rekey/sdk"
	"github.com/rekey-host/rekey/sdk/secret"
)

// revert sets back what a failing user has applied, newest first, as journalled
// steps. Unknown accounts are never reverted, and with one of them nothing is.
// It reports false if the user goes back to pending.
func (s *Steps) revert(v Verdict) bool {
	status := statusOf(s.log, v).Detail.Status
	if status != ledger.Partial {
		return true
	}
	accounts := standings(s.log)
	slices.Reverse(accounts)
	for _, a := range accounts {
		if a.state != standingApplied || a.reverted {
			continue
		}
		if err := s.setBack(a); err != nil {
			return false
		}
	}
	return true
}

// setBack gives one credential the value it had before. Where that is not
// known the account stays as it is, and the user partial.
func (s *Steps) setBack(a *account) error {
	l := s.crew.lanes[a.cred.backend]
	old, known := s.before(a)
	if l == nil || !known || !l.backend.Description.Does(sdk.Set) {
		return nil
	}
	s.n++
	s.crew.crash.at(CrashReverting)
	step := Step{Verb: verbRevert, Backend: a.cred.backend, Account: a.cred.account, Kind: a.cred.cred, Value: Given(old)}
	t, err := s.past.at(s.n, signature{verbRevert, step.Backend, step.Account, step.Kind})
	if err != nil {
		return err
	}
	if t == nil {
		t = &taken{ordinal: s.n, sig: signature{verbRevert, step.Backend, step.Account, step.Kind}}
	}
	switch {
	case t.standing() == standingApplied:
		return nil
	case t.standing() == standingUnknown:
		return s.settle(s.crew.hard, step, l, t)
	}
	return s.send(s.crew.hard, step, l, t, sending{verb: sdk.Set, value: old})
}

// before returns the value that the credential had: what a change replaced,
// else the newest that the ledger knows.
func (s *Steps) before(a *account) (secret.Value, bool) {
	if old, ok := s.olds[a.cred]; ok {
		return old, true
	}
	if s.crew.Known == nil {
		return secret.Value{}, false
	}
	v, ok, err := s.crew.Known(a.cred.backend, a.cred.account, a.cred.cred)
	return v, ok && err == nil
}
