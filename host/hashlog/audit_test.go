package hashlog

import (
	"slices"
	"testing"
)

func TestProblemSaysWhereItIs(t *testing.T) {
	for _, c := range []struct {
		p    Problem
		want string
	}{
		{Problem{Index: -1, Message: "m"}, "m"},
		{Problem{Index: 0, Message: "m"}, "record 0: m"},
		{Problem{Index: 17, User: 3, Key: "ann", Step: 1, Message: "m"}, `record 17 (user "ann", step 1): m`},
		{Problem{Index: 17, User: 3, Message: "m"}, "record 17 (user at position 3): m"},
		{Problem{Index: 17, Step: 2, Message: "m"}, "record 17 (step 2): m"},
		{Problem{Index: -1, User: 3, Key: "ann", Message: "m"}, `user "ann": m`},
		{Problem{Index: -1, Key: "ann", Message: "m"}, "m"},
	} {
		if got := c.p.String(); got != c.want {
			t.Errorf("%+v: %q, want %q", c.p, got, c.want)
		}
	}
}

func TestProblemsAreListedUpToABound(t *testing.T) {
	a := Audit{OK: true}
	for n := range MaxProblems + 3 {
		a.General("%d", n)
	}
	if a.OK || len(a.Problems) != MaxProblems || a.More != 3 {
		t.Errorf("OK %v, %d listed, %d more", a.OK, len(a.Problems), a.More)
	}
}

// TestTailThatMovedIsOneProblem: of records that stand one place on, all are.
func TestTailThatMovedIsOneProblem(t *testing.T) {
	var p places
	var got []bool
	for _, x := range [][2]int64{{0, 0}, {2, 1}, {3, 2}, {4, 3}, {1, 4}, {5, 5}, {6, 6}} {
		got = append(got, p.moved(x[0], x[1]))
	}
	if want := []bool{false, true, false, false, true, true, false}; !slices.Equal(got, want) {
		t.Errorf("moved: %v, want %v", got, want)
	}
}
