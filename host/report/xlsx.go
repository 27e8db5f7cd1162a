package report

import (
	"archive/zip"
	"bufio"
	"compress/flate"
	"errors"
	"fmt"
	"io"
	"strconv"
	"unicode/utf8"

	"github.com/rekey-host/rekey/sdk/secret"
)

const (
	sheetRows  = 1 << 20 // of a sheet, its header among them
	cellLetter = 32767   // characters of a cell
	exactInt   = 1e15    // whole numbers up to here are exact in a spreadsheet
)

// XLSX writes a workbook as spreadsheets read it. Its values are cells of text:
// no zero is lost, and nothing is a formula; whole numbers and truth values
// stay what they are. A sheet that is full is followed by another. It streams:
// its memory is that of one row.
type XLSX struct {
	zip    *zip.Writer
	sheet  *bufio.Writer // of the present sheet; nil before the first
	header []string      // written even without rows
	cols   columns
	names  []string
	sheets int
	most   int // rows of a sheet
	rows   int // of the present sheet
	buf    []byte
}

// NewXLSX returns a writer of a workbook. The header is of the columns of the
// first row; if no row comes, of the given ones. It does not close w.
func NewXLSX(w io.Writer, header ...string) *XLSX {
	made := &XLSX{zip: zip.NewWriter(w), header: header, most: sheetRows}
	made.zip.RegisterCompressor(zip.Deflate, func(w io.Writer) (io.WriteCloser, error) { return flate.NewWriter(w, flate.BestSpeed) })
	return made
}

// Add writes the row of one user.
func (x *XLSX) Add(result Result, row Row) error {
	row, err := x.cols.fit(result.Row.Key, row)
	if err != nil {
		return err
	}
	if x.names == nil {
		x.names = x.cols.names
	}
	if x.sheet == nil || x.rows == x.most {
		if err := x.begin(); err != nil {
			return err
		}
	}
	x.rows++
	data := append(x.buf[:0], "<row>"...)
	for _, field := range row {
		if data, err = appendCell(data, field.Value); err != nil {
			return inCell(result.Row.Key, field.Name, err)
		}
	}
	data = append(data, "</row>\n"...)
	_, err = x.sheet.Write(data)
	clear(data) // it held secrets
	x.buf = data
	return err
}

// begin ends the present sheet and begins the next, with its header.
func (x *XLSX) begin() error {
	if err := x.end(); err != nil {
		return err
	}
	x.sheets++
	file, err := x.zip.Create(fmt.Sprintf("xl/worksheets/sheet%d.xml", x.sheets))
	if err != nil {
		return err
	}
	x.sheet, x.rows = bufio.NewWriter(file), 1
	data := append(x.buf[:0], xmlHead+`<worksheet xmlns="`+mainNS+`"><sheetViews><sheetView workbookViewId="0"><pane ySplit="1" topLeftCell="A2" activePane="bottomLeft" state="frozen"/></sheetView></sheetViews>`+"<sheetData>\n<row>"...)
	for _, name := range x.names {
		if data, err = appendText(data, name, 2); err != nil {
			return fmt.Errorf("the column %q: %w", name, err)
		}
	}
	_, err = x.sheet.Write(append(data, "</row>\n"...))
	x.buf = data
	return err
}

// end ends the present sheet.
func (x *XLSX) end() error {
	if x.sheet == nil {
		return nil
	}
	_, _ = x.sheet.WriteString("</sheetData></worksheet>") // an error stays in sheet until Flush
	return x.sheet.Flush()
}

// Close ends the workbook.
func (x *XLSX) Close() error {
	if x.sheet == nil {
		x.names = x.header
		if err := x.begin(); err != nil {
			return err
		}
	}
	if err := x.end(); err != nil {
		return err
	}
	for _, part := range x.parts() {
		file, err := x.zip.Create(part[0])
		if err != nil {
			return err
		}
		if _, err := io.WriteString(file, xmlHead+part[1]); err != nil {
			return err
		}
	}
	return x.zip.Close()
}

const (
	xmlHead = `<?xml version="1.0" encoding="UTF-8" standalone="yes"?>` + "\n"
	mainNS  = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
	relNS   = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
	relsNS  = "http://schemas.openxmlformats.org/package/2006/relationships"
	typeNS  = "application/vnd.openxmlformats-officedocument.spreadsheetml."
)

