package report

import (
	"encoding/json"
	"io"
)

// lines writes objects, one a line, as an array or without one.
type lines struct {
	out     io.Writer
	encoder *json.Encoder
	array   bool
	begun   bool
}

func newLines(w io.Writer, array bool) *lines {
	made := &lines{out: w, encoder: json.NewEncoder(w), array: array}
	made.encoder.SetEscapeHTML(false)
	return made
}

// Add writes one object.
func (l *lines) Add(line any) error {
	before := "[\n"
	if l.begun {
		before = ","
	}
	l.begun = true
	if l.array {
		if _, err := io.WriteString(l.out, before); err != nil {
			return err
		}
	}
	return l.encoder.Encode(line)
}

// Close ends the array.
func (l *lines) Close() error {
	end := "]\n"
	if !l.begun {
		end = "[]\n"
	}
	if !l.array {
		return nil
	}
	_, err := io.WriteString(l.out, end)
	return err
}
