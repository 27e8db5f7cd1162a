package engine

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/rekey-host/rekey/host/diag"
	"github.com/rekey-host/rekey/host/journal"
	"github.com/rekey-host/rekey/host/ledger"
	"github.com/rekey-host/rekey/host/password"
	"github.com/rekey-host/rekey/host/source"
	"github.com/rekey-host/rekey/sdk"
	"github.com/rekey-host/rekey/sdk/secret"
)

// sheet is a draft that knows keys only, and which rows came again.
type sheet struct {
	rows  map[string]ledger.PlannedUser
	again []ledger.Duplicate
}

func newSheet() *sheet { return &sheet{rows: map[string]ledger.PlannedUser{}} }

func (*sheet) Seal(string, int64, secret.Value) []byte { return nil }

func (s *sheet) Add(p ledger.PlannedUser) error {
	if was, known := s.rows[p.Key]; known {
		s.again = append(s.again, ledger.Duplicate{Seq: p.Seq, Line: p.Line, Key: p.Key, FirstSeq: was.Seq, FirstLine: was.Line})
		return nil
	}
	s.rows[p.Key] = p
	return nil
}

func (s *sheet) Duplicates(most int) ([]ledger.Duplicate, int64, error) {
	return s.again[:min(len(s.again), most)], int64(len(s.again)), nil
}

// pages is a source of several files.
type pages []source.Row

func (pages) Name() string { return "a.csv + b.csv" }

func (pages) Schema(context.Context) (source.Schema, error) {
	return source.Schema{Columns: []source.Column{{Name: "login", Type: source.String}}}, nil
}

func (p pages) Rows(_ context.Context, yield func(source.Row) error) error {
	for _, row := range p {
		row.Cells = []any{row.Key}
		if err := yield(row); err != nil {
			return err
		}
	}
	return nil
}

func TestProblemsNameTheFileOfTheirLine(t *testing.T) {
	rows := pages{{File: "a.csv", Line: 2, Key: "ann"}, {File: "a.csv", Line: 3, Key: "ben"}, {File: "a.csv", Line: 4, Key: "ann"},
		{File: "b.csv", Line: 2, Key: "ben"}, {File: "b.csv", Line: 3, Key: "bad"}}
	job := PlanJob{Users: rows, Waves: all(), Draft: newSheet(), Hooks: script(func(context.Context, source.Row, *Steps) journal.Verdict { return journal.Verdict{} }), Random: rand.Reader}
	job.Select = func(_ context.Context, row source.Row) (bool, string, error) {
		if row.Key == "bad" {
			return false, "", fmt.Errorf("no such team")
		}
		return true, "", nil
	}
	_, err := MakePlan(context.Background(), job)
	if err == nil {
		t.Fatal("MakePlan: no problems")
	}
	want := `a.csv:4: key "ann" is on line 2 already; every user has to be listed once
b.csv:2: key "ben" is at a.csv:3 already; every user has to be listed once
b.csv:3: select("bad"): no such team`
	if err.Error() != want {
		t.Errorf("MakePlan: %v\nwant %s", err, want)
	}
}

// TestProblemsAreListedInTheOrderOfTheRows, the first twenty of all kinds, and
// the rest counted.
func TestProblemsAreListedInTheOrderOfTheRows(t *testing.T) {
	bad := func(_ context.Context, row source.Row) (bool, string, error) {
		if row.Key[0] == 'x' {
			return false, "", errors.New("no such team")
		}
		return true, "", nil
	}
	for _, c := range []struct {
		kinds string // of the rows: x fails, d is a key that came before, any other is sound
		lines []int
		more  int
	}{
		{"adxdxxda", []int{4, 5, 6, 7, 8}, 0}, {"ad", nil, 0}, {"xd", []int{2}, 0}, {"dd", []int{3}, 0}, {"xxd", []int{2, 3}, 0},
		{"d" + strings.Repeat("x", 20) + "d", []int{3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22}, 1},
		{"d" + strings.Repeat("d", 25), []int{3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22}, 5},
		{"d" + strings.Repeat("dx", 14), []int{3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22}, 8},
		{strings.Repeat("x", 30), []int{2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21}, 1}, // it is given up then
	} {
		var rows pages
		for i, kind := range c.kinds {
			key := string(kind)
			if kind != 'd' {
				key = fmt.Sprintf("%c%d", kind, i)
			}
			rows = append(rows, source.Row{Line: i + 2, Key: key})
		}
		_, err := MakePlan(t.Context(), PlanJob{Users: rows, Waves: all(), Draft: newSheet(), Hooks: skips, Random: rand.Reader, Select: bad})
		var found *diag.Problems
		if !errors.As(err, &found) {
			found = &diag.Problems{}
		}
		var lines []int
		for _, x := range found.List {
			lines = append(lines, x.Line)
		}
		if !slices.Equal(lines, c.lines) || found.Total-len(found.List) != c.more {
			t.Errorf("%s: lines %v and %d more, want %v and %d", c.kinds, lines, found.Total-len(found.List), c.lines, c.more)
		}
	}
}

// TestAWaveIsOneOfTheWorkflow, the first where there is no choice.
func TestAWaveIsOneOfTheWorkflow(t *testing.T) {
	raised := errors.New("raised")
	says := func(name string, err error) func(context.Context, source.Row) (string, error) {
		return func(context.Context, source.Row) (string, error) { return name, err }
	}
	for _, c := range []struct {
		name string
		hook func(context.Context, source.Row) (string, error)
		want int
		err  string
	}{
		{"no hook", nil, 0, ""}, {"the second", says("rest", nil), 1, ""},
		{"an unknown one", says("first", nil), 0, `there is no wave "first"`}, {"it raises", says("rest", raised), 0, "raised"},
	} {
		p := &planner{PlanJob: PlanJob{Wave: c.hook, Waves: []journal.WaveRule{{Name: "canary"}, {Name: "rest"}}}}
		got, err := p.waveOf(t.Context(), source.Row{})
		if told := fmt.Sprint(err); got != c.want || c.err != "" && told != c.err || c.err == "" && err != nil {
			t.Errorf("%s: %d, %v; want %d, %q", c.name, got, err, c.want, c.err)
		}
	}
}

