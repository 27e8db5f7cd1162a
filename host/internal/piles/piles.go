// Package piles keeps many small things apart, in little memory: each goes onto
// one of many piles, whose newest part is in memory and the rest in a file without
// a name.
package piles

import (
	"os"
	"slices"
)

// Piles are things of one size. Use New. They are for one goroutine.
type Piles struct {
	dir   string
	most  int // bytes of a pile kept in memory
	file  *os.File
	end   int64
	piles []pile
}

type pile struct {
	recent []byte
	parts  []int64 // where the others are in the file, each of most bytes
}

// New returns so many empty piles. A pile with most bytes in memory, a multiple
// of a thing's size, writes them to a file that it makes in dir; "" is the system's
// directory for such files.
func New(dir string, count, most int) *Piles {
	return &Piles{dir: dir, most: most, piles: make([]pile, count)}
}

// Add puts a thing onto a pile. After an error, which says that it could not be
// written, it is there all the same.
func (p *Piles) Add(count int, thing []byte) error {
	pile := &p.piles[count]
	pile.recent = append(pile.recent, thing...)
	if len(pile.recent) < p.most {
		return nil
	}
	return p.spill(pile)
}

func (p *Piles) spill(pile *pile) error {
	if err := p.open(); err != nil {
		return err
	}
	for len(pile.recent) >= p.most {
		if _, err := p.file.WriteAt(pile.recent[:p.most], p.end); err != nil {
			return err
		}
		pile.parts = append(pile.parts, p.end)
		p.end += int64(p.most)
		pile.recent = pile.recent[:copy(pile.recent, pile.recent[p.most:])]
	}
	return nil
}

func (p *Piles) open() error {
	if p.file != nil {
		return nil
	}
	file, err := os.CreateTemp(p.dir, "rekey-")
	if err != nil {
		return err
	}
	p.file = file
	return os.Remove(file.Name())
}

// Len returns how many piles there are.
func (p *Piles) Len() int { return len(p.piles) }

// Read returns the content of a pile in the order of arrival, in data's memory
// where that suffices.
func (p *Piles) Read(data []byte, count int) ([]byte, error) {
	pile := &p.piles[count]
	written := len(pile.parts) * p.most
	data = slices.Grow(data[:0], written+len(pile.recent))[:written]
	for i, at := range pile.parts {
		if _, err := p.file.ReadAt(data[i*p.most:][:p.most], at); err != nil {
			return nil, err
		}
	}
	return append(data, pile.recent...), nil
}

// InFile reports whether something is in the file.
func (p *Piles) InFile() bool { return p.end > 0 }

// Close gives the file up. Nothing can be read then.
func (p *Piles) Close() error {
	if p.file == nil {
		return nil
	}
	file := p.file
	p.file = nil
	return file.Close()
}
