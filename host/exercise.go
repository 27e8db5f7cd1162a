package host

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/rekey-host/rekey/host/diag"
	"github.com/rekey-host/rekey/host/engine"
	"github.com/rekey-host/rekey/host/journal"
)

// exercisedUsers is with how many users a script is tried unless more are asked for:
// a second of processor time, whatever the size of the source.
const exercisedUsers = 100_000

// Exercise says how a script is tried on simulated steps before its plan is
// frozen. The zero Exercise tries the first 100,000 users, each step succeeding.
type Exercise struct {
	Off    bool               // only the first user of each wave is tried
	All    bool               // every user is, however many there are
	Refuse map[string]float64 // see engine.Exercise
	Crash  bool               // see engine.Exercise
}

// ParseExercise reads what --exercise is given: "crash" and "fail:VERB=P%", with a
// comma between them; "" for neither. All users are tried then.
func ParseExercise(text string) (Exercise, error) {
	made := Exercise{All: true}
	for _, word := range strings.FieldsFunc(text, func(letter rune) bool { return letter == ',' }) {
		rest, fails := strings.CutPrefix(word, "fail:")
		switch {
		case word == "crash":
			made.Crash = true
		case fails:
			if err := made.refuse(rest); err != nil {
				return Exercise{}, err
			}
		default:
			return Exercise{}, &UsageError{Message: fmt.Sprintf("there is no %q", word), Fix: "write crash, fail:set=5%, or both with a comma"}
		}
	}
	return made, nil
}

// refuse reads VERB=P%.
func (e *Exercise) refuse(text string) error {
	verb, percent, _ := strings.Cut(text, "=")
	if verbs := journal.StepVerbs(); !slices.Contains(verbs, verb) {
		fix := diag.DidYouMean(verb, verbs)
		if fix == "" {
			fix = "use " + strings.Join(verbs, ", ")
		}
		return &UsageError{Message: fmt.Sprintf("fail: there is no step %q", verb), Fix: fix}
	}
	number, ok := strings.CutSuffix(percent, "%")
	share, err := strconv.ParseFloat(number, 64)
	if !ok || err != nil || math.IsNaN(share) || share < 0 || share > 100 {
		return &UsageError{Message: fmt.Sprintf("fail:%s: %q is no share", verb, percent), Fix: "write a number from 0 to 100 with a percent sign, as in fail:set=5%"}
	}
	if e.Refuse == nil {
		e.Refuse = map[string]float64{}
	}
	e.Refuse[verb] = share / 100
	return nil
}

// engine returns what the engine is to do.
func (e Exercise) engine() engine.Exercise {
	switch {
	case e.Off:
		return engine.Exercise{}
	case e.All:
		return engine.Exercise{Users: math.MaxInt64, Refuse: e.Refuse, Crash: e.Crash}
	}
	return engine.Exercise{Users: exercisedUsers}
}

// notes says of a plan whom the script was not tried with.
func (e Exercise) notes(due int64) []string {
	if e.Off || e.All || due <= exercisedUsers {
		return nil
	}
	return []string{fmt.Sprintf("rotate was tried on simulated steps with the first %d users that are due; --exercise tries all %d", exercisedUsers, due)}
}
