package source_test

import (
	"archive/zip"
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/rekey-host/rekey/host/source"
)

// bookParts is a workbook of two sheets, one of them hidden, whose rows the test
// gives: style 1 is a day, 2 five digits, 3 money, 4 text, 5 a whole number.
func bookParts(rows string) map[string]string {
	const rel = "http://schemas.openxmlformats.org/officeDocument/2006/relationships/"
	return map[string]string{
		"_rels/.rels": `<Relationships><Relationship Id="a" Type="` + rel + `officeDocument" Target="/xl/book.xml"/></Relationships>`,
		"xl/book.xml": `<workbook xmlns:r="x"><sheets><sheet name="Old" sheetId="1" state="hidden" r:id="r1"/><sheet name="Staff" sheetId="2" r:id="r2"/></sheets></workbook>`,
		"xl/_rels/book.xml.rels": `<Relationships><Relationship Id="r1" Type="` + rel + `worksheet" Target="worksheets/one.xml"/><Relationship Id="r2" Type="` + rel + `worksheet" Target="worksheets/two.xml"/>` +
			`<Relationship Id="r3" Type="` + rel + `sharedStrings" Target="texts.xml"/><Relationship Id="r4" Type="` + rel + `styles" Target="styles.xml"/></Relationships>`,
		"xl/texts.xml":          `<sst><si><t>login</t></si><si><r><t xml:space="preserve">te</t></r><r><t>mp</t></r><rPh><t>unsaid</t></rPh></si><si><t>ann</t></si><si><t xml:space="preserve"> 00&amp;42 </t></si><si><t>a_x000D_b_x005F_x0041_</t></si></sst>`,
		"xl/styles.xml":         `<styleSheet><numFmts><numFmt numFmtId="164" formatCode="00000"/><numFmt numFmtId="165" formatCode="#,##0.00 &quot;day&quot;"/></numFmts><cellStyleXfs><xf numFmtId="14"/></cellStyleXfs><cellXfs><xf numFmtId="0"/><xf numFmtId="14"/><xf numFmtId="164"/><xf numFmtId="165"/><xf numFmtId="49"/><xf numFmtId="1"/></cellXfs></styleSheet>`,
		"xl/worksheets/one.xml": `<worksheet><sheetData><row r="1"><c r="A1" t="inlineStr"><is><t>login</t></is></c></row><row r="2"><c r="A2" t="inlineStr"><is><t>old</t></is></c></row></sheetData></worksheet>`,
		"xl/worksheets/two.xml": `<worksheet><sheetData>` + rows + `</sheetData></worksheet>`,
	}
}

