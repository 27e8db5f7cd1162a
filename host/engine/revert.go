package engine

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/rekey-host/rekey/host/ledger"
	"github.com/rekey-host/rekey/sdk"
	"github.com/rekey-host/rekey/sdk/secret"
)

// revert sets back what a failing user has applied, newest first, as journalled
// steps. Unknown accounts are never reverted, and with one of them nothing is.
// It returns the verdict with which the user ends, or the fault of one who goes
// back to pending.
func (s *Steps) revert(v Verdict) (Verdict, error) {
	status := statusOf(s.log, v).Detail.Status
	if status != ledger.Partial {
		return v, nil
	}
	accounts := standings(s.log)
	slices.Reverse(accounts)
	for _, a := range accounts {
		if a.state != standingApplied || a.reverted {
			continue
		}
		if err := s.setBack(a); err != nil {
			return raisedBy(err), err
		}
	}
	return v, nil
}

// keep notes why an account was not set back.
func (s *Steps) keep(why string, a *account) {
	if s.kept == nil {
		s.kept = map[string][]string{}
	}
	s.kept[why] = append(s.kept[why], a.cred.backend)
}

// sayKept adds to a status which accounts could not be set back.
func (s *Steps) sayKept(rec *ledger.Record) {
	for _, why := range slices.Sorted(maps.Keys(s.kept)) {
		text := fmt.Sprintf("not reverted, as %s: %s", why, strings.Join(s.kept[why], ", "))
		if rec.Detail.Message != "" {
			text = "; " + text
		}
		rec.Detail.Message += text
	}
}

// raisedBy is the verdict of a hook that ends with a fault.
func raisedBy(err error) Verdict {
	var f *Fault
	if !errors.As(err, &f) {
		f = &Fault{Code: sdk.Internal, Message: err.Error()}
	}
	return Verdict{Kind: Raised, Fault: f}
}

// setBack gives one credential the value it had before. Where that is not
// known the account stays as it is, and the user partial.
func (s *Steps) setBack(a *account) error {
	l := s.crew.lanes[a.cred.backend]
	old, known := s.before(a)
	switch {
	case l == nil || !l.backend.Description.Does(sdk.Set):
		s.keep("the backend cannot set a value", a)
		return nil
	case !known:
		s.keep("the earlier value is not known", a)
		return nil
	}
	t := s.past.setBack(a.cred)
	if t == nil {
		s.n = max(s.n, s.past.highest()) + 1
		t = &taken{ordinal: s.n, sig: setBackOf(a.cred)}
	}
	if last := t.last(); last != nil && !redone(last) {
		return nil // as it came out before
	}
	s.crew.crash.at(CrashReverting)
	return s.send(s.crew.hard, stepOf(t.sig, Given(old)), l, t, sending{verb: sdk.Set, value: old})
}

// settleReverts settles the set-backs that an earlier process left open, before
// the hook is called again: where the accounts stand decides what it may do.
func (s *Steps) settleReverts() error {
	for _, t := range s.past.setBacks() {
		l := s.crew.lanes[t.sig.backend]
		if t.standing() != standingUnknown || l == nil {
			continue
		}
		if err := s.settle(s.crew.hard, stepOf(t.sig, nil), l, t); err != nil {
			return err
		}
	}
	return nil
}

// setBackOf is the signature of the step that sets a credential back.
func setBackOf(cred signature) signature { cred.verb = verbRevert; return cred }

func stepOf(g signature, v *Value) Step {
	return Step{Verb: g.verb, Backend: g.backend, Account: g.account, Kind: g.cred, Value: v}
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
