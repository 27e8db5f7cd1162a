package workflow

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/rekey-host/rekey/host/source"
)

// csvText is a file of the columns and the form that a script asks for, with rows that
// stand for the ones of its source. The columns of a file that names its own are
// those of the rows, the key first.
func csvText(rows []any, csvOptions source.CSVOptions) []byte {
	columns := csvOptions.Columns
	list := dictionaries(rows, csvOptions.Key)
	var out strings.Builder
	if columns == nil {
		columns = columnsOf(list, csvOptions.Key)
		out.WriteString(csvLine(columns, csvOptions))
	}
	for _, row := range list {
		cells := make([]string, len(columns))
		for i, column := range columns {
			cells[i] = cellText(row[column])
		}
		out.WriteString(csvLine(cells, csvOptions))
	}
	return []byte(out.String())
}

// dictionaries are rows by column.
func dictionaries(rows []any, key string) (list []map[string]any) {
	for _, row := range rows {
		cells, ok := row.(map[string]any)
		if !ok {
			cells = map[string]any{key: row}
		}
		list = append(list, cells)
	}
	return list
}

func columnsOf(rows []map[string]any, key string) []string {
	all := map[string]bool{}
	for _, row := range rows {
		for column := range row {
			all[column] = column != key
		}
	}
	columns := []string{key}
	for _, column := range slices.Sorted(maps.Keys(all)) {
		if all[column] {
			columns = append(columns, column)
		}
	}
	return columns
}

func cellText(cell any) string {
	if cell == nil {
		return ""
	}
	return fmt.Sprint(cell)
}

// csvLine is one line; what needs quotes has them, if the file has any.
func csvLine(cells []string, csvOptions source.CSVOptions) string {
	shown := slices.Clone(cells)
	for i, cell := range cells {
		if csvOptions.Quote == nil {
			continue
		}
		quote := string(*csvOptions.Quote)
		if strings.Contains(cell, csvOptions.Delimiter) || strings.Contains(cell, quote) || strings.TrimSpace(cell) != cell || len(cells) == 1 && cell == "" {
			shown[i] = quote + strings.ReplaceAll(cell, quote, quote+quote) + quote
		}
	}
	return strings.Join(shown, csvOptions.Delimiter) + "\n"
}

// jsonlText is csvText of JSON, one object a line.
func jsonlText(rows []any, key string) []byte {
	var out bytes.Buffer
	for _, row := range dictionaries(rows, key) {
		text, err := json.Marshal(row)
		if err != nil {
			text = fmt.Appendf(nil, "%q", err)
		}
		out.Write(append(text, '\n'))
	}
	return out.Bytes()
}
