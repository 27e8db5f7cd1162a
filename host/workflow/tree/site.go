package tree

import (
	"go.starlark.net/syntax"

	"github.com/rekey-host/rekey/host/workflow/lang"
)

// Site is a call in a script. The zero Site is unknown.
type Site struct {
	File *File
	Node *syntax.CallExpr
}

// Written returns the expression of an argument: of a keyword the whole of
// name = value. It is nil if absent, or if it comes out of *args.
func (s Site) Written(entry *lang.Entry, name string) syntax.Expr {
	if s.Node == nil || name == "" {
		return nil
	}
	place := entry.Index(name)
	for i, arg := range s.Node.Args {
		if kw, ok := Keyword(arg); ok {
			if kw == name {
				return arg
			}
			continue
		}
		if _, star := arg.(*syntax.UnaryExpr); star {
			return nil
		}
		if i == place {
			return arg
		}
	}
	return nil
}

// Argument returns the value's expression of an argument, or nil.
func (s Site) Argument(entry *lang.Entry, name string) syntax.Expr {
	return Unkeyed(s.Written(entry, name))
}

// Keyword returns the name of a name = value argument.
func Keyword(expr syntax.Expr) (string, bool) {
	if binaryExpr, ok := expr.(*syntax.BinaryExpr); ok && binaryExpr.Op == syntax.EQ {
		return binaryExpr.X.(*syntax.Ident).Name, true
	}
	return "", false
}

// Unkeyed returns the value of an argument, whether it has a keyword or not.
func Unkeyed(expr syntax.Expr) syntax.Expr {
	if binaryExpr, ok := expr.(*syntax.BinaryExpr); ok && binaryExpr.Op == syntax.EQ {
		return binaryExpr.Y
	}
	return expr
}
