package source_test

import (
	"context"
	"strings"
	"testing"

	"github.com/rekey-host/rekey/host/source"
	"github.com/rekey-host/rekey/sdk/secret"
)

// TestOnlyOneUserIsRead, with a value from outside in a column of its own.
func TestOnlyOneUserIsRead(t *testing.T) {
	list := func() source.Source {
		return csvOf(t, source.CSVOptions{Path: "users.csv", Files: source.Files{Dir: write(t, "login,team\nann,a\nAnn,b\nbob,c\n")}})
	}
	for key, want := range map[string]string{
		"ann": "2 ann string:ann|string:a", "Ann": "3 Ann string:Ann|string:b", "BOB": "4 bob string:bob|string:c",
		"ANN": "2 ann string:ann|string:a / 3 Ann string:Ann|string:b", // which of them, the plan asks
	} {
		rows, problems := read(t, source.Only(list(), key, secret.Value{}))
		if got := strings.Join(rows, " / "); got != want || problems != "" {
			t.Errorf("%s: %s, %s, want %s", key, got, problems, want)
		}
	}
	with := source.Only(list(), "bob", secret.New("x"))
	schema, err := with.Schema(context.Background())
	if column := schema.Columns[len(schema.Columns)-1]; err != nil || len(schema.Columns) != 3 || column.Name != source.ValueColumn || !column.Secret {
		t.Errorf("%+v, %v", schema, err)
	}
	if rows, problems := read(t, with); len(rows) != 1 || rows[0] != "4 bob string:bob|string:c|secret:x" || problems != "" {
		t.Errorf("with a value: %q, %s", rows, problems)
	}
	if _, problems := read(t, source.Only(list(), "cat", secret.Value{})); problems != `users.csv: there is no user "cat"` {
		t.Errorf("nobody: %s", problems)
	}
}
