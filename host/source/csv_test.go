package source_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"

	"github.com/rekey-host/rekey/host/diag"
	"github.com/rekey-host/rekey/host/source"
	"github.com/rekey-host/rekey/sdk/secret"
)

const canary = "c\"a\\n%y é"

func quote() *rune { q := '"'; return &q }

// write puts text into users.csv of a new directory and returns that.
func write(t *testing.T, text string) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "users.csv"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return dir
}

// show writes a row as text, secrets revealed and marked.
func show(r source.Row) string {
	var cells []string
	for _, c := range r.Cells {
		if s, ok := c.(secret.Value); ok {
			cells = append(cells, "secret:"+s.Reveal())
			continue
		}
		cells = append(cells, fmt.Sprintf("%T:%v", c, c))
	}
	return fmt.Sprintf("%d %s %s", r.Line, r.Key, strings.Join(cells, "|"))
}

// read returns the rows as text and the error's text.
func read(t *testing.T, s source.Source) ([]string, string) {
	t.Helper()
	var rows []string
	err := s.Rows(context.Background(), func(r source.Row) error { rows = append(rows, show(r)); return nil })
	if err == nil {
		return rows, ""
	}
	var p *diag.Problems
	if !errors.As(err, &p) {
		t.Fatalf("Rows: %v, want *diag.Problems", err)
	}
	return rows, p.Error()
}

