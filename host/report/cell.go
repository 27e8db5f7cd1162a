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
func (j jsonCells) appendTo(data []byte, v any) ([]byte, error) {
	switch v := v.(type) {
	case nil:
		return append(data, "null"...), nil
	case secret.Value:
		if !v.Present() {
			return append(data, "null"...), nil
		}
		return j.text(data, v.Reveal())
	case string:
		return j.text(data, v)
	case bool:
		return strconv.AppendBool(data, v), nil
	case int:
		return strconv.AppendInt(data, int64(v), 10), nil
	case int64:
		return strconv.AppendInt(data, v, 10), nil
	case *big.Int:
		return v.Append(data, 10), nil
	case float64:
		return appendFloat(data, v)
	case time.Time:
		return j.text(data, v.UTC().Format(time.RFC3339Nano))
	case source.Day:
		return j.text(data, v.String())
	case []any:
		return j.list(data, v)
	case Row:
		return j.row(data, v)
	case map[string]any:
		return j.row(data, sorted(v))
	default:
		return data, fmt.Errorf("a value of type %T has no place in a report", v)
	}
}

func sorted(table map[string]any) Row {
	row := make(Row, 0, len(table))
	for _, name := range slices.Sorted(maps.Keys(table)) {
		row = append(row, Field{name, table[name]})
	}
	return row
}

func appendFloat(data []byte, amount float64) ([]byte, error) {
	text, err := json.Marshal(amount)
	if err != nil {
		return data, fmt.Errorf("the number %v has no place in a report", amount)
	}
	return append(data, text...), nil
}

func (j jsonCells) list(data []byte, list []any) ([]byte, error) {
	data = append(data, '[')
	for i, value := range list {
		if i > 0 {
			data = append(data, ',')
		}
		var err error
		if data, err = j.appendTo(data, value); err != nil {
			return data, err
		}
	}
	return append(data, ']'), nil
}

// row appends an object, its fields in order.
func (j jsonCells) row(data []byte, row Row) ([]byte, error) {
	data = append(data, '{')
	for i, field := range row {
		if i > 0 {
			data = append(data, ',')
		}
		var err error
		if data, err = j.text(data, field.Name); err != nil {
			return data, err
		}
		data = append(data, ':')
		if data, err = j.appendTo(data, field.Value); err != nil {
			return data, err
		}
	}
	return append(data, '}'), nil
}

const hexDigits = "0123456789abcdef"

// text appends a JSON string. Other than encoding/json it never replaces bytes
// in silence: a password would be another one.
func (j jsonCells) text(data []byte, text string) ([]byte, error) {
	if !utf8.ValidString(text) {
		return data, errNotUTF8
	}
	data = append(data, '"')
	from := 0
	for i := 0; i < len(text); i++ {
		char := text[i]
		if char >= ' ' && char != '"' && char != '\\' && (!j.html || char != '<' && char != '>' && char != '&' && char != 0xE2) {
			continue
		}
		data = append(data, text[from:i]...)
		from = i + 1
		switch {
		case char == '"' || char == '\\':
			data = append(data, '\\', char)
		case char == '\n':
			data = append(data, '\\', 'n')
		case char == '\t':
			data = append(data, '\\', 't')
		case char == '\r':
			data = append(data, '\\', 'r')
		case char == 0xE2: // U+2028 and U+2029 end a line in some parsers
			from = i
			if strings.HasPrefix(text[i:], "\u2028") || strings.HasPrefix(text[i:], "\u2029") {
				data = append(data, `\u202`...)
				data = append(data, hexDigits[text[i+2]&0xF])
				from = i + 3
			}
		default:
			data = append(data, '\\', 'u', '0', '0', hexDigits[char>>4], hexDigits[char&0xF])
		}
	}
	data = append(data, text[from:]...)
	return append(data, '"'), nil
}

// text returns a value as a cell of text: nested values as JSON.
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
	data, err := jsonCells{}.appendTo(nil, v)
	return string(data), err
}

// holdsSecret reports whether a present secret is anywhere in v.
func holdsSecret(v any) bool {
	switch v := v.(type) {
	case secret.Value:
		return v.Present()
	case []any:
		return slices.ContainsFunc(v, holdsSecret)
	case Row:
		return slices.ContainsFunc(v, func(field Field) bool { return holdsSecret(field.Value) })
	case map[string]any:
		return holdsSecret(sorted(v))
	}
	return false
}
