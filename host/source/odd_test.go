package source_test

import (
	"context"
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/rekey-host/rekey/host/source"
)

var update = flag.Bool("update", false, "write the golden files")

// oddOptions are how a file of testdata/odd is to be read, where that is another
// way than with a delimiter to find and UTF-8.
func oddOptions(name string) source.CSVOptions {
	o := source.CSVOptions{Detect: true}
	switch name {
	case "excel_de.csv":
		o.Types, o.Date = map[string]source.Type{"hired": source.Date}, "DD.MM.YYYY"
	case "day_of_another_form.csv", "no_such_day.csv", "american_day.csv":
		o.Types = map[string]source.Type{"hired": source.Date}
	case "excel_de_1252.csv":
		o.Encoding = "windows-1252"
	case "excel_utf16_tab.txt":
		o.Encoding = "utf-16"
	case "latin2.csv":
		o.Encoding = "iso-8859-2"
	case "cyrillic.csv":
		o.Encoding = "KOI8-R"
	case "japanese.csv":
		o.Encoding = "Shift_JIS"
	case "sap.csv":
		o.SkipLines, o.Types, o.True, o.False = 3, map[string]source.Type{"active": source.Bool}, []string{"x"}, []string{""}
	case "workday.csv", "quote_in_secret.csv", "name_error.csv", "no_secret.csv":
		o.Secrets = []string{"pw"}
	case "yes_in_german.csv":
		o.Types = map[string]source.Type{"active": source.Bool}
	case "sep_of_another.csv", "semicolons.csv", "semicolons_quoted.csv", "title.csv", "no_key.csv", "near_key.csv", "hidden_header.csv":
		o.Detect = false
	}
	return o
}

// TestOddFilesAreReadRightOrNamed reads what people have: each file is read to
// what it means, or one line names place, cause and fix.
func TestOddFilesAreReadRightOrNamed(t *testing.T) {
	files, err := os.ReadDir("testdata/odd")
	if err != nil || len(files) < 40 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	var out strings.Builder
	for _, file := range files {
		o := oddOptions(file.Name())
		o.Path, o.Dir = file.Name(), "testdata/odd"
		s := csvOf(t, o)
		if file.Name() == "doubles.csv" {
			s = source.Dedupe(s, source.Last)
		}
		out.WriteString(told(t, s))
	}
	const golden = "testdata/odd.golden"
	if *update {
		if err := os.WriteFile(golden, []byte(out.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), out.String()); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

// told is the line of a problem, or what was read.
func told(t *testing.T, s source.Source) string {
	t.Helper()
	rows, problems := "", ""
	_, err := s.Schema(context.Background())
	if err != nil {
		problems = err.Error()
	} else {
		var list []string
		list, problems = read(t, s)
		rows = strings.Join(list, " / ")
	}
	if strings.Contains(problems, "\n") {
		t.Errorf("%s: more than one line: %s", s.Name(), problems)
	}
	if problems != "" {
		return problems + "\n"
	}
	return fmt.Sprintf("%s: read: %.200q\n", s.Name(), rows)
}
