package source_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
	"unicode"
	"unicode/utf8"

	"github.com/rekey-host/rekey/host/diag"
	"github.com/rekey-host/rekey/host/source"
	"github.com/rekey-host/rekey/sdk/secret"
)

// sane checks what a source says of any text: each row is whole, nothing in it
// but the lines of a text is a control character, its line comes after the one before it, and a
// problem is at a place and quotes no secret.
func sane(t *testing.T, text string, s source.Source) (rows []source.Row) {
	t.Helper()
	ctx := context.Background()
	schema, err := s.Schema(ctx)
	if err != nil {
		problemsOnly(t, text, err)
		return nil
	}
	last := 0
	err = s.Rows(ctx, func(r source.Row) error {
		if len(r.Cells) != len(schema.Columns) || r.Key == "" || r.Line <= last {
			t.Fatalf("%q: row %+v after line %d, %d columns", text, r, last, len(schema.Columns))
		}
		last = r.Line
		for i, c := range r.Cells {
			whole(t, text, schema, i, c)
		}
		rows = append(rows, r)
		return nil
	})
	if err != nil {
		problemsOnly(t, text, err)
	}
	return rows
}

func problemsOnly(t *testing.T, text string, err error) {
	t.Helper()
	var list *diag.Problems
	if !errors.As(err, &list) || list.Total == 0 {
		t.Fatalf("%q: %T %v, want *diag.Problems", text, err, err)
	}
	for _, x := range list.List {
		if strings.ContainsAny(x.Message, "\n\r") || x.Message == "" || x.Line > strings.Count(text, "\n")+1 {
			t.Fatalf("%q: problem %+v", text, x)
		}
	}
}

func whole(t *testing.T, text string, schema source.Schema, i int, cell any) {
	t.Helper()
	c := schema.Columns[i]
	s, isText := cell.(string)
	if v, ok := cell.(secret.Value); ok {
		s, isText = v.Reveal(), true
		if s == "" && !c.Optional {
			t.Fatalf("%q: an empty secret", text)
		}
	} else if c.Secret {
		t.Fatalf("%q: the secret column %q holds a %T", text, c.Name, cell)
	}
	if i != schema.Key && !c.Secret { // may have lines of its own
		s = strings.ReplaceAll(strings.ReplaceAll(s, "\r\n", ""), "\n", "")
	}
	if isText && (!utf8.ValidString(s) || strings.ContainsFunc(s, unicode.IsControl)) {
		t.Fatalf("%q: column %q holds %q", text, c.Name, s)
	}
}

// FuzzCSV reads any text by any delimiter, quote and encoding. What can be
// read is written as CSV again and read to the same rows.
func FuzzCSV(f *testing.F) {
	for _, text := range []string{"login,pw\nann,one\n", "\uFEFFlogin;pw\r\n\"a;n\";\"o\"\"ne\"\r\n", "login\tpw\nann\tx y\n\nbob\t\n", "login,pw\n" + `ann,"c""a\n%y é"`, "a\x00,\x00b"} {
		for i := range 4 {
			f.Add(text, byte(i), byte(i), byte(i))
		}
	}
	f.Fuzz(func(t *testing.T, text string, delimiter, quoting, encoding byte) {
		o := source.CSVOptions{Path: "@rekey/u", Key: "login", Secrets: []string{"pw"}, Optional: []string{"pw"}, Files: source.Files{Embedded: fstest.MapFS{"u": {Data: []byte(text)}}}}
		o.Delimiter, o.Detect = []string{",", ";", "\t", "§"}[delimiter%4], delimiter >= 192
		if q := []rune{'"', '\'', '«'}; quoting%4 < 3 {
			o.Quote = &q[quoting%4]
		}
		o.Encoding = []string{"utf-8", "windows-1252", "utf-16", "utf-16le"}[encoding%4]
		if quoting >= 128 {
			o.Columns = []string{"login", "pw"}
		}
		s, err := source.CSV(o)
		if err != nil {
			t.Fatalf("%+v: %v", o, err)
		}
		if o.Encoding != "utf-8" {
			text = strings.Repeat("\n", len(text)) // lines of other encodings are not counted here
		}
		sameAgain(t, sane(t, text, s), o)
	})
}

