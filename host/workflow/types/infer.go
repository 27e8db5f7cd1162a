package types

import (
	"slices"

	"go.starlark.net/resolve"
	"go.starlark.net/syntax"

	"github.com/rekey-host/rekey/host/workflow/lang"
	"github.com/rekey-host/rekey/host/workflow/tree"
	"github.com/rekey-host/rekey/host/workflow/vet"
)

// inference finds the types of expressions.
type inference struct {
	table   *lang.Table
	names   *names
	bound   map[*tree.File]bindings
	given   map[*syntax.Ident]Type // of parameters of hooks
	vars    map[*syntax.Ident]Type
	results map[*tree.Function]Type
	busy    map[any]bool // what is being found: a name or a function that comes to itself is of no type
}

// of is the type of an expression in a file.
func (i *inference) of(file *tree.File, expr syntax.Expr) Type {
	switch x := tree.Unhidden(expr).(type) {
	case *syntax.ParenExpr:
		return i.of(file, x.X)
	case *syntax.Literal:
		return just(map[syntax.Token]string{syntax.STRING: tString, syntax.INT: tInt, syntax.FLOAT: tFloat, syntax.BYTES: tBytes}[x.Token])
	case *syntax.Ident:
		return i.ident(file, x)
	case *syntax.CondExpr:
		return i.of(file, x.True).or(i.of(file, x.False))
	case *syntax.UnaryExpr:
		return i.unary(file, x)
	case *syntax.BinaryExpr:
		return i.binary(file, x)
	case *syntax.CallExpr:
		return i.call(file, x)
	case *syntax.DotExpr:
		return attribute(i.of(file, x.X), x.Name.Name)
	case *syntax.IndexExpr:
		return i.index(file, x)
	case *syntax.SliceExpr:
		if of := i.of(file, x.X); of.all(func(one kind) bool { return slices.Contains([]string{tString, tList, tTuple, tBytes}, one.name) }) {
			return of
		}
		return nil
	}
	return i.container(file, tree.Unhidden(expr))
}

// container is the type of a list, dict, tuple, comprehension or lambda that is
// written out.
func (i *inference) container(file *tree.File, expr syntax.Expr) Type {
	switch x := expr.(type) {
	case *syntax.ListExpr:
		return listOf(i.together(file, x.List))
	case *syntax.TupleExpr:
		return Type{{name: tTuple, of: i.together(file, x.List)}}
	case *syntax.DictExpr:
		var keys, values []syntax.Expr
		for _, entry := range x.List {
			keys = append(keys, entry.(*syntax.DictEntry).Key)
			values = append(values, entry.(*syntax.DictEntry).Value)
		}
		return Type{{name: tDict, of: i.together(file, keys), value: i.together(file, values)}}
	case *syntax.Comprehension:
		if entry, is := x.Body.(*syntax.DictEntry); is {
			return Type{{name: tDict, of: i.of(file, entry.Key), value: i.of(file, entry.Value)}}
		}
		return listOf(i.of(file, x.Body))
	case *syntax.LambdaExpr:
		return Type{{name: tFunction, fn: file.FunctionAt(x.Lambda)}}
	}
	return nil
}

// together is the type that all expressions are of one or another kind of.
func (i *inference) together(file *tree.File, list []syntax.Expr) Type {
	var all Type
	for at, expr := range list {
		if at == 0 {
			all = i.of(file, expr)
		} else {
			all = all.or(i.of(file, expr))
		}
	}
	return all
}

// ident is the type of a name.
func (i *inference) ident(file *tree.File, id *syntax.Ident) Type {
	to, is := id.Binding.(*resolve.Binding)
	if !is {
		return nil
	}
	switch to.Scope {
	case resolve.Universal, resolve.Predeclared:
		return i.builtin(id.Name)
	}
	if to.First == nil {
		return nil
	}
	if from, name := file.Loaded(to.First); from != nil {
		return i.exported(from, name)
	}
	return i.variable(file, to.First)
}

// builtin is the type of a name of the language's.
func (i *inference) builtin(name string) Type {
	switch name {
	case "True", "False":
		return just(tBool)
	case "None":
		return just(tNone)
	}
	if entry := i.table.Lookup(name); entry != nil && entry.Use == lang.Function {
		return Type{{name: tBuiltin, entry: entry}}
	}
	if i.table.Lookup(name) != nil {
		return nil
	}
	return Type{{name: tBuiltin, method: name}}
}

// exported is the type of a name that another file has at its top level.
func (i *inference) exported(file *tree.File, name string) Type {
	if file.Tree == nil || file.Program == nil {
		return nil
	}
	for _, stmt := range file.Tree.Stmts {
		for _, id := range tree.Bound(stmt) {
			if id.Name == name && tree.First(id) != nil {
				return i.variable(file, tree.First(id))
			}
		}
	}
	return nil
}

// variable is the type of a name by its first binding.
func (i *inference) variable(file *tree.File, first *syntax.Ident) Type {
	if known, is := i.vars[first]; is {
		return known
	}
	if i.busy[first] {
		return nil
	}
	i.busy[first] = true
	defer delete(i.busy, first)
	found := i.declared(file, first)
	if found == nil {
		found = i.bindingsOf(file)[first].join(i, file, first)
	}
	i.vars[first] = found
	return found
}

// declared is the type that a name is written with; nil: none.
func (i *inference) declared(file *tree.File, first *syntax.Ident) Type {
	written := file.TypeOf(first)
	if written == nil {
		return nil
	}
	made, _ := i.names.read(written)
	return made
}

func (i *inference) bindingsOf(file *tree.File) bindings {
	if i.bound[file] == nil {
		i.bound[file] = bindingsOf(file)
	}
	return i.bound[file]
}