func TestCSVReadsRows(t *testing.T) {
	two := source.CSVOptions{Key: "login", Columns: []string{"login", "pw"}, Secrets: []string{"pw"}}
	tests := []struct {
		name string
		in   string
		edit func(*source.CSVOptions)
		want []string
	}{
		{"plain", "ann,one\nbob,two\n", nil, []string{"1 ann string:ann|secret:one", "2 bob string:bob|secret:two"}},
		{"no last line end", "ann,one", nil, []string{"1 ann string:ann|secret:one"}},
		{"CRLF", "ann,one\r\nbob,two\r\n", nil, []string{"1 ann string:ann|secret:one", "2 bob string:bob|secret:two"}},
		{"byte order mark", "\uFEFFann,one\n", nil, []string{"1 ann string:ann|secret:one"}},
		{"blank lines are counted and skipped", "\n \t\nann,one\n\n", nil, []string{"3 ann string:ann|secret:one"}},
		{"spaces outside quotes are trimmed", "  ann ,\tone \n", nil, []string{"1 ann string:ann|secret:one"}},
		{"spaces inside quotes stay", `ann , " one "` + "\n", nil, []string{"1 ann string:ann|secret: one "}},
		{"quoted delimiter", `ann,"o,ne"`, nil, []string{"1 ann string:ann|secret:o,ne"}},
		{"doubled quotes", `ann,"o""n""""e"`, nil, []string{`1 ann string:ann|secret:o"n""e`}},
		{"bare quote is literal", `ann,o"n"e`, nil, []string{`1 ann string:ann|secret:o"n"e`}},
		{"canary", `ann,"c""a\n%y é"`, nil, []string{"1 ann string:ann|secret:" + canary}},
		{"quoted values share no memory", `"a""a","b""b"` + "\n" + `"c""c","d""d"`, nil, []string{`1 a"a string:a"a|secret:b"b`, `2 c"c string:c"c|secret:d"d`}},
		{"another quote", "ann,'o,''ne'", func(o *source.CSVOptions) { q := '\''; o.Quote = &q }, []string{"1 ann string:ann|secret:o,'ne"}},
		{"no quote takes what is there", `ann, "o""ne" `, func(o *source.CSVOptions) { o.Quote = nil }, []string{`1 ann string:ann|secret: "o""ne" `}},
		{"semicolon", "ann;o,ne", func(o *source.CSVOptions) { o.Delimiter = ";" }, []string{"1 ann string:ann|secret:o,ne"}},
		{"tab", "ann \t one", func(o *source.CSVOptions) { o.Delimiter = "\t" }, []string{"1 ann string:ann|secret:one"}},
		{"delimiter of two bytes", `ann§"o§ne"`, func(o *source.CSVOptions) { o.Delimiter = "§" }, []string{"1 ann string:ann|secret:o§ne"}},
		{"optional secret may be empty", "ann,", func(o *source.CSVOptions) { o.Optional = []string{"pw"} }, []string{"1 ann string:ann|secret:"}},
		{"header", "pw,login\none,ann\n", func(o *source.CSVOptions) { o.Columns = nil }, []string{"2 ann secret:one|string:ann"}},
		{"quoted header", "\"login\", \"pw\"\nann,one\n", func(o *source.CSVOptions) { o.Columns = nil }, []string{"2 ann string:ann|secret:one"}},
		{"a user called like a column", "login,one\nann,two", nil, []string{"1 login string:login|secret:one", "2 ann string:ann|secret:two"}},
		{"latin-1", "ann,\xe9", func(o *source.CSVOptions) { o.Encoding = "latin-1" }, []string{"1 ann string:ann|secret:é"}},
		{"windows-1252", "ann,\x80", func(o *source.CSVOptions) { o.Encoding = "Windows_1252" }, []string{"1 ann string:ann|secret:€"}},
		{"utf-8-sig", "\uFEFFann,é", func(o *source.CSVOptions) { o.Encoding = "utf-8-sig" }, []string{"1 ann string:ann|secret:é"}},
		{"utf-16 little", "\xff\xfea\x00,\x00\xe9\x00\n\x00", func(o *source.CSVOptions) { o.Encoding = "utf-16" }, []string{"1 a string:a|secret:é"}},
		{"utf-16 big", "\xfe\xff\x00a\x00,\x00\xe9", func(o *source.CSVOptions) { o.Encoding = "utf-16" }, []string{"1 a string:a|secret:é"}},
		{"utf-16le without mark", "a\x00,\x00\xe9\x00", func(o *source.CSVOptions) { o.Encoding = "utf-16le" }, []string{"1 a string:a|secret:é"}},
		{"types", "ann,x, 7 ,yes,2024-02-29\nbob,x,,,\ncat,x,-12,FALSE,1999-01-01", func(o *source.CSVOptions) {
			o.Columns = []string{"login", "pw", "n", "b", "d"}
			o.Types = map[string]source.Type{"n": source.Int, "b": source.Bool, "d": source.Date}
		}, []string{"1 ann string:ann|secret:x|int64:7|bool:true|source.Day:2024-02-29", "2 bob string:bob|secret:x|<nil>:<nil>|<nil>:<nil>|<nil>:<nil>",
			"3 cat string:cat|secret:x|int64:-12|bool:false|source.Day:1999-01-01"}},
		{"long line", "ann," + strings.Repeat("x", 100_000) + "\nbob,two", nil, []string{"1 ann string:ann|secret:" + strings.Repeat("x", 100_000), "2 bob string:bob|secret:two"}},
		{"nothing", "", nil, nil},
		{"lines of delimiters only", ",\nann,one\n,,,\n\"\" , \n", nil, []string{"2 ann string:ann|secret:one"}},
		{"values of several lines", "login,pw,street\nann,one,\"a, 1\n\nb \"\"2\"\"\r\nc\"\nbob,two,\"\nd\n\"\n", func(o *source.CSVOptions) { o.Columns = nil },
			[]string{"2 ann string:ann|secret:one|string:a, 1\n\nb \"2\"\r\nc", "6 bob string:bob|secret:two|string:\nd\n"}},
		{"lines to skip", "List of users\n;\n\nlogin,pw\nann,one\n", func(o *source.CSVOptions) { o.Columns, o.SkipLines = nil, 2 }, []string{"5 ann string:ann|secret:one"}},
		{"lines to skip without a header", "x\nann,one\n", func(o *source.CSVOptions) { o.SkipLines = 1 }, []string{"2 ann string:ann|secret:one"}},
		{"a delimiter that is found", "login;\"p,w\";pw\nann;x,y;one\n", func(o *source.CSVOptions) { o.Columns, o.Detect = nil, true }, []string{"2 ann string:ann|string:x,y|secret:one"}},
		{"a tab that is found", "login\tpw\nann\tone\n", func(o *source.CSVOptions) { o.Columns, o.Detect = nil, true }, []string{"2 ann string:ann|secret:one"}},
		{"a delimiter that the sep= line says", "sep=|\nlogin|pw\nann|one\n", func(o *source.CSVOptions) { o.Columns, o.Detect = nil, true }, []string{"3 ann string:ann|secret:one"}},
		{"a delimiter found by how many columns there are", "ann|one\n", func(o *source.CSVOptions) { o.Detect = true }, []string{"1 ann string:ann|secret:one"}},
		{"one column and a delimiter to find", "login\nann\n", func(o *source.CSVOptions) { o.Columns, o.Secrets, o.Detect = nil, nil, true }, []string{"2 ann string:ann"}},
		{"forms of days and truth values", "ann,x,31.12.2019,ja\nbob,x,1.2.2020,\ncat,x,,NEIN\ndan,x,,YES\n", func(o *source.CSVOptions) {
			o.Columns, o.Types = []string{"login", "pw", "d", "b"}, map[string]source.Type{"d": source.Date, "b": source.Bool}
			o.Forms = source.Forms{Date: "D.M.YYYY", True: []string{"Ja"}, False: []string{"nein", ""}}
		}, []string{"1 ann string:ann|secret:x|source.Day:2019-12-31|bool:true", "2 bob string:bob|secret:x|source.Day:2020-02-01|bool:false", "3 cat string:cat|secret:x|<nil>:<nil>|bool:false", "4 dan string:dan|secret:x|<nil>:<nil>|bool:true"}},
	}
	for _, c := range tests {
		t.Run(c.name, func(t *testing.T) {
			o := two
			o.Path, o.Dir, o.Quote = "users.csv", write(t, c.in), quote()
			if c.edit != nil {
				c.edit(&o)
			}
			s, err := source.CSV(o)
			if err != nil {
				t.Fatal(err)
			}
			got, problems := read(t, s)
			if diff := cmp.Diff(c.want, got); diff != "" || problems != "" {
				t.Errorf("rows of %q: problems %q, (-want +got)\n%s", c.in, problems, diff)
			}
		})
	}
}

