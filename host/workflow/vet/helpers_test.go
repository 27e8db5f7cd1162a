package vet

import (
	"strings"
	"testing"

	"go.starlark.net/starlark"
	"go.starlark.net/syntax"

	"github.com/rekey-host/rekey/host/diag"
	"github.com/rekey-host/rekey/host/source"
	"github.com/rekey-host/rekey/host/workflow/lang"
	"github.com/rekey-host/rekey/host/workflow/tree"
	"github.com/rekey-host/rekey/sdk"
)

// backends are what the names a, b, and c of a script stand for: one that can
// do everything, one with kinds, and one that only sets hashes.
func backends() map[string]*Backend {
	return map[string]*Backend{
		"a": {Label: "a", Known: true, Named: true, Desc: sdk.Description{Name: "memory", Verbs: []sdk.Verb{sdk.Set, sdk.Change, sdk.Reset, sdk.Unlock, sdk.Revoke, sdk.Handover},
			Abilities: []sdk.Ability{sdk.CanFind, sdk.CanVerify, sdk.CanReset, sdk.CanUnlock, sdk.CanRevoke}, Options: []sdk.Field{{Name: "plain", Type: sdk.Bool}}}},
		"b": {Label: "b", Known: true, Named: true, Desc: sdk.Description{Name: "phones", Verbs: []sdk.Verb{sdk.Set}, Kinds: []sdk.Kind{{Name: "sip"}, {Name: "voicemail"}}}},
		"c": {Label: "c", Known: true, Named: true, Desc: sdk.Description{Name: "hashes", Verbs: []sdk.Verb{sdk.Set}, HashFormats: []string{"sha512-crypt"}, MustChange: new(false)}},
	}
}

// values are the names of the top level, as the evaluation would leave them.
type values struct {
	backends map[string]*Backend
	texts    map[string]bool
}

func (v values) Backend(_ *tree.File, name string) *Backend { return v.backends[name] }
func (v values) Text(_ *tree.File, name string) string {
	return map[bool]string{true: "a text"}[v.texts[name]]
}

// head makes the names that scripts of these tests use.
const head = "a = 1\nb = 2\nc = 3\nword = \"Init-1\"\n"

// parsed is a file of a script, which has no flaws.
func parsed(t testing.TB, text string) *tree.File {
	t.Helper()
	f := tree.New("w.star", "w.star", []byte(text))
	scope := starlark.StringDict{}
	for _, e := range lang.New().Entries() {
		if e.InScope() {
			scope[e.Name] = starlark.None
		}
	}
	if bad := f.Parse(); bad != nil {
		t.Fatalf("%s\n%v", text, bad)
	}
	if bad := f.Resolve(scope, nil); bad != nil {
		t.Fatalf("%s\n%v", text, bad)
	}
	return f
}

// scriptOf is a script whose functions select, wave, rotate and row are hooks.
func scriptOf(t testing.TB, text string) Script {
	t.Helper()
	f := parsed(t, text)
	s := Script{Table: lang.New(), Main: f, Files: map[string]*tree.File{"w.star": f}, Waves: []string{"canary", "all"},
		Values: values{backends(), map[string]bool{"word": true}},
		Schema: &source.Schema{Columns: []source.Column{{Name: "login"}, {Name: "team"}, {Name: "temporary", Secret: true}, {Name: "hired", Type: source.Date}}}}
	for _, name := range []string{"a", "b", "c"} {
		s.Backends = append(s.Backends, backends()[name])
	}
	for _, h := range []struct {
		name  string
		phase lang.Phase
		roles []string
	}{{"select", lang.InSelect, []string{"user"}}, {"wave", lang.InWave, []string{"user"}}, {"rotate", lang.InRotate, []string{"user", "step"}}, {"row", lang.InRow, []string{"r"}}} {
		for _, stmt := range f.Tree.Stmts {
			if def, ok := stmt.(*syntax.DefStmt); ok && def.Name.Name == h.name {
				s.Hooks = append(s.Hooks, Hook{At: def.Def, Phase: h.phase, Roles: h.roles})
			}
		}
	}
	return s
}

// shown is problems a line each.
func shown(list []diag.Problem) string {
	var lines []string
	for _, x := range list {
		lines = append(lines, x.String())
	}
	return strings.Join(lines, "\n")
}

// rotateOf is a script whose rotate has the body, from line 6 and column 5.
func rotateOf(body string) string {
	return head + "def rotate(user, step):\n    " + strings.ReplaceAll(body, "\n", "\n    ") + "\n"
}