// TestAPlanCountsItsUsers, by wave, and those that it skips.
func TestAPlanCountsItsUsers(t *testing.T) {
	rows := func(n int) (list pages) {
		for i := range n {
			list = append(list, source.Row{Line: i + 2, Key: keyOf(int64(i))})
		}
		return list
	}
	odd := func(_ context.Context, row source.Row) (bool, string, error) {
		return (row.Key[len(row.Key)-1]-'0')%2 == 1, "even", nil
	}
	second := func(context.Context, source.Row) (string, error) { return "rest", nil }
	two := []journal.WaveRule{{Name: "canary", Take: 3}, {Name: "rest"}}
	for _, c := range []struct {
		name         string
		users        int
		selects      func(context.Context, source.Row) (bool, string, error)
		wave         func(context.Context, source.Row) (string, error)
		waves        []journal.WaveRule
		due, skipped int64
		each         string
	}{
		{"all", 8, nil, nil, two[1:], 8, 0, "[8]"}, {"some are skipped", 9, odd, nil, two[1:], 4, 5, "[4]"},
		{"taken", 8, nil, nil, two, 8, 0, "[3 5]"}, {"fewer than are taken", 2, nil, nil, two, 2, 0, "[2 0]"},
		{"the last takes the rest", 8, nil, nil, []journal.WaveRule{{Name: "a", Take: 2}, {Name: "b", Take: 2}}, 8, 0, "[2 6]"},
		{"the first takes all", 8, nil, nil, []journal.WaveRule{{Name: "a"}, {Name: "b"}}, 8, 0, "[8 0]"},
		{"one that takes some", 8, nil, nil, two[:1], 8, 0, "[8]"},
		{"by a hook", 8, nil, second, two, 8, 0, "[0 8]"},
	} {
		job := PlanJob{Users: rows(c.users), Waves: c.waves, Draft: newSheet(), Hooks: skips, Random: rand.Reader, Select: c.selects, Wave: c.wave}
		tried := 0
		job.Rehearse = func(context.Context, Rehearsed) error { tried++; return nil }
		got, err := MakePlan(t.Context(), job)
		if err != nil || got.Total != int64(c.users) || got.Due != c.due || got.Skipped != c.skipped || fmt.Sprint(got.Waves) != c.each || tried != c.users {
			t.Errorf("%s: %+v, %v, %d tried; want %d due, %d skipped, %s", c.name, got, err, tried, c.due, c.skipped, c.each)
		}
	}
}

// TestAnOrderIsByColumnsThatThereAre, the first among them, and none is secret.
func TestAnOrderIsByColumnsThatThereAre(t *testing.T) {
	schema := source.Schema{Columns: []source.Column{{Name: "login"}, {Name: "team"}, {Name: "password", Secret: true}, {Name: "-odd"}}}
	for _, c := range []struct {
		by   []string
		keys string
		err  string
	}{
		{nil, "[]", ""}, {[]string{"login"}, "[{0 false}]", ""}, {[]string{"-team", "login"}, "[{1 true} {0 false}]", ""},
		{[]string{"-odd", "odd"}, "[{3 false}]", `there is no column "odd"`}, {[]string{"-age"}, "[]", `there is no column "age"`}, {[]string{"-password"}, "[]", `column "password" is secret`},
		{[]string{"age"}, "[]", `there is no column "age"`}, {[]string{"password"}, "[]", `column "password" is secret`},
	} {
		p := &planner{PlanJob: PlanJob{OrderBy: c.by, Users: pages{}}, schema: schema}
		err := p.columns()
		if fmt.Sprint(p.keys) != c.keys || (err != nil) != (c.err != "") || err != nil && !strings.Contains(err.Error(), c.err) {
			t.Errorf("%q: %v, %v; want %s, %q", c.by, p.keys, err, c.keys, c.err)
		}
	}
}

// TestAPlanEndsWhenItsListOfProblemsIsFull, and not before.
func TestAPlanEndsWhenItsListOfProblemsIsFull(t *testing.T) {
	p := &planner{PlanJob: PlanJob{Users: pages{}}, again: map[defect]*int64{}}
	for n := 1; n <= diag.MaxProblems+1; n++ {
		err := p.hookFailed("select", source.Row{Key: "ann"}, errors.New("no"))
		if ends := n > diag.MaxProblems; (err != nil) != ends {
			t.Fatalf("after %d problems: %v", n, err)
		}
	}
}

// TestWishesThatContradictEachOtherAreADefectOfTheScript, and what a target says
// of a user is none.
func TestWishesThatContradictEachOtherAreADefectOfTheScript(t *testing.T) {
	for _, c := range []struct {
		err  error
		want bool
	}{
		{&password.Contradiction{}, true}, {sdk.Errorf(sdk.Unsupported, "no rules"), true}, {sdk.Errorf(sdk.Unreachable, "away"), false}, {errors.New("odd"), false},
	} {
		if got := isContradiction(fmt.Errorf("generate: %w", c.err)); got != c.want {
			t.Errorf("%v: %v, want %v", c.err, got, c.want)
		}
	}
}