// UnaryExpr and the others that make a value of values.

func (i *inference) unary(file *tree.File, x *syntax.UnaryExpr) Type {
	switch of := i.of(file, x.X); {
	case x.Op == syntax.NOT:
		return just(tBool)
	case of.all(func(one kind) bool { return one.name == tInt || one.name == tFloat }):
		return of
	}
	return nil
}

func (i *inference) binary(file *tree.File, x *syntax.BinaryExpr) Type {
	left, right := i.of(file, x.X), i.of(file, x.Y)
	switch x.Op {
	case syntax.AND:
		return left.or(right)
	case syntax.OR:
		if left.is(tNone) {
			return right
		}
		return left.without(tNone).or(right)
	case syntax.EQL, syntax.NEQ, syntax.LT, syntax.LE, syntax.GT, syntax.GE, syntax.IN, syntax.NOT_IN:
		return just(tBool)
	case syntax.EQ: // an argument with its name
		return nil
	}
	made, _ := operate(x.Op, left, right)
	return made
}

// index is the type of x[y].
func (i *inference) index(file *tree.File, x *syntax.IndexExpr) Type {
	of := i.of(file, x.X).some()
	if len(of) != 1 {
		return nil
	}
	switch one := of[0]; one.name {
	case tString:
		return just(tString)
	case tList, tTuple:
		return one.of
	case tDict:
		return one.value
	case tUser:
		if name, is := tree.Text(x.Y); is {
			return one.fields[name]
		}
	}
	return nil
}

// attribute is the type of an attribute.
func attribute(of Type, name string) Type {
	var found Type
	for at, one := range of.some() {
		has := one.attribute(name)
		if has == nil {
			return nil
		}
		if at == 0 {
			found = has
		} else {
			found = found.or(has)
		}
	}
	return found
}

func (k kind) attribute(name string) Type {
	if k.fields != nil {
		return k.fields[name]
	}
	if list, _ := methodsOf(k.name); slices.Contains(list, name) {
		return Type{{name: tBuiltin, method: k.name + "." + name}}
	}
	return nil
}

// call is the type of what a call gives.
func (i *inference) call(file *tree.File, x *syntax.CallExpr) Type {
	called := i.callee(file, x)
	switch {
	case called.fn != nil:
		return i.result(called.fn)
	case called.entry != nil:
		return i.gives(file, called.entry, x)
	case called.method != "":
		return i.names.text(gives(called.method))
	}
	return nil
}

// callee is what a call calls; the zero kind: it is not known.
func (i *inference) callee(file *tree.File, x *syntax.CallExpr) kind {
	if entry := i.member(x.Fn); entry != nil {
		return kind{name: tBuiltin, entry: entry}
	}
	if of := i.of(file, x.Fn).some(); len(of) == 1 {
		return of[0]
	}
	return kind{}
}

// member is a function in a namespace of the language's, such as re.match.
func (i *inference) member(expr syntax.Expr) *lang.Entry {
	dot, is := tree.Unhidden(expr).(*syntax.DotExpr)
	if !is {
		return nil
	}
	if of := tree.Predeclared(tree.Unhidden(dot.X)); of != "" {
		return i.table.Member(of, dot.Name.Name)
	}
	return nil
}

// gives is the type of what a builtin of the language's gives.
func (i *inference) gives(file *tree.File, entry *lang.Entry, x *syntax.CallExpr) Type {
	made := i.names.text(entry.Gives.Written())
	switch {
	case entry.Name == "struct":
		return i.structOf(file, x)
	case entry.Name == "step.find":
		return i.names.text("Account")
	case entry.Gives == lang.KindMatch, entry.Name == "step.reset":
		return made.or(just(tNone))
	case entry.Index("default") >= 0: // of a parameter, or of json
		if text := (tree.Site{File: file, Node: x}).Argument(entry, "default"); text != nil && !vet.IsLiteral(text) || tree.IsNone(text) {
			return made.or(just(tNone))
		}
	}
	return made
}

// structOf is what struct() makes.
func (i *inference) structOf(file *tree.File, x *syntax.CallExpr) Type {
	made := kind{name: tStruct, fields: map[string]Type{}}
	for _, arg := range x.Args {
		name, is := tree.Keyword(arg)
		if !is {
			return just(tStruct)
		}
		made.fields[name] = i.of(file, tree.Unkeyed(arg)).open()
	}
	return Type{made}
}

// result is the type of what a function of a script gives.
func (i *inference) result(fn *tree.Function) Type {
	if written := fn.Returns(); written != nil {
		made, _ := i.names.read(written)
		return made
	}
	if known, is := i.results[fn]; is {
		return known
	}
	if i.busy[fn] {
		return nil
	}
	i.busy[fn] = true
	defer delete(i.busy, fn)
	found, first := Type(nil), true
	add := func(one Type) {
		if first {
			found, first = one, false
		} else {
			found = found.or(one)
		}
	}
	for _, expr := range returned(fn) {
		if expr == nil {
			add(just(tNone))
		} else {
			add(i.of(fn.File, expr))
		}
	}
	if fn.Result == nil && !vet.EndsBlock(fn.Body) {
		add(just(tNone))
	}
	i.results[fn] = found
	return found
}

// returned are the expressions of a function's returns, nil where one has none.
func returned(fn *tree.Function) []syntax.Expr {
	if fn.Result != nil {
		return []syntax.Expr{fn.Result}
	}
	var all []syntax.Expr
	fn.Own(func(node syntax.Node) {
		if stmt, is := node.(*syntax.ReturnStmt); is {
			all = append(all, stmt.Result)
		}
	})
	return all
}
