package postgres

import (
	"slices"
	"sync"

	"github.com/rekey-host/rekey/sdk/secret"
)

// login is what the password of rekey's own role may be: a handover that was lost
// may have arrived, or yet arrive. It is safe for concurrent use.
type login struct {
	mu    sync.Mutex
	known []secret.Value // what worked last comes first
}

// newLogin begins with what was handed over, the newest first, and the configured
// password behind it.
func newLogin(handed []secret.Value, configured secret.Value) *login {
	return &login{known: append(slices.Clone(handed), configured)}
}

// values returns all of them, the likeliest first.
func (l *login) values() []secret.Value {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.known
}

// prefer puts the value that works first.
func (l *login) prefer(value secret.Value) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.known = append([]secret.Value{value}, without(l.known, value)...)
}

// expect adds a value that is about to be sent.
func (l *login) expect(value secret.Value) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.known = slices.Insert(without(l.known, value), 1, value)
}

func without(list []secret.Value, value secret.Value) []secret.Value {
	return slices.DeleteFunc(slices.Clone(list), value.Equal)
}
