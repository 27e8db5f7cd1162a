package openiam

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"strings"
	"unicode/utf8"

	"github.com/rekey-host/rekey/sdk"
	"github.com/rekey-host/rekey/sdk/rest"
	"github.com/rekey-host/rekey/sdk/secret"
)

// Limits of a document: an answer of these services is a few hundred bytes, a
// description of one some hundred kilobytes.
const (
	maxDepth = 40
	maxNodes = 50_000
)

// node is one element. Attributes are those without a namespace.
type node struct {
	space, name string
	attributes  map[string]string
	text        string
	children    []*node
}

// child returns the first child of that name in any namespace; it is nil for a
// nil node, so that paths can be walked without looking.
func (n *node) child(names ...string) *node {
	for _, name := range names {
		n = n.first(name)
	}
	return n
}

func (n *node) first(name string) *node {
	if n == nil {
		return nil
	}
	for _, node := range n.children {
		if node.name == name {
			return node
		}
	}
	return nil
}

// value returns the trimmed text of the child of that name, "" without one.
func (n *node) value(name string) string {
	node := n.child(name)
	if node == nil {
		return ""
	}
	return strings.TrimSpace(node.text)
}

func (n *node) attribute(name string) string {
	if n == nil {
		return ""
	}
	return n.attributes[name]
}

func (n *node) elements(into map[string]bool) {
	for _, node := range n.children {
		if node.name == "element" {
			into[node.attribute("name")] = true
		}
		node.elements(into)
	}
}

// password is the value that an answer tells. Its text is taken as it is: a
// blank may be part of it.
func (n *node) password() secret.Value {
	if node := n.child("password"); node != nil && node.text != "" {
		return secret.New(node.text)
	}
	return secret.Value{}
}

// raw is the text of a child as it stands: blanks may be meant.
func (n *node) raw(name string) string {
	if node := n.child(name); node != nil {
		return node.text
	}
	return ""
}

// explain turns a fault into a failure of the operation. One whose code is
// Client was refused before the operation began; after any other the effect is
// possible.
func (n *node) explain(failure *rest.Failure) {
	code, reason := n.value("faultcode"), n.value("faultstring")
	_, local, ok := strings.Cut(code, ":")
	if !ok {
		local = code
	}
	failure.Outcome = sdk.Unknown
	failure.Err.Code, failure.Err.Native, failure.Err.Message = sdk.TargetError, "Fault "+code, "fault: "+reason
	switch local {
	case "FailedAuthentication", "InvalidSecurity", "InvalidSecurityToken", "SecurityError", "FailedCheck", "UnsupportedSecurityToken", "SecurityTokenUnavailable":
		failure.Outcome, failure.Err.Code = sdk.Refused, sdk.InvalidConfig
		failure.Err.Message += "; check user and password"
	case "MustUnderstand":
		failure.Outcome, failure.Err.Code = sdk.Refused, sdk.InvalidConfig
		failure.Err.Message += "; the server takes no UsernameToken: leave out user and password"
	case "Client", "VersionMismatch":
		failure.Outcome, failure.Err.Code = sdk.Refused, sdk.InvalidOperation
		if noOperation(reason) {
			failure.Err.Code = sdk.InvalidConfig
			failure.Err.Message += "; check namespace and url"
		}
		if strings.Contains(reason, "Unmarshalling") {
			failure.Err.Message += basicHint
		}
	}
}

// errXML names the flaw of a document without quoting it.
type errXML string

func (e errXML) Error() string { return string(e) }

// parseXML reads a whole document. It takes UTF-8 only, and no document type,
// no entities but the five, no processing instructions, no deep nesting.
func parseXML(body []byte) (*node, error) {
	body = bytes.TrimPrefix(body, []byte("\xef\xbb\xbf"))
	if !utf8.Valid(body) {
		return nil, errXML("is not UTF-8")
	}
	decoder := xml.NewDecoder(bytes.NewReader(body))
	made := parser{}
	for {
		token, err := decoder.Token()
		if errors.Is(err, io.EOF) {
			return made.done()
		}
		if err != nil {
			return nil, malformed(err)
		}
		if err := made.take(token); err != nil {
			return nil, err
		}
	}
}

// malformed keeps the decoder's reason out of the message: it quotes.
func malformed(err error) error {
	var syntax *xml.SyntaxError
	if errors.As(err, &syntax) && strings.Contains(syntax.Msg, "entity") {
		return errXML("uses an entity other than the five")
	}
	return errXML("is not well-formed XML")
}

type parser struct {
	stack []*node
	text  []*strings.Builder
	root  *node
	nodes int
	begun bool
}

func (p *parser) take(t xml.Token) error {
	first := !p.begun
	p.begun = true
	switch t := t.(type) {
	case xml.Directive:
		return errXML("has a document type declaration")
	case xml.ProcInst:
		if t.Target != "xml" || !first {
			return errXML("has a processing instruction")
		}
	case xml.StartElement:
		return p.open(t)
	case xml.EndElement:
		p.close()
	case xml.CharData:
		if len(p.stack) > 0 {
			p.text[len(p.text)-1].Write(t)
		} else if len(bytes.TrimSpace(t)) > 0 {
			return errXML("is not well-formed XML")
		}
	}
	return nil
}

func (p *parser) open(startElement xml.StartElement) error {
	made := &node{space: startElement.Name.Space, name: startElement.Name.Local}
	for _, attr := range startElement.Attr {
		if attr.Name.Space == "" {
			if made.attributes == nil {
				made.attributes = map[string]string{}
			}
			made.attributes[attr.Name.Local] = attr.Value
		}
	}
	p.nodes++
	switch {
	case len(p.stack) == 0 && p.root != nil:
		return errXML("has two document elements")
	case len(p.stack) >= maxDepth:
		return errXML("is nested too deeply")
	case p.nodes > maxNodes:
		return errXML("has too many elements")
	case len(p.stack) == 0:
		p.root = made
	default:
		top := p.stack[len(p.stack)-1]
		top.children = append(top.children, made)
	}
	p.stack, p.text = append(p.stack, made), append(p.text, &strings.Builder{})
	return nil
}

func (p *parser) close() {
	last := len(p.stack) - 1
	p.stack[last].text = p.text[last].String()
	p.stack, p.text = p.stack[:last], p.text[:last]
}

func (p *parser) done() (*node, error) {
	if p.root == nil {
		return nil, errXML("is empty")
	}
	return p.root, nil
}

// writable reports whether XML 1.0 can carry the text.
func writable(text string) bool {
	for i, letter := range text {
		if letter == utf8.RuneError {
			if _, size := utf8.DecodeRuneInString(text[i:]); size == 1 {
				return false
			}
		}
		control := letter < 0x20 && letter != '\t' && letter != '\n' && letter != '\r'
		if control || letter == 0xFFFE || letter == 0xFFFF {
			return false
		}
	}
	return true
}
