package workflow

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"go.starlark.net/starlark"
	"go.starlark.net/syntax"

	"github.com/rekey-host/rekey/host/workflow/tree"
)

// Coverage counts which lines of scripts are executed, and which ways their conditions
// go. The zero Coverage is ready for use, by any number of workflows at once.
type Coverage struct {
	// Trace is told of each line as it is executed, by the goroutine that does; nil:
	// nothing is.
	Trace func(file string, line int)

	making sync.Mutex // of the counters of one file
	mu     sync.Mutex
	files  []*covered
}

// CoveredFile is what was executed of one file.
type CoveredFile struct {
	Name     string
	Text     string
	Lines    map[int]int64 // of each line on which a statement begins, how often it was executed
	Branches []CoveredBranch
}

// CoveredBranch is one condition: of an if, or of a comprehension or an expression.
type CoveredBranch struct {
	Line, Column int
	True, False  int64 // how often it was so
}

// Files returns what was executed so far, in the order of their names.
func (c *Coverage) Files() []CoveredFile {
	c.mu.Lock()
	defer c.mu.Unlock()
	byName := map[string]*CoveredFile{}
	for _, file := range c.files {
		made := byName[file.name]
		if made == nil {
			made = &CoveredFile{Name: file.name, Text: file.text, Lines: map[int]int64{}}
			byName[file.name] = made
		}
		file.addTo(made)
	}
	list := make([]CoveredFile, 0, len(byName))
	for _, name := range slices.Sorted(maps.Keys(byName)) {
		list = append(list, *byName[name])
	}
	return list
}

// covered are the counters of one text of a file.
type covered struct {
	name, text string
	lines      map[int]*atomic.Int64
	branches   map[spotOf]*[2]atomic.Int64 // false, true
}

type spotOf struct{ line, column int }

func (c *covered) addTo(file *CoveredFile) {
	for line, count := range c.lines {
		file.Lines[line] += count.Load()
	}
	spots := slices.SortedFunc(maps.Keys(c.branches), func(a, b spotOf) int {
		return cmp.Or(cmp.Compare(a.line, b.line), cmp.Compare(a.column, b.column))
	})
	for _, spot := range spots {
		ways := c.branches[spot]
		file.Branches = append(file.Branches, CoveredBranch{spot.line, spot.column, ways[1].Load(), ways[0].Load()})
	}
}

// of returns the number and the counters of a file, and whether they are new.
func (c *Coverage) of(name, text string) (number int, made *covered, fresh bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for i, file := range c.files {
		if file.name == name && file.text == text {
			return i, file, false
		}
	}
	made = &covered{name: name, text: text, lines: map[int]*atomic.Int64{}, branches: map[spotOf]*[2]atomic.Int64{}}
	c.files = append(c.files, made)
	return len(c.files) - 1, made, true
}

// The names by which a tree calls the counters. No script can write them.
const (
	lineName  = "$line"  // $line(FILE, LINE): a statement begins
	valueName = "$value" // $value(FILE, LINE, X): X, the value of a lambda
	takenName = "$taken" // $taken(FILE, LINE, COLUMN, X): X, a condition
)

// names are the counters.
func (c *Coverage) names() starlark.StringDict {
	file := func(args starlark.Tuple) *covered {
		c.mu.Lock()
		defer c.mu.Unlock()
		return c.files[number(args[0])]
	}
	names := starlark.StringDict{}
	add := func(name string, count func(args starlark.Tuple) starlark.Value) {
		names[name] = starlark.NewBuiltin(name, func(_ *starlark.Thread, _ *starlark.Builtin, args starlark.Tuple, _ []starlark.Tuple) (starlark.Value, error) {
			return count(args), nil
		})
	}
	add(lineName, func(args starlark.Tuple) starlark.Value {
		c.executed(file(args), number(args[1]))
		return starlark.None
	})
	add(valueName, func(args starlark.Tuple) starlark.Value { c.executed(file(args), number(args[1])); return args[2] })
	add(takenName, func(args starlark.Tuple) starlark.Value {
		way := 0
		if args[3].Truth() {
			way = 1
		}
		file(args).branches[spotOf{number(args[1]), number(args[2])}][way].Add(1)
		return args[3]
	})
	return names
}

func (c *Coverage) executed(file *covered, line int) {
	file.lines[line].Add(1)
	if c.Trace != nil {
		c.Trace(file.name, line)
	}
}

func number(value starlark.Value) int {
	got, _ := starlark.AsInt32(value)
	return got
}

// count puts counters into the program of a file that was resolved. The tree that the
// static checks read stays as it is.
func (c *Coverage) count(file *tree.File, scope starlark.StringDict) {
	other := tree.New(file.Name, file.Shown, file.Text)
	if other.Parse() != nil {
		return
	}
	bind(other.Tree)
	c.making.Lock()
	defer c.making.Unlock()
	id, counters, fresh := c.of(file.Shown, string(file.Text))
	counting := &counting{id: id, to: counters, fresh: fresh}
	other.Tree.Stmts = counting.block(other.Tree.Stmts)
	if other.Resolve(scope, nil) == nil {
		file.Program = other.Program
	}
}

