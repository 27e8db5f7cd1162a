package source_test

import (
	"context"
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/rekey-host/rekey/host/source"
)

func jsonl(t *testing.T, text string, o source.JSONLOptions) source.Source {
	t.Helper()
	o.Path, o.Dir = "users.csv", write(t, text)
	s, err := source.JSONL(o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestJSONLReadsRows(t *testing.T) {
	quoted, err := json.Marshal(canary)
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name string
		in   string
		want []string
	}{
		{"values", `{"login":"ann","pw":"x","n":7,"f":1.5,"b":true,"z":null,"l":[1,"a"],"o":{"k":[]}}`,
			[]string{`1 ann string:ann|secret:x|int64:7|float64:1.5|bool:true|<nil>:<nil>|[]interface {}:[1 a]|map[string]interface {}:map[k:[]]`}},
		{"names come from all lines", "{\"login\":\"ann\",\"pw\":\"x\"}\r\n\n{\"team\":\"it\",\"pw\":\"y\",\"login\":\"bob\"}",
			[]string{"1 ann string:ann|secret:x|<nil>:<nil>", "3 bob string:bob|secret:y|string:it"}},
		{"texts of several lines", `{"login":"ann","pw":"x","o":"a\r\nb","l":["\n"]}`, []string{"1 ann string:ann|secret:x|string:a\r\nb|[]interface {}:[\n]"}},
		{"number as key", `{"login":12,"pw":"x"}`, []string{"1 12 int64:12|secret:x"}},
		{"canary", `{"login":"ann","pw":` + string(quoted) + `}`, []string{"1 ann string:ann|secret:" + canary}},
		{"escapes", `{"login":"ann","pw":"\"\\\/\u00e9\ud83d\ude00x"}`, []string{`1 ann string:ann|secret:"\/é😀x`}},
		{"byte order mark and white space", "\uFEFF { \"login\" : \"ann\" , \"pw\" : \"x\" } ", []string{"1 ann string:ann|secret:x"}},
		{"nothing", "", nil},
	}
	for _, c := range tests {
		t.Run(c.name, func(t *testing.T) {
			got, problems := read(t, jsonl(t, c.in, source.JSONLOptions{Key: "login", Secrets: []string{"pw"}}))
			if diff := cmp.Diff(c.want, got); diff != "" || problems != "" {
				t.Errorf("rows of %s: problems %q, (-want +got)\n%s", c.in, problems, diff)
			}
		})
	}
}

func TestJSONLOptionalSecretMayBeAbsent(t *testing.T) {
	s := jsonl(t, `{"login":"ann"}`+"\n"+`{"login":"bob","pw":null}`+"\n"+`{"login":"cat","pw":""}`,
		source.JSONLOptions{Key: "login", Secrets: []string{"pw"}, Optional: []string{"pw"}})
	got, problems := read(t, s)
	want := []string{"1 ann string:ann|secret:", "2 bob string:bob|secret:", "3 cat string:cat|secret:"}
	if diff := cmp.Diff(want, got); diff != "" || problems != "" {
		t.Errorf("rows: problems %q, (-want +got)\n%s", problems, diff)
	}
}

func TestJSONLNamesWhatIsWrong(t *testing.T) {
	tests := []struct{ name, in, want string }{
		{"not an object", `["ann"]`, "users.csv:1:1: not an object: want {…} on every line"},
		{"cut", `{"login":"ann","pw":"` + "x", "users.csv:1:23: a string that does not end on its line"},
		{"more", `{"login":"ann","pw":"x"} {}`, "users.csv:1:26: text after the end of the object"},
		{"twice", `{"login":"ann","pw":"x","pw":"y"}`, "users.csv:1:30: a name that the object has already"},
		{"twice inside", `{"login":"ann","pw":"x","o":{"a":1,"a":2}}`, "users.csv:1:40: a name that the object has already"},
		{"half a pair", `{"login":"ann","pw":"\ud83d"}`, "users.csv:1:28: half of a surrogate pair"},
		{"wrong pair", `{"login":"ann","pw":"\ud83d\u0041"}`, "users.csv:1:34: half of a surrogate pair"},
		{"too large", `{"login":"ann","pw":"x","n":9223372036854775808}`, "users.csv:1:48: the number is too large: write it as a string"},
		{"leading zero", `{"login":"ann","pw":"x","n":007}`, "users.csv:1:32: not a number"},
		{"control character", `{"login":"ann","pw":"\u0007"}`, `users.csv:1: control character in column "pw"; remove it; a value is one line of text`},
		{"control character inside", `{"login":"ann","pw":"x","o":["\u0008"]}`, `users.csv:1: control character in column "o"; remove it; a value is one line of text`},
		{"a secret of two lines", `{"login":"ann","pw":"a\nb"}`, `users.csv:1: secret column "pw" has a line break; write it on one line; in a CSV file, a quote before it may not be closed`},
		{"a key of two lines", `{"login":"a\nb","pw":"x"}`, `users.csv:1: key column "login" has a line break; write it on one line; in a CSV file, a quote before it may not be closed`},
		{"secret is a number", `{"login":"ann","pw":7}`, `users.csv:1: secret column "pw" is not a string; quote it`},
		{"no secret", `{"login":"ann"}` + "\n" + `{"login":"bob","pw":"x"}`, `users.csv:1: secret column "pw" is empty; fill it in, or list the column in optional=`},
		{"no key", `{"pw":"x"}` + "\n" + `{"login":"bob","pw":"x"}`, `users.csv:1: key column "login" is empty; give every user a key`},
		{"key is a list", `{"login":[],"pw":"x"}`, `users.csv:1: key column "login" is not a string or a whole number; quote it`},
		{"misspelt", `{"Login":"ann","pw":"x"}`, `users.csv: key: there is no column "login"; did you mean "Login"?`},
		{"absent", `{"name":"ann","pw":"x"}`, `users.csv: key: there is no column "login"; no line has it`},
		{"not utf-8", "{\"login\":\"\xff\"}\n" + `{"login":"bob","pw":"x"}`, `users.csv:1:11: not valid utf-8 at byte 11 of the line; set encoding = to what the file is in: "windows-1252" in the west of Europe, "windows-1250" in its middle, "windows-1251" for Cyrillic, or another IANA name`},
		{"deep", `{"login":"ann","pw":"x","l":` + strings.Repeat("[", 70) + strings.Repeat("]", 70) + "}", "users.csv:1:93: nested too deep"},
	}
	for _, c := range tests {
		t.Run(c.name, func(t *testing.T) {
			if _, got := read(t, jsonl(t, c.in, source.JSONLOptions{Key: "login", Secrets: []string{"pw"}})); got != c.want {
				t.Errorf("problems of %.100s:\n%s\nwant\n%s", c.in, got, c.want)
			}
		})
	}
}

func TestJSONLRefusesAFileOfTooManyNames(t *testing.T) {
	var b strings.Builder
	for i := range 1200 {
		b.WriteString(`{"login":"a","n` + strings.Repeat("x", i) + `":1}` + "\n")
	}
	_, err := jsonl(t, b.String(), source.JSONLOptions{Key: "login"}).Schema(context.Background())
	if err == nil || !strings.Contains(err.Error(), "more than 1000 different names") {
		t.Errorf("Schema: %v, want a problem about the names", err)
	}
}
