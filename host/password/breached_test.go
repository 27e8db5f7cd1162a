package password

import (
	"bytes"
	"crypto/sha1"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
)

// breachedOf writes a list as it is downloaded.
func breachedOf(lineEnd string, passwords ...string) []byte {
	var lines []string
	for i, word := range passwords {
		lines = append(lines, fmt.Sprintf("%X:%d%s", sha1.Sum([]byte(word)), 1+i*i*i, lineEnd))
	}
	slices.Sort(lines)
	return []byte(strings.Join(lines, ""))
}

func open(t *testing.T, list []byte) *Breached {
	t.Helper()
	made, err := NewBreached(bytes.NewReader(list), int64(len(list)))
	if err != nil {
		t.Fatal(err)
	}
	return made
}

func TestEveryPasswordOfTheListIsFoundAndNoOther(t *testing.T) {
	for _, count := range []int{1, 2, 3, 50, 100, 5000} {
		for _, lineEnd := range []string{"\n", "\r\n"} {
			var words []string
			for i := range count {
				words = append(words, fmt.Sprintf("word-%d", i))
			}
			list := breachedOf(lineEnd, words...)
			for _, text := range [][]byte{list, bytes.TrimRight(list, "\r\n"), bytes.ToLower(list)} {
				made := open(t, text)
				for i := range count {
					if held, err := made.Holds(words[i]); !held || err != nil {
						t.Fatalf("%d lines: word %d: %t, %v", count, i, held, err)
					}
					if held, err := made.Holds(fmt.Sprintf("other-%d", i)); held || err != nil {
						t.Fatalf("%d lines: another password: %t, %v", count, held, err)
					}
				}
			}
		}
	}
}

// counting counts what is read of a list.
type counting struct {
	io.ReaderAt
	calls, bytes int
}

func (c *counting) ReadAt(data []byte, at int64) (int, error) {
	c.calls++
	c.bytes += len(data)
	return c.ReaderAt.ReadAt(data, at)
}

// huge is a list of as many lines as wanted that is nowhere: line i has the
// hash i.
type huge struct{ lines int64 }

const hugeLine = hashDigits + 4 // HASH:7\r\n

func (h huge) ReadAt(data []byte, at int64) (int, error) {
	for i := range data {
		n := (at + int64(i)) / hugeLine
		if n >= h.lines {
			return i, io.EOF
		}
		data[i] = fmt.Sprintf("%040X:7\r\n", n)[(at+int64(i))%hugeLine]
	}
	return len(data), nil
}

func TestALongListIsReadInAFewPlaces(t *testing.T) {
	const lines = 1_000_000_000
	reader := &counting{ReaderAt: huge{lines}}
	made, err := NewBreached(reader, lines*hugeLine)
	if err != nil {
		t.Fatal(err)
	}
	reader.calls, reader.bytes = 0, 0
	if held, err := made.Holds("password"); held || err != nil {
		t.Errorf("Holds = %t, %v", held, err)
	}
	if reader.calls > 200 || reader.bytes > 64<<10 {
		t.Errorf("%d reads of %d bytes", reader.calls, reader.bytes)
	}
}

func TestAListThatCannotBeSearchedIsRefused(t *testing.T) {
	good := breachedOf("\r\n", "a", "b", "c")
	lines := bytes.SplitAfter(good, []byte("\n"))
	for name, c := range map[string]struct {
		list []byte
		want string
	}{
		"empty":         {nil, "the list is empty"},
		"by prevalence": {slices.Concat(lines[1], lines[0]), "sorted by hash"},
		"one twice":     {slices.Concat(lines[0], lines[0]), "sorted by hash"},
		"NTLM":          {[]byte("0123456789ABCDEF0123456789ABCDEF:5\r\n"), "NTLM"},
		"words":         {[]byte("password\n123456\n"), "not HASH:COUNT"},
		"no count":      {[]byte(strings.Repeat("A", 40) + "\n"), "not HASH:COUNT"},
		"bad last line": {append(slices.Clone(good), "x\r\n"...), "not HASH:COUNT"},
	} {
		if _, err := NewBreached(bytes.NewReader(c.list), int64(len(c.list))); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %s", name, err, c.want)
		}
	}
}

