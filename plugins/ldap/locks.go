package ldap

import (
	"sync"

	"github.com/rekey-host/rekey/sdk"
)

// lifted are the locks that sets lift and have not put back: an answer that is lost
// leaves an entry unlocked of which a later attempt cannot see that it was not. It is
// safe for concurrent use.
type lifted struct {
	mu    sync.Mutex
	locks map[string]lock // by operation
}

// lock is what an entry had that was locked.
type lock struct {
	dn   string
	list []companion
}

// keep notes the lock that an operation finds, and returns what it has to put back:
// of a later attempt that finds none, what an earlier one found.
func (l *lifted) keep(op sdk.Operation, found lock) []companion {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case len(found.list) > 0 && l.locks == nil:
		l.locks = map[string]lock{op.ID: found}
	case len(found.list) > 0:
		l.locks[op.ID] = found
	case op.Attempt > 1:
		return l.locks[op.ID].list
	}
	return found.list
}

// settle forgets the lock of an operation that has put it back, or that certainly
// has not lifted it.
func (l *lifted) settle(op sdk.Operation, outcome sdk.Outcome) {
	if outcome == sdk.Unknown || outcome == sdk.Refused && op.Attempt > 1 {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.locks, op.ID)
}

// isOpen reports whether an entry's lock is to be put back.
func (l *lifted) isOpen(dn string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, one := range l.locks {
		if one.dn == dn {
			return true
		}
	}
	return false
}
