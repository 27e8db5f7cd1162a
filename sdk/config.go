package sdk

import (
	"cmp"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/rekey-host/rekey/sdk/secret"
)

// Config is the settings of one instance. Before a plugin sees it, it has been
// checked against Description.Config: required fields are there, types are
// right, defaults are filled in, paths are absolute.
type Config struct {
	Label   string                  // the instance's name in the script
	Values  map[string]any          // string, int64, bool, time.Duration or []string
	Secrets map[string]secret.Value // the fields of type Secret

	// Handed are the values that the account which the instance logs in as may
	// have instead of the configured one, newest first: this run has sent each of
	// them by Handover. An instance that does Handover logs in with the first of
	// them and of the configured one that the target accepts, and asks again at
	// every logon that fails: what was sent may arrive late. From before it sends
	// the next value it expects either one; it answers Applied once a second session
	// has logged in with the new value, and only then closes those before. Passwords
	// keeps the order.
	Handed []secret.Value

	Concurrency int           // operations at once; at least 1
	Timeout     time.Duration // the deadline of one operation
	Log         *slog.Logger  // goes to the host, secrets redacted; never nil under serve
}

// Text returns a field of type String, Choice, Path or URL; "" if it is absent.
func (c Config) Text(name string) string { text, _ := c.Values[name].(string); return text }

// Int returns a field of type Int; 0 if it is absent.
func (c Config) Int(name string) int { count, _ := c.Values[name].(int64); return int(count) }

// Bool returns a field of type Bool; false if it is absent.
func (c Config) Bool(name string) bool { value, _ := c.Values[name].(bool); return value }

// Duration returns a field of type Duration; 0 if it is absent.
func (c Config) Duration(name string) time.Duration {
	span, _ := c.Values[name].(time.Duration)
	return span
}

// List returns a field of type List; nil if it is absent.
func (c Config) List(name string) []string { list, _ := c.Values[name].([]string); return list }

// Secret returns a field of type Secret; the zero Value if it is absent.
func (c Config) Secret(name string) secret.Value { return c.Secrets[name] }

// FieldProblem is a mistake in one setting or option.
type FieldProblem struct {
	Field   string
	Message string // names the field
	Fix     string // what to do about it; "" if it is plain
}

// Error returns the message and the fix.
func (p FieldProblem) Error() string {
	if p.Fix == "" {
		return p.Message
	}
	return p.Message + "; " + p.Fix
}

// Fill checks what was given against the fields and returns the settings as a
// plugin gets them: int becomes int64 (so does a float without a fraction, as
// JSON has them), the text of a duration a time.Duration, a list of any a
// []string, a string for a Secret a secret.Value; what was left out gets its
// default. nil counts as left out. The problems are unknown names first, which may be
// what a required field was meant to be, then by field: wrong types, values outside the
// choices, required fields left out, fields that conflict. A field with a problem is not
// in the result.
func Fill(fields []Field, given map[string]any) (map[string]any, []FieldProblem) {
	made := filler{fields: fields, given: given, out: map[string]any{}}
	made.unknown()
	unknown := len(made.problems)
	for _, field := range fields {
		made.fill(field)
		made.conflicts(field)
	}
	byField := func(one, other FieldProblem) int { return cmp.Compare(one.Field, other.Field) }
	slices.SortStableFunc(made.problems[:unknown], byField)
	slices.SortStableFunc(made.problems[unknown:], byField)
	return made.out, made.problems
}

type filler struct {
	fields   []Field
	given    map[string]any
	out      map[string]any
	problems []FieldProblem
}

func (f *filler) problem(field, fix, format string, args ...any) {
	f.problems = append(f.problems, FieldProblem{Field: field, Message: fmt.Sprintf(format, args...), Fix: fix})
}

func (f *filler) has(name string) bool { return f.given[name] != nil }

func (f *filler) unknown() {
	var names []string
	for _, field := range f.fields {
		names = append(names, field.Name)
	}
	for name := range f.given {
		if !slices.Contains(names, name) {
			f.problem(name, suggest(name, names), "there is no %q", name)
		}
	}
}

