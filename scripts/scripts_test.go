package scripts_test

import (
	"context"
	"io/fs"
	"strings"
	"testing"

	"github.com/rekey-host/rekey/host/source"
	"github.com/rekey-host/rekey/host/workflow/tree"
	"github.com/rekey-host/rekey/scripts"
	"github.com/rekey-host/rekey/sdk/secret"
)

// TestTheSampleAccountsAreTwoThousandAndAwkward reads the data of the
// quickstart as its script does: accents, long names, quoted delimiters and
// quotes included.
func TestTheSampleAccountsAreTwoThousandAndAwkward(t *testing.T) {
	quote := '"'
	users, err := source.CSV(source.CSVOptions{Path: "@rekey/data/accounts.csv", Key: "login", Delimiter: ";", Quote: &quote, Secrets: []string{"temporary"}, Files: source.Files{Embedded: scripts.FS}})
	if err != nil {
		t.Fatal(err)
	}
	rows, accents, long, quoted := 0, 0, 0, 0
	err = users.Rows(context.Background(), func(r source.Row) error {
		rows++
		temporary := r.Cells[1].(secret.Value).Reveal()
		if strings.ContainsFunc(r.Key, func(c rune) bool { return c > 127 }) {
			accents++
		}
		if len(r.Key) > 50 {
			long++
		}
		if strings.ContainsAny(temporary, `;"`) {
			quoted++
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if rows != 2000 || accents == 0 || long == 0 || quoted == 0 {
		t.Errorf("%d rows, %d with accents, %d long, %d quoted; want 2000 and some of each", rows, accents, long, quoted)
	}
}

// TestShippedScriptsAreFormatted, libraries too: rekey fmt changes none.
func TestShippedScriptsAreFormatted(t *testing.T) {
	seen := 0
	err := fs.WalkDir(scripts.FS, ".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, ".star") {
			return err
		}
		seen++
		text, err := fs.ReadFile(scripts.FS, path)
		if err != nil {
			return err
		}
		made, bad := tree.Format(path, text)
		if bad != nil || string(made) != string(text) {
			t.Errorf("%s: rekey fmt would change it: %v", path, bad)
		}
		return nil
	})
	if err != nil || seen < 18 {
		t.Errorf("%d scripts, %v", seen, err)
	}
}