func TestCSVNamesWhatIsWrong(t *testing.T) {
	two := source.CSVOptions{Key: "login", Columns: []string{"login", "pw"}, Secrets: []string{"pw"}}
	headed := func(o *source.CSVOptions) { o.Columns = nil }
	typed := func(o *source.CSVOptions) {
		o.Columns, o.Secrets = []string{"login", "pw", "n"}, nil
		o.Types = map[string]source.Type{"n": source.Int}
	}
	tests := []struct {
		name string
		in   string
		edit func(*source.CSVOptions)
		want string
	}{
		{"too many", "ann,one\nbob,t,wo\n", nil, "users.csv:2: 3 columns, want 2; quote the delimiter or set delimiter="},
		{"too few", "ann\n", nil, "users.csv:1: 1 column, want 2; add the missing values or set delimiter="},
		{"too many without quotes", `ann,"o,ne"`, func(o *source.CSVOptions) { o.Quote = nil }, "users.csv:1: 3 columns, want 2; set quote= and quote the delimiter, or set delimiter="},
		{"open quote", "ann,\"one\nbob,two", nil, "users.csv:1:5: the quoted value that begins here does not end in the file; close it; where the quote belongs to the value, double it, or set quote=None"},
		{"a quote that ends users later", "\"ann\",\"one\n\"bob\",\"two\"\n", nil, "users.csv:2:2: the quoted value that begins on line 1 ends here, and text follows it; close it where it ends; where a quote belongs to the value, double it, or set quote=None"},
		{"a quote that ends nowhere near", "ann,\"one" + strings.Repeat("\nbob,two", 1100), nil, "users.csv:1:5: the quoted value that begins here goes on for 1000 lines; close it; where the quote belongs to the value, double it, or set quote=None"},
		{"a key of two lines", "\"an\nn\",one", nil, `users.csv:1: key column "login" has a line break; write it on one line; in a CSV file, a quote before it may not be closed`},
		{"a byte that is not text in a value of lines", "ann,\"one\ntw\xe9\"", nil, `users.csv:2:3: not valid utf-8 at byte 3 of the line; set encoding = to what the file is in: "windows-1252" in the west of Europe, "windows-1250" in its middle, "windows-1251" for Cyrillic, or another IANA name`},
		{"a value with a line break", "ann,\"one\ntwo\nthree\"\nbob\n", nil, `users.csv:1: secret column "pw" has a line break; write it on one line; in a CSV file, a quote before it may not be closed` + "\n" +
			"users.csv:4: 1 column, want 2; add the missing values or set delimiter="},
		{"another delimiter behind a quote", `"ann";"one"`, nil, `users.csv:1:6: a quoted value is followed by ";", and delimiter= is ","; set delimiter=";"`},
		{"another delimiter in a quoted header", `"login"	"pw"` + "\n", headed, `users.csv:1:8: a quoted value is followed by "\t", and delimiter= is ","; set delimiter="\t"`},
		{"text after quote", `ann,"one"x`, nil, "users.csv:1:10: text after the end of a quoted value; double a quote inside quotes, or set quote=None"},
		{"empty key", " ,one", nil, `users.csv:1: key column "login" is empty; give every user a key`},
		{"empty secret", "ann,\"\"", nil, `users.csv:1: secret column "pw" is empty; fill it in, or list the column in optional=`},
		{"control character", "ann,a\x07b", nil, `users.csv:1: control character in column "pw"; remove it; a value is one line of text`},
		{"bare CR", "ann,a\rb", nil, `users.csv:1:6: carriage return (CR) within the line; remove it; where all lines end in CR alone, convert the file: tr '\r' '\n'`},
		{"delete", "a\x7fnn,ab", nil, `users.csv:1: control character in column "login"; remove it; a value is one line of text`},
		{"C1", "ann,a\u0085b", nil, `users.csv:1: control character in column "pw"; remove it; a value is one line of text`},
		{"header where columns are named", "login,pw\nann,one", nil, "users.csv:1: is the header that columns= says is not there; remove the line, or columns="},
		{"header in other case", "\nLogin , PW\nann,one", nil, "users.csv:2: is the header that columns= says is not there; remove the line, or columns="},
		{"not utf-8", "ann,one\nbob,\xe9", nil, `users.csv:2:5: not valid utf-8 at byte 5 of the line; set encoding = to what the file is in: "windows-1252" in the west of Europe, "windows-1250" in its middle, "windows-1251" for Cyrillic, or another IANA name`},
		{"utf-16 unsaid", "\xff\xfea\x00", nil, `users.csv:1: starts with the byte order mark of utf-16; set encoding = "utf-16"`},
		{"utf-8 mark in latin-1", "\uFEFFann,one", func(o *source.CSVOptions) { o.Encoding = "latin1" }, `users.csv:1: starts with the byte order mark of utf-8, encoding says latin-1; set encoding = "utf-8"`},
		{"utf-16 without mark", "a\x00", func(o *source.CSVOptions) { o.Encoding = "utf-16" }, `users.csv:1: has no byte order mark; set encoding = "utf-16le" or "utf-16be"`},
		{"utf-16 cut", "a\x00,\x00b\x00\n\x00a\x00,\x00b", func(o *source.CSVOptions) { o.Encoding = "utf-16le" }, `users.csv:2: not valid utf-16le; set encoding= to that of the file`},
		{"utf-16 half a pair", "a\x00,\x00\x00\xd8b\x00", func(o *source.CSVOptions) { o.Encoding = "utf-16le" }, `users.csv:1: not valid utf-16le; set encoding= to that of the file`},
		{"not an int", "ann,x,7.5", typed, `users.csv:1: column "n": "7.5" is not a value of type int; write a whole number in digits`},
		{"not an int beside a secret", "ann,x," + canary, func(o *source.CSVOptions) { typed(o); o.Secrets = []string{"pw"} }, `users.csv:1: column "n": not a value of type int; write a whole number in digits`},
		{"int too large", "ann,x,9223372036854775808", typed, `users.csv:1: column "n": "9223372036854775808" is not a value of type int; write a whole number in digits`},
		{"not a bool", "ann,x,maybe", func(o *source.CSVOptions) { typed(o); o.Types["n"] = source.Bool }, `users.csv:1: column "n": "maybe" is not a value of type bool; write true, false, yes, no, 1 or 0, or set true= and false= to the words of the file`},
		{"not a day", "ann,x,2023-02-29", func(o *source.CSVOptions) { typed(o); o.Types["n"] = source.Date }, `users.csv:1: column "n": there is no day "2023-02-29"; correct it`},
		{"days in other forms", "ann,x,31.12.2019\nbob,x,20191231\ncy,x,2/3/2019\ndi,x,1.4.19", func(o *source.CSVOptions) { typed(o); o.Types["n"] = source.Date },
			`users.csv:1: column "n": "31.12.2019" is not a value of type date; write YYYY-MM-DD: 2019-12-31, or set date_format = "D.M.YYYY"` + "\n" +
				`users.csv:2: column "n": "20191231" is not a value of type date; write YYYY-MM-DD: 2019-12-31, or set date_format = "YYYYMMDD"` + "\n" +
				`users.csv:3: column "n": "2/3/2019" is not a value of type date; write YYYY-MM-DD, or set date_format = "D/M/YYYY" or "M/D/YYYY", whichever the file means` + "\n" +
				`users.csv:4: column "n": "1.4.19" is not a value of type date; write YYYY-MM-DD`},
		{"a day beside a secret", "ann,x,31.12.2019", func(o *source.CSVOptions) {
			typed(o)
			o.Types["n"], o.Secrets = source.Date, []string{"pw"}
		}, `users.csv:1: column "n": not a value of type date; write YYYY-MM-DD`},
		{"too long a line", "ann," + strings.Repeat("x", 2<<20) + "\n,one", nil, "users.csv:1: the line is longer than 1048576 bytes; is this a list of users, one a line?\n" +
			`users.csv:2: key column "login" is empty; give every user a key`},
		{"no header", "", headed, "users.csv: is empty; line 1 has to name the columns; set columns= if it does not"},
		{"no such key", "logins,pw\n", headed, `users.csv:1: key: there is no column "login"; did you mean "logins"?`},
		{"no such columns", "ann," + canary + "\n", headed, `users.csv:1: key: there is no column "login"; line 1 has to name the columns; set columns= if it does not` + "\n" +
			`users.csv:1: secrets: there is no column "pw"; line 1 has to name the columns; set columns= if it does not`},
		{"other delimiter", "login;pw\n", headed, `users.csv:1: 1 column only; set delimiter=";"`},
		{"a header under a title", "Users of May,\n,\nlogin,pw\nann,one\n", headed, `users.csv:1: line 3 is the header line: it has the key "login"; set skip_lines=2`},
		{"a name that only looks like it", "login\u200b,pw\nann,one\n", headed, `users.csv:1: key: there is no column "login"; the name of column 1 is that with characters that are not seen: remove them`},
		{"fewer lines than skipped", "login,pw\n", func(o *source.CSVOptions) { o.SkipLines = 5 }, "users.csv: ends within the 5 lines that skip_lines= skips; count the lines before the list"},
		{"a delimiter that cannot be found", "logins;pw\n", func(o *source.CSVOptions) { o.Columns, o.Detect = nil, true }, `users.csv:1: delimiter=None: with none of ";,\t|" the first line has the key "login"; set delimiter=, or skip_lines= where the header comes later`},
		{"nor by how many columns there are", "ann#one\n", func(o *source.CSVOptions) { o.Detect = true }, `users.csv:1: delimiter=None: with none of ";,\t|" the first line has the 2 values of columns=; set delimiter=, or skip_lines= where the header comes later`},
		{"two delimiters that fit", "a;n,one\n", func(o *source.CSVOptions) { o.Detect = true }, `users.csv:1: delimiter=None: the first line has as many values with ";" as with ","; set delimiter=`},
		{"a day of another form", "ann,x,2019-12-31\nbob,x,31.02.2019", func(o *source.CSVOptions) {
			typed(o)
			o.Types["n"], o.Forms.Date = source.Date, "DD.MM.YYYY"
		}, `users.csv:1: column "n": "2019-12-31" is not a value of type date; write DD.MM.YYYY, which date_format says` + "\n" +
			`users.csv:2: column "n": "31.02.2019" is not a value of type date; write DD.MM.YYYY, which date_format says`},
		{"a day of another script", "ann,x,2019年12月31日\nbob,x,2019-12-31", func(o *source.CSVOptions) {
			typed(o)
			o.Types["n"], o.Forms.Date = source.Date, "YYYY年MM月DD日"
		}, `users.csv:2: column "n": "2019-12-31" is not a value of type date; write YYYY年MM月DD日, which date_format says`},
		{"JSON", "{\"login\": \"ann\"}\n", headed, "users.csv:1: is JSON; read it with jsonl(), with one object on each line"},
		{"duplicate column", "login,pw,pw\n", headed, "users.csv:1: columns 2 and 3 have the same name; name each once"},
		{"empty column", "login,,pw\n", headed, "users.csv:1: column 2 has no name; name it, or set columns= if the first line is a user"},
	}
	for _, c := range tests {
		t.Run(c.name, func(t *testing.T) {
			o := two
			o.Path, o.Dir, o.Quote = "users.csv", write(t, c.in), quote()
			if c.edit != nil {
				c.edit(&o)
			}
			s, err := source.CSV(o)
			if err != nil {
				t.Fatal(err)
			}
			if _, got := read(t, s); got != c.want {
				t.Errorf("problems of %.100q:\n%s\nwant\n%s", c.in, got, c.want)
			}
		})
	}
}

