package htpasswd

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
)

func TestLinesAreReadAsServersReadThem(t *testing.T) {
	tests := []struct{ name, in, want string }{
		{"usual", "alice:$2y$x\n", "1 alice=$2y$x"},
		{"no newline at the end", "alice:h", "1 alice=h"},
		{"DOS line end", "alice:h\r\nbob:g\r\n", "1 alice=h, 2 bob=g"},
		{"further fields", "alice:h:Alice A.:x\n", "1 alice=h"},
		{"comment and blank", "# users\n\n  \t\nalice:h\n", "4 alice=h"},
		{"no hash", "alice:\n", "1 alice="},
		{"spaces and unicode", "Zoë Ö:h\n", "1 Zoë Ö=h"},
		{"twice", "a:1\na:2\n", "1 a=1, 2 a=2"},
		{"no colon", "alice\nbob:g\n", "1 no colon, want NAME:HASH, 2 bob=g"},
		{"no name", ":h\n", "1 no name before the colon"},
		{"NUL", "a:\x00\n", "1 a NUL byte"},
		{"empty", "", ""},
	}
	for _, tt := range tests {
		var got []string
		broken := func(line int, why string) { got = append(got, fmt.Sprint(line, " ", why)) }
		for e := range entries([]byte(tt.in), broken) {
			got = append(got, fmt.Sprintf("%d %s=%s", e.line, e.name, e.hash))
		}
		if s := strings.Join(got, ", "); s != tt.want {
			t.Errorf("%s: got %s, want %s", tt.name, s, tt.want)
		}
	}
}

func TestNamesThatNoLineCanHold(t *testing.T) {
	for _, name := range []string{"", "a:b", "a\nb", "a\r", "a\x00", "#a", " a", "a ", "\ta", strings.Repeat("x", 256)} {
		if refuseName(name) == nil {
			t.Errorf("refuseName(%q) = nil, want a refusal", name)
		}
	}
	for _, name := range []string{"a", "a b", "a#", "*", `"`, `a\b`, "Zoë", "a@b.example", strings.Repeat("x", 255)} {
		if err := refuseName(name); err != nil {
			t.Errorf("refuseName(%q) = %v, want nil", name, err)
		}
	}
}

// FuzzRewriteTouchesNothingElse rewrites one account of any file and wants
// every other byte where it was.
func FuzzRewriteTouchesNothingElse(f *testing.F) {
	for _, seed := range []string{
		"alice:h\nbob:g\n", "alice:h", "# c\r\n\r\nalice:h:more\r\nbob:g", ":x\nalice\nalice:\n", "alice:\x00\nalice:1\nalice:2", "\xff\xfe:a\nalice:b",
	} {
		f.Add([]byte(seed), "alice")
	}
	f.Fuzz(func(t *testing.T, content []byte, name string) {
		if refuseName(name) != nil {
			return
		}
		now := file{}.parse(content)
		at, exists := now.entry(name)
		if !exists {
			checkAdded(t, now, name)
			return
		}
		next := now.with([]edit{{hash: "NEW", at: at}}, nil, nil)
		want := string(content[:at.start]) + "NEW" + string(content[at.end:])
		if string(next.content) != want {
			t.Fatalf("rewrite of %q in %q = %q, want %q", name, content, next.content, want)
		}
		checkView(t, next, name)
	})
}

func checkAdded(t *testing.T, now *view, name string) {
	t.Helper()
	next := now.with(nil, []edit{{name: name, hash: "NEW"}}, nil)
	if !bytes.HasPrefix(next.content, now.content) || !bytes.HasSuffix(next.content, []byte("\n")) {
		t.Fatalf("%q added to %q gives %q", name, now.content, next.content)
	}
	checkView(t, next, name)
}

// checkView wants what a rewrite keeps to be what reading the file again gives.
func checkView(t *testing.T, next *view, name string) {
	t.Helper()
	next.settle()
	read := file{}.parse(next.content)
	if !slices.Equal(next.places, read.places) || !maps.Equal(next.index, read.index) {
		t.Fatalf("the view of %q is %v %v, want %v %v", next.content, next.places, next.index, read.places, read.index)
	}
	if e, _ := next.entry(name); string(e.hash) != "NEW" {
		t.Fatalf("%q in %q has %q, want the new hash", name, next.content, e.hash)
	}
}
