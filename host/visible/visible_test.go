package visible

import (
	"strings"
	"testing"
	"unicode/utf8"
)

func TestWhatIsNotSeenIsShown(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{"plain \\x1b text\twith\nlines", "plain \\x1b text\twith\nlines"},
		{"\x1b[31mred", `\x1b[31mred`},
		{"a\rb\a\x00\x7f", `a\x0db\x07\x00\x7f`},
		{"\u009b31m", `\u009b31m`},
		{"admin\u202e\u2066x", `admin\u202e\u2066x`},
		{"an\u200bn\ufeff\u00ad\u2060\u061c", `an\u200bn\ufeff\u00ad\u2060\u061c`},
		{"tag\U000e0041", `tag\U000e0041`},
		{"half \xc3 \xff", `half \xc3 \xff`},
		{"line\u2028end", `line\u2028end`},
		{"fill\u3164er", `fill\u3164er`},
		{"\u034f\u115f\u1160\u17b4\u17b5\uffa0", `\u034f\u115f\u1160\u17b4\u17b5\uffa0`},
		{"ann\ufe0f ann\ufe00 \u180b\u180f \U000e0100", `ann\ufe0f ann\ufe00 \u180b\u180f \U000e0100`},
		{"\u2065\ufff0\U000e0000", `\u2065\ufff0\U000e0000`},
		{"é 日本 🔑 ١٢٣ e\u0301", "é 日本 🔑 ١٢٣ e\u0301"},
	} {
		if got := Escape(c.in); got != c.want {
			t.Errorf("Escape(%q) = %q, want %q", c.in, got, c.want)
		}
	}
}

func TestAWriterMayGetHalfACharacter(t *testing.T) {
	const text = "é\x1b[0m\u202e日本\U000e0041 x"
	for size := 1; size < len(text); size++ {
		var b strings.Builder
		w := Writer{To: &b}
		for rest := text; rest != ""; {
			n := min(size, len(rest))
			if _, err := w.Write([]byte(rest[:n])); err != nil {
				t.Fatal(err)
			}
			rest = rest[n:]
		}
		if b.String() != Escape(text) {
			t.Errorf("in pieces of %d: %q", size, b.String())
		}
	}
}

func FuzzEscape(f *testing.F) {
	f.Add("\x1b[31m\u202e")
	f.Fuzz(func(t *testing.T, text string) {
		got := Escape(text)
		if Find(got) >= 0 || !utf8.ValidString(got) {
			t.Errorf("%q becomes %q", text, got)
		}
		if Escape(got) != got {
			t.Errorf("%q is escaped twice", text)
		}
	})
}
