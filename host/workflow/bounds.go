package workflow

import (
	"fmt"
	"math/bits"
	"slices"
	"strings"

	"go.starlark.net/starlark"
	"go.starlark.net/syntax"

	"github.com/rekey-host/rekey/host/workflow/tree"
)

// The interpreter makes room for a whole result at once: list(range(1 << 40))
// ends a process in one step, and its fatal error cannot be caught as a panic
// can. What multiplies is therefore measured before it is made.

// The bounds of what one call or operation makes.
const (
	maxItems  = 1 << 24   // of a list, tuple, set or dict
	maxBytes  = 256 << 20 // of a text
	maxNest   = 1000      // of a value that becomes text
	maxDigits = tree.MaxDigits
	maxBits   = maxDigits * 10 / 3
)

func tooLarge(what string) error {
	return fmt.Errorf("%s: the number would have more than %d digits", what, maxDigits)
}

func tooManyItems(what string) error {
	return fmt.Errorf("%s: the result would have more than %d elements", what, maxItems)
}

func tooLong(what string) error {
	return fmt.Errorf("%s: the text would be longer than %d MiB", what, maxBytes>>20)
}

// measuredNames are the interpreter's own names that make something of their
// arguments, measured first. values is how many words each element takes.
func measuredNames() starlark.StringDict {
	stringDict := starlark.StringDict{factorName: starlark.NewBuiltin(factorName, factorOf), textName: starlark.NewBuiltin(textName, measuredOf),
		someName: starlark.NewBuiltin(someName, someOf)}
	for name, values := range map[string]int{"list": 1, "tuple": 1, "sorted": 1, "reversed": 1, "bytes": 1, "set": 2, "dict": 2, "enumerate": 3, "zip": 2,
		"max": 1, "min": 1, "all": 1, "any": 1} { // of which the last four only take their time
		stringDict[name] = measured(name, func(args starlark.Tuple, _ []starlark.Tuple) error { return fewItems(name, values, args) })
	}
	for _, name := range []string{"str", "repr", "print", "fail"} {
		stringDict[name] = measured(name, func(args starlark.Tuple, kwargs []starlark.Tuple) error { return shortText(name, args, kwargs) })
	}
	stringDict["int"] = measured("int", shortNumber)
	stringDict["getattr"] = starlark.NewBuiltin("getattr", boundedAttr)
	return stringDict
}

// measured is a builtin of the interpreter behind a look at its arguments.
func measured(name string, look func(starlark.Tuple, []starlark.Tuple) error) *starlark.Builtin {
	return behind(starlark.Universe[name].(*starlark.Builtin), look)
}

func behind(fn *starlark.Builtin, look func(starlark.Tuple, []starlark.Tuple) error) *starlark.Builtin {
	return starlark.NewBuiltin(fn.Name(), func(thread *starlark.Thread, _ *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
		if err := look(args, kwargs); err != nil {
			return nil, err
		}
		return fn.CallInternal(thread, args, kwargs)
	})
}

func fewItems(what string, values int, args starlark.Tuple) error {
	for _, value := range args {
		if count := starlark.Len(value); count > maxItems/values {
			return tooManyItems(what)
		}
	}
	return nil
}

// shortNumber measures the text of a number.
func shortNumber(args starlark.Tuple, _ []starlark.Tuple) error {
	if len(args) > 0 {
		if text, ok := starlark.AsString(args[0]); ok && len(text) > maxDigits {
			return tooLarge("int")
		}
	}
	return nil
}

func shortText(what string, args starlark.Tuple, kwargs []starlark.Tuple) error {
	made := meter{left: maxBytes}
	for _, value := range args {
		made.weigh(value, 0)
	}
	for _, kw := range kwargs {
		made.weigh(kw[1], 0)
	}
	return made.verdict(what)
}

// meter estimates from below how long the text of a value is.
type meter struct {
	left int
	deep bool
	long bool                    // a number
	path map[starlark.Value]bool // what holds the value: one that holds itself is written once
}

func (m *meter) verdict(what string) error {
	switch {
	case m.deep:
		return fmt.Errorf("%s: the value is nested deeper than %d", what, maxNest)
	case m.long:
		return fmt.Errorf("%s: a number in it has more than %d digits", what, maxDigits)
	case m.left < 0:
		return tooLong(what)
	}
	return nil
}

