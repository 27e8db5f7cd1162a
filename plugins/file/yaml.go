package file

import (
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"

	"github.com/rekey-host/rekey/sdk"
)

// yamlFormat is a YAML file of one document; a place is a JSON pointer.
type yamlFormat struct{}

// spots are the scalars that stand in one line. The parser tells where one
// begins; where it ends is told by its style.
func (yamlFormat) spots(text string) ([]spot, *sdk.Error) {
	decoder := yaml.NewDecoder(strings.NewReader(text))
	var document, second yaml.Node
	if err := decoder.Decode(&document); err != nil {
		return nil, sdk.Errorf(sdk.InvalidConfig, "it is no YAML document")
	}
	if decoder.Decode(&second) == nil {
		return nil, sdk.Errorf(sdk.InvalidConfig, "it holds several YAML documents")
	}
	walk := &yamlWalk{text: text}
	for line := range lines(text) {
		walk.lines = append(walk.lines, line)
	}
	if len(document.Content) == 1 {
		walk.node(document.Content[0], "")
	}
	return walk.found, nil
}

type yamlWalk struct {
	text  string
	lines []span
	found []spot
}

func (w *yamlWalk) node(node *yaml.Node, pointer string) {
	switch node.Kind {
	case yaml.MappingNode:
		for index := 0; index+1 < len(node.Content); index += 2 {
			name := strings.NewReplacer("~", "~0", "/", "~1").Replace(node.Content[index].Value)
			w.node(node.Content[index+1], pointer+"/"+name)
		}
	case yaml.SequenceNode:
		for index, item := range node.Content {
			w.node(item, pointer+"/"+strconv.Itoa(index))
		}
	case yaml.ScalarNode:
		if span, quote, ok := w.scalar(node); ok {
			w.found = append(w.found, spot{span: span, place: pointer, quote: quote})
		}
	}
}

// scalar is where a scalar stands, quotes included. One with an anchor or a tag of
// its own, or of several lines, is none that can be replaced.
func (w *yamlWalk) scalar(node *yaml.Node) (at span, quote string, ok bool) {
	if node.Line < 1 || node.Line > len(w.lines) || node.Anchor != "" || node.Style&yaml.TaggedStyle != 0 {
		return at, "", false
	}
	line := w.lines[node.Line-1]
	from := line.from
	for range node.Column - 1 {
		_, size := utf8.DecodeRuneInString(w.text[from:line.to])
		from += size
	}
	rest := w.text[from:line.to]
	switch {
	case rest == "":
		return at, "", false
	case node.Style&yaml.DoubleQuotedStyle != 0:
		end := closing(rest, `"`, `\`)
		return span{from, from + end}, `"`, end > 0
	case node.Style&yaml.SingleQuotedStyle != 0:
		end := closing("'"+strings.ReplaceAll(rest[1:], "''", "xx"), "'", "")
		return span{from, from + end}, "'", end > 0
	case node.Style&(yaml.LiteralStyle|yaml.FoldedStyle) != 0, node.Value == "":
		return at, "", false
	}
	return span{from, from + len(node.Value)}, "", strings.HasPrefix(rest, node.Value)
}

// closing is the length of a quoted text; 0 if it does not end in the line.
func closing(text, quote, escape string) int {
	if !strings.HasPrefix(text, quote) {
		return 0
	}
	for index := 1; index < len(text); index++ {
		switch text[index : index+1] {
		case escape:
			index++
		case quote:
			return index + 1
		}
	}
	return 0
}

// written is a quoted text, so that no value is taken for a number or a date.
func (yamlFormat) written(_ spot, value string) (string, *sdk.Error) {
	if !strings.ContainsFunc(value, func(letter rune) bool { return !unicode.IsPrint(letter) }) {
		return "'" + strings.ReplaceAll(value, "'", "''") + "'", nil
	}
	return strconv.QuoteToASCII(value), nil
}

// read decodes the whole document and follows the pointer.
func (yamlFormat) read(text, place string) (string, bool) {
	var document any
	if yaml.Unmarshal([]byte(text), &document) != nil {
		return "", false
	}
	return follow(document, place)
}

func (yamlFormat) policy() sdk.Policy { return sdk.Policy{MinLength: 1} }
