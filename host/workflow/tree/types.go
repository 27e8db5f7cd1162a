package tree

import (
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/bazelbuild/buildtools/build"
	"go.starlark.net/syntax"

	"github.com/rekey-host/rekey/host/diag"
)

// TypeExpr is a type as a script writes it: str, list[str], int | None.
type TypeExpr struct {
	Name   string      // "" of a choice
	Of     []*TypeExpr // what is in the brackets
	Either []*TypeExpr // the parts of a choice
	At     syntax.Position
}

// types are the types that a file writes, by the place of the name that has
// one, and by that of the def that gives one.
type types struct {
	names   map[spot]*TypeExpr
	returns map[spot]*TypeExpr
}

// TypeOf is the type that a parameter or a variable is written with; nil:
// none.
func (f *File) TypeOf(id *syntax.Ident) *TypeExpr { return f.types.names[spotOf(id.NamePos)] }

// Returns is the type that a function is written to return; nil: none.
func (fn *Function) Returns() *TypeExpr { return fn.File.types.returns[spotOf(fn.At)] }

// HasTypes reports whether the file writes any type.
func (f *File) HasTypes() bool { return len(f.types.names)+len(f.types.returns) > 0 }

// The interpreter knows no types. A script that has them is read twice: what they
// are is taken out, and blanks stand in their places, so that every position
// stays.

// typed is a text on its way from types to blanks.
type typed struct {
	file   *File
	text   []byte
	wiped  []wiped
	starts []int // of the lines
	found  types
	bad    []diag.Problem
}

// withoutTypes returns the text with blanks for the types that it writes, and
// notes them in the file. The text is one that the interpreter does not read, or
// it would be needless.
func (f *File) withoutTypes(text []byte) ([]byte, []diag.Problem) {
	made := &typed{file: f, text: text, found: types{map[spot]*TypeExpr{}, map[spot]*TypeExpr{}}, starts: []int{0}}
	for i, letter := range text {
		if letter == '\n' {
			made.starts = append(made.starts, i+1)
		}
	}
	for _, start := range statements(text) {
		rest := text[start:]
		switch {
		case defLine.Match(rest):
			made.def(start)
		case variable.Match(rest) && !isKeyword(string(variable.FindSubmatch(rest)[1])):
			made.variable(start)
		}
	}
	f.types = made.found
	return made.blanks(), made.bad
}

var (
	defLine  = regexp.MustCompile(`^def[ \t]+[\pL_][\pL\pN_]*[ \t]*\(`)
	variable = regexp.MustCompile(`^([\pL_][\pL\pN_]*)[ \t]*:`)
)

// isKeyword reports whether a word before a colon is none of a script's names.
func isKeyword(word string) bool {
	return slices.Contains([]string{"else", "lambda", "try", "finally", "except", "do"}, word)
}

// statements are the places where lines begin that begin a statement: outside of
// texts and brackets.
func statements(text []byte) []int {
	var found []int
	depth, lineStart := 0, true
	for i := 0; i < len(text); {
		letter := text[i]
		switch {
		case letter == '\n' || letter == '\r':
			lineStart = depth == 0 && !(i > 0 && text[i-1] == '\\') || depth == 0 && lineStart
			i++
			continue
		case letter == ' ' || letter == '\t':
			i++
			continue
		case letter == '#':
			i = skipLine(text, i)
			continue
		}
		if lineStart {
			found = append(found, i)
			lineStart = false
		}
		i, depth = step(text, i, depth)
	}
	return found
}

// step returns the end of the token at a place, and how many brackets are open
// then.
func step(text []byte, i, depth int) (end, open int) {
	switch letter := text[i]; {
	case letter == '"' || letter == '\'':
		return skipString(text, i), depth
	case strings.IndexByte("([{", letter) >= 0:
		return i + 1, depth + 1
	case strings.IndexByte(")]}", letter) >= 0:
		return i + 1, max(0, depth-1)
	}
	return i + 1, depth
}

func skipLine(text []byte, i int) int {
	for i < len(text) && text[i] != '\n' {
		i++
	}
	return i
}

// skipString returns the end of the text that begins at a place.
func skipString(text []byte, i int) int {
	quote := text[i : i+1]
	if i+2 < len(text) && text[i+1] == quote[0] && text[i+2] == quote[0] {
		quote = text[i : i+3]
	}
	for end := i + len(quote); end < len(text); end++ {
		switch {
		case text[end] == '\\':
			end++
		case strings.HasPrefix(string(text[end:min(len(text), end+len(quote))]), string(quote)):
			return end + len(quote)
		case text[end] == '\n' && len(quote) == 1:
			return end
		}
	}
	return len(text)
}

// header is the end of a statement's first line: behind the colon that no bracket
// has in it; colon: the first such one ends it.
func header(text []byte, start int, colon bool) int {
	depth := 0
	for i := start; i < len(text); {
		switch letter := text[i]; {
		case letter == '#':
			i = skipLine(text, i)
			continue
		case letter == ':' && depth == 0 && colon:
			return i + 1
		case letter == '\n' && depth == 0:
			return i
		}
		i, depth = step(text, i, depth)
	}
	return len(text)
}

