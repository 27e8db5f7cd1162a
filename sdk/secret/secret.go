// Package secret holds values that must not be seen: passwords, hashes that
// stand for them, credentials of service accounts.
//
// A Value survives every usual way of leaking: fmt with any verb, errors,
// panics, slog, hclog, JSON, gob and text encodings, also when it sits in an
// unexported field or in a map. It knows nothing of where a value comes from
// or goes to; Reveal is the only way out, and callers of Reveal are counted
// by a test.
package secret

import (
	"crypto/subtle"
	"errors"
	"fmt"
	"log/slog"
)

// Redacted is what every printed form of a Value shows.
const Redacted = "[redacted]"

// ErrEncoded is returned by every encoding of a Value: a secret that someone
// tries to serialise is a defect of the caller, and silence would lose it.
var ErrEncoded = errors.New("secret: a secret value cannot be encoded")

// Value holds one secret. The zero Value is absent, which is not the same as
// present and empty. Values are immutable and safe for concurrent use.
//
// The text sits behind a closure: fmt does not call methods of values in
// unexported fields and prints their content, and of a func it finds an
// address only. For the same reason Values cannot be compared with ==.
type Value struct {
	reveal func() string
}

// New returns a Value that holds text.
func New(text string) Value {
	return Value{reveal: func() string { return text }}
}

// Reveal returns the secret text; for the zero Value it is "".
func (v Value) Reveal() string {
	if v.reveal == nil {
		return ""
	}
	return v.reveal()
}

// Present reports whether v was made by New, even of an empty text.
func (v Value) Present() bool { return v.reveal != nil }

// Empty reports whether v holds no text.
func (v Value) Empty() bool { return v.Reveal() == "" }

// Equal reports whether both hold the same text, in time that depends on the
// lengths only. An absent value equals no present one.
func (v Value) Equal(value Value) bool {
	if v.Present() != value.Present() {
		return false
	}
	return subtle.ConstantTimeCompare([]byte(v.Reveal()), []byte(value.Reveal())) == 1
}

// String returns Redacted.
func (v Value) String() string { return Redacted }

// GoString returns Redacted.
func (v Value) GoString() string { return Redacted }

// Format writes Redacted for every verb and flag.
func (v Value) Format(state fmt.State, _ rune) { _, _ = state.Write([]byte(Redacted)) }

// LogValue returns Redacted.
func (v Value) LogValue() slog.Value { return slog.StringValue(Redacted) }

// MarshalJSON fails with ErrEncoded.
func (v Value) MarshalJSON() ([]byte, error) { return nil, ErrEncoded }

// MarshalText fails with ErrEncoded.
func (v Value) MarshalText() ([]byte, error) { return nil, ErrEncoded }

// MarshalBinary fails with ErrEncoded.
func (v Value) MarshalBinary() ([]byte, error) { return nil, ErrEncoded }

// GobEncode fails with ErrEncoded.
func (v Value) GobEncode() ([]byte, error) { return nil, ErrEncoded }