func (f *filler) fill(field Field) {
	value := f.given[field.Name]
	if value == nil {
		value = field.Default
	}
	if value == nil {
		if field.Required {
			f.problem(field.Name, "", "%s is required", field.Name)
		}
		return
	}
	got, err := field.Type.take(value)
	if err != nil {
		f.problem(field.Name, "", "%s: %s", field.Name, err)
		return
	}
	if text, _ := got.(string); field.Type == Choice && !slices.Contains(field.Choices, text) {
		f.problem(field.Name, suggest(text, field.Choices), "%s: %q is not one of %s", field.Name, text, strings.Join(field.Choices, ", "))
		return
	}
	f.out[field.Name] = got
}

func (f *filler) conflicts(field Field) {
	for _, other := range field.Conflicts {
		if f.has(field.Name) && f.has(other) {
			f.problem(field.Name, "leave one of them out", "%s and %s cannot be given together", field.Name, other)
		}
	}
}

func takeInt(value any) (any, error) {
	switch n := value.(type) {
	case int:
		return int64(n), nil
	case int64:
		return n, nil
	case float64:
		if index := int64(n); float64(index) == n {
			return index, nil
		}
	}
	return nil, wanted(value, "a whole number")
}

func takeDuration(value any) (any, error) {
	switch d := value.(type) {
	case time.Duration:
		return d, nil
	case string:
		got, err := time.ParseDuration(d)
		if err != nil || got < 0 {
			return nil, fmt.Errorf("%q is not a duration; write 30s, 5m or 1h30m", d)
		}
		return got, nil
	}
	return nil, wanted(value, `a duration, as "30s"`)
}

func takeList(value any) (any, error) {
	switch l := value.(type) {
	case []string:
		return l, nil
	case []any:
		out := make([]string, len(l))
		for i, item := range l {
			text, ok := item.(string)
			if !ok {
				return nil, wanted(value, "a list of strings")
			}
			out[i] = text
		}
		return out, nil
	}
	return nil, wanted(value, "a list of strings")
}

// wanted never shows the value: it may be a secret in the wrong place.
func wanted(value any, want string) error {
	kind := "something else"
	switch value.(type) {
	case string:
		kind = "a string"
	case int, int64:
		kind = "a whole number"
	case float64:
		kind = "a number"
	case bool:
		kind = "True or False"
	case []string, []any:
		kind = "a list"
	case time.Duration:
		kind = "a duration"
	case secret.Value:
		kind = "a secret"
	}
	return fmt.Errorf("got %s, want %s", kind, want)
}

// suggest returns a fix that names the candidate nearest to name, else all of
// them if they are few.
func suggest(name string, candidates []string) string {
	best, least := "", 1+max(1, len(name)/3)
	for _, code := range candidates {
		if depth := distance(strings.ToLower(name), strings.ToLower(code)); depth < least {
			best, least = code, depth
		}
	}
	switch {
	case best != "":
		return fmt.Sprintf("did you mean %q?", best)
	case len(candidates) == 0:
		return "there are none"
	case len(candidates) <= 12:
		return "there is " + strings.Join(candidates, ", ")
	default:
		return ""
	}
}

// distance counts the insertions, deletions, replacements and swaps of
// neighbours between two names.
func distance(first, second string) int {
	prev, row := []int(nil), make([]int, len(second)+1)
	for index := range row {
		row[index] = index
	}
	for i := range len(first) {
		next := make([]int, len(second)+1)
		next[0] = i + 1
		for index := range len(second) {
			cost := 1
			if first[i] == second[index] {
				cost = 0
			}
			next[index+1] = min(row[index+1]+1, next[index]+1, row[index]+cost)
			if i > 0 && index > 0 && first[i] == second[index-1] && first[i-1] == second[index] {
				next[index+1] = min(next[index+1], prev[index-1]+1)
			}
		}
		prev, row = row, next
	}
	return row[len(second)]
}
