package engine

import (
	"encoding/binary"
	"hash/maphash"
	"sync"

	"github.com/rekey-host/rekey/host/diag"
	"github.com/rekey-host/rekey/host/internal/piles"
	"github.com/rekey-host/rekey/sdk"
)

// owners knows which user of the run a credential belongs to: the first whose
// intent named it. It keeps 96 bits of two keyed hashes of the name, so that two
// names are never taken for one, on piles by the hash; most of them are in a file
// where there are many. Nearly all credentials are new, which a bloomFilter tells
// without a look at the pile.
//
// In memory a credential takes two bytes: users are many, and a map of them would
// be looked through by every collection of garbage.
type owners struct {
	seeds [2]maphash.Seed

	mu    sync.Mutex
	known bloomFilter
	piles *piles.Piles
	pile  []byte // memory of the pile read last
}

const (
	ownerPiles = 1024
	ownerPart  = 128 // credentials of a pile written at once
	ownerSize  = 16  // bytes of a credential: 12 of its hashes, 4 of its owner
)

// newOwners is made for about so many credentials; they may be more. The file is
// made in dir.
func newOwners(dir string, about int64) *owners {
	return &owners{seeds: [2]maphash.Seed{maphash.MakeSeed(), maphash.MakeSeed()}, known: bloomFilter{about: about}, piles: piles.New(dir, ownerPiles, ownerPart*ownerSize)}
}

func (o *owners) close() { _ = o.piles.Close() }

// claim gives the credential to the user unless another one has it, and says
// whose it is. The account is folded as keys are: most targets ignore case, and
// where one does not, refusing is the safe mistake. An error says that it cannot be
// known.
func (o *owners) claim(backend, account, cred string, user int64) (owner int64, mine bool, err error) {
	return o.take(backend, diag.Fold(account), cred, user)
}

// claimIdentity is claim by what the target takes a name for.
func (o *owners) claimIdentity(identity, cred string, user int64) (owner int64, mine bool, err error) {
	return o.take("\x00", identity, cred, user) // no backend has that label
}

func (o *owners) take(backend, account, cred string, user int64) (owner int64, mine bool, err error) {
	sum := o.hash(0, backend, account, cred)
	var claim [ownerSize]byte
	binary.LittleEndian.PutUint64(claim[:], sum)
	binary.LittleEndian.PutUint32(claim[8:], uint32(o.hash(1, backend, account, cred)))
	binary.LittleEndian.PutUint32(claim[12:], uint32(user))
	o.mu.Lock()
	defer o.mu.Unlock()
	count := int(sum % ownerPiles)
	if o.known.add(sum) {
		has, found, err := o.find(count, claim[:12])
		if err != nil {
			return 0, false, sdk.Errorf(sdk.Internal, "which user has an account cannot be read: %v", err)
		}
		if found {
			return has, has == user, nil
		}
	}
	_ = o.piles.Add(count, claim[:]) // what cannot be written stays in memory
	return user, true, nil
}

// find looks for a credential on its pile.
func (o *owners) find(count int, name []byte) (owner int64, found bool, err error) {
	if o.pile, err = o.piles.Read(o.pile, count); err != nil {
		return 0, false, err
	}
	for rest := o.pile; len(rest) > 0; rest = rest[ownerSize:] {
		if string(rest[:len(name)]) == string(name) {
			return int64(binary.LittleEndian.Uint32(rest[len(name):])), true, nil
		}
	}
	return 0, false, nil
}

func (o *owners) hash(seed int, backend, account, cred string) uint64 {
	var hash maphash.Hash
	hash.SetSeed(o.seeds[seed])
	hash.WriteString(backend)
	hash.WriteByte(0)
	hash.WriteString(cred)
	hash.WriteByte(0)
	hash.WriteString(account)
	return hash.Sum64()
}

// bloomFilter tells of most hashes that they are new: a Bloom filter in blocks of a
// cache line, with 16 bits a hash, which takes one new hash in about 700 for a
// known one. It grows by layers, each twice as large as the one before.
type bloomFilter struct {
	about  int64 // how many hashes are expected
	layers []layer
}

type layer struct {
	blocks [][8]uint64
	room   int64 // hashes that it takes yet
}

// hashes that the first layer takes
const (
	leastBloom = 1 << 12
	mostBloom  = 1 << 21
)

// add takes a hash, and reports whether it may be known already.
func (s *bloomFilter) add(sum uint64) bool {
	for i := range s.layers {
		if s.layers[i].has(sum) {
			return true
		}
	}
	last := len(s.layers) - 1
	if last < 0 || s.layers[last].room == 0 {
		room := min(max(leastBloom, s.about), mostBloom)
		if last >= 0 {
			room = 2 * int64(len(s.layers[last].blocks)) * 32
		}
		s.layers = append(s.layers, layer{make([][8]uint64, (room+31)/32), room})
		last++
	}
	s.layers[last].put(sum)
	return false
}

// bloomBits is how many bits stand for a hash.
const bloomBits = 6

// block picks the block by the upper half of the hash; its bits by the lower.
func (l *layer) block(sum uint64) *[8]uint64 {
	return &l.blocks[(sum>>32)*uint64(len(l.blocks))>>32]
}

func (l *layer) has(sum uint64) bool {
	b := l.block(sum)
	for bits, i := spread(sum), 0; i < bloomBits; bits, i = bits>>9, i+1 {
		if b[bits>>6&7]&(1<<(bits&63)) == 0 {
			return false
		}
	}
	return true
}

func (l *layer) put(sum uint64) {
	l.room--
	b := l.block(sum)
	for bits, i := spread(sum), 0; i < bloomBits; bits, i = bits>>9, i+1 {
		b[bits>>6&7] |= 1 << (bits & 63)
	}
}

// spread makes of the lower half of a hash nine bits for each that stands for it.
func spread(sum uint64) uint64 { return (sum&0xffffffff | 1) * 0x9e3779b97f4a7c15 >> 7 }
