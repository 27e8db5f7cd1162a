package ledger

import (
	"encoding/binary"
	"hash/fnv"
	"slices"
	"sync"
	"time"

	"github.com/rekey-host/rekey/host/journal"
	"github.com/rekey-host/rekey/sdk/secret"
)

// past is the runs of a store that reached one target, kept open so that many
// questions cost one search.
type past struct {
	mu   sync.Mutex
	runs []*pastRun
}

// targets are the pasts of the targets asked for.
type targets struct {
	store *Store
	mu    sync.Mutex
	past  map[string]*past
}

// close closes all.
func (s *targets) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, p := range s.past {
		p.close()
	}
	s.past = nil
}

// pastRun is one run, and whose account is whose in it.
type pastRun struct {
	run    *Run
	labels []string
	owners pairs // from accounts to users; nil: not needed yet
}

// NewestApplied returns the newest value that the runs of this store, all but
// one, know as applied to a credential: what a revert sets back. target is
// BackendPin.Target; ok is false without one, or without one that the keys open.
// It is safe for concurrent use. Runs that begin after the first call for a
// target are not looked at.
func (s *targets) NewestApplied(k Keys, except, target, account, cred string) (v secret.Value, ok bool, err error) {
	p, err := s.pastOf(k, except, target)
	if err != nil {
		return v, false, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	var newest time.Time
	for _, r := range p.runs {
		c, at, err := r.find(account, cred)
		if err != nil {
			return v, false, err
		}
		if c == nil || ok && !at.After(newest) {
			continue
		}
		found, err := r.run.Unseal(c.Record.User, c.Step, c.Try, journal.RoleValue, c.Sealed)
		if err == nil {
			v, ok, newest = found, true, at
		}
	}
	return v, ok, nil
}

// pastOf opens the runs that reached the target.
func (s *targets) pastOf(k Keys, except, target string) (*past, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	key := except + "\x00" + target
	if p := s.past[key]; p != nil {
		return p, nil
	}
	ids, err := s.store.ids()
	if err != nil {
		return nil, err
	}
	p := &past{}
	for _, id := range ids {
		if id == except {
			continue
		}
		if r := s.pastRun(k, id, target); r != nil {
			p.runs = append(p.runs, r)
		}
	}
	if s.past == nil {
		s.past = map[string]*past{}
	}
	s.past[key] = p
	return p, nil
}

// pastRun opens one run if it reached the target. One that cannot be read, or
// whose values do not open, tells nothing.
func (s *targets) pastRun(k Keys, id, target string) *pastRun {
	r, err := s.store.ReadWith(id, k)
	if err != nil {
		return nil
	}
	p := &pastRun{run: r}
	pins, err := r.Backends()
	for _, pin := range pins {
		if pin.Target() == target {
			p.labels = append(p.labels, pin.Label)
		}
	}
	if err != nil || len(p.labels) == 0 || r.Sealable() != nil {
		_ = r.Close()
		return nil
	}
	return p
}

func (p *past) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, r := range p.runs {
		if r.owners != nil {
			_ = r.owners.Close()
		}
		_ = r.run.Close()
	}
	p.runs = nil
}

// find returns the value that the run applied last to the account, and when.
func (p *pastRun) find(account, cred string) (*journal.Candidate, time.Time, error) {
	users, err := p.usersOf(account)
	if err != nil {
		return nil, time.Time{}, err
	}
	var best *journal.Candidate
	var at time.Time
	for _, pos := range users {
		history, err := p.run.history(pos)
		if err != nil {
			return nil, at, err
		}
		for _, c := range Candidates(history) {
			if c.State != journal.CandidateApplied || c.Bridge || c.Account != account || c.Cred != cred || !slices.Contains(p.labels, c.Backend) {
				continue
			}
			if t := appliedAt(history, c); best == nil || t.After(at) {
				best, at = &c, t
			}
		}
	}
	return best, at, nil
}

// appliedAt is the time of the outcome that applied the candidate.
func appliedAt(history []journal.Record, c journal.Candidate) time.Time {
	at := c.Record.At
	for _, r := range history {
		if r.Kind == journal.Outcome && r.Step == c.Step && r.Try == c.Try {
			at = r.At
		}
	}
	return at
}

// usersOf returns the users whose intents may have named the account.
func (p *pastRun) usersOf(account string) ([]int64, error) {
	if p.owners == nil {
		if err := p.listOwners(); err != nil {
			return nil, ofRun(p.run.id, err)
		}
	}
	users, err := p.owners.Of(accountHash(account))
	if err != nil {
		return nil, ofRun(p.run.id, err)
	}
	return users, nil
}

// listOwners makes the list from accounts to users, on disk: a run may have
// millions.
func (p *pastRun) listOwners() (err error) {
	r := p.run
	p.owners, err = r.store.kept.Pairs(r.file(), func(add func(account, user int64) error) error {
		return r.Intents(func(_, account, _, _ string, user int64) error { return add(accountHash(account), user) })
	})
	return err
}

func accountHash(account string) int64 {
	h := fnv.New64a()
	_, _ = h.Write([]byte(account))
	return int64(binary.BigEndian.Uint64(h.Sum(nil)))
}
