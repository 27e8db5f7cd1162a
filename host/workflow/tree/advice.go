package tree

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"go.starlark.net/syntax"
)

// What the parser and the resolver say is about grammar; here is what to do
// about it, for people who come from Python or from a spreadsheet.

// typographic are characters that word processors and mail programs put in
// place of those of the keyboard.
func typographic() map[rune]string {
	return map[rune]string{'“': `"`, '”': `"`, '„': `"`, '‟': `"`, '«': `"`, '»': `"`, '″': `"`, '‘': "'", '’': "'", '‚': "'", '‛': "'", '′': "'", '´': "'", '`': "'",
		'–': "-", '—': "-", '−': "-", '‐': "-", '‑': "-", '…': "...", '×': "*", '÷': "/", '；': ";", '，': ",", '：': ":", '（': "(", '）': ")", '＝': "="}
}

// inputFix is for a character that the scanner does not know.
func inputFix(message string) string {
	rest, is := strings.CutPrefix(message, "unexpected input character '")
	if !is {
		return ""
	}
	letter, _ := utf8.DecodeRuneInString(rest)
	if plain := typographic()[letter]; plain != "" {
		return fmt.Sprintf("type %s on the keyboard: a word processor or a mail program has put another one there", plain)
	}
	switch rest {
	case "!'":
		return "write not x, or x != y"
	case "$'", "?'", "@'":
		return "it means nothing here outside of a string"
	}
	return ""
}

// indentation replaces the parser's words of a missing or superfluous one.
func indentation(message string) (plain, fix string) {
	switch {
	case strings.HasSuffix(message, "want indent"):
		return "what stands under the line with the colon is not indented", "indent it by four spaces"
	case strings.HasPrefix(message, "got indent"):
		return "the line is indented, and the one above does not end in a colon", "begin it where the one above begins"
	case strings.HasPrefix(message, "unindent does not match"):
		return "the line begins where none of the lines above it begins", "begin it under the one that it belongs to"
	case strings.HasPrefix(message, "got outdent"):
		return "the block ends before it has a line", "write pass, or what is to be done"
	}
	return message, ""
}

// openBracket returns the line of the innermost bracket still open where the
// parser gave up, if on an earlier line or the last; 0 if no bracket is open.
func openBracket(lines []string, at syntax.Position, atEnd bool) (bracket string, line int) {
	type open struct {
		r    rune
		line int
	}
	var stack []open
	for i, text := range lines[:min(int(at.Line), len(lines))] {
		for col, letter := range withoutStrings(text) {
			switch {
			case i+1 == int(at.Line) && col+1 >= int(at.Col):
			case strings.ContainsRune("([{", letter):
				stack = append(stack, open{letter, i + 1})
			case strings.ContainsRune(")]}", letter) && len(stack) > 0:
				stack = stack[:len(stack)-1]
			}
		}
	}
	if count := len(stack); count > 0 && (stack[count-1].line < int(at.Line) || atEnd) {
		return string(stack[count-1].r), stack[count-1].line
	}
	return "", 0
}

// withoutStrings blanks the strings and the comment of a line; a string of
// several lines is taken at its looks, which makes a wrong guess and
// no wrong script.
func withoutStrings(line string) string {
	var out strings.Builder
	var quote rune
	escaped := false
	for _, letter := range line {
		switch {
		case quote == 0 && letter == '#':
			return out.String()
		case quote == 0 && (letter == '"' || letter == '\''):
			quote = letter
		case quote != 0 && escaped:
			escaped = false
		case quote != 0 && letter == '\\':
			escaped = true
		case letter == quote:
			quote = 0
		case quote == 0:
			out.WriteRune(letter)
			continue
		}
		out.WriteByte(' ')
	}
	return out.String()
}

// resolveFix is for what the resolver refuses beside names.
func resolveFix(message string) string {
	switch {
	case strings.HasSuffix(message, "loop not within a function"):
		return "put it into a def and call that, or write a comprehension: [f(x) for x in xs]"
	case strings.HasSuffix(message, "statement not within a function"):
		return "put it into a def and call that, or write a conditional: a if b else c"
	case strings.HasSuffix(message, "does not support while loops"):
		return "use for x in range(n), which ends"
	case strings.HasPrefix(message, "cannot reassign global"):
		return "give each value a name of its own"
	}
	return ""
}
