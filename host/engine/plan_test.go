package engine

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/rekey-host/rekey/host/ledger"
	"github.com/rekey-host/rekey/host/source"
	"github.com/rekey-host/rekey/sdk/secret"
)

// sheet is a draft that knows keys only.
type sheet map[string]ledger.PlannedUser

func (sheet) Seal(string, int64, secret.Value) []byte { return nil }

func (s sheet) Add(p ledger.PlannedUser) error {
	if was, known := s[p.Key]; known {
		return &ledger.DuplicateError{Key: p.Key, FirstSeq: was.Seq, FirstLine: was.Line}
	}
	s[p.Key] = p
	return nil
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
	job := PlanJob{Users: rows, Waves: all(), Draft: sheet{}, Hooks: script(func(context.Context, source.Row, *Steps) Verdict { return Verdict{} }), Random: rand.Reader}
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
	for _, want := range []string{
		`a.csv:4: key "ann" is on line 2 already`,
		`b.csv:2: key "ben" is at a.csv:3 already`,
		`b.csv:3: select("bad"): no such team`,
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("MakePlan: %v\nwant %s", err, want)
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
		p := &planner{PlanJob: PlanJob{Wave: c.hook, Waves: []WaveRule{{Name: "canary"}, {Name: "rest"}}}}
		got, err := p.waveOf(t.Context(), source.Row{})
		if told := fmt.Sprint(err); got != c.want || c.err != "" && told != c.err || c.err == "" && err != nil {
			t.Errorf("%s: %d, %v; want %d, %q", c.name, got, err, c.want, c.err)
		}
	}
}
