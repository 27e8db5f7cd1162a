// Package wire turns the vocabulary of sdk into the messages of the contract
// and back, and scrubs secrets from the texts that travel beside them. What
// it decodes comes from another process: it takes any message, keeps every
// text within bounds and never claims more than the message does. It knows
// nothing of connections, processes or streams.
package wire

import (
	"math"
	"strings"
	"unicode"
	"unicode/utf8"

	pb "github.com/rekey-host/rekey/sdk/internal/backendpb"
	"github.com/rekey-host/rekey/sdk/secret"
)

// MaxMessage is the size in bytes that no message exceeds, in either direction.
const MaxMessage = 1 << 20

// FrameOperations is the most operations of one frame.
const FrameOperations = 64

// The bounds of texts, in bytes. A full frame of answers that use all of them
// stays within MaxMessage.
const (
	maxText       = 2048
	maxShort      = 256
	maxName       = 64
	maxViolations = 16
)

// clip returns s as valid UTF-8 of at most n bytes: protobuf refuses to send a
// whole frame for one bad byte in one text.
func clip(s string, n int) string {
	s = s[:min(len(s), n+utf8.UTFMax)] // half a letter at the end is cut off below
	if !utf8.ValidString(s) {
		s = strings.ToValidUTF8(s, "\uFFFD")
	}
	if len(s) <= n {
		return s
	}
	n -= len("…")
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n] + "…"
}

// Line returns a text on one line: what ends lines or separates is a space, and
// what a terminal might obey, or shows in another order than it stands, is gone.
func Line(s string) string {
	if strings.IndexFunc(s, commands) < 0 {
		return s
	}
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\n', r == '\r', r == '\t', r == '\u2028', r == '\u2029':
			return ' '
		case commands(r):
			return -1
		}
		return r
	}, s)
}

// commands reports whether a letter is none but says how others are shown.
func commands(r rune) bool {
	return unicode.IsControl(r) || r >= '\u2028' && r <= '\u202e' || r >= '\u2066' && r <= '\u2069'
}

// paragraphs is Line for a text of several lines.
func paragraphs(s string) string {
	lines := strings.Split(strings.ReplaceAll(s, "\r\n", "\n"), "\n")
	for n, l := range lines {
		lines[n] = Line(l)
	}
	return strings.Join(lines, "\n")
}

func count(n int64) int { return int(min(max(n, 0), math.MaxInt32)) }

// EncodeSecret returns nil for an absent value.
func EncodeSecret(v secret.Value) *pb.Secret {
	if !v.Present() {
		return nil
	}
	return &pb.Secret{Value: []byte(v.Reveal())}
}

// DecodeSecret returns the absent value for nil.
func DecodeSecret(s *pb.Secret) secret.Value {
	if s == nil {
		return secret.Value{}
	}
	return secret.New(string(s.GetValue()))
}
