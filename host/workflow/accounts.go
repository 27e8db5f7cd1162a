package workflow

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"go.starlark.net/starlark"

	"github.com/rekey-host/rekey/host/diag"
	"github.com/rekey-host/rekey/host/source"
	"github.com/rekey-host/rekey/host/visible"
	"github.com/rekey-host/rekey/sdk"
	"github.com/rekey-host/rekey/sdk/secret"
)

func evalAccounts(args *arguments) (starlark.Value, error) {
	target := args.recv.(*backendValue)
	if target.Known && !target.Desc.Can(sdk.CanList) {
		args.bad("", "list them in a file and use csv()", "backend %q cannot list its accounts", target.Label)
	}
	made := &accountsSource{in: args.in, label: target.Label, filter: args.text("filter"), attributes: args.texts("attributes")}
	secrets := args.texts("secrets")
	for i, name := range made.attributes {
		if slices.Contains(accountColumns(), name) || slices.Index(made.attributes, name) < i {
			args.badValue("attributes", "", "attribute %q is a column already", name)
		}
	}
	for _, name := range secrets {
		if !slices.Contains(made.attributes, name) {
			args.badValue("secrets", diag.DidYouMean(name, made.attributes), "secret %q is not among attributes", name)
		}
	}
	names := append(accountColumns(), made.attributes...)
	key := args.text("key")
	made.schema.Key = slices.Index(names, key)
	if made.schema.Key < 0 || slices.Contains(secrets, key) {
		args.badValue("key", diag.DidYouMean(key, names), "key = %q is no column that can tell users apart", key)
		made.schema.Key = 1
	}
	for _, name := range names {
		made.schema.Columns = append(made.schema.Columns, source.Column{Name: name, Type: source.String, Secret: slices.Contains(secrets, name)})
	}
	return &sourceValue{source: made, unknown: args.unresolved("attributes")}, nil
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
	var problems diag.Problems
	var ended error // by yield: its error is returned as it is
	count := 0
	err := lister.Accounts(ctx, s.filter, s.attributes, s.secrets(), func(account sdk.Account) error {
		count++
		row, bad := s.row(account, count)
		if bad != "" {
			problems.Add(diag.Problem{File: s.Name(), Line: count, Message: bad, Fix: "mend it there, or leave it out by filter="})
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
		problems.Add(diag.Problem{File: s.Name(), Message: "cannot be listed: " + err.Error(), Cause: err})
	}
	return problems.Err()
}

// secrets are the secret attributes.
func (s *accountsSource) secrets() []string {
	var names []string
	for _, column := range s.schema.Columns {
		if column.Secret {
			names = append(names, column.Name)
		}
	}
	return names
}

// valuesOf is the cell of an attribute with several values: a list.
func valuesOf(list []string) (cell []any, bad bool) {
	for _, value := range list {
		if strings.ContainsFunc(value, unicode.IsControl) || !utf8.ValidString(value) {
			return nil, true
		}
		cell = append(cell, value)
	}
	return cell, false
}

// row makes a row, or says why the account cannot be one.
func (s *accountsSource) row(account sdk.Account, index int) (source.Row, string) {
	texts := []string{account.ID, account.Login, account.Name, account.Mail, account.Status.String()}
	for _, name := range s.attributes {
		texts = append(texts, account.Attributes[name])
	}
	row := source.Row{File: s.Name(), Line: index, Key: texts[s.schema.Key], Cells: make([]any, len(texts))}
	first := len(texts) - len(s.attributes)
	for i, text := range texts {
		column := s.schema.Columns[i]
		if i >= first && len(account.Lists[s.attributes[i-first]]) > 1 && !column.Secret && i != s.schema.Key {
			cell, bad := valuesOf(account.Lists[s.attributes[i-first]])
			if bad {
				return row, fmt.Sprintf("account %q: control character in %q", account.Account, column.Name)
			}
			row.Cells[i] = cell
			continue
		}
		switch {
		case strings.ContainsFunc(text, unicode.IsControl) || !utf8.ValidString(text):
			return row, fmt.Sprintf("account %q: control character in %q", account.Account, column.Name)
		case column.Secret && text == "":
			return row, fmt.Sprintf("account %q: secret attribute %q is empty", account.Account, column.Name)
		case column.Secret:
			row.Cells[i] = secret.New(text)
		default:
			row.Cells[i] = text
		}
	}
	if strings.Contains(account.ID+" "+account.Login+" "+row.Key, secret.Redacted) {
		return row, fmt.Sprintf("account %q: a password that this run uses, or a part of it, stands in its name, which cannot be told for that", account.Account)
	}
	if at := visible.Find(row.Key); at >= 0 {
		letter, _ := utf8.DecodeRuneInString(row.Key[at:])
		return row, fmt.Sprintf("account %q: its key has %s", visible.Escape(account.Account), visible.Name(letter))
	}
	if strings.TrimSpace(row.Key) == "" {
		return row, fmt.Sprintf("account %q has no %q, which is the key", account.Account, s.schema.Columns[s.schema.Key].Name)
	}
	return row, ""
}
