package tree

import (
	"fmt"
	"slices"
	"strings"

	"github.com/bazelbuild/buildtools/build"
	"go.starlark.net/syntax"

	"github.com/rekey-host/rekey/host/diag"
)

// Format returns a script in the form that all scripts have: four spaces, one
// style of commas and blanks, comments and texts as they are. Problems are why it
// cannot be read. The form of a formatted script is its own.
func Format(name string, text []byte) ([]byte, []diag.Problem) {
	before := New(name, name, text)
	if found := before.Parse(); found != nil {
		return nil, found
	}
	readable, hidden := hideBytes(before.withoutTabs())
	file, err := build.ParseDefault(name, readable)
	if err != nil {
		return nil, []diag.Problem{{File: name, Message: "the formatter cannot read the script: " + err.Error()}}
	}
	formatted := hidden.shown(build.FormatWithoutRewriting(file))
	after := New(name, name, formatted)
	if found := after.Parse(); found != nil || shape(after.Tree) != shape(before.Tree) {
		return nil, []diag.Problem{{File: name, Message: "the formatter would change what the script does", Fix: "leave it as it is, and tell those who write rekey"}}
	}
	return formatted, nil
}

// hiddenBytes are b"…" literals, which the formatter does not read, by the texts
// that stand for them.
type hiddenBytes map[string]string

// hideBytes puts texts for the bytes of a script that has no flaws.
func hideBytes(text []byte) ([]byte, hiddenBytes) {
	file := New("", "", text)
	if file.Parse() != nil {
		return text, nil
	}
	var found []*syntax.Literal
	syntax.Walk(file.Tree, func(node syntax.Node) bool {
		if literal, is := node.(*syntax.Literal); is && literal.Token == syntax.BYTES {
			found = append(found, literal)
		}
		return true
	})
	hidden := hiddenBytes{}
	for i, literal := range slices.Backward(found) {
		stand := fmt.Sprintf(`"rekey fmt: bytes %d"`, i)
		at := offset(file.lines, literal.TokenPos)
		if at < 0 || strings.Contains(string(text), stand) || !strings.HasPrefix(string(text[at:]), literal.Raw) {
			return text, nil
		}
		hidden[stand] = literal.Raw
		text = slices.Concat(text[:at], []byte(stand), text[at+len(literal.Raw):])
	}
	return text, hidden
}

// shown puts the bytes back.
func (h hiddenBytes) shown(text []byte) []byte {
	for stand, raw := range h {
		text = []byte(strings.Replace(string(text), stand, raw, 1))
	}
	return text
}

// offset is where a position is in the lines, each with a line end of one byte; -1: in none.
func offset(lines []string, at syntax.Position) int {
	total := 0
	for i, line := range lines {
		if i+1 < int(at.Line) {
			total += len(line) + 1
			continue
		}
		count := 1
		for place := range line {
			if count == int(at.Col) {
				return total + place
			}
			count++
		}
		return -1
	}
	return -1
}

// withoutTabs is the text with spaces for the tabs that lines begin with, which
// the formatter does not read, and one kind of line ends. A text of several lines
// stays as it is.
func (f *File) withoutTabs() []byte {
	inText := map[int]bool{}
	syntax.Walk(f.Tree, func(node syntax.Node) bool {
		if literal, is := node.(*syntax.Literal); is && literal.Token != syntax.INT {
			for i := range strings.Count(literal.Raw, "\n") {
				inText[int(literal.TokenPos.Line)+i] = true // the index of the line below
			}
		}
		return true
	})
	lines := slices.Clone(f.lines)
	for i, line := range lines {
		if !inText[i] {
			rest := strings.TrimLeft(line, " \t")
			lines[i] = expanded(line[:len(line)-len(rest)]) + rest
		}
	}
	return []byte(strings.Join(lines, "\n"))
}

// expanded is the white space at the start of a line in spaces, as the scanner
// counts it.
func expanded(indent string) string {
	width := 0
	for _, letter := range indent {
		if letter == '\t' {
			width += 8 - width%8
		} else {
			width++
		}
	}
	return strings.Repeat(" ", width)
}

// shape is a tree without places: two scripts of one shape do the same.
func shape(file *syntax.File) string {
	var out strings.Builder
	syntax.Walk(file, func(node syntax.Node) bool {
		switch n := node.(type) {
		case nil:
			out.WriteByte(')')
			return true
		case *syntax.Ident:
			out.WriteString(n.Name)
		case *syntax.Literal:
			fmt.Fprintf(&out, "%v %v", n.Token, n.Value)
		case *syntax.BinaryExpr:
			out.WriteString(n.Op.String())
		case *syntax.UnaryExpr:
			out.WriteString(n.Op.String())
		case *syntax.AssignStmt:
			out.WriteString(n.Op.String())
		case *syntax.BranchStmt:
			out.WriteString(n.Token.String())
		}
		fmt.Fprintf(&out, "(%T ", node)
		return true
	})
	return out.String()
}