// sameAgain writes rows of two columns as CSV and reads them.
func sameAgain(t *testing.T, rows []source.Row, o source.CSVOptions) {
	t.Helper()
	var b strings.Builder
	for _, r := range rows {
		if len(r.Cells) != 2 {
			return
		}
		for i, c := range r.Cells {
			s, ok := c.(string)
			if v, isSecret := c.(secret.Value); isSecret {
				s, ok = v.Reveal(), true
			}
			if !ok {
				return
			}
			b.WriteString([]string{`"`, `,"`}[i] + strings.ReplaceAll(s, `"`, `""`) + `"`)
		}
		b.WriteString("\n")
	}
	again := source.CSVOptions{Path: "@rekey/u", Key: "a", Columns: []string{"a", "b"}, Quote: quote(), Files: source.Files{Embedded: fstest.MapFS{"u": {Data: []byte(b.String())}}}}
	if len(rows) > 0 && rows[0].Key != cellText(rows[0].Cells[0]) {
		again.Key = "b"
	}
	s, err := source.CSV(again)
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	err = s.Rows(context.Background(), func(r source.Row) error {
		for i, c := range r.Cells {
			if want := cellText(rows[n].Cells[i]); c != want {
				t.Fatalf("%+v: %q came back as %q", o, want, c)
			}
		}
		n++
		return nil
	})
	isHeader := len(rows) > 0 && strings.EqualFold(cellText(rows[0].Cells[0]), "a") && strings.EqualFold(cellText(rows[0].Cells[1]), "b")
	if !isHeader && (err != nil || n != len(rows)) {
		t.Fatalf("%q: %d rows came back, want %d: %v", b.String(), n, len(rows), err)
	}
}

func cellText(c any) string {
	if v, ok := c.(secret.Value); ok {
		return v.Reveal()
	}
	s, _ := c.(string)
	return s
}

// FuzzJSONL reads any text.
func FuzzJSONL(f *testing.F) {
	for _, text := range []string{`{"login": "ann", "pw": "x"}`, "{\"login\": 7, \"tags\": [1, {\"a\": null}], \"x\": 1.5e3}\n\n{\"login\": \"b\", \"pw\": \"\\ud83d\\ude00\"}\n", `{"login": "a", "login": "b"}`, `{"login": "a"} x`} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		s, err := source.JSONL(source.JSONLOptions{Path: "@rekey/u", Key: "login", Secrets: []string{"pw"}, Optional: []string{"pw"}, Files: source.Files{Embedded: fstest.MapFS{"u": {Data: []byte(text)}}}})
		if err != nil {
			t.Fatal(err)
		}
		sane(t, text, s)
	})
}

// BenchmarkCSV reads a file of users with a secret and a number.
func BenchmarkCSV(b *testing.B) {
	for _, bb := range []struct{ name, pattern string }{{"bare", "user%d,temporary%d,it-ops,%d\n"}, {"quoted", `"user%d","tempo""rary%d","it-ops",%d` + "\n"}} {
		b.Run(bb.name, func(b *testing.B) {
			const users = 50_000
			var text strings.Builder
			text.WriteString("login,temporary,team,age\n")
			for i := range users {
				text.WriteString(strings.ReplaceAll(bb.pattern, "%d", strings.Repeat("7", 1+i%5)))
			}
			dir := b.TempDir()
			if err := os.WriteFile(filepath.Join(dir, "u.csv"), []byte(text.String()), 0o600); err != nil {
				b.Fatal(err)
			}
			s, err := source.CSV(source.CSVOptions{Path: "u.csv", Key: "login", Quote: quote(), Types: map[string]source.Type{"age": source.Int}, Secrets: []string{"temporary"}, Files: source.Files{Dir: dir}})
			if err != nil {
				b.Fatal(err)
			}
			b.SetBytes(int64(text.Len()))
			b.ReportAllocs()
			for b.Loop() {
				if err := s.Rows(context.Background(), func(source.Row) error { return nil }); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.N)*users/b.Elapsed().Seconds(), "users/s")
		})
	}
}
