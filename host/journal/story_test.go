package journal

import (
	"fmt"
	"strings"
	"testing"

	"github.com/rekey-host/rekey/sdk"
)

// ends are what a step of a story came to. What is open has no outcome.
var ends = map[string]Record{
	"applied": {Outcome: sdk.Applied},
	"already": {Outcome: sdk.AlreadyApplied},
	"told":    {Outcome: sdk.Applied, Sealed: []byte("told")}, // of a reset
	"refused": {Outcome: sdk.Refused, Code: sdk.PermissionDenied},
	"unsent":  {Outcome: sdk.Refused, Code: sdk.Unreachable},
	"unknown": {Outcome: sdk.Unknown, Code: sdk.Timeout},
}

// told returns the records of a story about ann on a: steps with their ends,
// numbered from 1, as in "set unknown, bridge refused, revert open". A bridge
// is a set whose value is not meant to stay.
func told(t *testing.T, story string) []Record {
	t.Helper()
	var log []Record
	for i, step := range strings.Split(story, ", ") {
		verb, end, _ := strings.Cut(step, " ")
		begun := rec(Intent, verb, i+1, 0, "")
		if verb == "bridge" {
			begun.Verb, begun.Detail.Bridge = Set, true
		}
		if traits, _ := TraitsOf(begun.Verb); traits.Carries {
			begun.Sealed = []byte(fmt.Sprint("value ", i+1))
		}
		log = append(log, begun)
		if end == "open" {
			continue
		}
		came, ok := ends[end]
		if !ok {
			t.Fatalf("a step cannot end like %q", end)
		}
		came.Kind, came.User, came.Step, came.Verb, came.Backend, came.Account = Outcome, 1, i+1, begun.Verb, "a", "ann"
		log = append(log, came)
	}
	return log
}

// ann is the credential of the stories.
var ann = Credential{Backend: "a", Account: "ann"}

// stepsOf returns the numbers of the attempts' steps.
func stepsOf(attempts ...*Attempt) []int {
	var steps []int
	for _, a := range attempts {
		if a != nil {
			steps = append(steps, a.Intent.Step)
		}
	}
	return steps
}
