package source

import (
	"archive/zip"
	"bufio"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

const (
	// maxPart is how much one part of a workbook may unpack to.
	maxPart = 8 << 30
	// maxTexts is how much the shared texts of a workbook may be.
	maxTexts = 1 << 30
)

// workbook is the parts of a workbook that cells refer to.
type workbook struct {
	zip    *zip.Reader
	sheets []sheetPart
	texts  arena
	styles []numberStyle // by the s of cells
	from04 bool          // days are counted from 1904
}

// sheetPart is a sheet and where it is.
type sheetPart struct {
	name, part string
	hidden     bool
}

// numberStyle is how a spreadsheet shows a number, as far as it matters here.
type numberStyle struct {
	date   bool
	plain  bool // as it is
	digits int  // as a whole number, with zeros in front to so many digits; 0: as it is
}

var errNoWorkbook = errors.New("is a zip archive, but no workbook (xlsx)")

// openWorkbook reads all of a workbook but its sheets.
func openWorkbook(from io.ReaderAt, size int64) (*workbook, error) {
	archive, err := zip.NewReader(from, size)
	if err != nil {
		return nil, fmt.Errorf("is no workbook (xlsx): %w", err)
	}
	book := &workbook{zip: archive}
	main, err := book.related("_rels/.rels", "officeDocument")
	if err != nil {
		return nil, err
	}
	if len(main) == 0 {
		return nil, errNoWorkbook
	}
	return book, book.load(main[0].part)
}

// load reads the list of sheets, the texts and the styles.
func (b *workbook) load(main string) error {
	rels, err := b.related(path.Join(path.Dir(main), "_rels", path.Base(main)+".rels"), "")
	if err != nil {
		return err
	}
	if err := b.list(main, rels); err != nil {
		return err
	}
	for _, rel := range rels {
		switch rel.kind {
		case "sharedStrings":
			err = b.readTexts(rel.part)
		case "styles":
			err = b.readStyles(rel.part)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// part opens a part of the workbook.
func (b *workbook) part(name string) (io.ReadCloser, error) {
	for _, file := range b.zip.File {
		if strings.EqualFold(strings.TrimPrefix(file.Name, "/"), name) {
			return file.Open()
		}
	}
	return nil, fmt.Errorf("is no whole workbook: it has no part %s", name)
}

// scan reads the elements of a part.
func (b *workbook) scan(name string, each func(*xml.Decoder, xml.StartElement) error) error {
	file, err := b.part(name)
	if err != nil {
		return err
	}
	defer file.Close()
	decoder := xml.NewDecoder(bufio.NewReaderSize(io.LimitReader(file, maxPart), lineBuffer))
	for {
		token, err := decoder.RawToken()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("its part %s is damaged: %w", name, err)
		}
		if start, is := token.(xml.StartElement); is {
			if err := each(decoder, start); err != nil {
				return err
			}
		}
	}
}

// relation is a part that another refers to.
type relation struct{ id, kind, part string }

// related returns the parts of a kind that a list of relations names; of the
// kind "" all.
func (b *workbook) related(list, kind string) ([]relation, error) {
	base := path.Dir(path.Dir(list))
	var found []relation
	err := b.scan(list, func(_ *xml.Decoder, start xml.StartElement) error {
		is := path.Base(attr(start, "Type"))
		if start.Name.Local != "Relationship" || kind != "" && is != kind {
			return nil
		}
		target := attr(start, "Target")
		if !strings.HasPrefix(target, "/") {
			target = path.Join(base, target)
		}
		found = append(found, relation{attr(start, "Id"), is, strings.TrimPrefix(target, "/")})
		return nil
	})
	return found, err
}

// attr is an attribute by its local name.
func attr(start xml.StartElement, name string) string {
	for _, attribute := range start.Attr {
		if attribute.Name.Local == name {
			return attribute.Value
		}
	}
	return ""
}

// list reads which sheets there are.
func (b *workbook) list(main string, rels []relation) error {
	return b.scan(main, func(_ *xml.Decoder, start xml.StartElement) error {
		switch start.Name.Local {
		case "workbookPr":
			b.from04 = attr(start, "date1904") == "1" || attr(start, "date1904") == "true"
		case "sheet":
			id := ""
			for _, attribute := range start.Attr {
				if attribute.Name.Local == "id" && attribute.Name.Space != "" {
					id = attribute.Value
				}
			}
			at := slices.IndexFunc(rels, func(rel relation) bool { return rel.id == id })
			if at >= 0 && rels[at].kind == "worksheet" {
				state := attr(start, "state")
				b.sheets = append(b.sheets, sheetPart{attr(start, "name"), rels[at].part, state != "" && state != "visible"})
			}
		}
		return nil
	})
}

// readTexts reads the texts that cells share.
func (b *workbook) readTexts(name string) error {
	return b.scan(name, func(decoder *xml.Decoder, start xml.StartElement) error {
		if start.Name.Local != "si" {
			return nil
		}
		text, err := textWithin(decoder, "si")
		if err != nil {
			return err
		}
		return b.texts.add(text)
	})
}

// textWithin reads the text of an element to its end, without what tells how it
// is pronounced.
func textWithin(decoder *xml.Decoder, end string) (string, error) {
	var text strings.Builder
	inside, spoken := false, 0
	for {
		token, err := decoder.RawToken()
		if err != nil {
			return "", fmt.Errorf("a text is damaged: %w", err)
		}
		switch token := token.(type) {
		case xml.StartElement:
			inside = token.Name.Local == "t"
			if token.Name.Local == "rPh" {
				spoken++
			}
		case xml.EndElement:
			inside = false
			if token.Name.Local == "rPh" {
				spoken--
			}
			if token.Name.Local == end {
				return unescaped(text.String()), nil
			}
		case xml.CharData:
			if inside && spoken == 0 {
				text.Write(token)
			}
		}
	}
}

// unescaped reads _x000D_ as spreadsheets do.
func unescaped(text string) string {
	if !strings.Contains(text, "_x") {
		return text
	}
	var out strings.Builder
	for i := 0; i < len(text); {
		if len(text) >= i+7 && text[i] == '_' && text[i+1] == 'x' && text[i+6] == '_' {
			if code, err := strconv.ParseUint(text[i+2:i+6], 16, 16); err == nil && utf8.ValidRune(rune(code)) {
				out.WriteRune(rune(code))
				i += 7
				continue
			}
		}
		out.WriteByte(text[i])
		i++
	}
	return out.String()
}

// readStyles reads how numbers are shown.
func (b *workbook) readStyles(name string) error {
	formats, cells := map[string]string{}, false
	return b.scan(name, func(_ *xml.Decoder, start xml.StartElement) error {
		switch start.Name.Local {
		case "numFmt":
			formats[attr(start, "numFmtId")] = attr(start, "formatCode")
		case "cellXfs":
			cells = true
		case "cellStyles", "dxfs", "cellStyleXfs":
			cells = false
		case "xf":
			if cells {
				b.styles = append(b.styles, styleOf(attr(start, "numFmtId"), formats))
			}
		}
		return nil
	})
}

// styleOf reads the format of a number: of the standard ones the dates have the
// numbers 14 to 22, 27 to 36 and 45 to 58.
func styleOf(id string, formats map[string]string) numberStyle {
	code, own := formats[id]
	number, _ := strconv.Atoi(id)
	switch {
	case !own && (number >= 14 && number <= 22 || number >= 27 && number <= 36 || number >= 45 && number <= 47 || number >= 50 && number <= 58):
		return numberStyle{date: true}
	case !own && number == 1:
		return numberStyle{plain: true, digits: 1}
	case !own:
		return numberStyle{plain: number == 0 || number == 49}
	case code != "" && strings.Trim(code, "0") == "":
		return numberStyle{plain: true, digits: len(code)}
	case strings.EqualFold(code, "general"), code == "@":
		return numberStyle{plain: true}
	}
	return numberStyle{date: isDateFormat(code)}
}

// isDateFormat reports whether a format shows a day: it has a year or a day
// outside quotes and brackets.
func isDateFormat(code string) bool {
	quoted, bracket := false, false
	for i := 0; i < len(code); i++ {
		switch letter := code[i]; {
		case letter == '"':
			quoted = !quoted
		case quoted:
		case letter == '\\', letter == '_', letter == '*':
			i++
		case letter == '[':
			bracket = true
		case letter == ']':
			bracket = false
		case !bracket && strings.IndexByte("ydYD", letter) >= 0:
			return true
		}
	}
	return false
}

// arena keeps many small texts in few pieces of memory.
type arena struct {
	chunks [][]byte
	ends   []uint64 // of each text: its chunk, and where it ends there
	size   int
}

const arenaChunk = 1 << 20

func (a *arena) add(text string) error {
	if a.size += len(text); a.size > maxTexts {
		return fmt.Errorf("its texts are more than %d MiB", maxTexts>>20)
	}
	last := len(a.chunks) - 1
	if last < 0 || len(a.chunks[last])+len(text) > cap(a.chunks[last]) {
		a.chunks = append(a.chunks, make([]byte, 0, max(arenaChunk, len(text))))
		last++
	}
	a.chunks[last] = append(a.chunks[last], text...)
	a.ends = append(a.ends, uint64(last)<<32|uint64(len(a.chunks[last])))
	return nil
}

// text returns one by its number.
func (a *arena) text(i int) (string, bool) {
	if i < 0 || i >= len(a.ends) {
		return "", false
	}
	chunk, end := a.ends[i]>>32, a.ends[i]&(1<<32-1)
	begin := uint64(0)
	if i > 0 && a.ends[i-1]>>32 == chunk {
		begin = a.ends[i-1] & (1<<32 - 1)
	}
	return string(a.chunks[chunk][begin:end]), true
}
