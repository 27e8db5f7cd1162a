package vet

import (
	"testing"

	"go.starlark.net/syntax"

	"github.com/rekey-host/rekey/host/workflow/lang"
	"github.com/rekey-host/rekey/host/workflow/tree"
)

// TestWhatDependsOnParametersThatNobodyGave: of workflow(users = X) in a script.
func TestWhatDependsOnParametersThatNobodyGave(t *testing.T) {
	for _, tt := range []struct {
		name, before, arg string
		given             map[string]string
		placeholders      bool
		want              bool
	}{
		{name: "a literal", arg: `"x"`},
		{name: "the parameter", arg: `param.string("n")`, want: true},
		{name: "one that is given", arg: `param.string("n")`, given: map[string]string{"n": "x"}},
		{name: "one with a default", arg: `param.string("n", default = "x")`},
		{name: "one with a default by place", arg: `param.string("n", "x")`},
		{name: "one with a default, under check", arg: `param.string("n", default = "x")`, placeholders: true, want: true},
		{name: "given by name, under check", arg: `param.string(name = "n")`, given: map[string]string{"n": "x"}, placeholders: true},
		{name: "no parameter that there is", arg: `param.bicycle("n")`},
		{name: "a name", before: `x = param.string("n")`, arg: "x", want: true},
		{name: "a name of a name", before: "x = param.string(\"n\")\ny = [x]\nz = {\"a\": y}", arg: "z[\"a\"]", want: true},
		{name: "one of several", before: `x, y = param.string("n"), 1`, arg: "y", want: true},
		{name: "another name", before: "x = param.string(\"n\")\ny = 1", arg: "y"},
		{name: "a function that uses it", before: "x = param.string(\"n\")\ndef f():\n    return x", arg: "f()", want: true},
		{name: "a function that does not", before: "x = param.string(\"n\")\ndef f():\n    return 1", arg: "f()"},
		{name: "what a comprehension binds", before: `x = param.string("n")`, arg: "[y for y in [1]]", want: true},
		{name: "what it binds, and nothing varies", arg: "[y for y in [1]]"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := parsed(t, tt.before+"\nworkflow(\"first\", users = "+tt.arg+")\n")
			v := Vary([]*tree.File{f}, Params{Table: lang.New(), Given: tt.given, Placeholders: tt.placeholders})
			e := lang.New().Lookup("workflow")
			s := tree.Site{File: f}
			for n := range f.Calls {
				if tree.Predeclared(n.Fn) == "workflow" {
					s.Node = n
				}
			}
			if got := v.Argument(s, e, "users"); got != tt.want {
				t.Errorf("users depends on it: %v", got)
			}
			if got := v.Argument(s, e, ""); got != tt.want {
				t.Errorf("any argument does: %v", got)
			}
			if v.Argument(s, e, "backend") {
				t.Error("backend, which is not given, does")
			}
			if got := v.At(f, s.Node.Lparen); got != tt.want {
				t.Errorf("the call does: %v", got)
			}
			if got := v.At(f, syntax.Start(s.Node)); got != tt.want {
				t.Errorf("the statement does: %v", got)
			}
		})
	}
}

func TestVaryingIsFollowedThroughLoads(t *testing.T) {
	lib := parsed(t, "x = param.string(\"n\")\ny = 1\n")
	for name, want := range map[string]bool{"x": true, "y": false} {
		f := tree.New("w.star", "w.star", []byte("load(\"lib.star\", mine = \""+name+"\")\nz = len(mine)\n"))
		if bad := f.Parse(); bad != nil {
			t.Fatal(bad)
		}
		f.Loads["lib.star"] = lib
		if bad := f.Resolve(nil, nil); bad != nil {
			t.Fatal(bad)
		}
		v := Vary([]*tree.File{lib, f}, Params{Table: lang.New()})
		if got := v.At(f, syntax.MakePosition(nil, 2, 1)); got != want {
			t.Errorf("what is made of %s varies: %v", name, got)
		}
	}
}

func TestNothingVariesBeforeItIsKnown(t *testing.T) {
	var v *Varying
	f := parsed(t, "x = param.string(\"n\")\n")
	for n := range f.Calls {
		if v.Argument(tree.Site{File: f, Node: n}, lang.New().Lookup("param.string"), "name") || v.At(f, n.Lparen) {
			t.Error("it varies")
		}
	}
}
