package workflow

import (
	"encoding/json"
	"fmt"
	"math/big"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"go.starlark.net/starlark"
	"go.starlark.net/syntax"
	"pgregory.net/rapid"

	"github.com/rekey-host/rekey/host/journal"
	"github.com/rekey-host/rekey/host/source"
	"github.com/rekey-host/rekey/sdk/secret"
)

// fields draws the fields of a struct.
func fields() *rapid.Generator[map[string]int] {
	return rapid.MapOfN(rapid.StringMatching(`[a-c]{1,2}`), rapid.IntRange(0, 2), 0, 4)
}

func structOf(fields map[string]int) *structValue {
	values := map[string]starlark.Value{}
	for name, number := range fields {
		values[name] = starlark.MakeInt(number)
	}
	return newStruct(values)
}

// TestStructsAreEqualByTheirFields, have the hash of their equals, and no order.
func TestStructsAreEqualByTheirFields(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		one, other := fields().Draw(rt, "one"), fields().Draw(rt, "other")
		left, right := structOf(one), structOf(other)
		want := reflect.DeepEqual(one, other)
		equal, err := starlark.Equal(left, right)
		unequal, _ := starlark.Compare(syntax.NEQ, left, right)
		if err != nil || equal != want || unequal == want {
			rt.Fatalf("%v == %v is %v, != is %v, %v", left, right, equal, unequal, err)
		}
		leftHash, _ := left.Hash()
		rightHash, _ := right.Hash()
		if want && leftHash != rightHash {
			rt.Fatalf("%v has two hashes, %d and %d", left, leftHash, rightHash)
		}
		for _, op := range []syntax.Token{syntax.LT, syntax.LE, syntax.GT, syntax.GE} {
			if _, err := starlark.Compare(op, left, right); err == nil {
				rt.Fatalf("%v %s %v is no error", left, op, right)
			}
		}
	})
}

func TestAStructGivesEachFieldAndNoOther(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		given := fields().Draw(rt, "fields")
		made := structOf(given)
		if names := made.AttrNames(); !slices.IsSorted(names) || len(names) != len(given) {
			rt.Fatalf("names %q of %v", names, given)
		}
		shown := []string{}
		for _, name := range made.AttrNames() {
			value, err := made.Attr(name)
			if err != nil || value.String() != strconv.Itoa(given[name]) {
				rt.Fatalf("%v.%s = %v, %v", made, name, value, err)
			}
			shown = append(shown, fmt.Sprintf("%s = %d", name, given[name]))
		}
		if want := "struct(" + strings.Join(shown, ", ") + ")"; made.String() != want {
			rt.Fatalf("shown as %s, want %s", made, want)
		}
		other := rapid.StringMatching(`[x-z]`).Draw(rt, "other")
		if _, err := made.Attr(other); err == nil || !strings.Contains(err.Error(), fmt.Sprintf("the struct has no %q", other)) {
			rt.Fatalf("%v.%s: %v", made, other, err)
		}
	})
}

// TestAStructOfAListIsNoKey, as a list is none.
func TestAStructOfAListIsNoKey(t *testing.T) {
	if _, err := newStruct(map[string]starlark.Value{"a": starlark.NewList(nil)}).Hash(); err == nil {
		t.Error("it has a hash")
	}
	if _, err := starlark.Equal(newStruct(map[string]starlark.Value{"a": &secretValue{journal.Given(secret.New("x"))}}), newStruct(map[string]starlark.Value{"a": &secretValue{journal.Given(secret.New("x"))}})); err == nil {
		t.Error("secrets in structs are compared")
	}
}

// TestDaysAreOrderedAsTheirTexts, which sort by time.
func TestDaysAreOrderedAsTheirTexts(t *testing.T) {
	day := rapid.Custom(func(t *rapid.T) *dayValue {
		return &dayValue{source.Day{Time: time.Date(rapid.IntRange(1990, 2030).Draw(t, "year"), time.Month(rapid.IntRange(1, 12).Draw(t, "month")), rapid.IntRange(1, 28).Draw(t, "day"), 0, 0, 0, 0, time.UTC)}}
	})
	rapid.Check(t, func(rt *rapid.T) {
		left, right := day.Draw(rt, "left"), day.Draw(rt, "right")
		for op, want := range map[syntax.Token]bool{
			syntax.EQL: left.String() == right.String(), syntax.NEQ: left.String() != right.String(), syntax.LT: left.String() < right.String(),
			syntax.LE: left.String() <= right.String(), syntax.GT: left.String() > right.String(), syntax.GE: left.String() >= right.String(),
		} {
			if got, err := starlark.Compare(op, left, right); got != want || err != nil {
				rt.Fatalf("%s %s %s is %v, %v", left, op, right, got, err)
			}
		}
		var parts []string
		for _, name := range []string{"year", "month", "day"} {
			value, err := left.Attr(name)
			if err != nil {
				rt.Fatal(err)
			}
			parts = append(parts, fmt.Sprintf("%02s", value.String()))
		}
		if strings.Join(parts, "-") != left.String() {
			rt.Fatalf("%s has the parts %q", left, parts)
		}
		leftHash, _ := left.Hash()
		rightHash, _ := right.Hash()
		if left.String() == right.String() && leftHash != rightHash {
			rt.Fatalf("%s has two hashes", left)
		}
	})
}

