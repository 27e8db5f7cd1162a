package engine

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/rekey-host/rekey/host/journal"
	"github.com/rekey-host/rekey/sdk"
	"github.com/rekey-host/rekey/sdk/secret"
)

// revert sets back what a failing user has applied, newest first, as journalled
// steps. Unknown accounts are never reverted, and with one of them nothing is.
// It returns the verdict with which the user ends, or the fault of one who goes
// back to pending.
func (s *Steps) revert(v journal.Verdict) (journal.Verdict, error) {
	if out := s.history.Conclude(v); out.Detail.Status != journal.Partial {
		return v, nil
	}
	for _, c := range slices.Backward(slices.Clone(s.history.Touched())) {
		if c.Standing != journal.StandsApplied || c.Reverted {
			continue
		}
		if err := s.setBack(c); err != nil {
			return raisedBy(err), err
		}
	}
	return v, nil
}

// keep notes why a credential was not set back.
func (s *Steps) keep(why string, c *journal.CredentialHistory) {
	if s.kept == nil {
		s.kept = map[string][]string{}
	}
	s.kept[why] = append(s.kept[why], c.Backend)
}

// sayKept adds to a status which accounts could not be set back.
func (s *Steps) sayKept(rec *journal.Record) {
	for _, why := range slices.Sorted(maps.Keys(s.kept)) {
		text := fmt.Sprintf("not reverted, as %s: %s", why, strings.Join(s.kept[why], ", "))
		if rec.Detail.Message != "" {
			text = "; " + text
		}
		rec.Detail.Message += text
	}
}

// raisedBy is the verdict of a hook that ends with a fault.
func raisedBy(err error) journal.Verdict {
	var f *journal.Fault
	if !errors.As(err, &f) {
		f = &journal.Fault{Code: sdk.Internal, Message: err.Error()}
	}
	return journal.Verdict{Kind: journal.Raised, Fault: f}
}

// setBack gives one credential the value it had before. Where that is not
// known the account stays as it is, and the user partial.
func (s *Steps) setBack(c *journal.CredentialHistory) error {
	l := s.run.dispatchers[c.Backend]
	old, known := s.valueBefore(c)
	switch {
	case l == nil || !l.backend.Description.Does(sdk.Set):
		s.keep("the backend cannot set a value", c)
		return nil
	case !known:
		s.keep("the earlier value is not known", c)
		return nil
	}
	recorded, err := s.backStep(c.Credential)
	if err != nil {
		return diverged(err)
	}
	if last := recorded.Last(); last != nil && !redone(last) {
		return nil // as it came out before
	}
	s.run.at(CrashReverting)
	return s.executor(stepOf(recorded.Call, journal.Given(old)), l, recorded).send(s.run.hard, sending{verb: sdk.Set, value: old})
}

// backStep is the step that sets a credential back: the last one, or a new one
// behind all others.
func (s *Steps) backStep(name journal.Credential) (*journal.RecordedStep, error) {
	replay := &s.history.Replay
	if was := replay.Back(name); was != nil {
		return was, nil
	}
	s.n = max(s.n, replay.Highest()) + 1
	return replay.At(s.n, name.Back())
}

// settleReverts settles the set-backs that an earlier process left open, before
// the hook is called again: where the accounts stand decides what it may do.
func (s *Steps) settleReverts() error {
	for _, recorded := range s.history.Replay.Backs() {
		l := s.run.dispatchers[recorded.Backend]
		if recorded.Standing() != journal.StandsDoubtful || l == nil {
			continue
		}
		if err := s.executor(stepOf(recorded.Call, nil), l, recorded).settle(s.run.hard); err != nil {
			return err
		}
	}
	return nil
}

func stepOf(c journal.Call, v *journal.Value) journal.Step {
	return journal.Step{Verb: c.Verb, Backend: c.Backend, Account: c.Account, Kind: c.Kind, Value: v}
}

// valueBefore returns the value that the credential had before this run: what
// the first value that took effect replaced, where that was a change, because
// the target compared it; else the newest that the ledger knows.
func (s *Steps) valueBefore(c *journal.CredentialHistory) (secret.Value, bool) {
	if first := c.First().Intent; first.SealedOld != nil && first.Detail.Op == "" {
		old, err := s.unseal(first, journal.RoleOld, first.SealedOld)
		return old, err == nil
	}
	if s.run.Known == nil {
		return secret.Value{}, false
	}
	v, ok, err := s.run.Known(c.Backend, c.Account, c.Kind)
	return v, ok && err == nil
}
