package diag

import (
	"errors"
	"fmt"
)

// MaxProblems is how many problems are listed; the rest are counted.
const MaxProblems = 20

// Problems are the mistakes of an input: at most MaxProblems listed, the
// others counted. Its zero value is ready for use.
type Problems struct {
	List  []Problem
	Total int
}

// Add appends a problem, or only counts it when the list is full.
func (p *Problems) Add(found Problem) {
	p.Total++
	if len(p.List) < MaxProblems {
		p.List = append(p.List, found)
	}
}

// Err returns p if it holds a problem, else nil.
func (p *Problems) Err() error {
	if p.Total == 0 {
		return nil
	}
	return p
}

// Unwrap returns the causes of the listed problems, so that errors.Is can tell
// a missing file (fs.ErrNotExist).
func (p *Problems) Unwrap() []error {
	var causes []error
	for _, one := range p.List {
		if one.Cause != nil {
			causes = append(causes, one.Cause)
		}
	}
	return causes
}

// Join adds all others.
func (p *Problems) Join(others *Problems) {
	for _, one := range others.List {
		p.Add(one)
	}
	p.Total += others.Total - len(others.List)
}

// Error returns the listed problems, one a line, and how many there are more.
func (p *Problems) Error() string {
	text := ""
	for i, one := range p.List {
		if i > 0 {
			text += "\n"
		}
		text += one.String()
	}
	if more := p.Total - len(p.List); more > 0 {
		text += fmt.Sprintf("\nand %d more", more)
	}
	return text
}

// With adds to the problems found so far the one that ended the reading.
func (p *Problems) With(err error) error {
	var last *Problems
	if !errors.As(err, &last) {
		return err
	}
	p.Join(last)
	return p
}
