package workflow

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"go.starlark.net/starlark"

	"github.com/rekey-host/rekey/host/workflow/lang"
)

// maxJSON is how long a JSON text may be that scripts read or make.
const maxJSON = 16 << 20

func evalJSONEncode(args *arguments) (starlark.Value, error) {
	text, err := encodeJSON(args.value("value"))
	if err != nil {
		return nil, &lang.Misuse{Message: "json.encode: " + err.Error()}
	}
	return starlark.String(text), nil
}

// encodeJSON returns the JSON text of a value. A secret is refused.
func encodeJSON(value starlark.Value) (string, error) {
	item, err := goValue(value, false)
	if err != nil {
		return "", err
	}
	var b limited
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(item); err != nil {
		return "", err
	}
	return strings.TrimSuffix(b.String(), "\n"), nil
}

// limited is a buffer of a bounded size.
type limited struct{ bytes.Buffer }

func (l *limited) Write(text []byte) (int, error) {
	if l.Len()+len(text) > maxJSON {
		return 0, fmt.Errorf("the text is longer than %d MiB", maxJSON>>20)
	}
	return l.Buffer.Write(text)
}

func evalJSONDecode(args *arguments) (starlark.Value, error) {
	value, err := decodeJSON(args.text("text"))
	if err == nil {
		return value, nil
	}
	if other := args.value("default"); other != nil {
		return other, nil
	}
	return nil, &lang.Misuse{Message: "json.decode: " + err.Error()}
}

// decodeJSON returns the value of a JSON text. Errors never quote it.
func decodeJSON(text string) (starlark.Value, error) {
	if len(text) > maxJSON {
		return nil, fmt.Errorf("the text is longer than %d MiB", maxJSON>>20)
	}
	dec := json.NewDecoder(strings.NewReader(text))
	dec.UseNumber()
	var value any
	if err := dec.Decode(&value); err != nil {
		return nil, flawed(err, len(text))
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("something follows the value at byte %d", dec.InputOffset())
	}
	return starlarkOf(value, 0)
}

func flawed(err error, length int) error {
	var flaw *json.SyntaxError
	switch {
	case errors.Is(err, io.EOF):
		return errors.New("the text is empty")
	case errors.Is(err, io.ErrUnexpectedEOF):
		return fmt.Errorf("the text ends in the middle, at byte %d", length)
	case errors.As(err, &flaw):
		return fmt.Errorf("not valid JSON at byte %d", flaw.Offset)
	}
	return errors.New("not valid JSON")
}

func evalJSONIndent(args *arguments) (starlark.Value, error) {
	text, prefix, indent := args.text("text"), args.text("prefix"), args.text("indent")
	if len(text) > maxJSON/64 || len(prefix)+len(indent) > 16 {
		return nil, &lang.Misuse{Message: "json.indent: the text would be too long"}
	}
	if _, err := decodeJSON(text); err != nil { // also bounds the depth
		return nil, &lang.Misuse{Message: "json.indent: " + err.Error()}
	}
	var buffer bytes.Buffer
	if err := json.Indent(&buffer, []byte(text), prefix, indent); err != nil {
		return nil, &lang.Misuse{Message: "json.indent: the text is not JSON"}
	}
	return starlark.String(buffer.String()), nil
}
