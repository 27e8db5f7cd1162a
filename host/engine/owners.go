package engine

import (
	"hash/maphash"
	"sync"

	"github.com/rekey-host/rekey/host/diag"
)

// owners knows which user of the run a credential belongs to: the first whose
// intent named it. It keeps a 64-bit hash of the name, 16 bytes a credential
// where the names would be a hundred; two names that share one (a chance of
// 1 in 40 million among a million) refuse a user that could have been served,
// and change nothing.
type owners struct {
	mu   sync.Mutex
	seed maphash.Seed
	by   map[uint64]int32
}

func newOwners() *owners { return &owners{seed: maphash.MakeSeed(), by: map[uint64]int32{}} }

// claim gives the credential to the user unless another one has it, and says
// whose it is. The account is folded as keys are: most targets ignore case, and
// where one does not, refusing is the safe mistake.
func (o *owners) claim(backend, account, cred string, user int64) (owner int64, mine bool) {
	return o.take(o.hash(backend, diag.Fold(account), cred), user)
}

func (o *owners) take(key uint64, user int64) (owner int64, mine bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	has, taken := o.by[key]
	if !taken {
		o.by[key] = int32(user)
		return user, true
	}
	return int64(has), int64(has) == user
}

// claimIdentity is claim by what the target takes a name for.
func (o *owners) claimIdentity(identity, cred string, user int64) (owner int64, mine bool) {
	return o.take(o.hash("\x00", identity, cred), user) // no backend has that label
}

func (o *owners) hash(backend, account, cred string) uint64 {
	var h maphash.Hash
	h.SetSeed(o.seed)
	h.WriteString(backend)
	h.WriteByte(0)
	h.WriteString(cred)
	h.WriteByte(0)
	h.WriteString(account)
	return h.Sum64()
}
