package tree

import (
	"strings"
	"testing"
	"time"
)

// TestANumberThatIsTooLongIsFoundBeforeItIsParsed: where it is, and only where
// it is a number.
func TestANumberThatIsTooLongIsFoundBeforeItIsParsed(t *testing.T) {
	many, most := strings.Repeat("7", 1_000_000), strings.Repeat("7", MaxDigits)
	for name, x := range map[string]struct {
		text         string
		line, column int // 0: nothing
	}{
		"a number":                      {"x = " + many, 1, 5},
		"in a list":                     {"x = 1\ny = [\n  2, " + many + ",\n]", 3, 6},
		"behind carriage returns":       {"x = 1\r\ny = " + many, 2, 5},
		"behind wide characters":        {"x = \"äöü\" + " + many, 1, 16},
		"hexadecimal":                   {"x = 0x" + many, 1, 5},
		"octal":                         {"x = 0o" + many, 1, 5},
		"a fraction":                    {"x = 0." + many, 1, 5},
		"negative":                      {"x = -" + many, 1, 6},
		"in a call":                     {"f(a=" + many + ")", 1, 5},
		"one more than may be":          {"x = 7" + most, 1, 5},
		"as many as may be":             {"x = " + most, 0, 0},
		"in quotes":                     {"x = \"" + many + "\"", 0, 0},
		"in other quotes":               {"x = '\\'" + many + "'", 0, 0},
		"in three quotes":               {"x = \"\"\"a\n\"" + many + "\n\"\"\"", 0, 0},
		"in a raw text":                 {"x = r'" + many + "'", 0, 0},
		"in a comment":                  {"# " + many + "\nx = 1", 0, 0},
		"in a name":                     {"x" + many + " = 1", 0, 0},
		"in a name of others":           {"ä" + many + " = 1", 0, 0},
		"behind a text":                 {"x = 'a' # '\ny = '''b''' + " + many, 2, 15},
		"behind quotes that do not end": {"x = 'a\ny = " + many, 2, 5},
	} {
		began := time.Now()
		flaws := New("w.star", "w.star", []byte(x.text)).Parse()
		isLong := len(flaws) > 0 && flaws[0].Message == "a number of more than 100000 digits"
		if isLong != (x.line > 0) || isLong && (flaws[0].Line != x.line || flaws[0].Column != x.column) {
			t.Errorf("%s: %.300v, want it at %d:%d", name, flaws, x.line, x.column)
		}
		if took := time.Since(began); isLong && took > time.Second {
			t.Errorf("%s: it took %s", name, took)
		}
	}
}