func TestCSVRefusesMisuse(t *testing.T) {
	tests := []struct {
		name string
		in   source.CSVOptions
		want string
	}{
		{"no key", source.CSVOptions{}, "csv: key= is missing; name the column that tells users apart"},
		{"two characters", source.CSVOptions{Key: "a", Delimiter: "::"}, `csv: delimiter "::" is not one character`},
		{"control character", source.CSVOptions{Key: "a", Delimiter: "\n"}, `csv: delimiter "\n" is a control character`},
		{"quote is delimiter", source.CSVOptions{Key: "a", Delimiter: `"`, Quote: quote()}, `csv: delimiter and quote are both "\""`},
		{"encoding", source.CSVOptions{Key: "a", Encoding: "ebcdic"}, `csv: encoding "ebcdic" is not one of utf-8, utf-8-sig, latin-1, windows-1252, utf-16, utf-16le, utf-16be, or a known name of the IANA, such as windows-1250, iso-8859-2, koi8-r, shift_jis, euc-kr, gb18030, big5`},
		{"secret key", source.CSVOptions{Key: "a", Secrets: []string{"a"}}, `csv: key column "a" cannot be secret; keys stand in plans and reports`},
		{"type", source.CSVOptions{Key: "a", Types: map[string]source.Type{"b": "float"}}, `csv: types: "float" of column "b" is not one of string, int, bool, date`},
		{"form of days", source.CSVOptions{Key: "a", Forms: source.Forms{Date: "dd.mm.yyyy"}}, `csv: date_format "dd.mm.yyyy": "dd" is not YYYY, MM, M, DD or D`},
		{"half a form of days", source.CSVOptions{Key: "a", Forms: source.Forms{Date: "MM/DD"}}, `csv: date_format "MM/DD": want YYYY, MM and DD once each, such as DD.MM.YYYY`},
		{"a year of two digits", source.CSVOptions{Key: "a", Forms: source.Forms{Date: "DD.MM.YY"}}, `csv: date_format "DD.MM.YY": "YY" is not YYYY, MM, M, DD or D`},
		{"a word of both", source.CSVOptions{Key: "a", Forms: source.Forms{True: []string{"x"}, False: []string{"X"}}}, `csv: false: "X" is among true= too; a word means one thing`},
		{"a word turned round", source.CSVOptions{Key: "a", Forms: source.Forms{True: []string{"No"}}}, `csv: "No" means false in every list; leave it out`},
		{"typed secret", source.CSVOptions{Key: "a", Secrets: []string{"b"}, Types: map[string]source.Type{"b": source.Int}}, `csv: types: column "b" is secret and has no type`},
		{"columns", source.CSVOptions{Key: "lgin", Columns: []string{"login", "pw", "pw"}}, "csv: columns 2 and 3 have the same name; name each once\n" +
			`csv: key: there is no column "lgin"; did you mean "login"?`},
	}
	for _, c := range tests {
		t.Run(c.name, func(t *testing.T) {
			c.in.Path = "users.csv"
			_, err := source.CSV(c.in)
			if err == nil || err.Error() != c.want {
				t.Errorf("CSV(%+v): %v, want %s", c.in, err, c.want)
			}
		})
	}
}

