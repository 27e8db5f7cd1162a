package source_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"strings"
	"testing"

	"golang.org/x/text/encoding/ianaindex"
	"golang.org/x/text/encoding/unicode"

	"github.com/rekey-host/rekey/host/source"
)

// TestFilesThatAreNoListAreNamed reads files of other kinds.
func TestFilesThatAreNoListAreNamed(t *testing.T) {
	var zipped bytes.Buffer
	w := gzip.NewWriter(&zipped)
	_, _ = fmt.Fprint(w, "login\nann\n")
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	wide := func(e unicode.Endianness) string {
		text, err := unicode.UTF16(e, unicode.IgnoreBOM).NewEncoder().String("login,team\nann,x\n")
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	for name, c := range map[string]struct{ text, want string }{
		"gzip":                  {zipped.String(), "is compressed by gzip, not a text; gunzip it first"},
		"a workbook":            {"PK\x03\x04\x14\x00\x06\x00", "is a zip archive, as the workbooks of spreadsheets (xlsx, ods) are, not a text"},
		"an old workbook":       {"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1 and so on", "is a document of an old Office"},
		"a PDF":                 {"%PDF-1.7\n", "is a PDF, not a text"},
		"encrypted by age":      {"age-encryption.org/v1\n-> X25519", "is encrypted by age, not a text; age --decrypt it first"},
		"a ledger":              {"SQLite format 3\x00", "is an SQLite database"},
		"zstd":                  {"(\xb5/\xfd....", "is compressed by zstd"},
		"UTF-16LE without mark": {wide(unicode.LittleEndian), `every second byte is NUL, as in utf-16le without a byte order mark; set encoding = "utf-16le"`},
		"UTF-16BE without mark": {wide(unicode.BigEndian), `set encoding = "utf-16be"`},
		"CR only":               {"login,team\rann,x\rbob,y\r", "its lines end in carriage return (CR) alone"},
		"sep= of another":       {"sep=;\nlogin;team\nann;x\n", `is Excel's sep= line, which says ";"; delimiter= is ","; set delimiter=";"`},
	} {
		t.Run(name, func(t *testing.T) {
			o := source.CSVOptions{Path: "users.csv", Files: source.Files{Dir: write(t, c.text)}}
			_, err := csvOf(t, o).Schema(context.Background())
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("Schema: %v, want %s", err, c.want)
			}
			rows, problems := read(t, csvOf(t, o))
			if len(rows) > 0 || !strings.Contains(problems, c.want) {
				t.Errorf("Rows: %q, %s, want %s", rows, problems, c.want)
			}
		})
	}
}

// TestTheLineOfExcelIsSkipped, in all forms that spreadsheets write.
func TestTheLineOfExcelIsSkipped(t *testing.T) {
	for _, line := range []string{"sep=;\n", "sep=;\r\n", "SEP=;\n", "\"sep=;\"\n", "\uFEFFsep=;\n"} {
		o := source.CSVOptions{Path: "users.csv", Delimiter: ";", Files: source.Files{Dir: write(t, line+"login;team\nann;x\n")}}
		rows, problems := read(t, csvOf(t, o))
		if len(rows) != 1 || !strings.HasPrefix(rows[0], "3 ann") || problems != "" {
			t.Errorf("%q: %q, %s", line, rows, problems)
		}
	}
	o := source.CSVOptions{Path: "users.csv", Columns: []string{"login"}, Files: source.Files{Dir: write(t, "sep=ann\n")}}
	if rows, problems := read(t, csvOf(t, o)); len(rows) != 1 || problems != "" {
		t.Errorf("a user whose name begins like it: %q, %s", rows, problems)
	}
}

