package report

import (
	"archive/zip"
	"bytes"
	"strings"
	"testing"
)

// TestAFullSheetIsFollowedByAnother.
func TestAFullSheetIsFollowedByAnother(t *testing.T) {
	var b bytes.Buffer
	w := NewXLSX(&b)
	w.most = 3 // with the header
	for range 5 {
		if err := w.Add(Result{}, Row{{Name: "v", Value: "x"}}); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	z, err := zip.NewReader(bytes.NewReader(b.Bytes()), int64(b.Len()))
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, f := range z.File {
		names = append(names, f.Name)
	}
	if got := strings.Join(names, " "); !strings.HasPrefix(got, "xl/worksheets/sheet1.xml xl/worksheets/sheet2.xml xl/worksheets/sheet3.xml xl/styles.xml") {
		t.Errorf("parts: %s", got)
	}
}
