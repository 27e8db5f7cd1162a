package source_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rekey-host/rekey/host/diag"
	"github.com/rekey-host/rekey/host/source"
	"github.com/rekey-host/rekey/sdk/secret"
)

func list(t *testing.T, key string, items ...any) source.Source {
	t.Helper()
	s, err := source.List(source.ListOptions{Items: items, Key: key})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestListReadsRows(t *testing.T) {
	day := source.Day{Time: time.Date(2026, 1, 2, 0, 0, 0, 0, time.UTC)}
	tests := []struct {
		name  string
		items []any
		want  []string
	}{
		{"strings", []any{"ann", "bob"}, []string{"1 ann string:ann", "2 bob string:bob"}},
		{"dicts", []any{map[string]any{"b": 2, "login": "ann", "a": day}, map[string]any{"login": "bob"}},
			[]string{"1 ann string:ann|source.Day:2026-01-02|int64:2", "2 bob string:bob|<nil>:<nil>|<nil>:<nil>"}},
		{"a secret makes its column secret", []any{map[string]any{"login": "ann", "pw": secret.New(canary)}, map[string]any{"login": "bob", "pw": "x"}},
			[]string{"1 ann string:ann|secret:" + canary, "2 bob string:bob|secret:x"}},
		{"numbers as keys", []any{map[string]any{"login": int64(7)}}, []string{"1 7 int64:7"}},
		{"nothing", nil, nil},
	}
	for _, c := range tests {
		t.Run(c.name, func(t *testing.T) {
			got, problems := read(t, list(t, "login", c.items...))
			if diff := cmp.Diff(c.want, got); diff != "" || problems != "" {
				t.Errorf("rows: problems %q, (-want +got)\n%s", problems, diff)
			}
		})
	}
}

func TestListFindsTypes(t *testing.T) {
	s := list(t, "login", map[string]any{"login": "ann", "n": 1, "m": 1, "f": 1.5, "b": nil}, map[string]any{"login": "bob", "m": "x", "b": true})
	got, err := s.Schema(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	want := source.Schema{Columns: []source.Column{{Name: "login", Type: source.String}, {Name: "b", Type: source.Bool},
		{Name: "f", Type: source.Any}, {Name: "m", Type: source.Any}, {Name: "n", Type: source.Int}}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("Schema (-want +got)\n%s", diff)
	}
}

func TestListNamesWhatIsWrong(t *testing.T) {
	tests := []struct {
		name string
		in   source.ListOptions
		want string
	}{
		{"no key", source.ListOptions{}, "rows: key= is missing; name the column that tells users apart"},
		{"element", source.ListOptions{Key: "login", Items: []any{"ann", 7}}, "rows:2: is neither a string nor a dict"},
		{"empty key", source.ListOptions{Key: "login", Items: []any{"ann", ""}}, `rows:2: key column "login" is empty; give every user a key`},
		{"no such key", source.ListOptions{Key: "login", Items: []any{map[string]any{"logn": "x"}}}, `rows: key: there is no column "login"; did you mean "logn"?`},
		{"control character", source.ListOptions{Key: "login", Items: []any{"a\tb"}}, `rows:1: control character in column "login"; remove it; a value is one line of text`},
		{"secret with a control character", source.ListOptions{Key: "login", Items: []any{map[string]any{"login": "a", "p": secret.New("\x00")}}}, `rows:1: control character in column "p"; remove it; a value is one line of text`},
		{"not utf-8", source.ListOptions{Key: "login", Items: []any{"a\xff"}}, `rows:1: column "login" is not valid utf-8`},
		{"secret key", source.ListOptions{Key: "login", Items: []any{map[string]any{"login": secret.New("x")}}}, `rows: key column "login" cannot be secret; keys stand in plans and reports`},
		{"empty secret", source.ListOptions{Key: "login", Secrets: []string{"pw"}, Items: []any{map[string]any{"login": "a", "pw": ""}}}, `rows:1: secret column "pw" is empty; fill it in, or list the column in optional=`},
		{"secret inside a list", source.ListOptions{Key: "login", Items: []any{map[string]any{"login": "a", "l": []any{secret.New("x")}}}}, `rows:1: column "l" holds what a user cannot have; use strings, numbers, booleans and days; secrets in columns of their own`},
		{"function", source.ListOptions{Key: "login", Items: []any{map[string]any{"login": "a", "f": struct{}{}}}}, `rows:1: column "f" holds what a user cannot have; use strings, numbers, booleans and days; secrets in columns of their own`},
	}
	for _, c := range tests {
		t.Run(c.name, func(t *testing.T) {
			if _, err := source.List(c.in); err == nil || err.Error() != c.want {
				t.Errorf("List: %v, want %s", err, c.want)
			}
		})
	}
}

func TestConcatPutsColumnsInTheOrderOfTheFirst(t *testing.T) {
	a := jsonl(t, `{"login":"ann","n":1}`, source.JSONLOptions{Key: "login"})
	b := jsonl(t, `{"n":2,"login":"bob"}`, source.JSONLOptions{Key: "login"})
	s, err := source.Concat(a, b, list(t, "login", map[string]any{"login": "cat", "n": 3}))
	if err != nil {
		t.Fatal(err)
	}
	got, problems := read(t, s)
	if diff := cmp.Diff([]string{"1 ann string:ann|int64:1", "1 bob string:bob|int64:2", "1 cat string:cat|int64:3"}, got); diff != "" || problems != "" {
		t.Errorf("rows: problems %q, (-want +got)\n%s", problems, diff)
	}
	prints, err := source.Fingerprints(context.Background(), s)
	if err != nil || len(prints) != 2 {
		t.Errorf("Fingerprints = %v, %v, want those of two files", prints, err)
	}
}

func TestConcatNamesWhatDiffers(t *testing.T) {
	a := list(t, "login", map[string]any{"login": "ann", "n": 1})
	tests := []struct {
		name string
		in   source.Source
		want string
	}{
		{"column", jsonl(t, `{"login":"bob","m":1}`, source.JSONLOptions{Key: "login"}), `users.csv: there is no column "n", which rows has; concat needs the same columns in all` + "\n" +
			`users.csv: column "m", which rows does not have; concat needs the same columns in all`},
		{"key", jsonl(t, `{"login":"bob","n":1}`, source.JSONLOptions{Key: "n"}), `users.csv: the key is column "n", of rows it is "login"; concat needs the same columns in all`},
		{"secret", jsonl(t, `{"login":"bob","n":"1"}`, source.JSONLOptions{Key: "login", Secrets: []string{"n"}}), `users.csv: column "n" is secret in one only of it and rows; concat needs the same columns in all`},
	}
	for _, c := range tests {
		t.Run(c.name, func(t *testing.T) {
			s, err := source.Concat(a, c.in)
			if err != nil {
				t.Fatal(err)
			}
			if _, got := read(t, s); got != c.want {
				t.Errorf("problems:\n%s\nwant\n%s", got, c.want)
			}
		})
	}
	if _, err := source.Concat(); err == nil {
		t.Error("Concat of nothing: no error")
	}
}

func TestConcatReadsEveryPartForProblems(t *testing.T) {
	bad := jsonl(t, `{"login":""}`+"\n"+`{"login":"x"}`, source.JSONLOptions{Key: "login"})
	s, err := source.Concat(bad, bad)
	if err != nil {
		t.Fatal(err)
	}
	rows, problems := read(t, s)
	one := `users.csv:1: key column "login" is empty; give every user a key`
	if len(rows) != 2 || problems != one+"\n"+one {
		t.Errorf("Rows: %q and %s, want both sound rows and both problems", rows, problems)
	}
}

func TestYieldEndsTheReadingWithItsOwnError(t *testing.T) {
	own := &diag.Problems{}
	own.Add(diag.Problem{Message: "enough"})
	both, err := source.Concat(list(t, "login", "ann", "bob"), list(t, "login", "cat"))
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range []source.Source{both, list(t, "login", "ann", "bob"), jsonl(t, `{"login":"ann"}`+"\n"+`{"login":"bob"}`, source.JSONLOptions{Key: "login"})} {
		n := 0
		err := s.Rows(context.Background(), func(source.Row) error { n++; return own })
		if !errors.Is(err, own) || n != 1 {
			t.Errorf("%s: Rows: %v after %d rows, want yield's error after one", s.Name(), err, n)
		}
	}
}

func TestRowsEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	for _, s := range []source.Source{list(t, "login", "ann"), jsonl(t, `{"login":"ann"}`, source.JSONLOptions{Key: "login"})} {
		if err := s.Rows(ctx, func(source.Row) error { return nil }); !errors.Is(err, context.Canceled) {
			t.Errorf("%s: Rows: %v, want context.Canceled", s.Name(), err)
		}
	}
}

// TestListTakesTextsOfSeveralLines, but for keys and secrets.
func TestListTakesTextsOfSeveralLines(t *testing.T) {
	for want, item := range map[string]map[string]any{
		"":                                    {"login": "ann", "pw": "x", "note": "a\nb"},
		`key column "login" has a line break`: {"login": "a\nb", "pw": "x", "note": ""},
		`control character in column "pw"; remove`:  {"login": "ann", "pw": secret.New("a\nb"), "note": ""},
		`control character in column "note"; remov`: {"login": "ann", "pw": "x", "note": "a\tb"},
	} {
		_, err := source.List(source.ListOptions{Items: []any{item}, Key: "login", Secrets: []string{"pw"}})
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%q: %v, want %s", item["login"], err, want)
		}
	}
}
