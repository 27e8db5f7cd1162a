package workflow

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"go.starlark.net/starlark"

	"github.com/rekey-host/rekey/host/source"
	"github.com/rekey-host/rekey/host/visible"
	"github.com/rekey-host/rekey/sdk"
	"github.com/rekey-host/rekey/sdk/secret"
)

// sourceValue is a source of users in a script. Scripts cannot iterate it: the
// host does.
type sourceValue struct {
	source  source.Source
	unknown bool // nothing can be said of its columns: it depends on what nobody gave
	stdin   bool // looking at its columns would read standard input
}

func (s *sourceValue) String() string {
	if s.source == nil {
		return "source"
	}
	return "source of " + s.source.Name()
}

func (s *sourceValue) Type() string          { return "source" }
func (s *sourceValue) Freeze()               {}
func (s *sourceValue) Truth() starlark.Bool  { return true }
func (s *sourceValue) Hash() (uint32, error) { return 0, errors.New("a source is no key") }

func (in *interp) sourceFiles() source.Files {
	return source.Files{Dir: in.opts.WorkDir, Embedded: in.opts.Embedded, Stdin: in.spool}
}

func (c *call) csv() (starlark.Value, error) {
	o := source.CSVOptions{Path: c.path("path"), Key: c.text("key"), Columns: c.texts("columns"), Delimiter: c.text("delimiter"),
		Types: c.types(), Secrets: c.texts("secrets"), Optional: c.texts("optional"), MayLack: c.texts("may_lack"), AnyCase: c.value("any_case") == starlark.True, Encoding: c.text("encoding"), Others: c.others(), Files: c.state.in.sourceFiles()}
	if c.value("quote") != starlark.None {
		q, size := utf8.DecodeRuneInString(c.text("quote"))
		if size != len(c.text("quote")) || size == 0 {
			c.badValue("quote", "write one character, or None", "quote = %q is not one character", c.text("quote"))
		}
		o.Quote = &q
	}
	if c.has("columns") && len(o.Columns) == 0 {
		c.badValue("columns", "", "columns is empty")
	}
	s, err := source.CSV(o)
	return c.source(s, err)
}

// types reads types = {"enabled": "bool"}.
func (c *call) types() map[string]source.Type {
	d, ok := c.value("types").(*starlark.Dict)
	if !ok {
		return nil
	}
	known := []string{"string", "int", "bool", "date"}
	types := map[string]source.Type{}
	for _, item := range d.Items() {
		column, t := textOf(item[0]), textOf(item[1])
		if !slices.Contains(known, t) {
			fix := didYouMean(t, known)
			if fix == "" {
				fix = "write " + listed(quoted(known))
			}
			c.badValue("types", fix, "types: %q of column %q is no type", t, column)
			continue
		}
		types[column] = source.Type(t)
	}
	return types
}

// others are the files of other kinds that csv() was told of.
func (c *call) others() (kinds []source.OtherKind) {
	d, ok := c.value("others").(*starlark.Dict)
	if !ok {
		return nil
	}
	for _, item := range d.Items() {
		kinds = append(kinds, source.OtherKind{Column: textOf(item[0]), Fix: textOf(item[1])})
	}
	return kinds
}

func (c *call) jsonl() (starlark.Value, error) {
	s, err := source.JSONL(source.JSONLOptions{Path: c.path("path"), Key: c.text("key"), Secrets: c.texts("secrets"),
		Optional: c.texts("optional"), Files: c.state.in.sourceFiles()})
	return c.source(s, err)
}

func (c *call) rows() (starlark.Value, error) {
	all, _ := elements(c.value("list"))
	items := make([]any, len(all))
	for i, v := range all {
		x, err := goValue(v, true)
		if err != nil {
			c.bad("list", "", "element %d: %s", i+1, err)
			return standIn(kindSource), nil
		}
		items[i] = x
	}
	if !isStringsOrDicts(items) {
		c.bad("list", "", "list: want strings or dicts")
		return standIn(kindSource), nil
	}
	s, err := source.List(source.ListOptions{Items: items, Key: c.text("key"), Secrets: c.texts("secrets"), Optional: c.texts("optional")})
	return c.source(s, err)
}

