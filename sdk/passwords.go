package sdk

import (
	"slices"
	"sync"

	"github.com/rekey-host/rekey/sdk/secret"
)

// Passwords are what the account that an instance logs in as may have: see
// Config.Handed. At a logon they are tried in their order, and the one that works is
// preferred from then on. They are safe for concurrent use.
type Passwords struct {
	mu   sync.Mutex
	list []secret.Value
}

// NewPasswords begins with what was handed over, the newest first, and the configured
// password behind it.
func NewPasswords(handed []secret.Value, configured secret.Value) *Passwords {
	return &Passwords{list: append(slices.Clone(handed), configured)}
}

// Values returns all of them, the likeliest first; there is one at least. The caller
// does not change the slice.
func (p *Passwords) Values() []secret.Value {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.list
}

// Prefer puts a value first: it was seen to work.
func (p *Passwords) Prefer(value secret.Value) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.list = append([]secret.Value{value}, p.without(value)...)
}

// Expect puts a value second: it is about to be sent, and may be in force from now
// on.
func (p *Passwords) Expect(value secret.Value) {
	p.mu.Lock()
	defer p.mu.Unlock()
	others := p.without(value)
	p.list = slices.Insert(others, min(1, len(others)), value)
}

func (p *Passwords) without(value secret.Value) []secret.Value {
	return slices.DeleteFunc(slices.Clone(p.list), value.Equal)
}
