package main_test

import (
	"flag"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"

	"github.com/rekey-host/rekey/host/workflow/lang"
)

var update = flag.Bool("update", false, "write the golden files")

// unpacked is a place with the files of an archive, and the archive.
func unpacked(t *testing.T, path string) (*place, *txtar.Archive) {
	t.Helper()
	archive, err := txtar.ParseFile(path)
	if err != nil {
		t.Fatal(err)
	}
	p := newPlace(t)
	for _, file := range archive.Files {
		p.write(file.Name, string(file.Data))
	}
	return p, archive
}

// finding is the first line of one: its place, and that it says what to do.
var finding = regexp.MustCompile(`^rekey: (?:warning: )?([0-9a-z_]+)\.star:(\d+):(\d+): .*(?:; .|: want )`)

// TestAHundredFaultsAreToldWithTheirPlaceAndFix, one of each script, all at once.
func TestAHundredFaultsAreToldWithTheirPlaceAndFix(t *testing.T) {
	const path = "testdata/check/broken.txtar"
	p, archive := unpacked(t, path)
	said := map[string]string{}
	name := ""
	for line := range strings.Lines(p.must(2, "check").stderr) {
		if strings.HasPrefix(line, "rekey: ") {
			found := finding.FindStringSubmatch(line)
			if found == nil {
				t.Errorf("no place, or no fix: %s", line)
				continue
			}
			if name = found[1]; said[name] != "" {
				t.Errorf("%s: more than one finding", name)
			}
		}
		said[name] += line
	}
	golden := &txtar.Archive{Comment: archive.Comment}
	scripts := 0
	for _, file := range archive.Files {
		name, isText := strings.CutSuffix(file.Name, ".txt")
		if isText {
			if got := said[name]; got != string(file.Data) && !*update {
				t.Errorf("%s says\n%s\nwant\n%s", name, got, file.Data)
			}
			continue
		}
		golden.Files = append(golden.Files, file)
		name, isScript := strings.CutSuffix(file.Name, ".star")
		if !isScript || strings.Contains(name, "/") {
			continue
		}
		scripts++
		golden.Files = append(golden.Files, txtar.File{Name: name + ".txt", Data: []byte(said[name])})
		if said[name] == "" {
			t.Errorf("%s: nothing is found", name)
		}
	}
	if scripts < 100 || len(said) != scripts {
		t.Errorf("%d scripts, findings of %d", scripts, len(said))
	}
	if len(golden.Files) != len(archive.Files) && !*update {
		t.Errorf("%d files, want %d: run the test with -update", len(archive.Files), len(golden.Files))
	}
	if *update {
		if err := os.WriteFile(path, txtar.Format(golden), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// TestSoundScriptsHaveNoFindings, though they use every name of the language, and
// have their form.
func TestSoundScriptsHaveNoFindings(t *testing.T) {
	p, archive := unpacked(t, "testdata/check/sound.txtar")
	if r := p.must(0, "check"); r.stderr != "" || strings.Count(r.stdout, " is sound\n") != 20 {
		t.Errorf("it says\n%s%s", r.stderr, r.stdout)
	}
	p.must(0, "fmt", "--check")
	text := ""
	for _, file := range archive.Files {
		text += string(file.Data)
	}
	for _, entry := range lang.New().Entries() {
		_, member, dotted := strings.Cut(entry.Name, ".")
		word := regexp.QuoteMeta(entry.Name)
		if dotted && strings.HasPrefix(entry.Name, "BACKEND.") {
			word = `\.` + member
		}
		if entry.Later == "" && !regexp.MustCompile(`\b`+strings.TrimPrefix(word, `\b`)+`\b`).MatchString(text) && !strings.HasPrefix(word, `\.`) {
			t.Errorf("no script uses %s", entry.Name)
		}
	}
}

// TestAScriptWithTypesRunsAsOneWithout: the types are there for the check alone.
func TestAScriptWithTypesRunsAsOneWithout(t *testing.T) {
	p, _ := unpacked(t, "testdata/check/sound.txtar")
	o := p.outcome(0, "run", "typed.star", "limit=20", "--yes")
	if o.Counts["done"] != 1 || !strings.Contains(p.read("out.csv"), "ann,done") {
		t.Errorf("got %+v\n%s", o, p.read("out.csv"))
	}
	if r := p.must(0, "docs", "types"); !strings.Contains(r.stdout, "def label(user: User, size: int = 3) -> str:") {
		t.Error(r.stdout)
	}
}
