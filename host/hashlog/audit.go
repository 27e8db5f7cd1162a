package hashlog

import (
	"fmt"
	"strings"
)

// Audit is what a verification found.
type Audit struct {
	Run  string
	OK   bool  // no problem was found
	Size int64 // records in the log
	Head string
	// Consistent only: nothing was kept elsewhere to compare with, so whoever
	// holds the state directory, its audit key included, could have written
	// all of it anew.
	ConsistencyOnly bool
	Signed          int64 // records under the newest valid signed head
	Tail            Tail  // why the records after those are not signed
	Problems        []Problem
	More            int // problems not listed
}

// Unsigned is how many records are under no signed head.
func (a *Audit) Unsigned() int64 { return a.Size - a.Signed }

// Tail says why the last records of a log are under no signed head. A head is
// signed with every record that ends something and ten times a second, so that
// a tail without one is short, and of a process that did not come to its end.
type Tail string

// The harmless tails. All others are problems.
const (
	TailSigned  Tail = ""
	TailRunning Tail = "running" // a process applies the run
	TailKilled  Tail = "killed"  // the process that wrote it was killed
)

// MaxProblems is how many problems an Audit lists.
const MaxProblems = 100

// Add adds a problem.
func (a *Audit) Add(p Problem) {
	a.OK = false
	if len(a.Problems) >= MaxProblems {
		a.More++
		return
	}
	a.Problems = append(a.Problems, p)
}

// General adds a problem about no record.
func (a *Audit) General(format string, args ...any) {
	a.Add(Problem{Index: -1, Message: fmt.Sprintf(format, args...)})
}

// Problem is one fault of a log.
type Problem struct {
	Index   int64 // of the record; -1: not about one
	User    int64 // position in the plan; 0: not about one
	Key     string
	Step    int
	Message string
}

// String returns "record 17 (intent, user "ann", step 1): message".
func (p Problem) String() string {
	var about []string
	if p.User > 0 && p.Key != "" {
		about = append(about, fmt.Sprintf("user %q", p.Key))
	} else if p.User > 0 {
		about = append(about, fmt.Sprintf("user at position %d", p.User))
	}
	if p.Step > 0 {
		about = append(about, fmt.Sprintf("step %d", p.Step))
	}
	where := strings.Join(about, ", ")
	switch {
	case p.Index >= 0 && where != "":
		return fmt.Sprintf("record %d (%s): %s", p.Index, where, p.Message)
	case p.Index >= 0:
		return fmt.Sprintf("record %d: %s", p.Index, p.Message)
	case where != "":
		return fmt.Sprintf("%s: %s", where, p.Message)
	}
	return p.Message
}
