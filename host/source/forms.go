package source

import (
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/rekey-host/rekey/host/diag"
)

// Forms is how a file writes days and truth values.
type Forms struct {
	Date  string   // of YYYY, MM or M, DD or D, and what stands between them; "": YYYY-MM-DD
	True  []string // words beside true, yes and 1; "" is an empty cell
	False []string // words beside false, no and 0
}

// forms are Forms that are ready to read with.
type forms struct {
	layout string // of time.Parse
	date   string // as the script says it
	words  map[string]bool
}

// formsOf compiles the forms; what is wrong with them it notes.
func formsOf(given Forms, note func(error)) forms {
	made := forms{layout: time.DateOnly, date: "YYYY-MM-DD", words: map[string]bool{}}
	if given.Date != "" {
		layout, err := layoutOf(given.Date)
		note(err)
		made.layout, made.date = layout, given.Date
	}
	for _, word := range given.True {
		made.words[diag.Fold(word)] = true
	}
	for _, word := range given.False {
		if made.words[diag.Fold(word)] {
			note(fmt.Errorf("false: %q is among true= too; a word means one thing", word))
		}
		made.words[diag.Fold(word)] = false
	}
	for _, word := range slices.Concat(given.True, given.False) {
		if meant, standard := boolOf(word); standard && meant != made.words[diag.Fold(word)] {
			note(fmt.Errorf("%q means %t in every list; leave it out", word, meant))
		}
	}
	return made
}

// longestForm is more bytes than the form of a day has in any language.
const longestForm = 100

// layoutOf returns the layout of time.Parse of a form such as DD.MM.YYYY.
func layoutOf(form string) (string, error) {
	if len(form) > longestForm {
		return "", fmt.Errorf("date_format: %d bytes; want YYYY, MM and DD once each, such as DD.MM.YYYY", len(form))
	}
	layout, seen := "", map[byte]int{}
	for rest := form; rest != ""; {
		_, first := utf8.DecodeRuneInString(rest)
		token := rest[:max(first, len(rest)-len(strings.TrimLeft(rest, rest[:first])))] // of a byte outside UTF-8 nothing is trimmed
		part, wrong := dayPart(token)
		switch {
		case part != "":
			seen[token[0]]++
		case wrong:
			return "", fmt.Errorf("date_format %q: %q is not YYYY, MM, M, DD or D", form, token)
		default:
			part = token
		}
		layout, rest = layout+part, rest[len(token):]
	}
	if seen['Y'] != 1 || seen['M'] != 1 || seen['D'] != 1 {
		return "", fmt.Errorf("date_format %q: want YYYY, MM and DD once each, such as DD.MM.YYYY", form)
	}
	return layout, nil
}

// dayPart returns what time.Parse calls a part of a day; wrong is true of what
// is neither that nor stands between them.
func dayPart(token string) (part string, wrong bool) {
	switch token {
	case "YYYY":
		return "2006", false
	case "MM":
		return "01", false
	case "M":
		return "1", false
	case "DD":
		return "02", false
	case "D":
		return "2", false
	}
	return "", strings.Trim(token, "./- ,年月日") != ""
}

// howToWrite is the fix of a value of another type.
func (f forms) howToWrite(kind Type) string {
	switch kind {
	case Int:
		return "write a whole number in digits"
	case Bool:
		return "write true, false, yes, no, 1 or 0" + f.otherWords()
	case Date:
		return "write " + f.date
	}
	return ""
}

// otherWords names the script's words for truth values.
func (f forms) otherWords() string {
	if len(f.words) == 0 {
		return ", or set true= and false= to the words of the file"
	}
	return ", or a word of true= or false="
}

// empty is the cell of an empty text.
func (f forms) empty(kind Type) any {
	if value, meant := f.words[""]; meant && kind == Bool {
		return value
	}
	return nil
}

// truth is the value that a text means.
func (f forms) truth(text string) (value, ok bool) {
	if value, ok := boolOf(text); ok || len(f.words) == 0 {
		return value, ok
	}
	value, ok = f.words[diag.Fold(text)]
	return value, ok
}

// noDay tells a day that does not exist from one written in another
// way, and says how it is written here.
func (f forms) noDay(column Column, text string) *complaint {
	if f.layout == time.DateOnly && looksLikeDay(text) {
		return &complaint{Message: fmt.Sprintf("column %q: there is no day %q", column.Name, shorten(text)), Fix: "correct it"}
	}
	if f.layout != time.DateOnly {
		return mistyped(column, text, f.howToWrite(Date)+", which date_format says")
	}
	fix := f.howToWrite(Date)
	for _, form := range [][2]string{{"2.1.2006", "D.M.YYYY"}, {"20060102", "YYYYMMDD"}, {"2006/1/2", "YYYY/M/D"}, {"2006.1.2", "YYYY.M.D"}, {"2006-1-2", "YYYY-M-D"},
		{time.RFC3339, ""}, {time.DateTime, ""}, {"2006-01-02T15:04:05", ""}} {
		if at, err := time.Parse(form[0], text); err == nil {
			return mistyped(column, text, fix+": "+at.Format(time.DateOnly)+orForm(form[1]))
		}
	}
	if strings.Count(text, "/") == 2 {
		fix += `, or set date_format = "D/M/YYYY" or "M/D/YYYY", whichever the file means`
	}
	return mistyped(column, text, fix)
}

// orForm names the form in which a day is written already.
func orForm(form string) string {
	if form == "" {
		return ""
	}
	return fmt.Sprintf(", or set date_format = %q", form)
}
