package journal

import (
	"testing"

	"github.com/rekey-host/rekey/sdk/secret"
)

// holds reports whether the handle stands for the text.
func holds(v *Value, text string) bool {
	want := secret.New(text)
	got := v.Secret()
	return got.Equal(want)
}

func TestAHandleStandsForItsValueUntilItIsReplaced(t *testing.T) {
	v := Given(secret.New("made up"))
	if !holds(v, "made up") || v.Empty() || v.Origin != 0 || v.Another != nil {
		t.Error("a given value is not what was given")
	}
	v.Replace(secret.New("another"))
	if !holds(v, "another") {
		t.Error("it has not been replaced")
	}
}

func TestAHandleOnNothingIsEmpty(t *testing.T) {
	var nothing *Value
	if !nothing.Empty() || !Given(secret.Value{}).Empty() {
		t.Error("it is not")
	}
}
