package file

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"strconv"
	"strings"

	"github.com/rekey-host/rekey/sdk"
)

// jsonFormat is a JSON document; a place is a JSON pointer (RFC 6901).
type jsonFormat struct{}

// jsonWalk goes through a document and notes its strings.
type jsonWalk struct {
	text    string
	decoder *json.Decoder
	found   []spot
}

// spots are the strings of the document.
func (jsonFormat) spots(text string) ([]spot, *sdk.Error) {
	walk := &jsonWalk{text: text, decoder: json.NewDecoder(strings.NewReader(text))}
	walk.decoder.UseNumber()
	err := walk.value("")
	if err == nil {
		if _, err = walk.decoder.Token(); errors.Is(err, io.EOF) {
			return walk.found, nil
		}
	}
	return nil, sdk.Errorf(sdk.InvalidConfig, "it is no JSON document")
}

// value reads one value, at a pointer.
func (w *jsonWalk) value(pointer string) error {
	before := int(w.decoder.InputOffset())
	token, err := w.decoder.Token()
	if err != nil {
		return err
	}
	switch token {
	case json.Delim('{'):
		return w.members(pointer)
	case json.Delim('['):
		return w.elements(pointer)
	}
	if _, ok := token.(string); ok {
		to := int(w.decoder.InputOffset())
		from := before + strings.IndexByte(w.text[before:to], '"')
		w.found = append(w.found, spot{span: span{from, to}, place: pointer, quote: `"`})
	}
	return nil
}

func (w *jsonWalk) members(pointer string) error {
	for w.decoder.More() {
		name, err := w.decoder.Token()
		if err != nil {
			return err
		}
		if err := w.value(pointer + "/" + strings.NewReplacer("~", "~0", "/", "~1").Replace(name.(string))); err != nil {
			return err
		}
	}
	_, err := w.decoder.Token()
	return err
}

func (w *jsonWalk) elements(pointer string) error {
	for index := 0; w.decoder.More(); index++ {
		if err := w.value(pointer + "/" + strconv.Itoa(index)); err != nil {
			return err
		}
	}
	_, err := w.decoder.Token()
	return err
}

// written is a JSON string.
func (jsonFormat) written(_ spot, value string) (string, *sdk.Error) {
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(value); err != nil {
		return "", sdk.Errorf(sdk.Internal, "JSON: %s", err)
	}
	return strings.TrimSuffix(out.String(), "\n"), nil
}

// read decodes the whole document and follows the pointer.
func (jsonFormat) read(text, place string) (string, bool) {
	var document any
	if json.Unmarshal([]byte(text), &document) != nil {
		return "", false
	}
	return follow(document, place)
}

// follow is the string that a pointer leads to.
func follow(document any, pointer string) (string, bool) {
	for _, name := range strings.Split(pointer, "/")[min(1, len(strings.Split(pointer, "/"))-1):] {
		if pointer == "" {
			break
		}
		name = strings.NewReplacer("~1", "/", "~0", "~").Replace(name)
		switch node := document.(type) {
		case map[string]any:
			document = node[name]
		case []any:
			index, err := strconv.Atoi(name)
			if err != nil || index < 0 || index >= len(node) {
				return "", false
			}
			document = node[index]
		default:
			return "", false
		}
	}
	value, ok := document.(string)
	return value, ok
}

func (jsonFormat) policy() sdk.Policy { return sdk.Policy{MinLength: 1} }