func TestCSVListsTwentyProblemsAndCountsTheRest(t *testing.T) {
	s, err := source.CSV(source.CSVOptions{Path: "users.csv", Key: "login", Columns: []string{"login"},
		Files: source.Files{Dir: write(t, strings.Repeat("a,b\n", 33)+"fine\n")}})
	if err != nil {
		t.Fatal(err)
	}
	rows, problems := read(t, s)
	if len(rows) != 1 {
		t.Errorf("rows = %q, want the one that is sound", rows)
	}
	lines := strings.Split(problems, "\n")
	if len(lines) != 21 || lines[20] != "and 13 more" {
		t.Errorf("problems: %d lines, the last is %q; want 20 and \"and 13 more\"", len(lines), lines[len(lines)-1])
	}
}

func TestCSVMissingFileIsFSNotExist(t *testing.T) {
	s, err := source.CSV(source.CSVOptions{Path: "none.csv", Key: "login", Files: source.Files{Dir: t.TempDir()}})
	if err != nil {
		t.Fatal(err)
	}
	_, err = s.Schema(context.Background())
	if !errors.Is(err, fs.ErrNotExist) || err.Error() != "none.csv: no such file" {
		t.Errorf("Schema: %v, want one problem that is fs.ErrNotExist", err)
	}
}

