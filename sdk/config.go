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

	Concurrency int           // operations at once; at least 1
	Timeout     time.Duration // the deadline of one operation
	Log         *slog.Logger  // goes to the host, secrets redacted; never nil under serve
}

// Text returns a field of type String, Choice, Path or URL; "" if it is absent.
func (c Config) Text(name string) string { s, _ := c.Values[name].(string); return s }

// Int returns a field of type Int; 0 if it is absent.
func (c Config) Int(name string) int { n, _ := c.Values[name].(int64); return int(n) }

// Bool returns a field of type Bool; false if it is absent.
func (c Config) Bool(name string) bool { b, _ := c.Values[name].(bool); return b }

// Duration returns a field of type Duration; 0 if it is absent.
func (c Config) Duration(name string) time.Duration {
	d, _ := c.Values[name].(time.Duration)
	return d
}

// List returns a field of type List; nil if it is absent.
func (c Config) List(name string) []string { l, _ := c.Values[name].([]string); return l }

// Secret returns a field of type Secret; the zero Value if it is absent.
func (c Config) Secret(name string) secret.Value { return c.Secrets[name] }

// FieldProblem is what is wrong with one setting or option.
type FieldProblem struct {
	Field   string
	Message string // names the field
	Fix     string // what to do about it; "" if that is plain
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
// default. nil counts as left out. The problems are sorted by field: unknown
// names, wrong types, values that are no choice, required fields left out,
// fields that conflict. A field with a problem is not in the result.
func Fill(fields []Field, given map[string]any) (map[string]any, []FieldProblem) {
	f := filler{fields: fields, given: given, out: map[string]any{}}
	f.unknown()
	for _, field := range fields {
		f.fill(field)
		f.conflicts(field)
	}
	slices.SortStableFunc(f.problems, func(a, b FieldProblem) int { return cmp.Compare(a.Field, b.Field) })
	return f.out, f.problems
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
	v := f.given[field.Name]
	if v == nil {
		v = field.Default
	}
	if v == nil {
		if field.Required {
			f.problem(field.Name, "", "%s is required", field.Name)
		}
		return
	}
	got, err := field.Type.take(v)
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

// take converts a value to what a plugin expects of the type.
func (t FieldType) take(v any) (any, error) {
	switch t {
	case Int:
		return takeInt(v)
	case Bool:
		if b, ok := v.(bool); ok {
			return b, nil
		}
		return nil, wanted(v, "True or False")
	case Duration:
		return takeDuration(v)
	case List:
		return takeList(v)
	case Secret:
		if s, ok := v.(string); ok {
			return secret.New(s), nil
		}
		if s, ok := v.(secret.Value); ok {
			return s, nil
		}
		return nil, wanted(v, "a secret")
	default:
		if s, ok := v.(string); ok {
			return s, nil
		}
		return nil, wanted(v, "a string")
	}
}

func takeInt(v any) (any, error) {
	switch n := v.(type) {
	case int:
		return int64(n), nil
	case int64:
		return n, nil
	case float64:
		if i := int64(n); float64(i) == n {
			return i, nil
		}
	}
	return nil, wanted(v, "a whole number")
}

func takeDuration(v any) (any, error) {
	switch d := v.(type) {
	case time.Duration:
		return d, nil
	case string:
		got, err := time.ParseDuration(d)
		if err != nil || got < 0 {
			return nil, fmt.Errorf("%q is no duration; write 30s, 5m or 1h30m", d)
		}
		return got, nil
	}
	return nil, wanted(v, `a duration, as "30s"`)
}

func takeList(v any) (any, error) {
	switch l := v.(type) {
	case []string:
		return l, nil
	case []any:
		out := make([]string, len(l))
		for i, item := range l {
			s, ok := item.(string)
			if !ok {
				return nil, wanted(v, "a list of strings")
			}
			out[i] = s
		}
		return out, nil
	}
	return nil, wanted(v, "a list of strings")
}

// wanted never shows the value: it may be a secret in the wrong place.
func wanted(v any, want string) error {
	kind := "something else"
	switch v.(type) {
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
	for _, c := range candidates {
		if d := distance(strings.ToLower(name), strings.ToLower(c)); d < least {
			best, least = c, d
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
func distance(a, b string) int {
	prev, row := []int(nil), make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		next := make([]int, len(b)+1)
		next[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			next[j+1] = min(row[j+1]+1, next[j]+1, row[j]+cost)
			if i > 0 && j > 0 && a[i] == b[j-1] && a[i-1] == b[j] {
				next[j+1] = min(next[j+1], prev[j-1]+1)
			}
		}
		prev, row = row, next
	}
	return row[len(b)]
}