// TestDurationsReadWhatTheyWrite, and nothing that is negative or has no unit.
func TestDurationsReadWhatTheyWrite(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		want := time.Duration(rapid.Int64Range(0, int64(1000*time.Hour)).Draw(rt, "duration"))
		if got, bad := parseDuration(want.String()); got != want || bad != nil {
			rt.Fatalf("%s is read as %s, %v", want, got, bad)
		}
		number := rapid.IntRange(1, 1000).Draw(rt, "number")
		for _, text := range []string{strconv.Itoa(number), "-" + (time.Duration(number) * time.Second).String(), strconv.Itoa(number) + " s", strconv.Itoa(number) + "d"} {
			if got, bad := parseDuration(text); bad == nil {
				rt.Fatalf("%q is read as %s", text, got)
			}
		}
	})
}

// document draws a value as encoding/json decodes one.
func document(depth int) *rapid.Generator[any] {
	return rapid.Custom(func(t *rapid.T) any {
		most := 6
		if depth == 0 {
			most = 4
		}
		switch rapid.IntRange(0, most).Draw(t, "kind") {
		case 0:
			return nil
		case 1:
			return rapid.Bool().Draw(t, "bool")
		case 2:
			return json.Number(new(big.Int).Exp(big.NewInt(rapid.Int64Range(-9, 9).Draw(t, "base")), big.NewInt(rapid.Int64Range(0, 40).Draw(t, "power")), nil).String())
		case 3:
			return json.Number(strconv.FormatFloat(rapid.Float64Range(-1e6, 1e6).Draw(t, "float"), 'f', 3, 64))
		case 4:
			return rapid.String().Draw(t, "text")
		case 5:
			return rapid.SliceOfN(document(depth-1), 0, 3).Draw(t, "list")
		default:
			return rapid.MapOfN(rapid.String(), document(depth-1), 0, 3).Draw(t, "dict")
		}
	})
}

// plain is a document with numbers that can be compared.
func plain(value any) any {
	switch v := value.(type) {
	case json.Number:
		number, _ := new(big.Rat).SetString(v.String())
		return number.RatString()
	case []any:
		list := []any{}
		for _, item := range v {
			list = append(list, plain(item))
		}
		return list
	case map[string]any:
		dict := map[string]any{}
		for name, item := range v {
			dict[name] = plain(item)
		}
		return dict
	}
	return value
}

// TestJSONIsWrittenAsItWasRead: no digit, letter or member is lost.
func TestJSONIsWrittenAsItWasRead(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		want := document(3).Draw(rt, "document")
		text, err := json.Marshal(want)
		if err != nil {
			rt.Fatal(err)
		}
		value, err := decodeJSON(string(text))
		if err != nil {
			rt.Fatalf("%s: %v", text, err)
		}
		again, err := encodeJSON(value)
		if err != nil {
			rt.Fatalf("%s: %v", text, err)
		}
		dec := json.NewDecoder(strings.NewReader(again))
		dec.UseNumber()
		var got any
		if err := dec.Decode(&got); err != nil {
			rt.Fatalf("%s is written as %s: %v", text, again, err)
		}
		if !reflect.DeepEqual(plain(got), plain(want)) {
			rt.Fatalf("%s is written as %s", text, again)
		}
	})
}

// TestNoTextMakesTheDecoderOfJSONPanicOrQuoteIt.
func TestNoTextMakesTheDecoderOfJSONPanicOrQuoteIt(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		text := rapid.SampledFrom([]string{`{"password": "hunter2"`, `["hunter2", `, `"hunter2`, `{"hunter2": hunter2}`, `hunter2`, `[1, "hunter2"] x`}).Draw(rt, "start") + rapid.String().Draw(rt, "rest")
		if _, err := decodeJSON(text); err != nil && strings.Contains(err.Error(), "hunter2") {
			rt.Fatalf("%q: %v", text, err)
		}
	})
}