func TestCSVReadsEmbeddedFiles(t *testing.T) {
	files := fstest.MapFS{"data/a.csv": {Data: []byte("login\nann\n")}}
	s, err := source.CSV(source.CSVOptions{Path: "@rekey/data/a.csv", Key: "login", Files: source.Files{Embedded: files}})
	if err != nil {
		t.Fatal(err)
	}
	if got, problems := read(t, s); problems != "" || len(got) != 1 {
		t.Errorf("rows: %q, %q, want one row", got, problems)
	}
}

// A column that the file may lack is there for the reader of rows all the same.
func TestCSVMayLackColumns(t *testing.T) {
	headed := source.CSVOptions{Key: "login", Delimiter: ";", Secrets: []string{"old", "new"}, Optional: []string{"old"}, MayLack: []string{"new", "team"}}
	bare := headed
	bare.Columns = []string{"login", "old", "new", "team"}
	folded := headed
	folded.AnyCase = true
	for _, test := range []struct {
		name, in string
		o        source.CSVOptions
		rows     string
		err      string
	}{
		{"a header without them", "login;old\nann;a\n", headed, "2 ann string:ann|secret:a|secret:|string:", ""},
		{"a header with one", "login;old;new\nann;a;b\n", headed, "2 ann string:ann|secret:a|secret:b|string:", ""},
		{"a header with both, in another order", "team;new;old;login\nx;b;a;ann\n", headed, "2 ann string:x|secret:b|secret:a|string:ann", ""},
		{"an empty cell", "login;old;new\nann;a;\n", headed, "2 ann string:ann|secret:a|secret:|string:", ""},
		{"a line that is shorter than the header", "login;old;new\nann;a\n", headed, "", "users.csv:2: 2 columns, want 3; add the missing values or set delimiter="},
		{"a line that is longer than the header", "login;old\nann;a;b\n", headed, "", "users.csv:2: 3 columns, want 2; quote the delimiter or set delimiter="},
		{"no header, none of them", "ann;a\nbob;b\n", bare, "1 ann string:ann|secret:a|secret:|string: 2 bob string:bob|secret:b|secret:|string:", ""},
		{"no header, one", "ann;a;b\n", bare, "1 ann string:ann|secret:a|secret:b|string:", ""},
		{"no header, both", "ann;a;b;x\n", bare, "1 ann string:ann|secret:a|secret:b|string:x", ""},
		{"the first line tells how many", "ann;a\nbob;b;c\n", bare, "1 ann string:ann|secret:a|secret:|string:", "users.csv:2: 3 columns, want 2; quote the delimiter or set delimiter="},
		{"too few", "ann\n", bare, "", "users.csv:1: 1 column, want 2; add the missing values or set delimiter="},
		{"too many", "ann;a;b;x;y\n", bare, "", "users.csv:1: 5 columns, want 4; quote the delimiter or set delimiter="},
		{"a header that should not be there", "login;old;new\nann;a;b\n", bare, "2 ann string:ann|secret:a|secret:b|string:", "users.csv:1: is the header that columns= says is not there; remove the line, or columns="},
		{"a header in another case", "LOGIN;Old;NEW\nann;a;b\n", folded, "2 ann string:ann|secret:a|secret:b|string:", ""},
		{"which has to be allowed", "Login;old\nann;a\n", headed, "", `users.csv:1: key: there is no column "login"; did you mean "Login"?`},
		{"and names each once", "login;LOGIN;old\nann;b;a\n", folded, "", "users.csv:1: columns 1 and 2 have the same name; name each once"},
	} {
		o := test.o
		o.Path, o.Quote, o.Files = "users.csv", quote(), source.Files{Dir: write(t, test.in)}
		s, err := source.CSV(o)
		if err != nil {
			t.Fatalf("%s: %v", test.name, err)
		}
		rows, problem := read(t, s)
		if got := strings.Join(rows, " "); got != test.rows || problem != test.err {
			t.Errorf("%s: rows %q, error %q; want %q, %q", test.name, got, problem, test.rows, test.err)
		}
	}
}

