package file

import (
	"strings"
	"testing"
	"unicode/utf8"
)

// FuzzPlaces: whatever a file holds, a value that is written changes nothing but
// its span, a parser reads it back, and what it reads at the other places stays.
func FuzzPlaces(f *testing.F) {
	for _, seed := range []struct {
		format byte
		text   string
		value  string
	}{
		{0, "# c\r\nA=1\nexport B='x y'\nC=\"z\" # c\nM=\"a\nD=b\"\nE=\n", "new-1"},
		{1, "a=1\n[s]\n b : x ; c\n  d\n[s]\ne = 'q'\n", "new-1"},
		{2, `{"a": "x", "b": ["y", {"c/~": "z\"\u00e9"}], "n": null}`, "c\"a\\n é"},
		{3, "a: x # c\nb: {c: 'it''s', \"d\": \"q\\\"\"}\ne:\n- f\n- |\n  g\nh: &i j\n", "a: 'b' #"},
		{3, "? [a]\n: b\né: {漢: c, d: e}\n", "\u2028"},
		{4, "! c\na.b : x\nc=y\\\n  z\n\\u0061=b\nd e\n", " lead\\ é "},
		{5, "#h\n*:*:*:u:x\nh:1:d:u:y\\:z\\\\\na\\:b:1:d:u:q\n", `a:b\c`},
	} {
		f.Add(seed.format, seed.text, seed.value)
	}
	formats := []format{envFormat, iniFormat, jsonFormat{}, yamlFormat{}, properties{}, pgpass{}}
	f.Fuzz(func(t *testing.T, which byte, text, value string) {
		if value == "" || !utf8.ValidString(value) || strings.ContainsFunc(value, unprintable) {
			return // refused before the file is looked at
		}
		format := formats[int(which)%len(formats)]
		spots, failure := format.spots(text)
		if failure != nil {
			return
		}
		i := &Instance{format: format}
		for _, spot := range spots {
			changed, failure := i.with(state{text: text}, spot.place, value)
			if failure != nil {
				continue
			}
			kept(t, format, text, changed, spot, value)
		}
	})
}

// kept compares a file with what was made of it.
func kept(t *testing.T, format format, text, changed string, at spot, value string) {
	t.Helper()
	before, after := text[:at.from], text[at.to:]
	if !strings.HasPrefix(changed, before) || !strings.HasSuffix(changed, after) || len(changed) < len(before)+len(after) {
		t.Fatalf("%q at %q: %q changed elsewhere", text, at.place, changed)
	}
	if got, ok := format.read(changed, at.place); !ok || got != value {
		t.Fatalf("%q at %q: %q is read, want %q", text, at.place, got, value)
	}
	spots, failure := format.spots(changed)
	if failure != nil {
		t.Fatalf("%q at %q: it is no such file any more: %v", text, at.place, failure)
	}
	_, hides := format.(pgpass) // a line hides those after it that it stands for
	same := 0
	for _, one := range spots {
		if one.place == at.place {
			same++
			continue
		}
		had, was := format.read(text, one.place)
		has, is := format.read(changed, one.place)
		if !hides && (had != has || was != is) {
			t.Fatalf("%q at %q: %q was %q and is %q", text, at.place, one.place, had, has)
		}
	}
	if same != 1 {
		t.Fatalf("%q at %q: the place is there %d times afterwards", text, at.place, same)
	}
	if strings.Count(changed, "\n") != strings.Count(text, "\n") {
		t.Fatalf("%q at %q: the lines are other ones", text, at.place)
	}
}
