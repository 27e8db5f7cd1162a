package vet

import "testing"

// TestWhatIsLeftOverIsFound in the script below the head; its places are of it
// alone.
func TestWhatIsLeftOverIsFound(t *testing.T) {
	for _, tt := range []struct{ name, text, want string }{
		{"nothing", "def rotate(user, step):\n    step.set(user)\nworkflow(rotate = rotate)", ""},
		{"a global", "x = 1\nworkflow()", "w.star:1:1: x is never used; take it out, or call it _x"},
		{"a global that a function reads", "x = 1\ndef select(user):\n    return user == x\nworkflow(select = select)", ""},
		{"a spared one", "_x = 1\nworkflow()", ""},
		{"a backend counts", "x = backend(\"a\")\ny = [backend(\"b\")]\nworkflow()", ""},
		{"an element is no name", "x = {}\nx[\"a\"] = 1\nworkflow()", ""},
		{"a local", "def f(a):\n    b = 1\n    return a\nworkflow(select = f)", "w.star:2:5: b is never used; take it out, or call it _b"},
		{"a local that is only added to is read", "def f(a):\n    b = 1\n    b += a\n    return a\nworkflow(select = f)", ""},
		{"a local of a comprehension", "x = [1 for y in [2]]\nworkflow(users = x)", ""},
		{"a loop", "def f(a):\n    for b in a:\n        print(1)\nworkflow(select = f)", "w.star:2:9: b is never used; take it out, or call it _b"},
		{"a tuple", "def f(a):\n    b, c = a\n    return c\nworkflow(select = f)", ""},
		{"what a function in it reads", "def f(a):\n    b = 1\n    return lambda: b + a\nworkflow(select = f)", ""},
		{"a name of the same letters", "def f(a):\n    b = 1\n    return [b for b in a]\nworkflow(select = f)", "w.star:2:5: b is never used; take it out, or call it _b"},
		{"a parameter of a hook", "def select(user):\n    return True\nworkflow(select = select)", "w.star:1:12: select never uses its parameter user; take it out: a hook gets the parameters that it names"},
		{"a parameter", "def f(a, b):\n    return a\nx = f(1, 2)\nworkflow(users = x)", "w.star:1:10: f never uses its parameter b; take it out, or call it _b"},
		{"a parameter of what is handed on", "def f(a, b):\n    return a\nworkflow(users = f)", ""},
		{"a parameter of a lambda", "workflow(users = lambda r: 1)", ""},
		{"a default", "z = 1\ndef f(a = z):\n    return a\nworkflow(users = f())", ""},
	} {
		script := scriptOf(t, tt.text)
		if got := shown(Unused(script.Main, true, script.Hooks)); got != tt.want {
			t.Errorf("%s:\n got %s\nwant %s", tt.name, got, tt.want)
		}
	}
	library := parsed(t, "x = 1\ndef f(a, b):\n    return a\ny = f(1, 2)\n")
	if got := shown(Unused(library, false, nil)); got != "w.star:2:10: f never uses its parameter b; take it out, or call it _b" {
		t.Errorf("of a library: %s", got)
	}
}

func TestWhatIsNeverReachedIsFound(t *testing.T) {
	for _, tt := range []struct{ body, want string }{
		{"return 1", ""},
		{"return 1\n    x = 2", "w.star:3:5: this is never reached: line 2 goes elsewhere; take it out, or put it above"},
		{"fail(1)\n    x = 2\n    y = 3", "w.star:3:5: this is never reached: line 2 goes elsewhere; take it out, or put it above"},
		{"for x in a:\n        continue\n        x = 1\n    return 1", "w.star:4:9: this is never reached: line 3 goes elsewhere; take it out, or put it above"},
		{"if a:\n        return 1\n    else:\n        return 2\n    return 3", "w.star:6:5: this is never reached: line 2 goes elsewhere; take it out, or put it above"},
		{"if a:\n        return 1\n    return 3", ""},
		{"for x in a:\n        return 1\n    return 3", ""},
		{"if a:\n        pass\n    return 3", ""},
	} {
		if got := shown(Unreachable(parsed(t, "def f(a):\n    "+tt.body+"\n"))); got != tt.want {
			t.Errorf("%s:\n got %s\nwant %s", tt.body, got, tt.want)
		}
	}
}

func TestKeysThatStandTwiceAreFound(t *testing.T) {
	for text, want := range map[string]string{
		`x = {"a": 1, "b": 2}`:                   "",
		`x = {"a": 1, "b": 2, 'a': 3}`:           "w.star:1:22: the key 'a' stands twice in the dict; take one of them out",
		`x = {1: 1, 2: 2, 1: 3}`:                 "w.star:1:18: the key 1 stands twice in the dict; take one of them out",
		`x = {"1": {"1": 2}, 1: 3, "b" + "": 1}`: "",
	} {
		if got := shown(Duplicates(parsed(t, text))); got != want {
			t.Errorf("%s: %s, want %s", text, got, want)
		}
	}
}

func TestTabsAmongSpacesAreFound(t *testing.T) {
	for text, want := range map[string]string{
		"def f():\n    x = 1\n    return x\n":                   "",
		"def f():\n\tx = 1\n\treturn x\n":                       "",
		"def f():\n    x = [\n\t1]\n    return x\n":             "",
		"def f():\n    \"\"\"a\n\tb\"\"\"\n    return 1\n":      "",
		"def f():\n\tx = 1\n\treturn x\ndef g():\n    return 1": "w.star:5:1: the line is indented with spaces, and line 2 with tabs; use four spaces everywhere, or rekey fmt",
		"def f(a):\n    if a:\n    \treturn 1":                  "w.star:3:1: the line is indented with tabs and spaces, and line 2 with spaces; use four spaces everywhere, or rekey fmt",
	} {
		if got := shown(MixedIndent(parsed(t, text))); got != want {
			t.Errorf("%q: %s, want %s", text, got, want)
		}
	}
}