func TestCSVMayLackIsUsedWell(t *testing.T) {
	for want, o := range map[string]source.CSVOptions{
		"csv: may_lack: has to be the last names of columns=, in their order": {Columns: []string{"login", "new", "team"}, MayLack: []string{"new"}},
		`csv: may_lack: key column "login" has to be there`:                   {MayLack: []string{"login"}},
	} {
		o.Path, o.Key = "users.csv", "login"
		if _, err := source.CSV(o); err == nil || err.Error() != want {
			t.Errorf("CSV(%+v) = %v, want %s", o, err, want)
		}
	}
}

// TestCSVKnowsAFileOfAnotherKind: its header says how it is read, whatever the
// options make of its first line.
func TestCSVKnowsAFileOfAnotherKind(t *testing.T) {
	const is = `is the header line of another kind of file: it has "emailAddress"; set format=llis`
	list := source.CSVOptions{Key: "login", Columns: []string{"login", "temporary", "final"}, MayLack: []string{"final"}, Delimiter: ";"}
	named := source.CSVOptions{Key: "login", Delimiter: ";"}
	for _, test := range []struct {
		name, in string
		o        source.CSVOptions
		err      string
	}{
		{"another delimiter", "emailAddress,action,password\nann@x,Add,p\n", list, "users.csv:1: " + is},
		{"the same delimiter and as many columns", "emailAddress;action;password\r\nann@x;Add;p\r\n", list, "users.csv:1: " + is},
		{"quoted, with a mark", "\ufeff\"action\"\t\"emailAddress\"\n", list, "users.csv:1: " + is},
		{"one column", "emailAddress\r\nann@x\r\n", list, "users.csv:1: " + is},
		{"no list without a line end", "emailAddress,action", list, "users.csv:1: " + is},
		{"in another case", "EMAILADDRESS,action\n", list, "users.csv:1: " + strings.Replace(is, "emailAddress", "EMAILADDRESS", 1)},
		{"a header line without the key", "emailAddress,action\nann@x,Add\n", named, "users.csv:1: " + is},
		{"a list", "ann@x;p;\n", list, ""},
		{"a later line is none", "ann@x;p\nemailAddress;q\n", list, ""},
		{"a header line with the key", "login;emailAddress\nann;ann@x\n", named, ""},
		{"a part of a name", "myemailAddress;p\n", list, ""},
		{"an empty file", "", list, ""},
	} {
		o := test.o
		o.Path, o.Quote, o.Files, o.Others = "users.csv", quote(), source.Files{Dir: write(t, test.in)}, []source.OtherKind{{Column: "emailAddress", Fix: "set format=llis"}}
		s, err := source.CSV(o)
		if err != nil {
			t.Fatalf("%s: %v", test.name, err)
		}
		rows, problem := read(t, s)
		if problem != test.err || test.err == "" && test.in != "" && len(rows) == 0 {
			t.Errorf("%s: rows %q, error %q; want %q", test.name, rows, problem, test.err)
		}
	}
}

