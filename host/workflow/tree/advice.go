package tree

import (
	"fmt"
	"strconv"
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

// typographicFlaw is for a character of a word processor in place of one of the
// keyboard.
func typographicFlaw(message string) (plain, fix string) {
	letter, is := unexpected(message)
	switch {
	case !is:
		return message, ""
	case letter == '\u00a0':
		return "the blank here is one that does not break lines (U+00A0)", "type the blank of the keyboard"
	case typographic()[letter] != "":
		return fmt.Sprintf("%c is no character of scripts", letter), fmt.Sprintf("type %s on the keyboard: a word processor or a mail program has put another one there", typographic()[letter])
	}
	return message, ""
}

// unexpected reads the character that the scanner does not know.
func unexpected(message string) (letter rune, is bool) {
	rest, is := strings.CutPrefix(message, "unexpected input character '")
	if !is {
		return 0, false
	}
	letter, _, _, err := strconv.UnquoteChar(rest, '\'')
	if err != nil {
		letter, _ = utf8.DecodeRuneInString(rest)
	}
	return letter, true
}

// otherFlaw is for what the scanner and the parser say in a sentence of its own.
func otherFlaw(message string) (plain, fix string) {
	if letter, is := unexpected(message); is {
		if letter == '!' {
			return "! stands for nothing", "write not x, or x != y"
		}
		return fmt.Sprintf("%c means nothing outside of a string", letter), "put it into quotes, or take it out"
	}
	switch {
	case message == "unexpected newline in string":
		return "the text that begins here is not closed on its line", `close it with the same quote, or write """ around several lines`
	case message == "unexpected EOF in string":
		return "the text that begins here is never closed", "close it with the same quotes"
	case strings.HasPrefix(message, "invalid escape sequence"):
		return message, `write \\ for a backslash, or r"…" for a text in which it means nothing`
	case strings.HasPrefix(message, "obsolete form of octal literal; use "):
		return "a number does not begin with 0", "write " + strings.TrimPrefix(message, "obsolete form of octal literal; use ") + " for base 8, or leave the 0 away"
	case strings.HasSuffix(message, "(use parens)"):
		return "comparisons do not chain", "write a < b and b < c"
	case strings.HasPrefix(message, "conditional expression without else"):
		return "a choice needs both values", "write a if condition else b"
	case strings.HasPrefix(message, "unexpected '"):
		return strings.TrimSuffix(strings.TrimPrefix(message, "unexpected '"), "'") + " closes nothing that is open", "take it out, or open it before"
	case message == "keyword argument must have form name=expr":
		return "an argument is named by a word alone", "write name = value"
	case strings.HasPrefix(message, "load "), strings.HasPrefix(message, "first operand of load"), strings.HasPrefix(message, "original name"):
		return "this is no load()", `write load("lib/file.star", "name", other = "name")`
	}
	return message, ""
}

// indentation replaces the parser's words of a missing or superfluous one.
func indentation(lines []string, flaw syntax.Error) (plain, fix string) {
	message := flaw.Msg
	switch {
	case strings.HasSuffix(message, "want indent"):
		return "what stands under the line with the colon is not indented", "indent it by four spaces"
	case strings.HasPrefix(message, "got indent"):
		plain, fix = "the line is indented, and the one above does not end in a colon", "begin it where the one above begins"
	case strings.HasPrefix(message, "unindent does not match"):
		plain, fix = "the line begins where none of the lines above it begins", "begin it under the one that it belongs to"
	case strings.HasPrefix(message, "got outdent"):
		return "the block ends before it has a line", "write pass, or what is to be done"
	default:
		return message, ""
	}
	if at := mixedIndent(lines[:min(int(flaw.Pos.Line), len(lines))]); at > 0 {
		fix = fmt.Sprintf("line %d is indented otherwise, with tabs or with spaces: use four spaces everywhere, or rekey fmt", at)
	}
	return plain, fix
}

// mixedIndent returns the number of the line above the last that is indented
// with tabs where the last is with spaces, or the other way round; 0: all are
// alike.
func mixedIndent(lines []string) int {
	if len(lines) == 0 {
		return 0
	}
	tab := func(line string) bool { return strings.HasPrefix(line, "\t") }
	last := lines[len(lines)-1]
	for i, line := range lines[:len(lines)-1] {
		if strings.TrimSpace(line) != "" && strings.TrimLeft(line, " \t") != line && tab(line) != tab(last) && strings.TrimLeft(last, " \t") != last {
			return i + 1
		}
	}
	return 0
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

// resolveFlawInWords is for what the resolver refuses beside names.
func resolveFlawInWords(message string) (plain, fix string) {
	switch {
	case strings.HasSuffix(message, "loop not within a function"):
		return message, "put it into a def and call that, or write a comprehension: [f(x) for x in xs]"
	case strings.HasPrefix(message, "return statement not within"):
		return message, "a script returns nothing: indent it, if it belongs to the def above"
	case strings.HasSuffix(message, "statement not within a function"):
		return message, "put it into a def and call that, or write a conditional: a if b else c"
	case strings.HasSuffix(message, "does not support while loops"):
		return "there are no while loops", "use for x in range(n), which ends"
	case strings.HasPrefix(message, "cannot reassign"):
		return message, "give each value a name of its own"
	case strings.HasPrefix(message, "duplicate parameter"):
		return message, "give each parameter a name of its own"
	case strings.HasPrefix(message, "required parameter may not follow optional"):
		return "a parameter without a default stands after one with a default", "put those without a default first"
	case strings.HasPrefix(message, "positional argument may not follow named"):
		return "an argument without a name stands after one with a name", "put those without a name first, or name it"
	case strings.HasPrefix(message, "keyword argument") && strings.HasSuffix(message, "is repeated"):
		return message, "give it once"
	case strings.HasSuffix(message, "not in a loop"):
		return message, "it belongs into a for"
	case strings.HasPrefix(message, "load statement within"):
		return "load() stands in a block", "put it at the top of the file"
	case strings.HasPrefix(message, "load: names with leading underscores"):
		return message, "a name with _ stays in its file: give it another one there"
	case strings.HasPrefix(message, "can't "):
		return "a value is given to what has no name", "give a name, or an element of a list or dict, its value"
	}
	return message, ""
}
