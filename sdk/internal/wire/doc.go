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

// clip returns text as valid UTF-8 of at most count bytes: protobuf refuses to send a
// whole frame for one bad byte in one text.
func clip(text string, count int) string {
	text = text[:min(len(text), count+utf8.UTFMax)] // half a letter at the end is cut off below
	if !utf8.ValidString(text) {
		text = strings.ToValidUTF8(text, "\uFFFD")
	}
	if len(text) <= count {
		return text
	}
	count -= len("…")
	for count > 0 && !utf8.RuneStart(text[count]) {
		count--
	}
	return text[:count] + "…"
}

// Line returns a text on one line: what ends lines or separates is a space, and
// what a terminal might obey, or shows in another order than it stands, is gone.
func Line(text string) string {
	if strings.IndexFunc(text, commands) < 0 {
		return text
	}
	return strings.Map(func(letter rune) rune {
		switch {
		case letter == '\n', letter == '\r', letter == '\t', letter == '\u2028', letter == '\u2029':
			return ' '
		case commands(letter):
			return -1
		}
		return letter
	}, text)
}

// commands reports whether a letter is a control or bidi character.
func commands(letter rune) bool {
	return unicode.IsControl(letter) || letter >= '\u2028' && letter <= '\u202e' || letter >= '\u2066' && letter <= '\u2069'
}

// paragraphs is Line for a text of several lines.
func paragraphs(text string) string {
	lines := strings.Split(strings.ReplaceAll(text, "\r\n", "\n"), "\n")
	for index, line := range lines {
		lines[index] = Line(line)
	}
	return strings.Join(lines, "\n")
}

func count(count int64) int { return int(min(max(count, 0), math.MaxInt32)) }

// EncodeSecret returns nil for an absent value.
func EncodeSecret(value secret.Value) *pb.Secret {
	if !value.Present() {
		return nil
	}
	return &pb.Secret{Value: []byte(value.Reveal())}
}

// DecodeSecret returns the absent value for nil.
func DecodeSecret(s *pb.Secret) secret.Value {
	if s == nil {
		return secret.Value{}
	}
	return secret.New(string(s.GetValue()))
}
