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
	most  int // bytes of a pile that are kept in memory
	file  *os.File
	end   int64
	piles []pile
}

type pile struct {
	recent []byte
	parts  []int64 // where the others are in the file, each of most bytes
}

// New returns so many empty piles. A pile that has most bytes in memory, a multiple
// of a thing's size, writes them to a file that it makes in dir; "" is the system's
// directory for such files.
func New(dir string, n, most int) *Piles { return &Piles{dir: dir, most: most, piles: make([]pile, n)} }

// Add puts a thing onto a pile. After an error, which says that it could not be
// written, it is there all the same.
func (p *Piles) Add(n int, thing []byte) error {
	x := &p.piles[n]
	x.recent = append(x.recent, thing...)
	if len(x.recent) < p.most {
		return nil
	}
	return p.spill(x)
}

func (p *Piles) spill(x *pile) error {
	if err := p.open(); err != nil {
		return err
	}
	for len(x.recent) >= p.most {
		if _, err := p.file.WriteAt(x.recent[:p.most], p.end); err != nil {
			return err
		}
		x.parts = append(x.parts, p.end)
		p.end += int64(p.most)
		x.recent = x.recent[:copy(x.recent, x.recent[p.most:])]
	}
	return nil
}

func (p *Piles) open() error {
	if p.file != nil {
		return nil
	}
	f, err := os.CreateTemp(p.dir, "rekey-")
	if err != nil {
		return err
	}
	p.file = f
	return os.Remove(f.Name())
}

// Len returns how many piles there are.
func (p *Piles) Len() int { return len(p.piles) }

// Read returns what is on a pile, in the order in which it came, in b's memory
// where that suffices.
func (p *Piles) Read(b []byte, n int) ([]byte, error) {
	x := &p.piles[n]
	written := len(x.parts) * p.most
	b = slices.Grow(b[:0], written+len(x.recent))[:written]
	for i, at := range x.parts {
		if _, err := p.file.ReadAt(b[i*p.most:][:p.most], at); err != nil {
			return nil, err
		}
	}
	return append(b, x.recent...), nil
}

// InFile reports whether something is in the file.
func (p *Piles) InFile() bool { return p.end > 0 }

// Close gives the file up. Nothing can be read then.
func (p *Piles) Close() error {
	if p.file == nil {
		return nil
	}
	f := p.file
	p.file = nil
	return f.Close()
}