// TestDedupeKeepsOneRowOfAKey, and says which it leaves out.
func TestDedupeKeepsOneRowOfAKey(t *testing.T) {
	const text = "login,team\nann,a\nbob,b\nANN,c\nann,d\ncat,e\n"
	for keep, want := range map[source.Keep][2]string{
		source.First: {"2 ann string:ann|string:a 3 bob string:bob|string:b 6 cat string:cat|string:e", `users.csv:4: dedupe="first": the row of key "ANN" is left out, for the one on line 2; so it is 2 times in all`},
		source.Last:  {"3 bob string:bob|string:b 5 ann string:ann|string:d 6 cat string:cat|string:e", `users.csv:2: dedupe="last": the row of key "ann" is left out, for the one on line 5; so it is 2 times in all`},
	} {
		s := source.Dedupe(csvOf(t, source.CSVOptions{Path: "users.csv", Files: source.Files{Dir: write(t, text)}}), keep)
		for range 2 {
			rows, problems := read(t, s)
			if got := strings.Join(rows, " "); got != want[0] || problems != "" {
				t.Errorf("%s: %s, %s; want %s", keep, got, problems, want[0])
			}
			if warned := strings.Join(source.Warnings(s), "\n"); warned != want[1] {
				t.Errorf("%s: %s; want %s", keep, warned, want[1])
			}
		}
	}
	s := source.Dedupe(csvOf(t, source.CSVOptions{Path: "users.csv", Files: source.Files{Dir: write(t, "login\nann\nbob\n")}}), source.Last)
	if rows, problems := read(t, s); len(rows) != 2 || problems != "" || len(source.Warnings(s)) > 0 {
		t.Errorf("without doubles: %q, %s, %q", rows, problems, source.Warnings(s))
	}
}

// TestCSVSaysHowItWasRead: a delimiter that was found, and a value that may
// have swallowed a user.
func TestCSVSaysHowItWasRead(t *testing.T) {
	for text, want := range map[string]string{
		"login;team;note\nann;a;b\n":                       `users.csv:1: delimiter=None: ";" stands between the values, as the first line tells`,
		"sep=;\nlogin;team;note\nann;a;b\n":                `users.csv:1: delimiter=None: ";" stands between the values, as the sep= line says`,
		"login\nann\n":                                     "",
		"login,team,note\nann,a,\"b\nbob,c,d\ncat,e,f\"\n": `users.csv:1: delimiter=None: "," stands between the values, as the first line tells` + "\n" + `users.csv:3: the value that goes on here, from line 2, has a line with as many values as a user: if it is one, a quote before it is not closed`,
	} {
		s := csvOf(t, source.CSVOptions{Path: "users.csv", Detect: true, Files: source.Files{Dir: write(t, text)}})
		if rows, problems := read(t, s); len(rows) != 1 || problems != "" {
			t.Errorf("%q: %q, %s", text, rows, problems)
		}
		if got := strings.Join(source.Warnings(s), "\n"); got != want {
			t.Errorf("%q: %s; want %s", text, got, want)
		}
	}
}