// TestWhatIsNoDataIsToldWithItsPlace: a value that cannot leave the script is
// named by where it stands.
func TestWhatIsNoDataIsToldWithItsPlace(t *testing.T) {
	opaque, list := &secretValue{journal.Given(secret.New("hunter2"))}, starlark.NewList(nil)
	_ = list.Append(list)
	deep := starlark.Value(starlark.NewList(nil))
	for range maxDepth + 1 {
		deep = starlark.NewList([]starlark.Value{deep})
	}
	dict := func(key, value starlark.Value) *starlark.Dict {
		made := starlark.NewDict(1)
		_ = made.SetKey(key, value)
		return made
	}
	for name, tt := range map[string]struct {
		value     starlark.Value
		want, row string // what is said, and for a report
	}{
		"a secret":                  {opaque, "a secret cannot be used here", ""},
		"a secret in a list":        {starlark.NewList([]starlark.Value{starlark.None, opaque}), "element 2: a secret cannot be used here", ""},
		"a secret in a dict":        {dict(starlark.String("pw"), starlark.Tuple{opaque}), `"pw": element 1: a secret cannot be used here`, ""},
		"a secret in a struct":      {newStruct(map[string]starlark.Value{"pw": opaque}), `"pw": a secret cannot be used here`, ""},
		"a function":                {starlark.Universe["len"], "a builtin_function_or_method cannot be used here", "a builtin_function_or_method cannot be used here"},
		"bytes":                     {starlark.Bytes("x"), "a bytes cannot be used here", "a bytes cannot be used here"},
		"a key that is no text":     {dict(starlark.MakeInt(1), starlark.None), "a key is int, want string", "a key is int, want string"},
		"a list that holds itself":  {list, errDeep.Error(), errDeep.Error()},
		"a list that is too deep":   {deep, errDeep.Error(), errDeep.Error()},
		"a text that is too long":   {starlark.Tuple{starlark.String(strings.Repeat("x", maxText)), starlark.String("y")}, errLong.Error(), errLong.Error()},
		"a number that is too long": {starlark.MakeBigInt(new(big.Int).Lsh(big.NewInt(1), maxBits+1)), errDigits.Error(), errDigits.Error()},
	} {
		for forRow, want := range map[bool]string{false: tt.want, true: tt.row} {
			_, err := goValue(tt.value, forRow)
			if got := fmt.Sprint(err); err == nil && want != "" || err != nil && got != want {
				t.Errorf("%s, for a report %v: %v, want %q", name, forRow, err, want)
			}
		}
	}
}

// TestOnlyAReportHasSecretsAndDays: elsewhere a day is its text.
func TestOnlyAReportHasSecretsAndDays(t *testing.T) {
	day := source.Day{Time: time.Date(2026, 11, 30, 0, 0, 0, 0, time.UTC)}
	if got, err := goValue(&dayValue{day}, true); got != any(day) || err != nil {
		t.Errorf("a day in a report is %v, %v", got, err)
	}
	if got, err := goValue(&dayValue{day}, false); got != any("2026-11-30") || err != nil {
		t.Errorf("a day elsewhere is %v, %v", got, err)
	}
	got, err := goValue(starlark.Tuple{&secretValue{journal.Given(secret.New("x"))}}, true)
	if list, ok := got.([]any); !ok || len(list) != 1 || err != nil {
		t.Fatalf("a secret in a report is %v, %v", got, err)
	} else if _, ok := list[0].(secret.Value); !ok {
		t.Errorf("a secret in a report is a %T", list[0])
	}
}

// TestCellsOfTheSourceReachTheScriptAsTheyAre, and come back so.
func TestCellsOfTheSourceReachTheScriptAsTheyAre(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		cell := rapid.OneOf(rapid.Just[any](nil), rapid.Map(rapid.String(), func(text string) any { return text }), rapid.Map(rapid.Bool(), func(yes bool) any { return yes }),
			rapid.Map(rapid.Int64(), func(number int64) any { return number }), rapid.Map(rapid.Float64Range(-1e9, 1e9), func(number float64) any { return number })).Draw(rt, "cell")
		want := []any{cell, map[string]any{"a": cell}}
		value, err := starlarkOf(want, 0)
		if err != nil {
			rt.Fatal(err)
		}
		if got, err := goValue(value, true); err != nil || !reflect.DeepEqual(got, any(want)) {
			rt.Fatalf("%v comes back as %v, %v", want, got, err)
		}
	})
	if _, err := starlarkOf(struct{}{}, 0); err == nil || err.Error() != "a struct {} has no form in a script" {
		t.Errorf("a cell of another type: %v", err)
	}
}