// bytesText is a literal of bytes, which the parser of types does not read.
var bytesText = regexp.MustCompile(`\b[bB](["'])`)

// parsed reads a piece of the text, as long as it is there.
func (t *typed) parsed(piece string) build.Expr {
	file, err := build.ParseDefault("", bytesText.ReplaceAll([]byte(piece), []byte("r$1")))
	if err != nil || len(file.Stmt) != 1 {
		return nil
	}
	return file.Stmt[0]
}

// def takes the types out of the head of a function.
func (t *typed) def(start int) {
	end := header(t.text, start, true)
	head := string(t.text[start:end])
	whole := head
	if !strings.HasSuffix(head, ":") { // which is told by itself
		whole += ":"
	}
	def, is := t.parsed(whole + " pass").(*build.DefStmt)
	if !is {
		return
	}
	for _, param := range def.Params {
		if withDefault, is := param.(*build.AssignExpr); is {
			param = withDefault.LHS
		}
		if unary, is := param.(*build.UnaryExpr); is && unary.X != nil {
			param = unary.X
		}
		if one, is := param.(*build.TypedIdent); is {
			t.name(start, one)
		}
	}
	if def.Type != nil {
		_, typeEnd := def.Type.Span()
		typeStart, _ := def.Type.Span()
		arrow := strings.LastIndex(head[:typeStart.Byte], "->")
		t.found.returns[spotOf(t.place(start))] = t.typeOf(start, def.Type)
		t.wipe(start+arrow, start+typeEnd.Byte)
	}
}

// variable takes the type out of name: type = value.
func (t *typed) variable(start int) {
	end := header(t.text, start, false)
	line := string(t.text[start:end])
	if assigned, is := t.parsed(line).(*build.AssignExpr); is {
		if one, is := assigned.LHS.(*build.TypedIdent); is {
			t.name(start, one)
		}
		return
	}
	if one, is := t.parsed(line).(*build.TypedIdent); is {
		at := t.place(start)
		t.bad = append(t.bad, t.file.Problem(at, "write name: type = value", "%s has a type and no value", one.GetIdent().Name))
	}
}

// name notes the type of a name, and wipes it.
func (t *typed) name(start int, one *build.TypedIdent) {
	_, nameEnd := one.Ident.Span()
	nameStart, typeEnd := one.Span()
	t.found.names[spotOf(t.place(start+nameStart.Byte))] = t.typeOf(start, one.Type)
	t.wipe(start+nameEnd.Byte, start+typeEnd.Byte)
}

// wipe has a type taken out. One of several lines is refused: its line ends would
// stay.
func (t *typed) wipe(from, to int) {
	if strings.ContainsAny(string(t.text[from:to]), "\n#") {
		t.bad = append(t.bad, t.file.Problem(t.place(from), "write it on one line", "a type goes over several lines"))
		return
	}
	t.wiped = append(t.wiped, wiped{from, to})
}

// wiped is a piece of the text that becomes blanks.
type wiped struct{ from, to int }

// blanks is the text with a blank for each character that is wiped.
func (t *typed) blanks() []byte {
	slices.SortFunc(t.wiped, func(one, other wiped) int { return one.from - other.from })
	out := make([]byte, 0, len(t.text))
	at := 0
	for _, one := range t.wiped {
		out = append(out, t.text[at:one.from]...)
		for range string(t.text[one.from:one.to]) {
			out = append(out, ' ')
		}
		at = one.to
	}
	return append(out, t.text[at:]...)
}

// typeOf reads a type.
func (t *typed) typeOf(start int, expr build.Expr) *TypeExpr {
	begin, _ := expr.Span()
	made := &TypeExpr{At: t.place(start + begin.Byte)}
	switch x := expr.(type) {
	case *build.Ident:
		made.Name = x.Name
	case *build.DotExpr:
		if of := t.typeOf(start, x.X); of.Name != "" {
			made.Name = of.Name + "." + x.Name
		}
	case *build.ParenExpr:
		return t.typeOf(start, x.X)
	case *build.TypeAppExpr:
		made.Name = t.typeOf(start, x.Type).Name
		for _, arg := range x.Args {
			made.Of = append(made.Of, t.typeOf(start, arg))
		}
	case *build.BinaryExpr:
		for _, side := range []build.Expr{x.X, x.Y} {
			one := t.typeOf(start, side)
			if one.Either != nil {
				made.Either = append(made.Either, one.Either...)
			} else {
				made.Either = append(made.Either, one)
			}
		}
	default:
		made.Name = "?"
	}
	return made
}

// place is the position of a byte of the text.
func (t *typed) place(at int) syntax.Position {
	line, _ := slices.BinarySearch(t.starts, at+1)
	start := t.starts[line-1]
	return syntax.MakePosition(&t.file.Shown, int32(line), int32(utf8.RuneCount(t.text[start:at])+1))
}