// What a value takes beside its text, and the cost of a look at it: one that
// holds itself many times over has few texts, and takes for ever.
const (
	perValue = 8
	perWhole = 128
)

func (m *meter) weigh(value starlark.Value, depth int) {
	if m.left -= perValue; m.left < 0 || m.deep {
		return
	}
	if m.deep = depth > maxNest; m.deep {
		return
	}
	switch v := value.(type) {
	case starlark.String:
		m.left -= len(v)
	case starlark.Bytes:
		m.left -= len(v)
	case starlark.Int:
		length := bitsOf(v)
		m.long = m.long || length > maxBits
		m.left -= length / 4
	case starlark.Tuple:
		m.weighAll(v, depth)
	case *starlark.List, *starlark.Set, *starlark.Dict, *structValue:
		m.inside(v, depth)
	}
}

// inside weighs what can hold itself.
func (m *meter) inside(value starlark.Value, depth int) {
	if m.left -= perWhole; m.path[value] {
		return
	}
	if m.path == nil {
		m.path = map[starlark.Value]bool{}
	}
	m.path[value] = true
	defer delete(m.path, value)
	switch v := value.(type) {
	case *starlark.List:
		m.weighAll(v, depth)
	case *starlark.Set:
		m.weighAll(v, depth)
	case *starlark.Dict:
		m.weighDict(v, depth)
	case *structValue:
		m.weighAttrs(v, depth)
	}
}

// bitsOf is the length of a number.
func bitsOf(number starlark.Int) int {
	if small, ok := number.Int64(); ok {
		return bits.Len64(uint64(max(small, -small)))
	}
	return number.BigInt().BitLen()
}

func (m *meter) weighAll(list starlark.Iterable, depth int) {
	iterator := list.Iterate()
	defer iterator.Done()
	for value := starlark.Value(nil); m.left >= 0 && !m.deep && iterator.Next(&value); {
		m.weigh(value, depth+1)
	}
}

func (m *meter) weighDict(dict *starlark.Dict, depth int) {
	iterator := dict.Iterate()
	defer iterator.Done()
	for value := starlark.Value(nil); m.left >= 0 && !m.deep && iterator.Next(&value); {
		m.weigh(value, depth+1)
		x, _, _ := dict.Get(value)
		m.weigh(x, depth+1)
	}
}

func (m *meter) weighAttrs(fields starlark.HasAttrs, depth int) {
	for _, name := range fields.AttrNames() {
		if value, err := fields.Attr(name); err == nil && value != nil {
			m.weigh(value, depth+1)
		}
	}
}

// The names by which a tree calls factorOf, measuredOf and someOf. No script
// can write them.
const (
	factorName = "$factor"
	textName   = "$text"
	someName   = "$some"
)

// bind puts a measure into each operation of the tree that multiplies: X * Y
// becomes X * $factor(Y), as does X + Y, X % Y and X.replace become $text(X) % Y and
// $text(X).replace, and in f(*X) and the like X becomes $some(X). The operations
// stay where they stand, and their errors are the same.
func bind(script *syntax.File) {
	syntax.Walk(script, func(node syntax.Node) bool {
		switch n := node.(type) {
		case *syntax.BinaryExpr:
			switch n.Op {
			case syntax.STAR:
				n.Y = tree.Hidden(factorName, n.Y)
			case syntax.PLUS:
				if _, short := n.Y.(*syntax.Literal); !short {
					n.Y = tree.Hidden(factorName, n.Y)
				}
			case syntax.PERCENT:
				n.X = tree.Hidden(textName, n.X)
			}
		case *syntax.AssignStmt:
			bindAssignment(n)
		case *syntax.CallExpr:
			bindArguments(n)
		case *syntax.DotExpr:
			if multiplies(n.Name.Name) {
				n.X = tree.Hidden(textName, n.X)
			}
		}
		return true
	})
}

