package ldap

import (
	"strconv"
	"testing"
)

// TestPlainValuesFoldAsAllDo: a soft hyphen does not count, and takes the way of
// values that are not plain.
func TestPlainValuesFoldAsAllDo(t *testing.T) {
	for _, value := range []string{"", "ann", "Ann Lee", "  ANN \t Lee ", "a\nb", "\x00A\x7f", "a=b,C+D\\e"} {
		if got, want := foldValue(value), foldValue("\u00ad"+value); got != want {
			t.Errorf("foldValue(%q) = %q, want %q", value, got, want)
		}
	}
}

// TestNamesKeepWhatIsInFlight: what was resolved for a batch is there when its
// operations come, however many names were resolved before.
func TestNamesKeepWhatIsInFlight(t *testing.T) {
	var kept names
	for i := range 3 * remembered {
		kept.put(strconv.Itoa(i), target{dn: strconv.Itoa(i)})
		if first := max(0, i-remembered+1); first < i {
			if found, ok := kept.get(strconv.Itoa(first)); !ok || !found.known || found.dn != strconv.Itoa(first) {
				t.Fatalf("after %d names, the one %d before is not known", i+1, i-first)
			}
		}
	}
	if _, ok := kept.get("0"); ok {
		t.Error("names are kept for ever")
	}
	kept.forget(strconv.Itoa(3*remembered - 1))
	if _, ok := kept.get(strconv.Itoa(3*remembered - 1)); ok {
		t.Error("a forgotten name is known")
	}
}

// TestWordsAreNamesOfAttributes: whatever isWord takes the rule takes.
func TestWordsAreNamesOfAttributes(t *testing.T) {
	for _, name := range []string{"", "uid", "CN", "a1", "x-y", "1.2.3", "ü", "a b", "@", "[", "a\x00", "A{", "`"} {
		if isWord(name) && !attributeName.MatchString(name) {
			t.Errorf("isWord(%q), and it is no name", name)
		}
	}
	if !isWord("uid") || !isWord("CN") || isWord("") {
		t.Error("words are not told from others")
	}
}
