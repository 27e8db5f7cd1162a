package source_test

import (
	"strings"
	"testing"

	"github.com/rekey-host/rekey/host/source"
)

// TestAKeyHasNoHiddenCharacters has each kind of them, in each kind of list.
func TestAKeyHasNoHiddenCharacters(t *testing.T) {
	for _, hidden := range []string{"\u202e", "\u2066", "\u200f", "\u200b", "\u200d", "\u2060", "\ufeff", "\u00ad", "\u3164"} {
		key := "an" + hidden + "n"
		csv, err := source.CSV(source.CSVOptions{Path: "users.csv", Files: source.Files{Dir: write(t, "login,team\nbob,a\n"+key+",a\n")}, Key: "login", Delimiter: ",", Quote: quote()})
		if err != nil {
			t.Fatal(err)
		}
		const want = `key column "login": character 3 of "an\u`
		if _, err := source.List(source.ListOptions{Items: []any{"bob", key}, Key: "login"}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q in a list: %v", hidden, err)
		}
		for kind, s := range map[string]source.Source{
			"csv":   csv,
			"jsonl": jsonl(t, `{"login": "bob"}`+"\n"+`{"login": "`+key+`"}`, source.JSONLOptions{Key: "login"}),
		} {
			if _, problem := read(t, s); !strings.Contains(problem, want) || !strings.Contains(problem, "remove it") {
				t.Errorf("%q in %s: %q", hidden, kind, problem)
			}
		}
	}
}