// writeBook writes users.xlsx into a new directory.
func writeBook(t *testing.T, parts map[string]string) string {
	t.Helper()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for name, text := range parts {
		w, err := z.Create(name)
		if err == nil {
			_, err = w.Write([]byte(text))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "users.xlsx"), b.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	return dir
}

func xlsxOf(t *testing.T, o source.XLSXOptions) source.Source {
	t.Helper()
	o.Path, o.Key = "users.xlsx", "login"
	s, err := source.XLSX(o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// head is the header row login, temp, n.
const head = `<row r="1"><c r="A1" t="s"><v>0</v></c><c r="B1" t="s"><v>1</v></c><c r="D1" t="str"><f>"n"</f><v>n</v></c></row>`

// row is row 2 with the cells of the columns A, B and D; "" leaves one out.
func row(cells ...string) string {
	text := `<row r="2">`
	for i, cell := range cells {
		if cell != "" {
			text += fmt.Sprintf(`<c r="%s2" %s</c>`, []string{"A", "B", "D"}[i], cell)
		}
	}
	return text + "</row>"
}

const (
	ann  = `t="s"><v>2</v>`
	ann2 = `t="inlineStr"><is><t>ann</t></is>`
)

func TestXLSXReadsRows(t *testing.T) {
	kinds := func(kind source.Type) func(*source.XLSXOptions) {
		return func(o *source.XLSXOptions) { o.Types = map[string]source.Type{"n": kind} }
	}
	secretTemp := func(o *source.XLSXOptions) { o.Secrets = []string{"temp"} }
	for name, test := range map[string]struct {
		rows string
		edit func(*source.XLSXOptions)
		want string
	}{
		"texts":                           {row(ann, `t="s"><v>3</v>`, `t="s"><v>4</v>`), nil, "2 ann string:ann|string: 00&42 |string:a\rb_x0041_"},
		"empty cells":                     {row(ann2), nil, "2 ann string:ann|string:|string:"},
		"numbers are their digits":        {row(`><v>1001</v>`, `s="4"><v>7</v>`, `><v>1.5E3</v>`), nil, "2 1001 string:1001|string:7|string:1500"},
		"zeros that a format shows":       {row(`s="2"><v>42</v>`), nil, "2 00042 string:00042|string:|string:"},
		"as long as a number may be":      {row(`><v>123456789012345</v>`, `s="5"><v>1.5E3</v>`, `s="2"><v>-5</v>`), secretTemp, "2 123456789012345 string:123456789012345|secret:1500|string:-5"},
		"money is no key":                 {row(ann, "", `s="3"><v>3.5</v>`), nil, "2 ann string:ann|string:|string:3.5"},
		"truth values":                    {row(ann, `t="b"><v>1</v>`, `t="b"><v>0</v>`), kinds(source.Bool), "2 ann string:ann|string:true|bool:false"},
		"truth in words":                  {row(ann, "", `t="inlineStr"><is><t>ja</t></is>`), func(o *source.XLSXOptions) { kinds(source.Bool)(o); o.True = []string{"Ja"} }, "2 ann string:ann|string:|bool:true"},
		"days":                            {row(ann, "", `s="1"><v>43830</v>`), kinds(source.Date), "2 ann string:ann|string:|source.Day:2019-12-31"},
		"days in a text":                  {row(ann, "", `t="inlineStr"><is><t>31.12.2019</t></is>`), func(o *source.XLSXOptions) { kinds(source.Date)(o); o.Date = "D.M.YYYY" }, "2 ann string:ann|string:|source.Day:2019-12-31"},
		"whole numbers":                   {row(ann, "", `><v>12.0</v>`), kinds(source.Int), "2 ann string:ann|string:|int64:12"},
		"a secret":                        {row(ann, `t="s"><v>3</v>`), secretTemp, "2 ann string:ann|secret: 00&42 |string:"},
		"the result of a formula":         {row(ann, `t="str"><f>A1&amp;"x"</f><v>=x</v>`), nil, "2 ann string:ann|string:=x|string:"},
		"rows without a value":            {`<row r="2"><c r="A2" s="1"/></row><row/><row><c t="s"><v>2</v></c></row>`, nil, "4 ann string:ann|string:|string:"},
		"another sheet":                   {"", func(o *source.XLSXOptions) { o.Sheet = "Old" }, "2 old string:old"},
		"columns that the sheet may lack": {row(ann), func(o *source.XLSXOptions) { o.MayLack = []string{"mail"} }, "2 ann string:ann|string:|string:|string:"},
	} {
		t.Run(name, func(t *testing.T) {
			o := source.XLSXOptions{Files: source.Files{Dir: writeBook(t, bookParts(head+test.rows))}}
			if test.edit != nil {
				test.edit(&o)
			}
			s := xlsxOf(t, o)
			if name == "texts" { // a carriage return is a control character
				if _, problems := read(t, s); problems != `users.xlsx!Staff!D2: control character in column "n"; remove it; a value is one line of text` {
					t.Errorf("problems %s", problems)
				}
				return
			}
			rows, problems := read(t, s)
			if got := strings.Join(rows, " / "); got != test.want || problems != "" {
				t.Errorf("%s, problems %q, want %s", got, problems, test.want)
			}
		})
	}
}

func TestXLSXNamesWhatIsWrongByItsCell(t *testing.T) {
	secretTemp := func(o *source.XLSXOptions) { o.Secrets, o.Optional = []string{"temp"}, []string{"temp"} }
	kind := func(kind source.Type) func(*source.XLSXOptions) {
		return func(o *source.XLSXOptions) { o.Types = map[string]source.Type{"n": kind} }
	}
	text := func(text string) string { return `t="inlineStr"><is><t>` + text + `</t></is>` }
	for name, test := range map[string]struct {
		rows string
		edit func(*source.XLSXOptions)
		want string
	}{
		"no key":                            {row("", text("x")), nil, `users.xlsx!Staff!A2: key column "login" is empty; give every user a key`},
		"a formula without a result":        {row(ann, `><f>1+1</f>`), nil, `users.xlsx!Staff!B2: column "temp" holds a formula without a result; open the workbook in a spreadsheet program and save it`},
		"an error of a formula":             {row(`t="e"><f>x</f><v>#REF!</v>`), nil, `users.xlsx!Staff!A2: column "login" holds #REF!, the error text of a spreadsheet; a formula had no result there: put the value in its place and export it again`},
		"a day as a key":                    {row(`s="1"><v>43830</v>`), nil, `users.xlsx!Staff!A2: column "login" holds a date there; set types = {"login": "date"}, or format the column as text and write it again`},
		"a day in a text column":            {row(ann, "", `s="1"><v>43830</v>`), nil, `users.xlsx!Staff!D2: column "n" holds a date there; set types = {"n": "date"}, or format the column as text and write it again`},
		"a time of day":                     {row(ann, "", `s="1"><v>43830.5</v>`), kind(source.Date), `users.xlsx!Staff!D2: column "n" holds a time of day too; round it to the day, or leave the type of the column out and format it as text`},
		"a day of old":                      {row(ann, "", `s="1"><v>60</v>`), kind(source.Date), `users.xlsx!Staff!D2: column "n": "60" is not a value of type date; write a day of 1900-03-01 or later`},
		"money as a key":                    {row(`s="3"><v>3.5</v>`), nil, `users.xlsx!Staff!A2: column "login" holds a number that is shown in another way; format the column as text and write the value again`},
		"a long number as a secret":         {row(ann, `><v>1234567890123457</v>`), secretTemp, `users.xlsx!Staff!B2: column "temp" holds a number of more than 15 digits, of which a spreadsheet keeps 15; format the column as text and write the value again`},
		"a secret that lost its last digit": {row(ann, `><v>1234567890123450</v>`), secretTemp, `users.xlsx!Staff!B2: column "temp" holds a number of more than 15 digits, of which a spreadsheet keeps 15; format the column as text and write the value again`},
		"a key that lost digits":            {row(`><v>1.23456789012345E+18</v>`), nil, `users.xlsx!Staff!A2: column "login" holds a number of more than 15 digits, of which a spreadsheet keeps 15; format the column as text and write the value again`},
		"a key of zeros in the end":         {row(`s="5"><v>1000000000000000</v>`), nil, `users.xlsx!Staff!A2: column "login" holds a number of more than 15 digits, of which a spreadsheet keeps 15; format the column as text and write the value again`},
		"a secret that is rounded":          {row(ann, `s="5"><v>12.7</v>`), secretTemp, `users.xlsx!Staff!B2: column "temp" holds a number that is shown in another way; format the column as text and write the value again`},
		"a rounded key with zeros in front": {row(`s="2"><v>12.7</v>`), nil, `users.xlsx!Staff!A2: column "login" holds a number that is shown in another way; format the column as text and write the value again`},
		"a key below zero":                  {row(`s="2"><v>-5</v>`), nil, `users.xlsx!Staff!A2: column "login" holds a number that is shown in another way; format the column as text and write the value again`},
		"a secret below zero":               {row(ann, `s="5"><v>-5</v>`), secretTemp, `users.xlsx!Staff!B2: column "temp" holds a number that is shown in another way; format the column as text and write the value again`},
		"no whole number":                   {row(ann, "", `><v>7.5</v>`), kind(source.Int), `users.xlsx!Staff!D2: column "n": "7.5" is not a value of type int; write a whole number in digits`},
		"a value without a name":            {`<row r="2"><c r="A2" t="s"><v>2</v></c><c r="C2"><v>1</v></c><c r="ZZ2"><v>2</v></c></row>`, nil, "users.xlsx!Staff!C2: there is a value, and the header row has no name for its column; name the column, or empty it\nusers.xlsx!Staff!ZZ2: there is a value, and the header row has no name for its column; name the column, or empty it"},
		"a key that looks like others":      {row(text("an\u200bn")), nil, `users.xlsx!Staff!A2: key column "login": character 3 of "an\u200bn" is U+200B, which is not seen; remove it`},
		"a secret of two lines":             {row(ann, text("a\nb")), secretTemp, `users.xlsx!Staff!B2: secret column "temp" has a line break; write it on one line; in a CSV file, a quote before it may not be closed`},
		"a sheet that is not there":         {row(ann), func(o *source.XLSXOptions) { o.Sheet = "Staf" }, `users.xlsx: there is no sheet "Staf"; did you mean "Staff"?`},
		"a column that is not there":        {row(ann), func(o *source.XLSXOptions) { o.Secrets = []string{"pw"} }, `users.xlsx!Staff:1: secrets: there is no column "pw"; the first row has to name the columns; set skip_lines= if it does not`},
		"a text that is not there":          {row(`t="s"><v>99</v>`), nil, `users.xlsx!Staff:2: the sheet is damaged: it names a text "99" that is not there; save it again in a spreadsheet program`},
		"a sheet that is cut off":           {`<row r="2"><c r="A2" t="s"><v>2</v></c></row><row><c>`, nil, "users.xlsx!Staff:3: the sheet is cut off: its rows have no end; save it again in a spreadsheet program"},
	} {
		t.Run(name, func(t *testing.T) {
			o := source.XLSXOptions{Files: source.Files{Dir: writeBook(t, bookParts(head+test.rows))}}
			if test.edit != nil {
				test.edit(&o)
			}
			if _, problems := read(t, xlsxOf(t, o)); problems != test.want {
				t.Errorf("problems:\n%s\nwant\n%s", problems, test.want)
			}
		})
	}
}

// TestXLSXNamesAFileOfAnotherKind: what it is, and never that it is a text.
func TestXLSXNamesAFileOfAnotherKind(t *testing.T) {
	for text, want := range map[string]string{
		"login,name\n": "users.xlsx: is no workbook (xlsx); read a text with csv()",
		"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1 and so on": "users.xlsx: is a document of an old Office (xls, doc), not a workbook (xlsx); save it as a workbook of Excel (xlsx)",
		"PK\x03\x04 and so on":                       "users.xlsx: is no workbook (xlsx): zip: not a valid zip file; save it again as a workbook of Excel (xlsx)",
	} {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "users.xlsx"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, problems := read(t, xlsxOf(t, source.XLSXOptions{Files: source.Files{Dir: dir}})); problems != want {
			t.Errorf("%q: %s, want %s", text, problems, want)
		}
	}
	parts := bookParts(head)
	delete(parts, "xl/worksheets/two.xml")
	if _, problems := read(t, xlsxOf(t, source.XLSXOptions{Files: source.Files{Dir: writeBook(t, parts)}})); !strings.Contains(problems, "has no part xl/worksheets/two.xml") {
		t.Errorf("without its sheet: %s", problems)
	}
}

// TestXLSXSaysWhatItRead: hidden rows, and secrets that are numbers.
func TestXLSXSaysWhatItRead(t *testing.T) {
	parts := bookParts(head + `<row r="2" hidden="1"><c r="A2" t="s"><v>2</v></c><c r="B2"><v>42</v></c></row>`)
	parts["xl/book.xml"] = strings.Replace(parts["xl/book.xml"], `state="hidden" `, "", 1)
	o := source.XLSXOptions{Secrets: []string{"temp"}, Files: source.Files{Dir: writeBook(t, parts)}}
	o.Optional = o.Secrets
	s := xlsxOf(t, o)
	if _, problems := read(t, s); !strings.Contains(problems, `secrets: there is no column "temp"`) {
		t.Errorf("the first sheet: %s", problems)
	}
	o.Sheet = "Staff"
	s = xlsxOf(t, o)
	if rows, problems := read(t, s); len(rows) != 1 || problems != "" {
		t.Fatalf("%q, %s", rows, problems)
	}
	want := "users.xlsx!Staff: rows that are hidden, by a filter for example, are read like others: 1\n" +
		"users.xlsx!Staff!B2: a secret is a number there, of which a spreadsheet drops zeros in front: 1 in all; format the column as text"
	if got := strings.Join(source.Warnings(s), "\n"); got != want {
		t.Errorf("%s\nwant\n%s", got, want)
	}
}

// TestXLSXStreams: ten times the rows take no more memory.
func TestXLSXStreams(t *testing.T) {
	grown := func(rows int) uint64 {
		var text strings.Builder
		for i := range rows {
			fmt.Fprintf(&text, `<row><c t="inlineStr"><is><t>user%d</t></is></c><c t="inlineStr"><is><t>something that differs %d</t></is></c></row>`, i, i)
		}
		dir := writeBook(t, bookParts(head+text.String()))
		text.Reset()
		s := xlsxOf(t, source.XLSXOptions{Files: source.Files{Dir: dir}})
		var before, now runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		most, count := uint64(0), 0
		err := s.Rows(t.Context(), func(source.Row) error {
			if count++; count%1000 == 0 {
				runtime.GC()
				runtime.ReadMemStats(&now)
				most = max(most, now.HeapAlloc-min(before.HeapAlloc, now.HeapAlloc))
			}
			return nil
		})
		if err != nil || count != rows {
			t.Fatalf("%d rows: %v", count, err)
		}
		return most
	}
	small, large := grown(2000), grown(20_000)
	if large > small+1<<20 {
		t.Errorf("2,000 rows take %d bytes, 20,000 take %d", small, large)
	}
}
