package ledger

import (
	"encoding/binary"
	"hash/maphash"
	"io"
	"os"
	"slices"
)

// twins finds the keys that several rows have, without an index over all keys:
// of each it keeps a hash and the number of its row, spread over partitions that
// go to a file without a name when there are many. Two that are equal are almost
// certainly twins; whoever asks compares the keys.
type twins struct {
	seed  maphash.Seed
	dir   string // where the file is made
	file  *os.File
	end   int64
	parts [twinParts]twinPart
}

const (
	twinParts = 64  // each is small enough to be looked through in memory
	twinChunk = 512 // keys of a partition that are written at once
	twinSize  = 16  // bytes of a key
)

type twinPart struct {
	recent []byte  // the keys that are not written yet
	chunks []int64 // where the others are in the file
}

// pair is a row whose key an earlier one seems to have.
type pair struct{ seq, first int64 }

func newTwins(dir string) twins { return twins{seed: maphash.MakeSeed(), dir: dir} }

// add takes the key of the next row, in the form in which keys are compared.
func (t *twins) add(fold string, seq int64) error {
	sum := maphash.String(t.seed, fold)
	p := &t.parts[sum%twinParts]
	p.recent = binary.LittleEndian.AppendUint64(binary.LittleEndian.AppendUint64(p.recent, sum), uint64(seq))
	if len(p.recent) < twinChunk*twinSize {
		return nil
	}
	return t.spill(p)
}

// spill writes a partition's keys behind what is there.
func (t *twins) spill(p *twinPart) error {
	if t.file == nil {
		f, err := os.CreateTemp(t.dir, "keys-")
		if err != nil {
			return err
		}
		t.file = f
		if err := os.Remove(f.Name()); err != nil {
			return err
		}
	}
	if _, err := t.file.WriteAt(p.recent, t.end); err != nil {
		return err
	}
	p.chunks = append(p.chunks, t.end)
	t.end += int64(len(p.recent))
	p.recent = p.recent[:0]
	return nil
}

// pairs returns the first of the rows whose key an earlier one seems to have, at
// most that many, and how many there are.
func (t *twins) pairs(most int) (list []pair, total int64, err error) {
	var s twinSearch
	for i := range t.parts {
		if err := t.load(&t.parts[i], &s); err != nil {
			return nil, 0, err
		}
		list = s.find(list)
		total += s.found
		slices.SortFunc(list, func(a, b pair) int { return int(a.seq - b.seq) })
		list = list[:min(len(list), most)]
	}
	return list, total, nil
}

// load reads a partition.
func (t *twins) load(p *twinPart, s *twinSearch) error {
	const chunk = twinChunk * twinSize
	s.keys = slices.Grow(s.keys[:0], len(p.chunks)*chunk+len(p.recent))[:len(p.chunks)*chunk]
	for i, at := range p.chunks {
		if _, err := io.ReadFull(io.NewSectionReader(t.file, at, chunk), s.keys[i*chunk:][:chunk]); err != nil {
			return err
		}
	}
	s.keys = append(s.keys, p.recent...)
	return nil
}

func (t *twins) close() {
	if t.file != nil {
		t.file.Close()
		t.file = nil
	}
}

// twinSearch looks through one partition.
type twinSearch struct {
	keys  []byte
	table []uint32 // open addressing: the place of a key plus one
	found int64
}

// find appends the pairs of the partition, in the order of their rows.
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
		at := sum / twinParts
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
