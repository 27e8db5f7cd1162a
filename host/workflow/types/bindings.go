package types

import (
	"go.starlark.net/syntax"

	"github.com/rekey-host/rekey/host/workflow/tree"
)

// binding is one way in which a name gets a value.
type binding struct {
	expr    syntax.Expr        // whose value it is
	element bool               // or one of its elements
	added   *syntax.AssignStmt // or what name += X makes
	fn      *tree.Function     // of a def
	unseen  bool               // a part of a tuple, or a parameter
}

// bindings are all that bind the names of a file, by the first binding of each.
type bindings map[*syntax.Ident]ways

// bindingsOf finds them.
func bindingsOf(file *tree.File) bindings {
	made := bindings{}
	syntax.Walk(file.Tree, func(node syntax.Node) bool {
		switch n := node.(type) {
		case *syntax.AssignStmt:
			if n.Op == syntax.EQ {
				made.target(n.LHS, binding{expr: n.RHS})
			} else {
				made.target(n.LHS, binding{added: n})
			}
		case *syntax.ForStmt:
			made.target(n.Vars, binding{expr: n.X, element: true})
		case *syntax.ForClause:
			made.target(n.Vars, binding{expr: n.X, element: true})
		case *syntax.DefStmt:
			made.add(n.Name, binding{fn: file.FunctionAt(n.Def)})
		}
		return true
	})
	for fn := range file.Functions {
		for _, id := range fn.Params() {
			if id != nil {
				made.add(id, binding{unseen: true})
			}
		}
	}
	return made
}

func (b bindings) add(id *syntax.Ident, one binding) {
	if first := tree.First(id); first != nil {
		b[first] = append(b[first], one)
	}
}

// target notes what a target binds: of a tuple that is taken apart nothing is
// known.
func (b bindings) target(expr syntax.Expr, one binding) {
	switch x := expr.(type) {
	case *syntax.Ident:
		b.add(x, one)
	case *syntax.ParenExpr:
		b.target(x.X, one)
	default:
		for _, id := range tree.Targets(expr) {
			b.add(id, binding{unseen: true})
		}
	}
}

// ways are the bindings of one name.
type ways []binding

// join is the type of a name that gets its values in these ways.
func (w ways) join(i *inference, file *tree.File, first *syntax.Ident) Type {
	var found Type
	seen := false
	for _, one := range w {
		if one.added != nil {
			continue
		}
		next := one.typeOf(i, file, first)
		if next == nil {
			return nil
		}
		if seen {
			next = found.or(next)
		}
		found, seen = next, true
	}
	for _, one := range w {
		if one.added == nil {
			continue
		}
		made, works := operate(operatorOf(one.added.Op), found, i.of(file, one.added.RHS))
		if !works {
			continue
		}
		if made == nil {
			return nil
		}
		found = found.or(made)
	}
	return found.open()
}

// typeOf is the type of the value that one binding gives.
func (b binding) typeOf(i *inference, file *tree.File, first *syntax.Ident) Type {
	switch {
	case b.unseen:
		return i.given[first]
	case b.fn != nil:
		return Type{{name: tFunction, fn: b.fn}}
	case b.element:
		return elements(i.of(file, b.expr))
	}
	return i.of(file, b.expr)
}

// elements is the type of what a loop over a value gets.
func elements(of Type) Type {
	if of = of.some(); len(of) != 1 {
		return nil
	}
	switch one := of[0]; one.name {
	case tRange:
		return just(tInt)
	case tList, tTuple, tSet, tDict:
		return one.of
	}
	return nil
}

// operatorOf is the operator of name += X.
func operatorOf(op syntax.Token) syntax.Token {
	return map[syntax.Token]syntax.Token{syntax.PLUS_EQ: syntax.PLUS, syntax.MINUS_EQ: syntax.MINUS, syntax.STAR_EQ: syntax.STAR, syntax.SLASH_EQ: syntax.SLASH,
		syntax.SLASHSLASH_EQ: syntax.SLASHSLASH, syntax.PERCENT_EQ: syntax.PERCENT, syntax.AMP_EQ: syntax.AMP, syntax.PIPE_EQ: syntax.PIPE, syntax.CIRCUMFLEX_EQ: syntax.CIRCUMFLEX,
		syntax.LTLT_EQ: syntax.LTLT, syntax.GTGT_EQ: syntax.GTGT}[op]
}