// parts are what a workbook has beside its sheets: names and texts.
func (x *XLSX) parts() [][2]string {
	var types, sheets, rels string
	for i := 1; i <= x.sheets; i++ {
		types += fmt.Sprintf(`<Override PartName="/xl/worksheets/sheet%d.xml" ContentType="%sworksheet+xml"/>`, i, typeNS)
		sheets += fmt.Sprintf(`<sheet name="Users%s" sheetId="%d" r:id="rId%d"/>`, map[bool]string{true: "", false: " " + strconv.Itoa(i)}[i == 1], i, i)
		rels += fmt.Sprintf(`<Relationship Id="rId%d" Type="%s/worksheet" Target="worksheets/sheet%d.xml"/>`, i, relNS, i)
	}
	rels += fmt.Sprintf(`<Relationship Id="rId%d" Type="%s/styles" Target="styles.xml"/>`, x.sheets+1, relNS)
	return [][2]string{
		{"xl/styles.xml", `<styleSheet xmlns="` + mainNS + `"><fonts count="2"><font><sz val="11"/><name val="Calibri"/></font><font><b/><sz val="11"/><name val="Calibri"/></font></fonts>` +
			`<fills count="2"><fill><patternFill patternType="none"/></fill><fill><patternFill patternType="gray125"/></fill></fills><borders count="1"><border/></borders>` +
			`<cellStyleXfs count="1"><xf numFmtId="0" fontId="0" fillId="0" borderId="0"/></cellStyleXfs><cellXfs count="3"><xf numFmtId="0" fontId="0" fillId="0" borderId="0" xfId="0"/>` +
			`<xf numFmtId="49" fontId="0" fillId="0" borderId="0" xfId="0" applyNumberFormat="1"/><xf numFmtId="49" fontId="1" fillId="0" borderId="0" xfId="0" applyNumberFormat="1" applyFont="1"/></cellXfs><cellStyles count="1"><cellStyle name="Normal" xfId="0" builtinId="0"/></cellStyles></styleSheet>`},
		{"xl/workbook.xml", `<workbook xmlns="` + mainNS + `" xmlns:r="` + relNS + `"><sheets>` + sheets + `</sheets></workbook>`},
		{"xl/_rels/workbook.xml.rels", `<Relationships xmlns="` + relsNS + `">` + rels + `</Relationships>`},
		{"_rels/.rels", `<Relationships xmlns="` + relsNS + `"><Relationship Id="rId1" Type="` + relNS + `/officeDocument" Target="xl/workbook.xml"/></Relationships>`},
		{"[Content_Types].xml", `<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types"><Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>` +
			`<Override PartName="/xl/workbook.xml" ContentType="` + typeNS + `sheet.main+xml"/><Override PartName="/xl/styles.xml" ContentType="` + typeNS + `styles+xml"/>` + types + `</Types>`},
	}
}

// appendCell appends a cell: nothing, small whole numbers and truth values as
// they are, the rest as text.
func appendCell(data []byte, value any) ([]byte, error) {
	switch v := value.(type) {
	case nil:
		return append(data, "<c/>"...), nil
	case int:
		return appendCell(data, int64(v))
	case int64:
		if -exactInt < v && v < exactInt {
			return append(strconv.AppendInt(append(data, "<c><v>"...), v, 10), "</v></c>"...), nil
		}
	case bool:
		return append(data, map[bool]string{true: `<c t="b"><v>1</v></c>`, false: `<c t="b"><v>0</v></c>`}[v]...), nil
	case secret.Value:
		if !v.Present() {
			return append(data, "<c/>"...), nil
		}
	}
	name, err := text(value)
	if err != nil {
		return data, err
	}
	return appendText(data, name, 1)
}

var errLongCell = errors.New("the value is longer than a cell of a spreadsheet, 32767 characters; use csv")

// appendText appends a cell of text in a style. What XML cannot hold is written
// as spreadsheets do: _x000D_ is a carriage return, _x005F_ the underscore of a
// text that reads like that.
func appendText(data []byte, text string, style int) ([]byte, error) {
	switch {
	case !utf8.ValidString(text):
		return data, errNotUTF8
	case len(text) > cellLetter && utf8.RuneCountInString(text) > cellLetter:
		return data, errLongCell
	}
	data = append(strconv.AppendInt(append(data, `<c t="inlineStr" s="`...), int64(style), 10), `"><is><t xml:space="preserve">`...)
	for i, letter := range text {
		switch {
		case letter == '&':
			data = append(data, "&amp;"...)
		case letter == '<':
			data = append(data, "&lt;"...)
		case letter == '>':
			data = append(data, "&gt;"...)
		case letter == '_' && isEscape(text[i:]), letter < ' ' && letter != '\t' && letter != '\n', letter == '\uFFFE', letter == '\uFFFF':
			data = fmt.Appendf(data, "_x%04X_", letter)
		default:
			data = utf8.AppendRune(data, letter)
		}
	}
	return append(data, "</t></is></c>"...), nil
}

// isEscape reports whether a text begins as _x0041_ does.
func isEscape(text string) bool {
	if len(text) < 7 || text[1] != 'x' || text[6] != '_' {
		return false
	}
	_, err := strconv.ParseUint(text[2:6], 16, 16)
	return err == nil
}
