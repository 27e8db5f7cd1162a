package file

import (
	"slices"
	"strings"

	"github.com/rekey-host/rekey/sdk"
)

// spot is where a value stands in a file.
type spot struct {
	span
	place string
	quote string // that the present value has: "", "'" or `"`
}

// format is a way in which programs write their settings.
type format interface {
	// spots yields every value of the file, in its order.
	spots(text string) ([]spot, *sdk.Error)
	// written is a value as it has to stand at a spot, or the rule that it breaks.
	written(at spot, value string) (string, *sdk.Error)
	// read is the value at a place, as programs read it: by a parser that shares
	// nothing with spots.
	read(text, place string) (string, bool)
	// policy is what values have to be like.
	policy() sdk.Policy
}

// find returns the one spot of a place.
func find(format format, text, place string) (spot, *sdk.Error) {
	all, failure := format.spots(text)
	if failure != nil {
		return spot{}, failure
	}
	var found []spot
	for _, one := range all {
		if one.place == place {
			found = append(found, one)
		}
	}
	switch len(found) {
	case 0:
		return spot{}, sdk.Errorf(sdk.AccountNotFound, "%q: the file has no such place", place)
	case 1:
		return found[0], nil
	}
	return spot{}, sdk.Errorf(sdk.Ambiguous, "%q: the file has it %d times, and programs do not agree which counts", place, len(found))
}

// plain are the symbols that every program reads as they are, without quotes:
// none begins a comment, a reference or an escape.
const plain = "._-+/:@,="

// isPlain reports whether every program reads a value as it is written.
func isPlain(value string) bool {
	return !strings.ContainsFunc(value, func(letter rune) bool {
		return letter > 126 || !('a' <= letter && letter <= 'z' || 'A' <= letter && letter <= 'Z' || '0' <= letter && letter <= '9' || strings.ContainsRune(plain, letter))
	})
}

// plainPolicy is what makes a value plain.
func plainPolicy(note string) sdk.Policy {
	const letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
	return sdk.Policy{MinLength: 1, Alphabet: letters + plain, Note: note}
}

func notCarried(message string) *sdk.Error {
	return &sdk.Error{Code: sdk.PolicyViolation, Message: message, Violations: []sdk.Violation{{Rule: sdk.RuleForbidden, Message: message}}}
}

// pairs is a format of lines NAME=VALUE.
type pairs struct {
	comments string // what begins one
	between  string // the name and the value
	export   bool   // "export" may stand before the name
	sections bool   // [names] stand before names
}

var (
	envFormat = pairs{comments: "#", between: "=", export: true}
	iniFormat = pairs{comments: "#;", between: "=:", sections: true}
)

// spots are the values of the lines. A value of several lines is none that can be
// replaced, and what stands in it is no line of the file's.
func (p pairs) spots(text string) ([]spot, *sdk.Error) {
	walk := &pairWalk{pairs: p, text: text, option: -1}
	for line := range lines(text) {
		walk.line(line)
	}
	return slices.DeleteFunc(walk.found, func(one spot) bool { return one.place == "" }), nil
}

// pairWalk goes through the lines of a file.
type pairWalk struct {
	pairs
	text    string
	found   []spot
	section string // with a slash behind it
	within  string // the quote that ends a value of several lines; "" outside
	indent  int    // of the option before
	option  int    // its spot; -1: there is none
}

func (w *pairWalk) line(line span) {
	deep := len(line.of(w.text)) - len(strings.TrimLeft(line.of(w.text), blanks))
	line = line.trimmed(w.text)
	words := line.of(w.text)
	switch {
	case w.within != "":
		if strings.Contains(words, w.within) {
			w.within = ""
		}
	case words == "" || strings.ContainsRune(w.comments, rune(words[0])):
	case w.sections && words[0] == '[' && strings.HasSuffix(words, "]"):
		w.section, w.option = strings.Trim(words[1:len(words)-1], blanks)+"/", -1
	case w.sections && w.option >= 0 && deep > w.indent:
		w.found[w.option].place = "" // its value goes on here
	default:
		w.pair(line, deep)
	}
}

// pair notes the value of a line. One whose end cannot be told is noted without
// a place.
func (w *pairWalk) pair(line span, deep int) {
	name, value, ok := line.cut(w.text, w.between)
	if !ok {
		return
	}
	place := name.trimmed(w.text).of(w.text)
	if w.export {
		place = strings.TrimLeft(strings.TrimPrefix(place, "export "), blanks)
	}
	made := spot{span: value.trimmed(w.text), place: w.section + place}
	words := made.of(w.text)
	switch quote := quoteOf(words); {
	case quote != "" && strings.Count(words, quote) == 1:
		made.place = ""
		if w.export { // a shell reads on; an INI file ends values with lines
			w.within = quote
		}
	case quote != "" && isQuoted(words, quote):
		made.quote = quote
	case !w.bare(words):
		made.place = ""
	}
	w.found = append(w.found, made)
	w.indent, w.option = deep, len(w.found)-1
}

// quoteOf is the quote that a value begins with.
func quoteOf(words string) string {
	if words != "" && strings.ContainsRune(`'"`, rune(words[0])) {
		return words[:1]
	}
	return ""
}

// isQuoted reports whether the quotes are around all of a value, whoever reads it.
func isQuoted(words, quote string) bool {
	return len(words) > 1 && strings.HasSuffix(words, quote) && strings.Count(words, quote) == 2 && !strings.Contains(words, `\`) && !strings.ContainsFunc(words, unprintable)
}

// bare reports whether all programs agree where a value without quotes ends.
func (p pairs) bare(words string) bool {
	ends := p.comments + "'\"`"
	if p.export {
		ends += blanks
	}
	return !strings.ContainsAny(words, ends) && !strings.HasSuffix(words, `\`) && !strings.ContainsFunc(words, unprintable)
}

// written keeps the quotes that are there. What not every program reads alike is
// refused.
func (pairs) written(at spot, value string) (string, *sdk.Error) {
	if isPlain(value) {
		return at.quote + value + at.quote, nil
	}
	return "", notCarried("programs do not agree how such a value is written there: only letters, digits and " + plain + " are read alike by all")
}

// read takes a line as a shell would, or a program that knows quotes.
func (p pairs) read(text, place string) (string, bool) {
	section, value, found := "", "", false
	for line := range strings.SplitSeq(text, "\n") {
		line = strings.TrimSpace(line)
		if p.sections && strings.HasPrefix(line, "[") {
			section = strings.TrimSpace(strings.Trim(line, "[]")) + "/"
		}
		at := strings.IndexAny(line, p.between)
		if at < 0 || strings.IndexAny(line, p.comments) == 0 {
			continue
		}
		name := strings.TrimSpace(line[:at])
		if p.export {
			name = strings.TrimSpace(strings.TrimPrefix(name, "export "))
		}
		if section+name != place {
			continue
		}
		value, found = strings.TrimSpace(line[at+1:]), true
		if len(value) > 1 && strings.ContainsRune(`'"`, rune(value[0])) && value[len(value)-1] == value[0] {
			value = value[1 : len(value)-1]
		}
	}
	return value, found
}

func (pairs) policy() sdk.Policy {
	return plainPolicy("only what every program reads alike, without quotes")
}
