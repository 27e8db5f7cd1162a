package source_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/rekey-host/rekey/host/source"
	"github.com/rekey-host/rekey/sdk/secret"
)

// seal and open stand for a ledger's: they turn every byte over.
func seal(column string, v secret.Value) []byte {
	b := []byte(column + "\x00" + v.Reveal())
	for i := range b {
		b[i] ^= 0xFF
	}
	return b
}

var errSeal = errors.New("not sealed for this column")

func open(column string, sealed []byte) (secret.Value, error) {
	b := bytes.Clone(sealed)
	for i := range b {
		b[i] ^= 0xFF
	}
	of, text, ok := strings.Cut(string(b), "\x00")
	if !ok || of != column {
		return secret.Value{}, errSeal
	}
	return secret.New(text), nil
}

// sameSecret lets cmp compare secrets and days.
func sameSecret() cmp.Options {
	return cmp.Options{
		cmp.Comparer(func(a, b secret.Value) bool { return a.Equal(b) }),
		cmp.Comparer(func(a, b source.Day) bool { return a.Equal(b.Time) }),
	}
}

func genCell(depth int) *rapid.Generator[any] {
	day := rapid.Map(rapid.Int64Range(-60_000, 2_900_000), func(n int64) any { return source.Day{Time: time.Unix(n*86400, 0).UTC()} })
	kinds := []*rapid.Generator[any]{rapid.Just[any](nil), rapid.String().AsAny(), rapid.Int64().AsAny(), rapid.Float64().AsAny(), rapid.Bool().AsAny(), day}
	if depth < 3 {
		kinds = append(kinds,
			rapid.Map(rapid.SliceOfN(rapid.Deferred(func() *rapid.Generator[any] { return genCell(depth + 1) }), 0, 4), func(l []any) any { return l }),
			rapid.Map(rapid.MapOfN(rapid.String(), rapid.Deferred(func() *rapid.Generator[any] { return genCell(depth + 1) }), 0, 4), func(m map[string]any) any { return m }))
	}
	return rapid.OneOf(kinds...)
}

func TestDecodeReturnsWhatWasEncoded(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 6).Draw(t, "columns")
		s := source.Schema{Key: rapid.IntRange(0, n-1).Draw(t, "key")}
		row := source.Row{Line: rapid.IntRange(0, math.MaxInt32).Draw(t, "line"), Key: rapid.String().Draw(t, "key text")}
		for i := range n {
			c := source.Column{Name: string(rune('a' + i)), Secret: i != s.Key && rapid.Bool().Draw(t, "secret")}
			cell := genCell(0).Draw(t, "cell")
			if c.Secret {
				cell = secret.New(rapid.String().Draw(t, "secret text"))
			}
			s.Columns, row.Cells = append(s.Columns, c), append(row.Cells, cell)
		}
		got, err := source.Decode(s, source.Encode(s, row, seal), open)
		if diff := cmp.Diff(row, got, sameSecret()); diff != "" || err != nil {
			t.Fatalf("Decode: %v (-encoded +decoded)\n%s", err, diff)
		}
	})
}

func TestEncodeKeepsSecretsSealed(t *testing.T) {
	s := source.Schema{Columns: []source.Column{{Name: "login"}, {Name: "pw", Secret: true}}}
	row := source.Row{Line: 3, Key: "ann", Cells: []any{"ann", secret.New(canary)}}
	b := source.Encode(s, row, seal)
	if bytes.Contains(b, []byte(canary)) {
		t.Errorf("Encode: %q holds the secret in clear", b)
	}
	if want := "\x01\x03\x02\x01\x03ann\x07"; !strings.HasPrefix(string(b), want) {
		t.Errorf("Encode = %q, want it to start with %q: ledgers hold this form", b, want)
	}
}

func TestDecodeRefusesOtherBytes(t *testing.T) {
	s := source.Schema{Columns: []source.Column{{Name: "login"}, {Name: "pw", Secret: true}}}
	whole := source.Encode(s, source.Row{Line: 3, Key: "7", Cells: []any{int64(7), secret.New("x")}}, seal)
	for i := range whole {
		if _, err := source.Decode(s, whole[:i], open); !errors.Is(err, source.ErrRow) {
			t.Errorf("Decode of the first %d bytes: %v, want ErrRow", i, err)
		}
	}
	for name, in := range map[string][]byte{
		"more":            append(bytes.Clone(whole), 1, 'x', 0),
		"another version": append([]byte{9}, whole[1:]...),
		"unknown tag":     {1, 1, 2, 99, 0},
		"too few cells":   {1, 1, 1, 0},
		"long list":       {1, 1, 2, 8, 0xff, 0xff, 0xff, 0xff, 7, 0},
		"nested secret":   {1, 1, 2, 8, 1, 7, 0, 0},
		"deep":            append([]byte{1, 1, 2}, bytes.Repeat([]byte{8, 1}, 100)...),
		"day":             {1, 1, 2, 6, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f, 0},
	} {
		if _, err := source.Decode(s, in, open); !errors.Is(err, source.ErrRow) {
			t.Errorf("Decode of %s: %v, want ErrRow", name, err)
		}
	}
	other := source.Schema{Columns: []source.Column{{Name: "login"}, {Name: "pw2", Secret: true}}}
	if _, err := source.Decode(other, whole, open); !errors.Is(err, errSeal) {
		t.Errorf("Decode with a column of another name: %v, want the error of open", err)
	}
}

func TestSchemaJSONIsKept(t *testing.T) {
	s := source.Schema{Columns: []source.Column{{Name: "login", Type: source.String}, {Name: "pw", Type: source.String, Secret: true, Optional: true}}}
	b, err := json.Marshal(s)
	want := `{"columns":[{"name":"login","type":"string"},{"name":"pw","type":"string","secret":true,"optional":true}],"key":0}`
	if err != nil || string(b) != want {
		t.Errorf("Marshal = %s, %v, want %s: ledgers hold this form", b, err, want)
	}
	var back source.Schema
	if err := json.Unmarshal(b, &back); err != nil || cmp.Diff(s, back) != "" {
		t.Errorf("Unmarshal: %v, %s", err, cmp.Diff(s, back))
	}
}

func FuzzDecode(f *testing.F) {
	s := source.Schema{Columns: []source.Column{{Name: "login"}, {Name: "pw", Secret: true}, {Name: "x", Type: source.Any}}, Key: 0}
	f.Add(source.Encode(s, source.Row{Line: 3, Key: "ann", Cells: []any{"ann", secret.New("x"), []any{map[string]any{"a": 1.5}, true}}}, seal))
	f.Add(source.Encode(s, source.Row{Line: 3, Key: "007", Cells: []any{int64(7), nil, source.Day{Time: time.Unix(0, 0).UTC()}}}, seal))
	f.Fuzz(func(t *testing.T, data []byte) {
		row, err := source.Decode(s, data, open)
		if err != nil {
			return
		}
		again, err := source.Decode(s, source.Encode(s, row, seal), open)
		if diff := cmp.Diff(row, again, sameSecret(), cmp.Comparer(func(a, b float64) bool { return math.Float64bits(a) == math.Float64bits(b) })); diff != "" || err != nil {
			t.Errorf("encoded again: %v (-first +again)\n%s", err, diff)
		}
	})
}