func isStringsOrDicts(items []any) bool {
	for _, x := range items {
		switch x.(type) {
		case string, map[string]any:
		default:
			return false
		}
	}
	return true
}

func (c *call) concat() (starlark.Value, error) {
	v := &sourceValue{}
	var parts []source.Source
	for i, a := range c.many {
		s, ok := a.(*sourceValue)
		if !ok {
			c.bad("", "", "argument %d: %s", i+1, kindSource.mismatch(a))
			continue
		}
		v.unknown, v.stdin = v.unknown || s.unknown, v.stdin || s.stdin
		if s.source != nil {
			parts = append(parts, s.source)
		}
	}
	if len(c.problems) > 0 {
		return standIn(kindSource), nil
	}
	if len(parts) < len(c.many) {
		return v, nil
	}
	s, err := source.Concat(parts...)
	c.sourceProblems(err)
	v.source = s
	return v, nil
}

// source notes what is wrong with a source's options.
func (c *call) source(s source.Source, err error) (starlark.Value, error) {
	loose := c.loose("")
	if !loose {
		c.sourceProblems(err)
	}
	v := &sourceValue{source: s, unknown: err != nil}
	if i := c.entry.index("path"); i >= 0 {
		named := c.entry.index("columns") >= 0 && c.has("columns")
		v.stdin = c.text("path") == "-" && !named
		v.unknown = v.unknown || loose && c.state.in.placeholder(c, "path") || c.text("path") == ""
	}
	if i := c.entry.index("list"); i >= 0 {
		v.unknown = v.unknown || c.loose("list")
	}
	return v, nil
}

// placeholder reports whether an argument depends on a parameter that has not
// even a default.
func (in *interp) placeholder(c *call, arg string) bool {
	return c.loose(arg) && c.text(arg) == ""
}

// sourceProblems notes what a constructor says, at the call.
func (c *call) sourceProblems(err error) {
	var list *source.Problems
	switch {
	case err == nil:
	case errors.As(err, &list):
		for _, x := range list.List {
			message := x.Message
			if x.File != "" {
				message = source.Problem{File: x.File, Line: x.Line, Message: message}.String()
			}
			c.bad("", x.Fix, "%s", strings.TrimPrefix(message, c.entry.name+": "))
		}
	default:
		c.bad("", "", "%s", err)
	}
}

func (c *call) accounts() (starlark.Value, error) {
	b := c.recv.(*backendValue)
	if b.known && !b.desc.Can(sdk.CanList) {
		c.bad("", "list them in a file and use csv()", "backend %q cannot list its accounts", b.spec.Label)
	}
	s := &accountsSource{in: c.state.in, label: b.spec.Label, filter: c.text("filter"), attributes: c.texts("attributes")}
	secrets := c.texts("secrets")
	for i, name := range s.attributes {
		if slices.Contains(accountColumns(), name) || slices.Index(s.attributes, name) < i {
			c.badValue("attributes", "", "attribute %q is a column already", name)
		}
	}
	for _, name := range secrets {
		if !slices.Contains(s.attributes, name) {
			c.badValue("secrets", didYouMean(name, s.attributes), "secret %q is not among attributes", name)
		}
	}
	names := append(accountColumns(), s.attributes...)
	key := c.text("key")
	s.schema.Key = slices.Index(names, key)
	if s.schema.Key < 0 || slices.Contains(secrets, key) {
		c.badValue("key", didYouMean(key, names), "key = %q is no column that can tell users apart", key)
		s.schema.Key = 1
	}
	for _, name := range names {
		s.schema.Columns = append(s.schema.Columns, source.Column{Name: name, Type: source.String, Secret: slices.Contains(secrets, name)})
	}
	return &sourceValue{source: s, unknown: c.loose("attributes")}, nil
}

func accountColumns() []string { return []string{"id", "login", "name", "mail", "status"} }

// accountsSource lists the accounts of a backend as users. It asks for them
// when it is read, each time anew.
type accountsSource struct {
	in         *interp
	label      string
	filter     string
	attributes []string
	schema     source.Schema
}

