package ledger

import (
	"encoding/binary"
	"hash/maphash"
	"slices"

	"github.com/rekey-host/rekey/host/internal/piles"
)

// twins finds the keys that several rows have, without an index over all keys:
// of each it keeps a hash and the number of its row, on piles by the hash. Two that
// are equal are almost certainly twins; whoever asks compares the keys.
type twins struct {
	seed maphash.Seed
	keys *piles.Piles
}

const (
	twinPiles = 64  // each is small enough to be looked through in memory
	twinPart  = 512 // keys of a pile written at once
	twinSize  = 16  // bytes of a key
)

// pair is a row whose key an earlier one seems to have.
type pair struct{ seq, first int64 }

func newTwins(dir string) twins {
	return twins{maphash.MakeSeed(), piles.New(dir, twinPiles, twinPart*twinSize)}
}

// add takes the key of the next row, in the form in which keys are compared.
func (t *twins) add(fold string, seq int64) error {
	sum := maphash.String(t.seed, fold)
	var key [twinSize]byte
	binary.LittleEndian.PutUint64(key[:], sum)
	binary.LittleEndian.PutUint64(key[8:], uint64(seq))
	return t.keys.Add(int(sum%twinPiles), key[:])
}

// pairs returns the first of the rows whose key an earlier one seems to have, at
// most that many, and how many there are.
func (t *twins) pairs(most int) (list []pair, total int64, err error) {
	var s twinSearch
	for i := range t.keys.Len() {
		if s.keys, err = t.keys.Read(s.keys, i); err != nil {
			return nil, 0, err
		}
		list = s.find(list)
		total += s.found
		slices.SortFunc(list, func(a, b pair) int { return int(a.seq - b.seq) })
		list = list[:min(len(list), most)]
	}
	return list, total, nil
}

func (t *twins) close() { _ = t.keys.Close() }

// twinSearch looks through one pile.
type twinSearch struct {
	keys  []byte
	table []uint32 // open addressing: the place of a key plus one
	found int64
}

// find appends the pairs of the pile, in the order of their rows.
func (s *twinSearch) find(list []pair) []pair {
	n := len(s.keys) / twinSize
	size := 1
	for size < 2*n {
		size *= 2
	}
	s.table = slices.Grow(s.table[:0], size)[:size]
	clear(s.table)
	s.found = 0
	for i := range n {
		sum, seq := s.key(i)
		at := sum / twinPiles
		for ; ; at++ {
			place := &s.table[at%uint64(size)]
			if *place == 0 {
				*place = uint32(i + 1)
				break
			}
			if other, first := s.key(int(*place - 1)); other == sum {
				list, s.found = append(list, pair{seq, first}), s.found+1
				break
			}
		}
	}
	return list
}

func (s *twinSearch) key(i int) (sum uint64, seq int64) {
	k := s.keys[i*twinSize:][:twinSize]
	return binary.LittleEndian.Uint64(k), int64(binary.LittleEndian.Uint64(k[8:]))
}