// TestValuesThatCannotBeMeantAreNamed puts into the key and into a secret what a
// spreadsheet, a wrong encoding or a paste leaves there; in any other column it
// is a value like another.
func TestValuesThatCannotBeMeantAreNamed(t *testing.T) {
	errors := []string{"#NAME?", "#N/A", "#REF!", "#VALUE!", "#DIV/0!", "#NUM!", "#NULL!", "#name?"}
	for _, value := range errors {
		for what, line := range map[string]string{"key": value + ",x,y", "secret": "ann," + value + ",y"} {
			_, problems := read(t, guarded(t, "login,pw,note\n"+line+"\n"))
			if !strings.Contains(problems, "users.csv:2: column") || !strings.Contains(problems, "the error text of a spreadsheet") {
				t.Errorf("%s %q: %q", what, value, problems)
			}
		}
		if rows, problems := read(t, guarded(t, "login,pw,note\nann,x,"+value+"\n")); len(rows) != 1 || problems != "" {
			t.Errorf("note %q: %q", value, problems)
		}
	}
	for _, line := range []string{"########,x,y", "ann,###,y", "ann,\" ##### \",y"} {
		if _, problems := read(t, guarded(t, "login,pw,note\n"+line+"\n")); !strings.Contains(problems, "users.csv:2: column") || !strings.Contains(problems, "too narrow") {
			t.Errorf("%q: %q", line, problems)
		}
	}
	if rows, problems := read(t, guarded(t, "login,pw,note\nann,##x##,#####\n")); len(rows) != 1 || problems != "" {
		t.Errorf("%q", problems)
	}
	for value, want := range map[string]string{
		"\" ann\"": "begins with a space", "\"ann \"": "ends with a space", "\u00a0ann": "begins with a no-break space (U+00A0)", "ann\u00a0": "ends with a no-break space",
		"\u200bann": "U+200B", "ann\u200b": "U+200B", "ann\u200d": "U+200D", "\u2066ann": "U+2066",
		"ann\ufeff": "U+FEFF", "\u3000ann": "begins with U+3000", "ann\u00ad": "U+00AD", "ann\ufe0f": "ends with U+FE0F",
		"\ufffdmile": "replacement character (U+FFFD)",
	} {
		if _, problems := read(t, guarded(t, "login,pw,note\n"+value+",x,y\n")); !strings.Contains(problems, "users.csv:2:") || !strings.Contains(problems, want) {
			t.Errorf("key %q: %q, want %s", value, problems, want)
		}
	}
	if _, problems := read(t, guarded(t, "login,pw,note\nann,\ufffdx,y\n")); !strings.Contains(problems, `column "pw" has a replacement character`) || strings.Contains(problems, "\ufffdx") {
		t.Errorf("secret: %q", problems)
	}
	for _, items := range [][]any{{" ann"}, {"#NAME?"}, {"ann\u200b"}, {map[string]any{"login": "ann", "pw": "#N/A"}}} {
		if _, err := source.List(source.ListOptions{Items: items, Key: "login", Secrets: secretsOf(items)}); err == nil || !strings.Contains(err.Error(), "rows:1: ") {
			t.Errorf("rows %q: %v", items, err)
		}
	}
	for _, line := range []string{`{"login":" ann"}`, `{"login":"#REF!"}`, `{"login":"ann","pw":"#N/A"}`} {
		s, err := source.JSONL(source.JSONLOptions{Path: "users.csv", Key: "login", Secrets: []string{"pw"}, Optional: []string{"pw"}, Files: source.Files{Dir: write(t, line+`
{"login":"bob","pw":"x"}`)}})
		if err != nil {
			t.Fatal(err)
		}
		if _, problems := read(t, s); !strings.HasPrefix(problems, "users.csv:1: ") {
			t.Errorf("%s: %q", line, problems)
		}
	}
}

func secretsOf(items []any) []string {
	if _, is := items[0].(map[string]any); is {
		return []string{"pw"}
	}
	return nil
}

func guarded(t *testing.T, text string) source.Source {
	t.Helper()
	return csvOf(t, source.CSVOptions{Path: "users.csv", Secrets: []string{"pw"}, Files: source.Files{Dir: write(t, text)}})
}

// TestAHeaderInTheMiddleIsNoUser reads files that were put together.
func TestAHeaderInTheMiddleIsNoUser(t *testing.T) {
	const want = "is a header line in the middle of the list, as two files put together have; remove it"
	for text, line := range map[string]int{
		"login,pw,note\nann,x,y\nlogin,pw,note\nbob,x,y\n": 3, "login,pw,note\nann,x,y\nLogin, PW ,Note\n": 3, "login,pw,note\nlogin,pw,note\n": 2,
	} {
		if _, problems := read(t, guarded(t, text)); problems != fmt.Sprintf("users.csv:%d: %s", line, want) {
			t.Errorf("%q: %q", text, problems)
		}
	}
	o := source.CSVOptions{Path: "users.csv", Columns: []string{"login", "pw"}, Files: source.Files{Dir: write(t, "ann,x\nlogin,pw\n")}}
	if _, problems := read(t, csvOf(t, o)); problems != "users.csv:2: "+want {
		t.Errorf("with columns: %q", problems)
	}
	if rows, problems := read(t, guarded(t, "login,pw,note\nlogin,x,y\n")); len(rows) != 1 || problems != "" {
		t.Errorf("a user who is called login: %q", problems)
	}
}

// TestEncodingsAreReadByTheirIANANames writes and reads a letter of each.
func TestEncodingsAreReadByTheirIANANames(t *testing.T) {
	for name, login := range map[string]string{
		"windows-1250": "Łukasz", "iso-8859-2": "Łukasz", "windows-1251": "Иван", "koi8-r": "Иван", "iso-8859-5": "Иван", "windows-1253": "Γιώργος", "iso-8859-7": "Γιάννης",
		"windows-1254": "Işık", "iso-8859-9": "Işık", "windows-1255": "דוד", "windows-1256": "علي", "windows-1257": "Šarūnas", "windows-1258": "Đức", "iso-8859-15": "Œdipe",
		"Shift_JIS": "太郎", "EUC-JP": "太郎", "ISO-2022-JP": "太郎", "GBK": "李明", "GB18030": "李明", "hz-gb-2312": "李明", "Big5": "李明", "EUC-KR": "철수", "IBM437": "ñandú", "IBM850": "ñandú", "macintosh": "Émile",
	} {
		e, err := ianaindex.IANA.Encoding(name)
		if err != nil || e == nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		text, err := e.NewEncoder().String("login\n" + login + "\n")
		if err != nil {
			t.Logf("%s cannot write %q", name, login)
			continue
		}
		for _, spelling := range []string{name, strings.ToLower(name), strings.ToUpper(name)} {
			o := source.CSVOptions{Path: "users.csv", Encoding: spelling, Files: source.Files{Dir: write(t, text)}}
			rows, problems := read(t, csvOf(t, o))
			if len(rows) != 1 || !strings.HasPrefix(rows[0], "2 "+login) || problems != "" {
				t.Errorf("%s: %q, %s, want %s", spelling, rows, problems, login)
			}
		}
	}
}