// bindAssignment is bind of X *= Y and X %= Y.
func bindAssignment(stmt *syntax.AssignStmt) {
	switch stmt.Op {
	case syntax.STAR_EQ:
		stmt.RHS = tree.Hidden(factorName, stmt.RHS)
	case syntax.PLUS_EQ:
		stmt.RHS = tree.Hidden(someName, stmt.RHS)
	case syntax.PERCENT_EQ:
		if id, ok := stmt.LHS.(*syntax.Ident); ok {
			again := &syntax.Ident{NamePos: id.NamePos, Name: id.Name}
			stmt.Op, stmt.RHS = syntax.EQ, &syntax.BinaryExpr{X: again, OpPos: stmt.OpPos, Op: syntax.PERCENT, Y: stmt.RHS}
		}
	}
}

// bindArguments is bind of f(*X) and X.extend(Y).
func bindArguments(node *syntax.CallExpr) {
	dot, isMethod := node.Fn.(*syntax.DotExpr)
	takes := isMethod && slices.Contains([]string{"extend", "update", "union"}, dot.Name.Name)
	for i, arg := range node.Args {
		star, isStar := arg.(*syntax.UnaryExpr)
		_, isKeyword := tree.Keyword(arg)
		switch {
		case isStar && star.Op == syntax.STAR:
			star.X = tree.Hidden(someName, star.X)
		case takes && !isStar && !isKeyword:
			node.Args[i] = tree.Hidden(someName, arg)
		}
	}
}

// multiplies reports whether a method of texts makes more than it is given.
func multiplies(method string) bool {
	return method == "replace" || method == "join" || method == "format"
}

// factorOf marks the right side of a multiplication or an addition.
func factorOf(_ *starlark.Thread, _ *starlark.Builtin, args starlark.Tuple, _ []starlark.Tuple) (starlark.Value, error) {
	switch v := args[0].(type) {
	case starlark.Int, starlark.String, starlark.Bytes, *starlark.List, starlark.Tuple:
		return factor{v}, nil
	default:
		return v, nil
	}
}

// factor is the right side of a multiplication or an addition. It lives until
// then.
type factor struct{ starlark.Value }

// Binary multiplies or adds, if the result is not too large.
func (f factor) Binary(op syntax.Token, value starlark.Value, _ starlark.Side) (starlark.Value, error) {
	if op == syntax.PLUS {
		if err := added(value, f.Value); err != nil {
			return nil, err
		}
		return starlark.Binary(op, value, f.Value)
	}
	if number, ok := value.(starlark.Int); ok {
		if times, ok := f.Value.(starlark.Int); ok && bitsOf(number)+bitsOf(times) > maxBits {
			return nil, tooLarge("multiplication")
		}
	}
	if err := repeated(value, f.Value); err != nil {
		return nil, err
	}
	if err := repeated(f.Value, value); err != nil {
		return nil, err
	}
	return starlark.Binary(op, value, f.Value)
}

func added(value, given starlark.Value) error {
	count := int64(starlark.Len(value)) + int64(starlark.Len(given))
	switch value.(type) {
	case starlark.String, starlark.Bytes:
		if count > maxBytes {
			return tooLong("addition")
		}
	case *starlark.List, starlark.Tuple:
		if count > maxItems {
			return tooManyItems("addition")
		}
	}
	return nil
}

func repeated(what, times starlark.Value) error {
	number, ok := times.(starlark.Int)
	count, fits := number.Int64()
	if !ok || fits && count <= 1 || !fits && number.Sign() < 0 {
		return nil
	}
	over := func(size, most int) bool { return size > 0 && (!fits || count > int64(most/size)) }
	switch what := what.(type) {
	case starlark.String:
		if over(len(what), maxBytes) {
			return tooLong("repetition")
		}
	case starlark.Bytes:
		if over(len(what), maxBytes) {
			return tooLong("repetition")
		}
	case *starlark.List:
		if over(what.Len(), maxItems) {
			return tooManyItems("repetition")
		}
	case starlark.Tuple:
		if over(what.Len(), maxItems) {
			return tooManyItems("repetition")
		}
	}
	return nil
}

// someOf is its argument, if its elements are few enough to take them all.
func someOf(_ *starlark.Thread, _ *starlark.Builtin, args starlark.Tuple, _ []starlark.Tuple) (starlark.Value, error) {
	switch args[0].(type) {
	case starlark.String, starlark.Bytes:
		return args[0], nil
	}
	return args[0], fewItems(args[0].Type(), 1, args)
}