func TestADamagedListIsAnErrorAndNoAnswer(t *testing.T) {
	var words []string
	for i := range 2000 {
		words = append(words, fmt.Sprint(i))
	}
	list := breachedOf("\n", words...)
	middle := len(list) / 2
	swapped := slices.Concat(list[:1000], list[middle:], list[1000:middle])
	for name, text := range map[string][]byte{
		"a long line in the middle": slices.Concat(list[:middle], bytes.Repeat([]byte("A"), 5000), list[middle:]),
		"halves swapped":            swapped,
	} {
		made, err := NewBreached(bytes.NewReader(text), int64(len(text)))
		failed := 0
		for i := 0; err == nil && i < len(words); i++ {
			if _, holds := made.Holds(words[i]); holds != nil {
				failed++
			}
		}
		if err == nil && failed == 0 {
			t.Errorf("%s: no search failed", name)
		}
	}
	broken := errors.New("the disk is gone")
	made := &Breached{&failing{broken}, int64(len(list))}
	if _, err := made.Holds("1"); !errors.Is(err, broken) {
		t.Errorf("Holds of a list that cannot be read: %v", err)
	}
}

type failing struct{ err error }

func (f *failing) ReadAt([]byte, int64) (int, error) { return 0, f.err }

func TestGeneratedValuesAreNotBreached(t *testing.T) {
	var taken []string
	for i := range 1000 {
		if i%10 != 7 {
			taken = append(taken, fmt.Sprintf("%03d", i))
		}
	}
	from := seeded(1)
	recipe := combine(t, &Spec{Allowed: ptr(digitChars), Length: ptr(3), Breached: open(t, breachedOf("\n", taken...))})
	for range 100 {
		if value := generate(t, recipe, from); !strings.HasSuffix(value, "7") {
			t.Errorf("%s is in the list", value)
		}
	}
	recipe.breached = &Breached{&failing{errors.New("gone")}, 5000}
	if _, err := recipe.Generate(from, nil); err == nil {
		t.Error("a value was made although the list cannot be read")
	}
}

func FuzzBreached(f *testing.F) {
	f.Add(breachedOf("\n", "a", "b"), "a")
	f.Fuzz(func(t *testing.T, list []byte, text string) {
		made, err := NewBreached(bytes.NewReader(list), int64(len(list)))
		if err != nil {
			return
		}
		held, err := made.Holds(text)
		if want := bytes.Contains(bytes.ToUpper(list), fmt.Appendf(nil, "%X", sha1.Sum([]byte(text)))); err == nil && held && !want {
			t.Fatalf("%q is found in a list without it", text)
		}
	})
}

func TestOnlyTheBlocklistOfTheScriptHoldsGivenValues(t *testing.T) {
	list := open(t, breachedOf("\n", "hunter2"))
	for _, c := range []struct {
		spec        *Spec
		value, want string
	}{
		{nil, "password", ""},
		{&Spec{}, "password", ""},
		{&Spec{Blocklist: ptr(false), Breached: list}, "hunter2", ""},
		{&Spec{Blocklist: ptr(true)}, "Password1", "a common password"},
		{&Spec{Blocklist: ptr(true)}, "Tq7-vAlue-x", ""},
		{&Spec{Blocklist: ptr(true), Breached: open(t, breachedOf("\n", "Tq7-vAlue-x"))}, "Tq7-vAlue-x", "a breached password"},
		{&Spec{Blocklist: ptr(true), Breached: list}, "Tq7-vAlue-y", ""},
	} {
		if got, err := c.spec.Held(c.value); got != c.want || err != nil {
			t.Errorf("%q: %q, %v; want %q", c.value, got, err, c.want)
		}
	}
	broken := &Spec{Blocklist: ptr(true), Breached: &Breached{&failing{errors.New("gone")}, 5000}}
	if _, err := broken.Held("Tq7-vAlue-x"); err == nil {
		t.Error("a list that cannot be read says nothing")
	}
}
