package tree

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"go.starlark.net/syntax"
)

// gotAndWant reads what the parser has found, and what it wants instead.
func gotAndWant(message string) (got, want string, is bool) {
	rest, is := strings.CutPrefix(message, "got ")
	if !is {
		return "", "", false
	}
	got, want, is = strings.Cut(rest, ", want ")
	return got, want, is
}

// grammarFlaw puts in plain words what the parser has found where it wants
// something else. A bracket that is never closed is named where it opens.
func grammarFlaw(lines []string, at syntax.Position, got, want string) (place syntax.Position, message, fix string) {
	start := tokenStart(lines, at, got, want)
	open := openBracket(lines, start)
	switch {
	case open.line > 0 && !closed(lines, open):
		place = syntax.MakePosition(nil, int32(open.line), int32(open.column))
		return place, fmt.Sprintf("the %c is never closed", open.letter), closeIt(open, at, got)
	case got == "newline" && want == "primary expression":
		return start, "a value is missing at the end of the line", "write it, or take out what stands before it"
	case isReserved(got):
		return start, got + " is a word of the language, and no name", "take another name"
	case open.line > 0 && beginsValue(got):
		return start, "a comma is missing before " + inWords(got), "write , in front of it"
	case want == "newline" && beginsValue(got):
		return start, inWords(got) + " stands where the line should end", "write one statement a line, and an operator or a comma between two values"
	case got == "'='" && want == "':'" && open.line > 0:
		return start, "a dict has a colon between key and value", "write key: value"
	case got == "':'" && open.letter == '(':
		return start, "an argument is named with =", "write name = value"
	case len(got) == 3 && strings.Contains(")]}", got[1:2]) && open.line > 0:
		return start, fmt.Sprintf("%s closes nothing: the %c of line %d is open", got[1:2], open.letter, open.line), fmt.Sprintf("write %c", closing(open.letter))
	}
	return start, fmt.Sprintf("%s stands where %s should", inWords(got), inWords(want)), "see the line, and the one above it"
}

// closeIt is how to mend a bracket that is never closed.
func closeIt(open bracket, at syntax.Position, got string) string {
	if got == "end of file" {
		return fmt.Sprintf("close it with %c", closing(open.letter))
	}
	return fmt.Sprintf("close it with %c, before line %d", closing(open.letter), at.Line)
}

// tokenStart is where the token begins that the parser did not want: it mostly
// gives the position behind it.
func tokenStart(lines []string, at syntax.Position, got, want string) syntax.Position {
	line := []rune(lines[at.Line-1])
	end := min(int(at.Col)-1, len(line))
	if want == "primary expression" || got == "newline" || got == "end of file" {
		return at
	}
	start := end
	switch {
	case strings.HasSuffix(got, "literal") && end > 0 && (line[end-1] == '"' || line[end-1] == '\''):
		start = quoteBefore(line, end-1)
	case strings.HasPrefix(got, "'"):
		start = end - utf8.RuneCountInString(strings.Trim(got, "'"))
	default:
		for start > 0 && (unicode.IsLetter(line[start-1]) || unicode.IsDigit(line[start-1]) || line[start-1] == '_' || line[start-1] == '.') {
			start--
		}
	}
	if start < 0 || start >= end {
		return at
	}
	return syntax.MakePosition(nil, at.Line, int32(start+1))
}

// quoteBefore is where the text begins whose last quote stands at end.
func quoteBefore(line []rune, end int) int {
	for start := end - 1; start >= 0; start-- {
		if line[start] == line[end] && (start == 0 || line[start-1] != '\\') {
			return start
		}
	}
	return end
}

// bracket is one that opens: its place in characters from 1, and what it is.
type bracket struct {
	letter       rune
	line, column int
}

// openBracket returns the innermost bracket that is open at a position; its line
// is 0 if none is.
func openBracket(lines []string, at syntax.Position) bracket {
	var stack []bracket
	for i, text := range lines[:min(int(at.Line), len(lines))] {
		column := 0
		for _, letter := range withoutStrings(text) {
			column++
			switch {
			case i+1 == int(at.Line) && column >= int(at.Col):
			case strings.ContainsRune("([{", letter):
				stack = append(stack, bracket{letter, i + 1, column})
			case strings.ContainsRune(")]}", letter) && len(stack) > 0:
				stack = stack[:len(stack)-1]
			}
		}
	}
	if len(stack) == 0 {
		return bracket{}
	}
	return stack[len(stack)-1]
}

// closed reports whether the text closes a bracket anywhere, before a line that
// begins a statement of the top level.
func closed(lines []string, open bracket) bool {
	depth := 0
	for i, text := range lines[open.line-1:] {
		if i > 0 && beginsStatement(text) {
			return false
		}
		column := 0
		for _, letter := range withoutStrings(text) {
			column++
			switch {
			case i == 0 && column < open.column:
			case strings.ContainsRune("([{", letter):
				depth++
			case strings.ContainsRune(")]}", letter):
				if depth--; depth == 0 {
					return true
				}
			}
		}
	}
	return false
}

// beginsStatement reports whether a line looks like the first one of a statement
// of the top level.
func beginsStatement(line string) bool {
	for _, start := range []string{"def ", "load(", "workflow("} {
		if strings.HasPrefix(line, start) {
			return true
		}
	}
	name := strings.TrimLeftFunc(line, func(letter rune) bool { return letter == '_' || unicode.IsLetter(letter) || unicode.IsDigit(letter) })
	return len(name) < len(line) && strings.HasPrefix(name, " = ")
}

func closing(letter rune) rune {
	return map[rune]rune{'(': ')', '[': ']', '{': '}'}[letter]
}

// beginsValue reports whether a token begins a value: one that stands behind
// another lacks what is between the two.
func beginsValue(token string) bool {
	switch token {
	case "identifier", "int literal", "float literal", "string literal", "'('", "'['", "'{'", "lambda", "not":
		return true
	}
	return false
}

// inWords is a token of the parser's as people call it.
func inWords(token string) string {
	switch token {
	case "identifier":
		return "a name"
	case "int literal", "float literal":
		return "a number"
	case "string literal":
		return "a text"
	case "newline":
		return "the end of the line"
	case "primary expression":
		return "a value"
	case "end of file":
		return "the end of the file"
	}
	return strings.Trim(token, "'")
}

// isReserved reports whether a token is a word that the language keeps for
// itself.
func isReserved(token string) bool {
	switch token {
	case "as", "async", "await", "class", "del", "except", "finally", "from", "global", "import", "is", "nonlocal", "raise", "try", "with", "yield":
		return true
	}
	return false
}