// counting puts the counters of one file into a tree.
type counting struct {
	id    int
	to    *covered
	fresh bool // the counters are to be made
}

// block puts a counter before each statement of a block.
func (c *counting) block(stmts []syntax.Stmt) []syntax.Stmt {
	var list []syntax.Stmt
	for i, stmt := range stmts {
		if _, is := stmt.(*syntax.LoadStmt); !is && !(i == 0 && isText(stmt)) {
			at, _ := stmt.Span()
			list = append(list, &syntax.ExprStmt{X: c.call(lineName, at, c.line(at))})
		}
		list = append(list, c.statement(stmt))
	}
	return list
}

// isText reports whether a statement is a text, as at the start of a file or function.
func isText(stmt syntax.Stmt) bool {
	expr, ok := stmt.(*syntax.ExprStmt)
	if !ok {
		return false
	}
	literal, ok := expr.X.(*syntax.Literal)
	return ok && literal.Token == syntax.STRING
}

// statement puts counters into a statement.
func (c *counting) statement(stmt syntax.Stmt) syntax.Stmt {
	switch s := stmt.(type) {
	case *syntax.DefStmt:
		s.Body = c.block(s.Body)
	case *syntax.ForStmt:
		c.within(s.X)
		s.Body = c.block(s.Body)
	case *syntax.IfStmt:
		c.within(s.Cond)
		s.Cond = c.condition(s.Cond)
		s.True, s.False = c.block(s.True), c.block(s.False)
	default:
		c.within(stmt)
	}
	return stmt
}

// within puts counters into the expressions of a node.
func (c *counting) within(node syntax.Node) {
	var inner []syntax.Node
	syntax.Walk(node, func(node syntax.Node) bool {
		switch node.(type) {
		case *syntax.CondExpr, *syntax.IfClause, *syntax.LambdaExpr:
			inner = append(inner, node)
		}
		return true
	})
	for _, node := range inner {
		switch n := node.(type) {
		case *syntax.CondExpr:
			n.Cond = c.condition(n.Cond)
		case *syntax.IfClause:
			n.Cond = c.condition(n.Cond)
		case *syntax.LambdaExpr:
			at, _ := n.Body.Span()
			n.Body = c.call(valueName, at, c.line(at), n.Body)
		}
	}
}

// condition counts which way a condition goes.
func (c *counting) condition(expr syntax.Expr) syntax.Expr {
	at, _ := expr.Span()
	spot := spotOf{int(at.Line), int(at.Col)}
	if c.fresh && c.to.branches[spot] == nil {
		c.to.branches[spot] = &[2]atomic.Int64{}
	}
	return c.call(takenName, at, literal(at, spot.line), literal(at, spot.column), expr)
}

// line is the number of a line that is counted.
func (c *counting) line(at syntax.Position) syntax.Expr {
	line := int(at.Line)
	if c.fresh && c.to.lines[line] == nil {
		c.to.lines[line] = &atomic.Int64{}
	}
	return literal(at, line)
}

func (c *counting) call(name string, at syntax.Position, args ...syntax.Expr) *syntax.CallExpr {
	all := append([]syntax.Expr{literal(at, c.id)}, args...)
	return &syntax.CallExpr{Fn: &syntax.Ident{NamePos: at, Name: name}, Lparen: at, Args: all, Rparen: at}
}

func literal(at syntax.Position, value int) *syntax.Literal {
	return &syntax.Literal{Token: syntax.INT, TokenPos: at, Raw: fmt.Sprint(value), Value: int64(value)}
}

// Share is the part of the lines that were executed, in percent, and of the ways of
// conditions; 100 where there are none.
func (f CoveredFile) Share() (lines, branches float64) {
	executed, ways := 0, 0
	for _, count := range f.Lines {
		if count > 0 {
			executed++
		}
	}
	for _, branch := range f.Branches {
		for _, count := range []int64{branch.True, branch.False} {
			if count > 0 {
				ways++
			}
		}
	}
	return percent(executed, len(f.Lines)), percent(ways, 2*len(f.Branches))
}

func percent(part, all int) float64 {
	if all == 0 {
		return 100
	}
	return 100 * float64(part) / float64(all)
}

// Missed describes the lines that were not executed, as 3-5, 9; "": none.
func (f CoveredFile) Missed() string {
	var missed []string
	lines := slices.Sorted(maps.Keys(f.Lines))
	for i := 0; i < len(lines); i++ {
		first := i
		for i < len(lines) && f.Lines[lines[i]] == 0 {
			i++
		}
		switch {
		case i == first:
		case i == first+1:
			missed = append(missed, fmt.Sprint(lines[first]))
		default:
			missed = append(missed, fmt.Sprintf("%d-%d", lines[first], lines[i-1]))
		}
	}
	return strings.Join(missed, ", ")
}
