package python

import (
	"encoding/csv"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rekey-host/rekey/sdk/backendtest"
	"github.com/rekey-host/rekey/sdk/internal/sdktest"
)

// readme returns the commands of the examples' README.
func readme(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, block, ok := strings.Cut(string(text), "```sh\n")
	block, _, closed := strings.Cut(block, "```")
	if !ok || !closed {
		t.Fatal("README.md has no block of commands")
	}
	return block
}

func TestCommandsOfTheREADMEWork(t *testing.T) {
	sdktest.Python(t)
	sdk, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	top := t.TempDir() // stands for the repository, in which the commands would leave files
	if err := os.Symlink(sdk, filepath.Join(top, "sdk")); err != nil {
		t.Fatal(err)
	}
	script := strings.NewReplacer(
		"go build -o try/rekey ./cmd/rekey", "cp "+backendtest.Build(t, "../../../cmd/rekey")+" try/rekey",
		"run jsonfile.star --yes", "run jsonfile.star --yes || [ $? = 3 ]").Replace(readme(t))
	sh := exec.CommandContext(t.Context(), "/bin/sh", "-euc", script+`
		sed -i 's/"disabled": true/"disabled": false/' data/accounts.json
		./rekey retry last --yes`)
	sh.Dir, sh.Env = top, append(os.Environ(), "REKEY_STATE="+t.TempDir())
	if out, err := sh.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	f, err := os.Open(filepath.Join(top, "try", "passwords.csv"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	rows, err := csv.NewReader(f).ReadAll()
	if err != nil || len(rows) != 4 {
		t.Fatalf("passwords.csv has %d rows, %v; want a header and three", len(rows), err)
	}
	for _, row := range rows[1:] {
		if row[1] == "" {
			t.Errorf("%s has no password", row[0])
		}
	}
}
