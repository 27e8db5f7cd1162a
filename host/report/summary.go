package report

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"
	"unicode"

	"github.com/rekey-host/rekey/host/journal"
	"github.com/rekey-host/rekey/host/ledger"
)

// Run is what the summary and the HTML page say of a run as a whole.
type Run struct {
	ID     string
	Script string
	Status journal.State
	Reason string // why it stopped, what it is held for; "" if there is nothing to say
	Over   bool   // a wave has failed more often than it may
	Counts ledger.Counts
	Waves  []ledger.WaveCounts
	Groups []Group // of a Tally

	Untold    int64 // resets that were applied, and whose value only the target knows
	Unchanged int64 // users that are done without a change of a password

	Started, Ended time.Time     // zero: not known
	Took           time.Duration // in which it was being applied; 0: from Started to Ended
	Requestor      string
	SourceSystem   string
	OSUser, Host   string
	Version        string // of rekey

	Head string // of the hash log
	Size int64  // records in it

	Files    []string // reports that were written
	Warnings []string // of formulas in them, and the like
}

// Summary writes what a run came to and what to do next, as text. It holds no
// secret and no user but those whose key a warning names.
func Summary(w io.Writer, r Run) error {
	t := tabwriter.NewWriter(w, 0, 4, 2, ' ', 0)
	fmt.Fprintf(t, "run %s of %s: %s\n", r.ID, r.Script, r.standing())
	fmt.Fprintf(t, "  %s\n", plainText(countsOf(r.Counts)))
	if len(r.Waves) > 1 {
		for _, wave := range r.Waves {
			fmt.Fprintf(t, "  wave %s\t%s\n", plainText(wave.Name), countsOf(wave.Counts))
		}
	}
	for _, line := range Next(r.ID, r.Counts, r.Groups, r.Over) {
		fmt.Fprintf(t, "%s\n", plainText(line))
	}
	if r.Untold > 0 {
		fmt.Fprintf(t, "%s a value that only the target knows\n", several(r.Untold, "reset gave", "resets gave"))
	}
	if r.Unchanged > 0 {
		fmt.Fprintf(t, "%d done without a change of a password\n", r.Unchanged)
	}
	for _, warning := range r.Warnings {
		fmt.Fprintf(t, "warning: %s\n", plainText(warning))
	}
	for _, file := range r.Files {
		fmt.Fprintf(t, "report: %s\n", plainText(file))
	}
	return t.Flush()
}

// several is a number with the word for one or for many.
func several(n int64, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}

// standing is "finished in 3m12s" or "stopped: why".
func (r Run) standing() string {
	s := string(r.Status)
	if took := r.took(); took > 0 {
		s += " after " + took.String()
	}
	if r.Reason != "" {
		s += ": " + plainText(r.Reason)
	}
	return s
}

func (r Run) took() time.Duration {
	d := r.Took
	if d == 0 && !r.Started.IsZero() && r.Ended.After(r.Started) {
		d = r.Ended.Sub(r.Started)
	}
	switch {
	case 0 < d && d < 10*time.Millisecond:
		return 10 * time.Millisecond // a run that took no time is one of which it is not known
	case d < 10*time.Second:
		return d.Round(10 * time.Millisecond)
	}
	return d.Round(time.Second)
}

// countsOf is "2000 users: 1950 done, 50 failed", leaving zeros out.
func countsOf(c ledger.Counts) string {
	noun := "users"
	if c.Total == 1 {
		noun = "user"
	}
	var parts []string
	for _, s := range statusCounts(c) {
		if s.users > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", s.users, s.status))
		}
	}
	text := fmt.Sprintf("%d %s", c.Total, noun)
	if len(parts) > 0 {
		text += ": " + strings.Join(parts, ", ")
	}
	return text
}

type statusCount struct {
	status journal.Status
	users  int64
}

// statusCounts lists the counts in the order in which reports show them.
func statusCounts(c ledger.Counts) []statusCount {
	return []statusCount{
		{journal.Done, c.Done}, {journal.Failed, c.Failed}, {journal.Partial, c.Partial}, {journal.Unresolved, c.Unknown},
		{journal.Skipped, c.Skipped}, {journal.Pending, c.Pending}, {journal.HeldPending, c.Held},
	}
}

// plainText quotes what would upset a terminal or the columns.
func plainText(s string) string {
	if strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) }) {
		return strconv.Quote(s)
	}
	return s
}
