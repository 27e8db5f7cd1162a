package workflow

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// patternAndWords draws a pattern that matches no empty text, and a text that it may
// match in.
func patternAndWords(t *rapid.T) (pattern, text string) {
	pattern = rapid.SampledFrom([]string{"a", "[ab]+", `\d`, "^a", "c$", "(?i)A", "a|bc", ".", `\s+`, "é", "ab?c?"}).Draw(t, "pattern")
	return pattern, rapid.StringOfN(rapid.SampledFrom([]rune("abcA1 é-")), 0, 12, -1).Draw(t, "text")
}

// TestWhatAPatternFindsAndLeavesIsTheText: split() and findall() share the text
// out between them, and sub() puts something in the place of what they find.
func TestWhatAPatternFindsAndLeavesIsTheText(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		pattern, text := patternAndWords(rt)
		most := rapid.IntRange(1, 3).Draw(rt, "most")
		var got struct {
			Split, Some, Found           []string
			Same, Without, Fewer, Marked string
		}
		evaluateJSON(t, &got, fmt.Sprintf(`(lambda p, t, n: {"split": re.split(p, t), "some": re.split(p, t, maxsplit = n), "found": re.findall(p, t),
    "same": re.sub(p, "\\g<0>", t), "without": re.sub(p, "", t), "fewer": re.sub(p, "", t, count = n), "marked": re.sub(p, "<\\\\\\0>", t)})(%s, %s, %d)`,
			strconv.Quote(pattern), strconv.Quote(text), most))
		if len(got.Split) != len(got.Found)+1 || len(got.Some) != min(len(got.Found), most)+1 {
			rt.Fatalf("%q in %q: %d found, %d parts, %d of at most %d", pattern, text, len(got.Found), len(got.Split), len(got.Some), most+1)
		}
		var whole, marked strings.Builder
		for i, part := range got.Split {
			whole.WriteString(part)
			marked.WriteString(part)
			if i < len(got.Found) {
				whole.WriteString(got.Found[i])
				marked.WriteString(`<\` + got.Found[i] + ">")
			}
		}
		if whole.String() != text || got.Same != text || got.Marked != marked.String() {
			rt.Fatalf("%q in %q: parts are %q, replaced by itself %q, marked %q", pattern, text, whole.String(), got.Same, got.Marked)
		}
		if got.Without != strings.Join(got.Split, "") || got.Fewer != strings.Join(got.Some, "") {
			rt.Fatalf("%q in %q: without %q, %q of %d; parts %q, %q", pattern, text, got.Without, got.Fewer, most, got.Split, got.Some)
		}
	})
}

// TestAMatchIsASearchThatFindsTheStart.
func TestAMatchIsASearchThatFindsTheStart(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		pattern, text := patternAndWords(rt)
		var got struct {
			Match, Search []any // text, start and end; nil: none
		}
		evaluateJSON(t, &got, fmt.Sprintf(`(lambda show, p, t: {"match": show(re.match(p, t)), "search": show(re.search(p, t))})(lambda m: [m[0], m.start, m.end] if m else None, %s, %s)`,
			strconv.Quote(pattern), strconv.Quote(text)))
		starts := got.Search != nil && got.Search[1] == 0.0
		if starts != (got.Match != nil) || starts && fmt.Sprint(got.Match) != fmt.Sprint(got.Search) {
			rt.Fatalf("%q in %q: match %v, search %v", pattern, text, got.Match, got.Search)
		}
		if got.Search != nil {
			if from, to := int(got.Search[1].(float64)), int(got.Search[2].(float64)); text[from:to] != got.Search[0] {
				rt.Fatalf("%q in %q: %v is not what stands there", pattern, text, got.Search)
			}
		}
	})
}

// evaluateJSON evaluates an expression and decodes the JSON that it is.
func evaluateJSON(t *testing.T, to any, expression string) {
	t.Helper()
	var out strings.Builder
	o := script(t, "print(json.encode("+expression+"))"+tail)
	o.Print = writerFunc(func(text []byte) { out.Write(text) })
	if wrong := problems(t, o); wrong != "" {
		t.Fatalf("%s: %s", expression, wrong)
	}
	_, text, _ := strings.Cut(out.String(), ": ")
	if err := json.Unmarshal([]byte(text), to); err != nil {
		t.Fatalf("%s: %s: %v", expression, text, err)
	}
}

func TestMistakesOfPatternsAreNamed(t *testing.T) {
	for _, tt := range []struct{ expr, want, wrong string }{
		{`re.search("(a)(?P<b>x)?", "a").groups`, `("a", None)`, ""},
		{`re.search("(a)(?P<b>x)?", "ax")["b"]`, `"x"`, ""},
		{`re.search("(?P<team>a)", "a")["taem"]`, "", `the pattern has no group "taem"; did you mean "team"?`},
		{`re.search("(?P<team>a)", "a")[""]`, "", `the pattern has no group ""`},
		{`re.search("(a)", "a")[2]`, "", `the pattern has no group 2`},
		{`re.search("(a)", "a")[-1]`, "", `the pattern has no group -1`},
		{`re.search("(a)", "a")[1 << 40]`, "", `the pattern has no group 1099511627776`},
		{`re.search("(a)", "a")[None]`, "", `the pattern has no group None`},
		{`re.search("(a)", "a").ends`, "", `match has no .ends field or method; did you mean "end"?`},
		{`{re.search("(a)", "a"): 1}`, "", `a match is no key`},
		{`re.findall("(a)(b)?", "aba")`, `[("a", "b"), ("a", None)]`, ""},
		{`re.findall("(a)|b", "ab")`, `["a", None]`, ""},
		{`re.sub("(a)(b)?", "<\\2\\1>", "aab")`, `"<a><ba>"`, ""},
		{`re.sub("(?P<x>a)", "\\g<x>\\g<1>", "a")`, `"aa"`, ""},
		{`re.sub("a", "\\1", "a")`, "", `re.sub: there is no group "1"`},
		{`re.sub("a", "\\g<x>", "a")`, "", `re.sub: there is no group "x"`},
		{`re.sub("a", "\\g<x", "a")`, "", `re.sub: the replacement has a \ that is neither \1, \g<name> nor \\`},
		{`re.sub("a", "\\n", "a")`, "", `re.sub: the replacement has a \ that is neither \1, \g<name> nor \\`},
		{`re.sub("a", "x\\", "a")`, "", `re.sub: the replacement has a \ that is neither \1, \g<name> nor \\`},
		{`re.sub("a", "b", "aaa", count = -1)`, "", `re.sub: count = -1: want at least 0`},
		{`re.split("a", "xax", maxsplit = -1)`, "", `re.split: maxsplit = -1: want at least 0`},
		{`re.match("a)(b", "ab")`, "", `re.match: pattern "a)(b": unexpected )`},
		{`re.match("(?=a)", "ab")`, "", `re.match: pattern "(?=a)": invalid or unsupported Perl syntax`},
		{`re.match("a{1001}", "ab")`, "", `re.match: pattern "a{1001}": invalid repeat count`},
		{`re.match("a" * 5000, "ab")`, "", `re.match: the pattern is longer than 4096 bytes`},
		{`re.match("a", "ab" * (1 << 17) + "c")`, "", `re.match: the text is longer than 262144 bytes`},
		{`re.search("a{1000}b{1000}c{1000}", "ab" * (1 << 17))`, "", `re.search: the pattern is too large for a text of 262144 bytes`},
		{`len(re.sub("a", "b" * 100, "a" * (1 << 17)))`, "", `re.sub: the result is longer than 4194304 bytes`},
	} {
		got, wrong := valueOfExpr(t, tt.expr, nil, false)
		if tt.wrong == "" && (got != tt.want || wrong != "") || tt.wrong != "" && !strings.Contains(wrong, tt.wrong) {
			t.Errorf("%s\n got %s %s\nwant %s %s", tt.expr, got, wrong, tt.want, tt.wrong)
		}
	}
}

// TestPatternsAreKeptUpToABound, and used again.
func TestPatternsAreKeptUpToABound(t *testing.T) {
	var known patterns
	first, err := known.compile("a")
	if err != nil {
		t.Fatal(err)
	}
	if again, _ := known.compile("a"); again.Regexp != first.Regexp {
		t.Error("a pattern is compiled twice")
	}
	for i := range 3 * maxPatterns {
		if _, err := known.compile(fmt.Sprintf("a{%d}", i%1000)); err != nil {
			t.Fatal(err)
		}
		if len(known.known) > maxPatterns {
			t.Fatalf("%d patterns are kept, want at most %d", len(known.known), maxPatterns)
		}
	}
	if _, err := known.compile("("); err == nil || len(known.known) > maxPatterns {
		t.Errorf("a pattern that is none: %v", err)
	}
}
