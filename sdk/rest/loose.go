package rest

import (
	"encoding/json"
	"strconv"
	"strings"
)

// The types of this file read fields that must not fail an answer: servers
// write numbers as strings and flags as words, and a field that only feeds a
// warning is not worth a failed login. What cannot be read is not known.

// Text is a string, a number or a flag as text; anything else is "".
type Text string

// UnmarshalJSON never fails.
func (t *Text) UnmarshalJSON(raw []byte) error {
	var v any
	_ = json.Unmarshal(raw, &v)
	switch v := v.(type) {
	case string:
		*t = Text(v)
	case float64, bool:
		*t = Text(strings.TrimSpace(string(raw)))
	default:
		*t = ""
	}
	return nil
}

// Int is a whole number, or one in a string. The zero Int is not known.
type Int struct {
	N     int64
	Known bool
}

// UnmarshalJSON never fails.
func (i *Int) UnmarshalJSON(raw []byte) error {
	text := strings.TrimSpace(strings.Trim(string(raw), `"`))
	if count, err := strconv.ParseInt(text, 10, 64); err == nil {
		*i = Int{count, true}
		return nil
	}
	*i = Int{}
	if amount, err := strconv.ParseFloat(text, 64); err == nil && amount == float64(int64(amount)) {
		*i = Int{int64(amount), true}
	}
	return nil
}

// Bool is a flag, also as 1 or 0 or as a word. The zero Bool is not known.
type Bool struct{ On, Known bool }

// UnmarshalJSON never fails.
func (b *Bool) UnmarshalJSON(raw []byte) error {
	switch strings.ToLower(strings.TrimSpace(strings.Trim(string(raw), `"`))) {
	case "true", "1", "yes", "on":
		*b = Bool{true, true}
	case "false", "0", "no", "off":
		*b = Bool{false, true}
	default:
		*b = Bool{}
	}
	return nil
}
