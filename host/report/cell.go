package report

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math/big"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/rekey-host/rekey/host/source"
	"github.com/rekey-host/rekey/sdk/secret"
)

var errNotUTF8 = errors.New("the value is not UTF-8, which JSON cannot hold; use csv")

// jsonCells writes values as JSON.
type jsonCells struct {
	html bool // safe inside a script element
}

// appendTo appends v. Secrets are revealed: the caller has checked that they
// may be.
func (j jsonCells) appendTo(b []byte, v any) ([]byte, error) {
	switch v := v.(type) {
	case nil:
		return append(b, "null"...), nil
	case secret.Value:
		if !v.Present() {
			return append(b, "null"...), nil
		}
		return j.text(b, v.Reveal())
	case string:
		return j.text(b, v)
	case bool:
		return strconv.AppendBool(b, v), nil
	case int:
		return strconv.AppendInt(b, int64(v), 10), nil
	case int64:
		return strconv.AppendInt(b, v, 10), nil
	case *big.Int:
		return v.Append(b, 10), nil
	case float64:
		return appendFloat(b, v)
	case time.Time:
		return j.text(b, v.UTC().Format(time.RFC3339Nano))
	case source.Day:
		return j.text(b, v.String())
	case []any:
		return j.list(b, v)
	case Row:
		return j.row(b, v)
	case map[string]any:
		return j.row(b, sorted(v))
	default:
		return b, fmt.Errorf("a value of type %T has no place in a report", v)
	}
}

func sorted(m map[string]any) Row {
	row := make(Row, 0, len(m))
	for _, name := range slices.Sorted(maps.Keys(m)) {
		row = append(row, Field{name, m[name]})
	}
	return row
}

func appendFloat(b []byte, f float64) ([]byte, error) {
	text, err := json.Marshal(f)
	if err != nil {
		return b, fmt.Errorf("the number %v has no place in a report", f)
	}
	return append(b, text...), nil
}

func (j jsonCells) list(b []byte, list []any) ([]byte, error) {
	b = append(b, '[')
	for i, v := range list {
		if i > 0 {
			b = append(b, ',')
		}
		var err error
		if b, err = j.appendTo(b, v); err != nil {
			return b, err
		}
	}
	return append(b, ']'), nil
}

// row appends an object, its fields in order.
func (j jsonCells) row(b []byte, row Row) ([]byte, error) {
	b = append(b, '{')
	for i, f := range row {
		if i > 0 {
			b = append(b, ',')
		}
		var err error
		if b, err = j.text(b, f.Name); err != nil {
			return b, err
		}
		b = append(b, ':')
		if b, err = j.appendTo(b, f.Value); err != nil {
			return b, err
		}
	}
	return append(b, '}'), nil
}

const hexDigits = "0123456789abcdef"

// text appends a JSON string. Other than encoding/json it never replaces bytes
// in silence: a password would be another one.
func (j jsonCells) text(b []byte, s string) ([]byte, error) {
	if !utf8.ValidString(s) {
		return b, errNotUTF8
	}
	b = append(b, '"')
	from := 0
	for i := 0; i < len(s); i++ {
		c := s[i]
		if c >= ' ' && c != '"' && c != '\\' && (!j.html || c != '<' && c != '>' && c != '&' && c != 0xE2) {
			continue
		}
		b = append(b, s[from:i]...)
		from = i + 1
		switch {
		case c == '"' || c == '\\':
			b = append(b, '\\', c)
		case c == '\n':
			b = append(b, '\\', 'n')
		case c == '\t':
			b = append(b, '\\', 't')
		case c == '\r':
			b = append(b, '\\', 'r')
		case c == 0xE2: // U+2028 and U+2029 end a line in some parsers
			from = i
			if strings.HasPrefix(s[i:], "\u2028") || strings.HasPrefix(s[i:], "\u2029") {
				b = append(b, `\u202`...)
				b = append(b, hexDigits[s[i+2]&0xF])
				from = i + 3
			}
		default:
			b = append(b, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&0xF])
		}
	}
	b = append(b, s[from:]...)
	return append(b, '"'), nil
}

// text returns a value as a cell of text: what is nested as JSON.
func text(v any) (string, error) {
	switch v := v.(type) {
	case nil:
		return "", nil
	case string:
		return v, nil
	case secret.Value:
		return v.Reveal(), nil
	case time.Time:
		return v.UTC().Format(time.RFC3339Nano), nil
	case source.Day:
		return v.String(), nil
	}
	b, err := jsonCells{}.appendTo(nil, v)
	return string(b), err
}

// holdsSecret reports whether a present secret is anywhere in v.
func holdsSecret(v any) bool {
	switch v := v.(type) {
	case secret.Value:
		return v.Present()
	case []any:
		return slices.ContainsFunc(v, holdsSecret)
	case Row:
		return slices.ContainsFunc(v, func(f Field) bool { return holdsSecret(f.Value) })
	case map[string]any:
		return holdsSecret(sorted(v))
	}
	return false
}
