package file

import (
	"os"
	"strings"

	"github.com/rekey-host/rekey/sdk"
)

// marker is where the value goes in a template.
const marker = "{value}"

// template is a file that is made anew from another one, which has the marker
// once: in what format is for its author to know, and so is the quoting.
type template struct{ path string }

// theOnly is the place of a template's file.
const theOnly = "value"

// parts are what stands before and after the value.
func (t template) parts() (before, after string, failure *sdk.Error) {
	text, err := os.ReadFile(t.path)
	if err != nil {
		return "", "", sdk.Errorf(sdk.InvalidConfig, "template: %s", err)
	}
	before, after, found := strings.Cut(string(text), marker)
	if !found || strings.Contains(after, marker) {
		return "", "", sdk.Errorf(sdk.InvalidConfig, "template: %q has %s not exactly once", t.path, marker)
	}
	return before, after, nil
}

// spots is the whole file: what a template does not have is lost.
func (t template) spots(text string) ([]spot, *sdk.Error) {
	if _, _, failure := t.parts(); failure != nil {
		return nil, failure
	}
	return []spot{{span: span{0, len(text)}, place: theOnly}}, nil
}

// written is the template with the value.
func (t template) written(_ spot, value string) (string, *sdk.Error) {
	before, after, failure := t.parts()
	if failure != nil {
		return "", failure
	}
	if !isPlain(value) {
		return "", notCarried("what the template is for is not known, so only letters, digits and " + plain + " are written there")
	}
	return before + value + after, nil
}

// read takes the template's text away.
func (t template) read(text, place string) (string, bool) {
	before, after, failure := t.parts()
	if failure != nil || place != theOnly || len(text) < len(before)+len(after) || !strings.HasPrefix(text, before) || !strings.HasSuffix(text, after) {
		return "", false
	}
	return text[len(before) : len(text)-len(after)], true
}

func (template) policy() sdk.Policy {
	return plainPolicy("what the template is for is not known here")
}
