package launch

import (
	"strconv"
	"strings"
	"unicode"

	"github.com/rekey-host/rekey/sdk/dial"
)

// clean is a text as it may be logged. Letters left out might have kept the
// pieces of a secret apart.
func clean(redact *dial.Redactor, text string) string {
	scrubbed := redact.Scrub(text)
	if shown := visible(scrubbed); shown != scrubbed {
		scrubbed = redact.Scrub(shown)
	}
	return shorten(scrubbed, maxLine)
}

// cleanLines is a value as it may be logged: a stack keeps its lines, which loggers
// put under the line that they belong to.
func cleanLines(redact *dial.Redactor, text string) string {
	scrubbed := redact.Scrub(text)
	lines := strings.Split(strings.TrimRight(scrubbed, "\n"), "\n")
	for i, line := range lines {
		lines[i] = printable(strings.TrimSuffix(line, "\r"))
	}
	shown := strings.Join(lines, "\n")
	if shown != scrubbed {
		shown = redact.Scrub(shown)
	}
	return shorten(shown, tellBytes)
}

// visible keeps a line one line, and leaves out what a terminal might obey.
func visible(text string) string {
	return printable(strings.NewReplacer("\r\n", " ", "\n", " ").Replace(text))
}

// printable leaves out what a terminal might obey.
func printable(text string) string {
	return strings.Map(func(letter rune) rune {
		switch {
		case letter == '\t':
			return ' '
		case !unicode.IsPrint(letter):
			return -1
		}
		return letter
	}, text)
}

func valid(text string) string { return strings.ToValidUTF8(text, "\uFFFD") }

// shorten cuts a scrubbed text; cut first, half a secret would stay.
func shorten(text string, count int) string {
	if len(text) <= count {
		return text
	}
	return strings.ToValidUTF8(text[:count], "") + "…"
}

func quote(text string) string { return strconv.Quote(text) }

// oneLine keeps a text on its line.
func oneLine(text string) string { return printable(strings.Join(strings.Fields(text), " ")) }

// maxNoise is how much of an offending line is shown.
const maxNoise = 200

// maxLine is how many bytes of a line are logged.
const maxLine = 8 << 10
