package simulator

import (
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
)

// load adds the accounts of a file. It reads lines as rekey does: blank lines
// and the header are skipped, spaces around values trimmed, and values that
// have a quote or a semicolon stand in quotes.
func (p Program) load(path string) error {
	if path == "" {
		return nil
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	rows := csv.NewReader(bytes.NewReader(bytes.TrimPrefix(text, []byte("\ufeff"))))
	rows.Comma, rows.Comment, rows.FieldsPerRecord, rows.LazyQuotes, rows.TrimLeadingSpace = ';', p.Comment, -1, true, true
	for first := true; ; first = false {
		fields, err := rows.Read()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		for i := range fields {
			fields[i] = strings.TrimSpace(fields[i])
		}
		if blank := len(fields) == 1 && fields[0] == ""; blank || first && p.header(fields) {
			continue
		}
		if err := p.System.Line(fields); err != nil {
			line, _ := rows.FieldPos(0)
			return fmt.Errorf("%s:%d: %w", path, line, err)
		}
	}
}

// header reports whether the first line of a file names the columns.
func (p Program) header(fields []string) bool {
	return p.Header != "" && slices.Equal(fields, strings.Split(p.Header, ";"))
}
