package workflow

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/rekey-host/rekey/host/workflow/lang"
	"github.com/rekey-host/rekey/host/workflow/types"
	"github.com/rekey-host/rekey/host/workflow/vet"
)

// TestTypesFindNothingWrongWithWhatWorks: of the lines of testdata/lang, which are
// run by TestTheLanguage, types are found wrong in those only that fail there.
func TestTypesFindNothingWrongWithWhatWorks(t *testing.T) {
	paths, err := filepath.Glob("testdata/lang/*.star")
	if err != nil || len(paths) < 15 {
		t.Fatalf("scripts: %q, %v", paths, err)
	}
	found, wrong, unequal := 0, 0, 0
	for _, path := range paths {
		if filepath.Base(path) == "assert.star" {
			continue
		}
		s, dir := readStar(t, path), t.TempDir()
		for _, name := range []string{"assert.star", "people.csv", "breached.txt", "prevalence.txt"} {
			text, err := os.ReadFile(filepath.Join("testdata/lang", name))
			if err != nil {
				t.Fatal(err)
			}
			put(t, dir, name, string(text))
		}
		for _, at := range s.typeFindings(t, dir) {
			if found++; !s.isWrongAt(at) {
				t.Errorf("works, and is found wrong: %s\n    %s", at, s.lines[at.Line-1])
			}
			if strings.Contains(at.Message, "are never equal") {
				unequal++
			}
		}
		wrong += len(s.within(starHook{to: len(s.lines)}, "!!"))
	}
	if found < 40 || unequal != 3 {
		t.Errorf("%d of %d lines are found wrong; %d compare what is never equal, want 3", found, wrong, unequal)
	}
}

// isWrongAt reports whether a finding is of a line that fails, or compares what is
// never equal; what a hook returns may fail at its def, or be a line that is taken
// out.
func (s *starScript) isWrongAt(at Finding) bool {
	return strings.Contains(at.Message, "are never equal") || slices.ContainsFunc(s.marks, func(m marked) bool {
		returned := strings.Contains(at.Message, " returns ") && s.hookAt(m.line) == s.hookAt(at.Line-1)
		return strings.HasPrefix(m.kind, "!") && (m.line+1 == at.Line || returned)
	})
}

// typeFindings are what is wrong with the types of a script, all of whose hooks are
// looked at at once.
func (s *starScript) typeFindings(t *testing.T, dir string) []Finding {
	t.Helper()
	lines := slices.Clone(s.lines)
	for _, m := range s.marks {
		if m.kind == "!" {
			line := lines[m.line]
			lines[m.line] = line[:len(line)-len(strings.TrimLeft(line, " "))] + "pass"
		}
	}
	text := strings.Join(lines, "\n")
	if !strings.Contains(text, "\nworkflow(") {
		text += "\nworkflow(users = users, backend = target)\n"
	}
	put(t, dir, s.name, text)
	made, err := assemble(context.Background(), Options{Path: s.name, WorkDir: dir, Home: "/home/ann", Describe: describe, BackendNames: backendNames(), Placeholders: true,
		Print: &printed{}, Stdin: strings.NewReader("login\nzoe\n"), Fatal: func(line string) { panic(line) }})
	if err != nil {
		t.Fatal(err)
	}
	script := scriptOf(made.in, made.declared, made.in.columns)
	phases := map[string]lang.Phase{"select": lang.InSelect, "wave": lang.InWave, "rotate": lang.InRotate, "row": lang.InRow}
	for fn := range made.in.script.Functions {
		if kind, _, is := strings.Cut(fn.Name, "_"); is && phases[kind] != 0 && fn.Bound != nil {
			hook := vet.Hook{At: fn.At, Phase: phases[kind]}
			for _, id := range fn.Params() {
				if id != nil && slices.Contains([]string{"user", "step", "r"}, id.Name) {
					hook.Roles = append(hook.Roles, id.Name)
				}
			}
			script.Hooks = append(script.Hooks, hook)
		}
	}
	var all []Finding
	for _, problem := range types.Check(script, made.own()) {
		if problem.File == s.name {
			all = append(all, Finding{Problem: problem})
		}
	}
	return all
}
