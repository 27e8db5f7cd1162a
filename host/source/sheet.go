package source

import (
	"bufio"
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// sheetCell is a cell as the file has it.
type sheetCell struct {
	column int    // from 0
	kind   string // of its value: s, str, inlineStr, b, e, d; "" or n is a number
	style  int
	value  string
	bare   bool // a formula without a result
}

// sheetRow is a row with at least one cell.
type sheetRow struct {
	number int // from 1
	hidden bool
	cells  []sheetCell
}

// sheetReader reads the rows of a sheet, one after the other.
type sheetReader struct {
	book    *workbook
	close   func() error
	decoder *xml.Decoder
	row     sheetRow // used again for each
}

// open begins to read a sheet.
func (b *workbook) open(ctx context.Context, sheet sheetPart) (*sheetReader, error) {
	file, err := b.part(sheet.part)
	if err != nil {
		return nil, err
	}
	decoder := xml.NewDecoder(bufio.NewReaderSize(untilDone{ctx, io.LimitReader(file, maxPart)}, lineBuffer))
	return &sheetReader{book: b, close: file.Close, decoder: decoder}, nil
}

// next returns the next row, valid until the call after; io.EOF at the end.
func (r *sheetReader) next() (*sheetRow, error) {
	for {
		token, err := r.decoder.RawToken()
		if err != nil {
			return nil, r.damaged(err)
		}
		switch token := token.(type) {
		case xml.StartElement:
			if token.Name.Local == "row" {
				return &r.row, r.cells(token)
			}
		case xml.EndElement:
			if token.Name.Local == "sheetData" {
				return nil, io.EOF
			}
		}
	}
}

// damaged is an error of the file; its end before that of the rows is one.
func (r *sheetReader) damaged(err error) error {
	var syntax *xml.SyntaxError
	switch {
	case errors.Is(err, io.EOF):
		return errors.New("the sheet is cut off: its rows have no end")
	case errors.As(err, &syntax):
		return fmt.Errorf("the sheet is damaged: %w", err)
	}
	return err
}

// cells reads the cells of a row.
func (r *sheetReader) cells(start xml.StartElement) error {
	r.row.number++
	if number, err := strconv.Atoi(attr(start, "r")); err == nil && number > 0 {
		r.row.number = number
	}
	r.row.hidden, r.row.cells = attr(start, "hidden") == "1" || attr(start, "hidden") == "true", r.row.cells[:0]
	column := 0
	for {
		token, err := r.decoder.RawToken()
		if err != nil {
			return r.damaged(err)
		}
		switch token := token.(type) {
		case xml.EndElement:
			if token.Name.Local == "row" {
				return nil
			}
		case xml.StartElement:
			if token.Name.Local != "c" {
				continue
			}
			cell, err := r.cell(token, column)
			if err != nil {
				return err
			}
			column = cell.column + 1
			if cell.value != "" || cell.bare {
				r.row.cells = append(r.row.cells, cell)
			}
		}
	}
}

// cell reads one cell.
func (r *sheetReader) cell(start xml.StartElement, column int) (sheetCell, error) {
	cell := sheetCell{column: column}
	for _, attribute := range start.Attr {
		switch attribute.Name.Local {
		case "r":
			if at := columnNumber(attribute.Value); at >= 0 {
				cell.column = at
			}
		case "t":
			cell.kind = attribute.Value
		case "s":
			cell.style, _ = strconv.Atoi(attribute.Value)
		}
	}
	inValue, formula := false, false
	for {
		token, err := r.decoder.RawToken()
		if err != nil {
			return cell, r.damaged(err)
		}
		switch token := token.(type) {
		case xml.StartElement:
			inValue = token.Name.Local == "v"
			formula = formula || token.Name.Local == "f"
			if token.Name.Local == "is" {
				if cell.value, err = textWithin(r.decoder, "is"); err != nil {
					return cell, err
				}
			}
		case xml.CharData:
			if inValue {
				cell.value += string(token)
			}
		case xml.EndElement:
			inValue = false
			if token.Name.Local == "c" {
				cell.bare = formula && cell.value == ""
				return cell, r.resolve(&cell)
			}
		}
	}
}

// resolve gives a cell its text, where that stands elsewhere.
func (r *sheetReader) resolve(cell *sheetCell) error {
	switch cell.kind {
	case "str":
		cell.value = unescaped(cell.value)
		cell.bare = false // the result is the empty text
	case "s":
		if cell.value == "" {
			return nil
		}
		at, err := strconv.Atoi(cell.value)
		text, known := r.book.texts.text(at)
		if err != nil || !known {
			return fmt.Errorf("the sheet is damaged: it names a text %q that is not there", shorten(cell.value))
		}
		cell.value = text
	}
	return nil
}

// columnNumber returns the column of a reference such as B17, from 0; -1 if it
// is none.
func columnNumber(reference string) int {
	column := 0
	for i := range len(reference) {
		letter := reference[i]
		switch {
		case 'A' <= letter && letter <= 'Z' && column < 1<<14:
			column = column*26 + int(letter-'A') + 1
		case i > 0 && '0' <= letter && letter <= '9':
			return column - 1
		default:
			return -1
		}
	}
	return -1
}

// columnName is the letters of a column: 0 is A, 27 is AB.
func columnName(column int) string {
	name := ""
	for column++; column > 0; column = (column - 1) / 26 {
		name = string(rune('A'+(column-1)%26)) + name
	}
	return name
}

// number is what a numeric cell says as a text, and why it is not clear.
func (b *workbook) number(cell sheetCell) (text, doubt string) {
	style := numberStyle{plain: true}
	if cell.style >= 0 && cell.style < len(b.styles) {
		style = b.styles[cell.style]
	}
	value, err := strconv.ParseFloat(cell.value, 64)
	if err != nil {
		return cell.value, "a number that cannot be read"
	}
	text = cell.value
	if strings.ContainsAny(text, "eE") || strings.HasSuffix(text, ".0") {
		text = strconv.FormatFloat(value, 'f', -1, 64)
	}
	switch {
	case style.date:
		return text, "a date"
	case significant(text) > 15:
		return text, "a number of more than 15 digits, of which a spreadsheet keeps 15"
	case style.digits > 0 && strings.ContainsAny(text, "-."):
		return text, "a number that is shown in another way"
	case style.digits > len(text):
		text = strings.Repeat("0", style.digits-len(text)) + text
	case !style.plain:
		return text, "a number that is shown in another way"
	}
	return text, ""
}

// significant counts the digits of a number from the first that is not 0. Zeros
// at its end count: they may stand where a spreadsheet lost digits.
func significant(text string) int {
	return len(strings.ReplaceAll(strings.TrimLeft(text, "-+.0"), ".", ""))
}
