package workflow

import (
	"strings"
	"testing"

	"go.starlark.net/starlark"
	"go.starlark.net/syntax"
	"pgregory.net/rapid"
)

// operand draws an expression that is small however it is put together.
func operand() *rapid.Generator[string] {
	return rapid.SampledFrom([]string{"0", "1", "-3", "7", "2.5", `""`, `"ab"`, `"a%sb"`, `"%d%%"`, `"a{}b{}"`, `"{1}{0}"`, `"é"`, "[]", "[1, 2]", `["x", "y"]`, "(1,)", "()",
		`("a", "b")`, "{}", `{"a": 1}`, "None", "True", "False", `b"xy"`, "range(3)", "set([1, 2])"})
}

// expression draws an expression of so many levels.
func expression(depth int) *rapid.Generator[string] {
	if depth == 0 {
		return operand()
	}
	return rapid.Custom(func(t *rapid.T) string {
		part := func(name string) string { return "(" + expression(depth-1).Draw(t, name) + ")" }
		switch rapid.IntRange(0, 8).Draw(t, "shape") {
		case 0, 1, 2:
			return part("left") + rapid.SampledFrom([]string{" + ", " * ", " % ", " - ", " // ", " == ", " < ", " in ", " and ", " or ", " | ", " & "}).Draw(t, "operator") + part("right")
		case 3:
			name := rapid.SampledFrom([]string{"list", "tuple", "sorted", "reversed", "bytes", "set", "dict", "enumerate", "max", "min", "all", "any", "str", "repr", "len", "int", "bool", "type"}).Draw(t, "function")
			return name + "(" + part("argument") + ")"
		case 4:
			return "zip(" + part("one") + ", " + part("other") + ")"
		case 5:
			return part("text") + rapid.SampledFrom([]string{".replace(", ".join(", ".format(", ".upper(", ".extend("}).Draw(t, "method") + part("argument") + ", *" + part("more") + ")"
		case 6:
			return "[item + item for item in " + part("list") + "]"
		case 7:
			return "getattr(" + part("text") + ", " + rapid.SampledFrom([]string{`"join"`, `"replace"`, `"format"`, `"count"`}).Draw(t, "attribute") + ")(" + part("argument") + ")"
		default:
			return "(lambda *all, **named: (all, named))(*" + part("list") + ", **" + part("dict") + ")"
		}
	})
}

// plainly evaluates an expression as the interpreter does by itself.
func plainly(text string) (string, error) {
	options := &syntax.FileOptions{Set: true}
	value, err := starlark.EvalOptions(options, &starlark.Thread{}, "w.star", "repr("+text+")", nil)
	if err != nil {
		return "", err
	}
	shown, _ := starlark.AsString(value)
	return shown, nil
}

// TestMeasuringChangesNoResult: the operations that multiply are measured before
// they are done; what they make, and what they say of a mistake, stays the same.
func TestMeasuringChangesNoResult(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		text := expression(rapid.IntRange(1, 3).Draw(rt, "depth")).Draw(rt, "expression")
		want, failure := plainly(text)
		got, wrong := valueOfExpr(t, text, nil, false)
		switch {
		case failure == nil && (got != shorten(want, maxPrint) || wrong != ""):
			rt.Fatalf("%s\n is %s, %s\nwant %s", text, got, wrong, want)
		case failure != nil && !strings.Contains(wrong, firstWords(failure.Error())):
			rt.Fatalf("%s\n is %s, %q\nwant the error %s", text, got, wrong, failure)
		}
	})
}

// firstWords are those of an error before what the interpreter advises, and of a
// comparison those that say it plainly.
func firstWords(text string) string {
	text, _, _ = strings.Cut(text, " (did you mean ")
	return inPlainWords(oneLine(text))
}

// TestMeasuringChangesNoAssignment: the same for what is added in place, where a
// list that two names stand for is one list.
func TestMeasuringChangesNoAssignment(t *testing.T) {
	for _, tt := range []struct{ body, want string }{
		{"x = [1]\n    y = x\n    x += [2]\n    return (x, y)", "([1, 2], [1, 2])"},
		{"x = [1]\n    y = x\n    x *= 2\n    return (x, y)", "([1, 1], [1])"},
		{"x = (1,)\n    y = x\n    x += (2,)\n    return (x, y)", "((1, 2), (1,))"},
		{"x = \"a%s\"\n    x %= \"b\"\n    return x", `"ab"`},
		{"x = 7\n    x %= 4\n    return x", "3"},
		{"x = 7\n    x *= 4\n    x += 1\n    return x", "29"},
		{"d = {\"a\": [1]}\n    d[\"a\"] += [2]\n    d[\"a\"] *= 2\n    return d", `{"a": [1, 2, 1, 2]}`},
		{"d = {\"a\": 7}\n    d[\"a\"] %= 4\n    return d", `{"a": 3}`},
		{"calls = []\n    def where():\n        calls.append(1)\n        return 0\n    x = [7]\n    x[where()] += 1\n    x[where()] *= 2\n    return (x, len(calls))", "([16], 2)"},
		{"calls = []\n    def where():\n        calls.append(1)\n        return 0\n    x = [7]\n    x[where()] %= 4\n    return (x, len(calls))", "([3], 1)"},
		{"x = [1]\n    x.extend(range(2))\n    x.extend(x)\n    return x", "[1, 0, 1, 1, 0, 1]"},
		{"x = set([1])\n    x |= set([2])\n    return sorted(x.union([3]))", "[1, 2, 3]"},
		{"d = {\"a\": 1}\n    d.update([(\"b\", 2)], c = 3)\n    return d", `{"a": 1, "b": 2, "c": 3}`},
		{"return \"-\".join([\"a\", \"b\"]) + \",\".join((\"c\",)) + \"\".join([])", `"a-bc"`},
		{"join = \"-\".join\n    return join([\"a\", \"b\"])", `"a-b"`},
		{"return [f(\"x\") for f in [\"{0}{0}\".format, \"a{}\".format]]", `["xx", "ax"]`},
	} {
		got, wrong := valueOfBody(t, tt.body)
		if got != tt.want || wrong != "" {
			t.Errorf("%s\n got %s %s\nwant %s", tt.body, got, wrong, tt.want)
		}
	}
}

// valueOfBody calls a function of that body at the top level and prints what it
// returns.
func valueOfBody(t *testing.T, body string) (printed, wrong string) {
	t.Helper()
	var out strings.Builder
	o := script(t, "def f():\n    "+body+"\nprint(repr(f()))"+tail)
	o.Print = writerFunc(func(text []byte) { out.Write(text) })
	wrong = problems(t, o)
	_, printed, _ = strings.Cut(out.String(), ": ")
	return strings.TrimSuffix(printed, "\n"), wrong
}
