package report_test

import (
	"archive/zip"
	"bytes"
	"encoding/xml"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/rekey-host/rekey/host/report"
	"github.com/rekey-host/rekey/host/source"
	"github.com/rekey-host/rekey/sdk/secret"
)

// sheetOf reads the cells of a workbook's sheet: type and text.
func sheetOf(t *testing.T, book []byte, name string) [][]string {
	t.Helper()
	z, err := zip.NewReader(bytes.NewReader(book), int64(len(book)))
	if err != nil {
		t.Fatal(err)
	}
	f, err := z.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	data, err := io.ReadAll(f)
	if err != nil {
		t.Fatal(err)
	}
	var sheet struct {
		Rows []struct {
			Cells []struct {
				Type  string `xml:"t,attr"`
				Value string `xml:"v"`
				Text  string `xml:"is>t"`
			} `xml:"c"`
		} `xml:"sheetData>row"`
	}
	if err := xml.Unmarshal(data, &sheet); err != nil {
		t.Fatal(err)
	}
	var rows [][]string
	for _, row := range sheet.Rows {
		var cells []string
		for _, c := range row.Cells {
			cells = append(cells, c.Type+":"+c.Value+c.Text)
		}
		rows = append(rows, cells)
	}
	return rows
}

// TestAWorkbookHoldsTextAsItIs: zeros, formulas, names of five scripts, what XML
// cannot hold.
func TestAWorkbookHoldsTextAsItIs(t *testing.T) {
	var b bytes.Buffer
	w := report.NewXLSX(&b)
	values := []any{"0042", `=HYPERLINK("x")`, "Łucja Γιώργος Иван 太郎 علي", "<&> \n\"", "a\rb", "_x000D_ _x12", " x ", secret.New("0\x01'+1"), 7, int64(1e16), true, nil, secret.Value{}}
	for i, v := range values {
		if err := w.Add(report.Result{Row: source.Row{Key: "k"}}, report.Row{{Name: "n&", Value: i}, {Name: "v", Value: v}}); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	want := [][]string{{"inlineStr:n&", "inlineStr:v"}}
	for i, text := range []string{"inlineStr:0042", `inlineStr:=HYPERLINK("x")`, "inlineStr:Łucja Γιώργος Иван 太郎 علي", "inlineStr:<&> \n\"", "inlineStr:a_x000D_b", "inlineStr:_x005F_x000D_ _x12", "inlineStr: x ", "inlineStr:0_x0001_'+1",
		":7", "inlineStr:10000000000000000", "b:1", ":", ":"} {
		want = append(want, []string{fmt.Sprintf(":%d", i), text})
	}
	if diff := cmp.Diff(want, sheetOf(t, b.Bytes(), "xl/worksheets/sheet1.xml")); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

// TestAWorkbookOfNobodyHasItsColumns, and what does not fit into a cell is named.
func TestAWorkbookOfNobodyHasItsColumns(t *testing.T) {
	var b bytes.Buffer
	if err := report.NewXLSX(&b, "key", "status").Close(); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([][]string{{"inlineStr:key", "inlineStr:status"}}, sheetOf(t, b.Bytes(), "xl/worksheets/sheet1.xml")); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	for value, want := range map[string]string{strings.Repeat("x", 32768): "longer than a cell", "\xff": "not UTF-8"} {
		err := report.NewXLSX(io.Discard).Add(report.Result{Row: source.Row{Key: "ann"}}, report.Row{{Name: "v", Value: value}})
		if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), `row of user "ann", column "v"`) {
			t.Errorf("%.9q: %v", value, err)
		}
	}
}
