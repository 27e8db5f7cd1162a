package tree

import (
	"regexp"
	"strings"
	"unicode/utf8"

	"go.starlark.net/syntax"
)

// slip is what people write who know another language: how it looks in a line
// that the parser refuses, and what to say of it. The place is that of the
// pattern's first group.
type slip struct {
	looks        *regexp.Regexp
	message, fix string
}

// slips are tried in this order: a line may look like several.
func slips() []slip {
	made := func(looks, message, fix string) slip { return slip{regexp.MustCompile(looks), message, fix} }
	return []slip{
		made(`^\s*(//|/\*)`, "this is no comment", "a comment begins with #"),
		made(`^\s*(import|from)\b`, "there is no import", `scripts use load("lib/file.star", "name")`),
		made(`^\s*(try|except|finally|raise|throw)\b`, "there are no exceptions", "use step.try_set() and its like, fail(), or return failed(reason)"),
		made(`^\s*(class)\b`, "there are no classes", "use struct() or a dict"),
		made(`^\s*(with|async|await|yield)\b`, "scripts do no I/O: the host reads users and calls backends", "give workflow() a source, and a rotate hook the steps"),
		made(`^\s*(assert)\b`, "there is no assert", `write: if not …: fail("why")`),
		made(`^\s*(del)\b`, "there is no del", `write d.pop("key")`),
		made(`^\s*(global|nonlocal)\b`, "a function cannot change a name outside of it", "return the new value"),
		made(`^\s*(var|let|const)\s+\w+\s*=`, "a name is not declared", "write name = value"),
		made(`^\s*(function|func|fn)\s+\w+\s*\(`, "a function begins with def", "write def name(…):"),
		made(`^\s*(Def|DEF|If|IF|For|FOR|Return|RETURN|Else|ELSE|Elif|ELIF)\b`, "keywords are written in small letters", "write def, if, for, return, else or elif"),
		made(`^\s*(foreach)\b`, "there is no foreach", "write for x in xs:"),
		made(`^\s*(switch|match|case)\b.*:?\s*$`, "there is no switch or match", "write if …: elif …: else:"),
		made(`^\s*(do)\s*:`, "there is no do", "use for x in range(n):"),
		made(`^\s*(@)\w`, "there are no decorators", "call the function where it is needed"),
		made(`^\s*(print)\s+[^(\s]`, "print is a function", "write print(…)"),
		made(`^\s*(else\s+if|elsif|elseif|elsif)\b`, "another condition begins with elif", "write elif …:"),
		made(`^\s*(?:if|elif|for)\b.*\b(then|do)\s*:?\s*$`, "a condition ends in a colon alone", "leave then away"),
		made(`^\s*(?:def|if|elif|else|for)\b.*?(\{)\s*$`, "a block begins with a colon, and is indented", "write : and indent the lines below by four spaces"),
		made(`(===|!==)`, "values are compared by == and !=", "write == or !="),
		made(`(<>)`, "unlike values are told by !=", "write !="),
		made(`(&&)`, "&& is and", "write a and b"),
		made(`(\|\|)`, "|| is or", "write a or b"),
		made(`\b(AND|OR|NOT)\b`, "and, or and not are written in small letters", "write and, or, not"),
		made(`(:=)`, "a value cannot be named inside of an expression", "give it a name in a line above"),
		made(`(\+\+|--)\s*$`, "there is no ++ or --", "write x += 1 or x -= 1"),
		made(`(\*\*)\s*[\w(]`, "there is no power", "multiply: x * x"),
		made(`(=>)`, "a function without a name is lambda x: …", "write lambda x: …"),
		made(`\w\s*(\?)\s*\S`, "a choice is written in words", "write a if condition else b"),
		made(`\s(is\s+not|is)\s`, "there is no is", "write == or !=, as in x == None"),
		made(`(\$)\w`, "a name has no $", "write the name alone"),
		made(`^\s*(?:if|elif)\b[^=!<>]*[^=!<>](=)[^=]`, "a single = gives a name a value", "compare by =="),
		made(`\blambda\b[^:]*:\s*(return)\b`, "a lambda is an expression", "leave return away, or write a def"),
		made(`\b[fF](")`, "there are no f-strings", `use "{}".format(x) or "%s" % x`),
		made(`\b[uU](")`, "a text has no u before it", "leave the u away"),
		made(`(\.\.\.)`, "... stands for nothing", "write what is meant, or pass"),
		made(`^\s*\w+\s+(=)\s*$`, "the value is missing", "write name = value"),
	}
}

// slipIn finds what a refused line says in the words of another language: its
// place as a column in characters, 0 if the line says nothing of the kind.
// Strings and the comment of the line are not looked into, but their quotes are.
func slipIn(line string) (found slip, column int) {
	plain := withQuotes(line)
	for _, one := range slips() {
		if at := one.looks.FindStringSubmatchIndex(plain); at != nil {
			return one, utf8.RuneCountInString(plain[:at[2]]) + 1
		}
	}
	return slip{}, 0
}

// withQuotes is the line with its strings emptied and its comment cut: a letter
// before a quote is seen. Single quotes become double ones. A blank stands for each character that is taken out.
func withQuotes(line string) string {
	var out strings.Builder
	plain := []rune(withoutStrings(line))
	for i, letter := range []rune(line) {
		switch {
		case i >= len(plain):
			return out.String()
		case plain[i] == ' ' && (letter == '"' || letter == '\''):
			out.WriteRune('"')
		default:
			out.WriteRune(plain[i])
		}
	}
	return out.String()
}

// missingColon finds a line that wants a colon at its end: the parser names the
// line after it.
func missingColon(lines []string, flaw syntax.Error) (at syntax.Position, is bool) {
	if !strings.HasSuffix(flaw.Msg, "got newline, want ':'") {
		return at, false
	}
	number := int(flaw.Pos.Line)
	if flaw.Pos.Col <= 1 {
		number--
	}
	if number < 1 || number > len(lines) {
		return at, false
	}
	code := strings.TrimRight(withoutComment(lines[number-1]), " \t")
	return syntax.MakePosition(nil, int32(number), int32(utf8.RuneCountInString(code)+1)), true
}

// withoutComment cuts the comment of a line.
func withoutComment(line string) string {
	plain := []rune(withoutStrings(line))
	return string([]rune(line)[:len(plain)])
}
