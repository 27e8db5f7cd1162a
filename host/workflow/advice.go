package workflow

import (
	"fmt"
	"strings"

	"go.starlark.net/syntax"
)

// What the parser and the interpreter say is about grammar and types; here is
// what to do about it, for people who come from Python or from a spreadsheet.

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
	for _, r := range rest {
		if plain := typographic()[r]; plain != "" {
			return fmt.Sprintf("type %s on the keyboard: a word processor or a mail program has put another one there", plain)
		}
		break
	}
	switch rest {
	case "!'":
		return "write not x, or x != y"
	case "$'", "?'", "@'":
		return "it means nothing here outside of a string"
	}
	return ""
}

// indentation replaces what the parser says of one that is missing or too much.
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

// openBracket returns the line of the innermost bracket that is open where the
// parser gave up, if that is an earlier one or the last; 0 if there is none.
func (f *file) openBracket(at syntax.Position, atEnd bool) (bracket string, line int) {
	type open struct {
		r    rune
		line int
	}
	var stack []open
	for i, text := range f.lines[:min(int(at.Line), len(f.lines))] {
		for col, r := range withoutStrings(text) {
			switch {
			case i+1 == int(at.Line) && col+1 >= int(at.Col):
			case strings.ContainsRune("([{", r):
				stack = append(stack, open{r, i + 1})
			case strings.ContainsRune(")]}", r) && len(stack) > 0:
				stack = stack[:len(stack)-1]
			}
		}
	}
	if n := len(stack); n > 0 && (stack[n-1].line < int(at.Line) || atEnd) {
		return string(stack[n-1].r), stack[n-1].line
	}
	return "", 0
}

// withoutStrings blanks the strings and the comment of a line; a string of
// several lines is taken for what it looks like, which makes a wrong guess and
// no wrong script.
func withoutStrings(line string) string {
	var out strings.Builder
	var quote rune
	escaped := false
	for _, r := range line {
		switch {
		case quote == 0 && r == '#':
			return out.String()
		case quote == 0 && (r == '"' || r == '\''):
			quote = r
		case quote != 0 && escaped:
			escaped = false
		case quote != 0 && r == '\\':
			escaped = true
		case r == quote:
			quote = 0
		case quote == 0:
			out.WriteRune(r)
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

// emptyCell is why there is a None.
const emptyCell = "an empty cell of a typed column is None, and so is a pattern that does not match: ask first, as in "

// evaluationFix is what to do about an error of an evaluation. node is the
// operation that failed, nil if that is not known.
func evaluationFix(message string, node syntax.Node) string {
	if left, right, is := mixedTypes(message); is {
		return mixedFix(left, right, sides(node))
	}
	switch {
	case strings.HasPrefix(message, "key ") && strings.HasSuffix(message, " not in dict"):
		if x, ok := node.(*syntax.IndexExpr); ok && spelt(x.X) != "" {
			return fmt.Sprintf("add it to %s, or write %s.get(…, what to take instead)", spelt(x.X), spelt(x.X))
		}
		return "add it to the dict, or write .get(…, what to take instead)"
	case strings.HasPrefix(message, "NoneType has no .") || strings.HasPrefix(message, "unhandled index operation NoneType"):
		return emptyCell + "if x != None: …"
	}
	return ""
}

// mixedTypes reads how the interpreter says that an operator does not take two
// types.
func mixedTypes(message string) (left, right string, is bool) {
	text, unknown := strings.CutPrefix(message, "unknown binary op: ")
	text, compared := strings.CutSuffix(text, " not implemented")
	words := strings.Fields(text)
	if !unknown && !compared || len(words) < 3 {
		return "", "", false
	}
	return words[0], words[len(words)-1], true
}

// sides are the operands of an operation, as far as they can be named.
func sides(node syntax.Node) (texts [2]string) {
	if x, ok := node.(*syntax.BinaryExpr); ok {
		texts = [2]string{spelt(x.X), spelt(x.Y)}
	}
	return texts
}

// mixedFix is for an operation on two types.
func mixedFix(left, right string, texts [2]string) string {
	name := func(side int, other string) string {
		if texts[side] != "" {
			return texts[side]
		}
		return other
	}
	switch {
	case left == "NoneType":
		return emptyCell + "if " + name(0, "x") + " != None: …"
	case right == "NoneType":
		return emptyCell + "if " + name(1, "x") + " != None: …"
	case left == "date" && right == "string":
		return fmt.Sprintf("write str(%s), which is 2006-01-02, or use its .year, .month and .day", name(0, "x"))
	case left == "string" && right == "date":
		return fmt.Sprintf("write str(%s), which is 2006-01-02, or use its .year, .month and .day", name(1, "x"))
	case left == "date" || right == "date":
		return "days are compared with days, and not reckoned with; .year, .month and .day are numbers"
	case left != right && (left == "string" || right == "string"):
		return "str(x) makes a text of a value, int(x) a number of digits"
	}
	return ""
}

// spelt is an expression as it is written, where that is a name or a column.
func spelt(x syntax.Expr) string {
	switch x := unhidden(x).(type) {
	case *syntax.Ident:
		if isNone(x) {
			return ""
		}
		return x.Name
	case *syntax.DotExpr:
		if of := spelt(x.X); of != "" {
			return of + "." + x.Name.Name
		}
	case *syntax.IndexExpr:
		if text, ok := x.Y.(*syntax.Literal); ok && text.Token == syntax.STRING && spelt(x.X) != "" {
			return spelt(x.X) + "[" + text.Raw + "]"
		}
	}
	return ""
}
