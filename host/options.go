package host

import (
	"fmt"
	"github.com/rekey-host/rekey/sdk/secret"
	"strconv"
	"strings"
	"unicode"

	"github.com/rekey-host/rekey/host/engine"
	"github.com/rekey-host/rekey/host/journal"
)

// Script is a workflow script with its parameters, as they were given.
type Script struct {
	Path   string
	Params []string // NAME=VALUE
	Rows   []any    // see workflow.Options.Rows

	User  string       // the only one to treat, by key, and without the script's reports; "": all
	Value secret.Value // what generate gives for that user; absent: a generated one
}

// parameters reads NAME=VALUE arguments.
func (s Script) parameters() (map[string]string, error) {
	given := map[string]string{}
	for i, param := range s.Params {
		name, value, ok := strings.Cut(param, "=")
		if !ok || name == "" {
			return nil, &UsageError{Message: fmt.Sprintf("argument %s is no parameter", shownWord(i, param)), Fix: "write NAME=VALUE"}
		}
		if _, twice := given[name]; twice {
			return nil, usagef("parameter %q is given twice", name)
		}
		given[name] = value
	}
	return given, nil
}

// shownWord returns how a message names an argument behind the script: the word
// itself, or its number where it may be a piece of a value that the shell took
// apart, which may be a secret.
func shownWord(i int, word string) string {
	if strings.ContainsFunc(word, func(letter rune) bool { return !unicode.IsLetter(letter) && letter != '_' && letter != '-' }) {
		return fmt.Sprintf("%d after the script", i+1)
	}
	return strconv.Quote(word)
}

// Act is on whose behalf, and why, somebody does something to a run that the ledger
// records: both may be "".
type Act struct{ Requestor, Reason string }

// RunOptions are the flags of run, plan, resume and retry.
type RunOptions struct {
	Yes          bool
	New          bool  // although an unfinished run of the same exists
	MaxUsers     int64 // 0: no limit
	MinUsers     int64
	Exercise     Exercise
	Overwrite    bool
	Requestor    string
	SourceSystem string
	CheckpointTo string
	AcceptChange bool
	Moved        bool // the run was last applied elsewhere, and is not applied there any more
	// OverThreshold goes on although a wave has failed more often than it may;
	// its failures are counted anew.
	OverThreshold bool
	Codes, Keys   []string // of retry
	Reason        string   // of what is done to the run without applying it
}

// facts returns what the ledger keeps of how a command was given.
func (o RunOptions) facts() map[string]string {
	if !o.OverThreshold {
		return nil
	}
	return map[string]string{"over_threshold": "true"}
}

// act is as what an act on the run is recorded.
func (o RunOptions) act() Act { return Act{o.Requestor, o.Reason} }

// allow refuses a plan with more or fewer users than the flags want.
func (o RunOptions) allow(plan engine.Preview) error {
	if o.MaxUsers > 0 && plan.Due > o.MaxUsers {
		return &UsageError{Message: fmt.Sprintf("%d users are due, --max-users is %d", plan.Due, o.MaxUsers), Fix: "raise it, or select fewer"}
	}
	if o.MinUsers > 0 && plan.Due < o.MinUsers {
		return &UsageError{Message: fmt.Sprintf("%d users are due, --min-users is %d", plan.Due, o.MinUsers), Fix: "look at the source and at select, or lower it"}
	}
	return nil
}

// filterText says which users a retry was limited to.
func (o RunOptions) filterText() string {
	text := ""
	if len(o.Codes) > 0 {
		text += " with code " + strings.Join(o.Codes, " or ")
	}
	if len(o.Keys) > 0 {
		text += " among " + strings.Join(o.Keys, ", ")
	}
	return text
}

// Preview is a plan as it is confirmed.
type Preview struct {
	Script              string
	Total, Due, Skipped int64
	Waves               []WavePreview
	Notes               []string // what a policy dropped, what a backend warns of
	Backends            []BackendLine
	Recipients          []string // to whom the values are sealed
}

// WavePreview is one wave of a plan.
type WavePreview struct {
	Name  string
	Users int64
	Rule  journal.WaveRule
}
