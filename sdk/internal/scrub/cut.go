package scrub

import (
	"slices"
	"strings"

	"github.com/rekey-host/rekey/sdk/secret"
)

// span is a piece of a text. A weak one counts where it touches another.
type span struct {
	from, to int
	weak     bool
}

// near is how many bytes between two pieces are cut with them.
const near = 2

// cut replaces pieces of a text, which may overlap, and returns the text then at
// from..to.
func cut(text string, pieces []span, from, to int) string {
	if len(pieces) == 0 {
		return text[from:to]
	}
	var out strings.Builder
	for _, span := range joined(joined(pieces, 0), near) {
		if span.to <= from || span.from >= to {
			continue
		}
		out.WriteString(text[from:max(from, span.from)])
		out.WriteString(secret.Redacted)
		from = min(span.to, to)
	}
	out.WriteString(text[from:to])
	return out.String()
}

// joined makes one of pieces that touch, or almost, and leaves out the weak ones
// nevertheless.
func joined(pieces []span, gap int) []span {
	slices.SortFunc(pieces, func(a, b span) int { return a.from - b.from })
	out := pieces[:0]
	for i := 0; i < len(pieces); {
		span := pieces[i]
		for i++; i < len(pieces) && pieces[i].from <= span.to+gap; i++ {
			span.to, span.weak = max(span.to, pieces[i].to), span.weak && pieces[i].weak
		}
		if !span.weak {
			out = append(out, span)
		}
	}
	return out
}

// spare leaves out the pieces that lie within the requested name: who
// asked has it.
func spare(text, asked string, pieces []span) []span {
	if asked == "" || len(pieces) == 0 {
		return pieces
	}
	slices.SortFunc(pieces, func(a, b span) int { return a.from - b.from })
	names := occurrences(text, asked)
	return slices.DeleteFunc(pieces, func(p span) bool {
		for len(names) > 1 && names[1].from <= p.from {
			names = names[1:] // all are of one length: the last that begins before it reaches furthest
		}
		return len(names) > 0 && names[0].from <= p.from && p.to <= names[0].to
	})
}

// occurrences are those of a name in a text, in any case of ASCII letters.
func occurrences(text, name string) []span {
	text, name = lowerASCII(text), lowerASCII(name)
	var out []span
	for at := 0; ; {
		count := strings.Index(text[at:], name)
		if count < 0 {
			return out
		}
		out = append(out, span{from: at + count, to: at + count + len(name)})
		at += count + 1
	}
}

// lowerASCII keeps every byte in its place.
func lowerASCII(text string) string {
	data := []byte(text)
	for i, char := range data {
		if char >= 'A' && char <= 'Z' {
			data[i] = char + 'a' - 'A'
		}
	}
	return string(data)
}
