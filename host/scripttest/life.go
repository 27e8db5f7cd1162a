package scripttest

import (
	"context"
	"errors"
	"strings"
	"sync"

	"github.com/rekey-host/rekey/host/ledger"
)

// errKilled is what a killed host's commits fail with.
var errKilled = errors.New("the host was killed")

// scenario is what happens to the first host of a run. The zero scenario lets it be.
type scenario struct {
	record int  // it is killed when that many records are durable; 0: never
	answer int  // or when that operation was carried out, before the answer is known; 0: never
	lose   int  // nothing is heard of the account of that operation any more, and it is killed at the user's next one on another; 0: of all
	lands  bool // that operation was carried out all the same
}

// life is one host, until it ends or is killed.
type life struct {
	number   int
	scenario scenario
	ctx      context.Context
	kill     func() // ends its work

	mu      sync.Mutex
	killed  bool
	silent  place  // of which nothing is heard
	user    string // whose it is
	records int    // durable ones
	pending int
}

// dead reports whether the host was killed: nothing reaches a target any more.
func (l *life) dead() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.killed
}

// fault is asked before records are committed.
func (l *life) fault(records int) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.pending = records
	if l.killed {
		return errKilled
	}
	return nil
}

// crash is told of crash points: of records that are durable.
func (l *life) crash(point string) {
	if point != ledger.CrashCommitted {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.records += l.pending
	l.pending = 0
	if l.scenario.record > 0 && l.records >= l.scenario.record {
		l.end()
	}
}

// loses reports whether an operation is the one after which nothing is heard of its
// account, and whether it is carried out.
func (l *life) loses(operation int, id string, at place) (lose, lands bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if operation != l.scenario.lose {
		return false, false
	}
	l.silent, l.user = at, userOf(id)
	return true, l.scenario.lands
}

// goesOn kills the host if an operation is one that a user takes behind a lost one.
func (l *life) goesOn(id string, at place) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.user != "" && l.user == userOf(id) && at != l.silent {
		l.end()
	}
}

// userOf is the part of an operation's id that its user shares: RUN-USER of
// RUN-USER-STEP-TRY.
func userOf(id string) string {
	for range 2 {
		id = id[:max(0, strings.LastIndexByte(id, '-'))]
	}
	return id
}

// answered reports whether the host is killed before it knows the answer to an
// operation.
func (l *life) answered(operation int) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.scenario.answer > 0 && operation >= l.scenario.answer {
		l.end()
	}
	return l.killed
}

// end kills the host. The caller holds the lock.
func (l *life) end() {
	if !l.killed {
		l.killed = true
		go l.kill()
	}
}

// made is how many records became durable.
func (l *life) made() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.records
}
