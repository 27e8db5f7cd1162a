package diag

import "fmt"

// Problem is one mistake: where, what, and the fix. It never quotes
// a secret.
type Problem struct {
	File    string // "": the problem has no place
	Line    int    // from 1; 0: the whole file
	Column  int    // from 1, in bytes; 0: the whole line
	Message string
	Fix     string
	Rule    string // "" or which check found it, for programs; not printed
	Same    string // "" or a text that other users share, for the same reason; not printed
	Cause   error  // what errors.Is finds in Problems; may be nil; not printed
}

// Text returns "message; fix".
func (p Problem) Text() string {
	if p.Fix == "" {
		return p.Message
	}
	return p.Message + "; " + p.Fix
}

// Place returns FILE:LINE:COLUMN as far as they are known, or "".
func (p Problem) Place() string {
	switch {
	case p.File == "" || p.Line == 0:
		return p.File
	case p.Column == 0:
		return fmt.Sprintf("%s:%d", p.File, p.Line)
	}
	return fmt.Sprintf("%s:%d:%d", p.File, p.Line, p.Column)
}

// String returns "FILE:LINE:COLUMN: message; fix".
func (p Problem) String() string {
	if p.File == "" {
		return p.Text()
	}
	return p.Place() + ": " + p.Text()
}

// At returns the problem at the place of another.
func (p Problem) At(place Problem) Problem {
	place.Message, place.Fix = p.Message, p.Fix
	return place
}