var _ source.Source = (*accountsSource)(nil)

// Name returns what errors call it.
func (s *accountsSource) Name() string { return "accounts of " + s.label }

// Schema returns the columns, which the script has named.
func (s *accountsSource) Schema(context.Context) (source.Schema, error) { return s.schema, nil }

// Rows lists the accounts. A backend that breaks in the middle is an error.
func (s *accountsSource) Rows(ctx context.Context, yield func(source.Row) error) error {
	var lister Lister
	if s.in.lister != nil {
		lister = s.in.lister(s.label)
	}
	if lister == nil {
		return fmt.Errorf("%s: the backend is not open", s.Name())
	}
	var problems source.Problems
	var ended error // by yield: its error is returned as it is
	n := 0
	err := lister.Accounts(ctx, s.filter, s.attributes, s.secrets(), func(a sdk.Account) error {
		n++
		row, bad := s.row(a, n)
		if bad != "" {
			problems.Add(source.Problem{File: s.Name(), Line: n, Message: bad, Fix: "mend it there, or leave it out by filter="})
			return nil
		}
		ended = yield(row)
		return ended
	})
	switch {
	case ended != nil:
		return ended
	case err != nil && ctx.Err() != nil:
		return err
	case err != nil:
		problems.Add(source.Problem{File: s.Name(), Message: "cannot be listed: " + err.Error(), Cause: err})
	}
	return problems.Err()
}

// secrets are the attributes that are.
func (s *accountsSource) secrets() []string {
	var names []string
	for _, c := range s.schema.Columns {
		if c.Secret {
			names = append(names, c.Name)
		}
	}
	return names
}

// valuesOf is the cell of an attribute with several values: a list.
func valuesOf(list []string) (cell []any, bad bool) {
	for _, v := range list {
		if strings.ContainsFunc(v, unicode.IsControl) || !utf8.ValidString(v) {
			return nil, true
		}
		cell = append(cell, v)
	}
	return cell, false
}

// row makes a row, or says why the account cannot be one.
func (s *accountsSource) row(a sdk.Account, n int) (source.Row, string) {
	texts := []string{a.ID, a.Login, a.Name, a.Mail, a.Status.String()}
	for _, name := range s.attributes {
		texts = append(texts, a.Attributes[name])
	}
	row := source.Row{File: s.Name(), Line: n, Key: texts[s.schema.Key], Cells: make([]any, len(texts))}
	first := len(texts) - len(s.attributes)
	for i, text := range texts {
		column := s.schema.Columns[i]
		if i >= first && len(a.Lists[s.attributes[i-first]]) > 1 && !column.Secret && i != s.schema.Key {
			cell, bad := valuesOf(a.Lists[s.attributes[i-first]])
			if bad {
				return row, fmt.Sprintf("account %q: control character in %q", a.Account, column.Name)
			}
			row.Cells[i] = cell
			continue
		}
		switch {
		case strings.ContainsFunc(text, unicode.IsControl) || !utf8.ValidString(text):
			return row, fmt.Sprintf("account %q: control character in %q", a.Account, column.Name)
		case column.Secret && text == "":
			return row, fmt.Sprintf("account %q: secret attribute %q is empty", a.Account, column.Name)
		case column.Secret:
			row.Cells[i] = secret.New(text)
		default:
			row.Cells[i] = text
		}
	}
	if strings.Contains(a.ID+" "+a.Login+" "+row.Key, secret.Redacted) {
		return row, fmt.Sprintf("account %q: a password that this run uses, or a part of it, stands in its name, which cannot be told for that", a.Account)
	}
	if at := visible.Find(row.Key); at >= 0 {
		r, _ := utf8.DecodeRuneInString(row.Key[at:])
		return row, fmt.Sprintf("account %q: its key has %s", visible.Escape(a.Account), visible.Name(r))
	}
	if strings.TrimSpace(row.Key) == "" {
		return row, fmt.Sprintf("account %q has no %q, which is the key", a.Account, s.schema.Columns[s.schema.Key].Name)
	}
	return row, ""
}
