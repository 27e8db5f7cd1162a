package htpasswd

import (
	"bytes"
	"fmt"
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
		at, exists := find(content, map[string]bool{name: true})[name]
		if !exists {
			checkAdded(t, content, name)
			return
		}
		got := rewrite(content, []edit{{hash: "NEW", at: at}}, nil)
		want := string(content[:at.start]) + "NEW" + string(content[at.end:])
		if string(got) != want {
			t.Fatalf("rewrite of %q in %q = %q, want %q", name, content, got, want)
		}
		if e := find(got, map[string]bool{name: true})[name]; string(e.hash) != "NEW" {
			t.Fatalf("%q in %q has %q, want the new hash", name, got, e.hash)
		}
	})
}

func checkAdded(t *testing.T, content []byte, name string) {
	t.Helper()
	got := rewrite(content, nil, []edit{{name: name, hash: "NEW"}})
	if !bytes.HasPrefix(got, content) || !bytes.HasSuffix(got, []byte("\n")) {
		t.Fatalf("%q added to %q gives %q", name, content, got)
	}
	if e := find(got, map[string]bool{name: true})[name]; string(e.hash) != "NEW" {
		t.Fatalf("%q in %q has %q, want the new hash", name, got, e.hash)
	}
}