// measuredOf marks a text before it is formatted, or a method of it used.
func measuredOf(_ *starlark.Thread, _ *starlark.Builtin, args starlark.Tuple, _ []starlark.Tuple) (starlark.Value, error) {
	if text, ok := args[0].(starlark.String); ok {
		return measuredText{text}, nil
	}
	return args[0], nil
}

// measuredText is a text whose format and methods are measured. It lives until
// then.
type measuredText struct{ text starlark.String }

var (
	_ starlark.HasBinary = measuredText{}
	_ starlark.HasAttrs  = measuredText{}
)

func (s measuredText) String() string        { return s.text.String() }
func (s measuredText) Type() string          { return s.text.Type() }
func (s measuredText) Freeze()               {}
func (s measuredText) Truth() starlark.Bool  { return s.text.Truth() }
func (s measuredText) Hash() (uint32, error) { return s.text.Hash() }
func (s measuredText) AttrNames() []string   { return s.text.AttrNames() }

// Binary formats, if the result is not too long.
func (s measuredText) Binary(op syntax.Token, value starlark.Value, _ starlark.Side) (starlark.Value, error) {
	if err := shortText("format", starlark.Tuple{s.text, value}, nil); err != nil {
		return nil, err
	}
	return starlark.Binary(op, s.text, value)
}

// Attr returns a method that measures its result before it makes it.
func (s measuredText) Attr(name string) (starlark.Value, error) {
	method, err := s.text.Attr(name)
	builtin, ok := method.(*starlark.Builtin)
	if err != nil || !ok {
		return method, err
	}
	switch name {
	case "replace":
		return behind(builtin, func(args starlark.Tuple, kwargs []starlark.Tuple) error { return replaced(string(s.text), args) }), nil
	case "join":
		return behind(builtin, func(args starlark.Tuple, kwargs []starlark.Tuple) error { return joined(string(s.text), args) }), nil
	case "format":
		return behind(builtin, func(args starlark.Tuple, kwargs []starlark.Tuple) error {
			return formatted(string(s.text), args, kwargs)
		}), nil
	}
	return method, nil
}

// boundedAttr is getattr, which comes by methods too.
func boundedAttr(thread *starlark.Thread, _ *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	if len(args) > 1 && len(kwargs) == 0 {
		text, isText := args[0].(starlark.String)
		name, isName := args[1].(starlark.String)
		if isText && isName && multiplies(string(name)) {
			return measuredText{text}.Attr(string(name))
		}
	}
	return starlark.Universe["getattr"].(*starlark.Builtin).CallInternal(thread, args, kwargs)
}

func replaced(text string, args starlark.Tuple) error {
	if len(args) < 2 {
		return nil
	}
	old, _ := starlark.AsString(args[0])
	with, _ := starlark.AsString(args[1])
	if len(with) <= len(old) || int64(len(text)+1)*int64(len(with)) <= maxBytes {
		return nil
	}
	if times := int64(strings.Count(text, old)); int64(len(text))+times*int64(len(with)-len(old)) > maxBytes {
		return tooLong("replace")
	}
	return nil
}

// joined measures the texts of a list and those between them.
func joined(between string, args starlark.Tuple) error {
	if len(args) != 1 {
		return nil
	}
	made := meter{left: maxBytes}
	if list, ok := args[0].(starlark.Iterable); ok && starlark.Len(args[0]) >= 0 {
		made.left -= len(between) * min(starlark.Len(args[0]), maxBytes)
		made.weighAll(list, 0)
	}
	return made.verdict("join")
}

// formatted measures a text in which an argument may stand more than once.
func formatted(text string, args starlark.Tuple, kwargs []starlark.Tuple) error {
	made := meter{left: maxBytes}
	for _, value := range args {
		made.weigh(value, 0)
	}
	for _, kw := range kwargs {
		made.weigh(kw[1], 0)
	}
	if err := made.verdict("format"); err != nil {
		return err
	}
	if most := int64(maxBytes-made.left) * int64(strings.Count(text, "{")); most+int64(len(text)) > 4*maxBytes {
		return tooLong("format")
	}
	return nil
}
