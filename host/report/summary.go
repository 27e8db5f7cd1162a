package report

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"
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
	Reason string // why it stopped or is held; "" if there is nothing to say
	Over   bool   // a wave has failed more often than it may
	Counts ledger.Counts
	Waves  []ledger.WaveCounts
	Groups []Group // of a Tally

	Untold    int64 // resets that were applied, and whose value only the target knows
	Unchanged int64 // done users without a change of a password

	Started, Ended time.Time     // zero: not known
	Took           time.Duration // in which it was being applied; 0: from Started to Ended
	Requestor      string
	SourceSystem   string
	OSUser, Host   string
	Version        string // of rekey

	Head string // of the hash log
	Size int64  // records in it

	Events   []string    // what happened to its backends: deaths, breaches, waits
	By       []Breakdown // counts by the values of columns
	Files    []string    // reports that were written
	Warnings []string    // of formulas in them, and the like
}

// Breakdown is the counts by the values of a column.
type Breakdown struct {
	Column string
	Counts map[string]*ledger.Counts
}

// Add counts a user. A value that is a secret, or beyond what a page holds, is
// counted among "(other)".
func (b Breakdown) Add(value any, status journal.Status) {
	name, err := text(value)
	if err != nil || holdsSecret(value) || b.Counts[name] == nil && len(b.Counts) >= maxBreakdown {
		name = "(other)"
	}
	counts := b.Counts[name]
	if counts == nil {
		counts = &ledger.Counts{}
		b.Counts[name] = counts
	}
	counts.Add(status)
}

// maxBreakdown is how many values of a column are counted.
const maxBreakdown = 1000

// Summary writes what a run came to and what to do next, as text. It holds no
// secret and no user but those whose key a warning names.
func Summary(w io.Writer, run Run) error {
	writer := tabwriter.NewWriter(w, 0, 4, 2, ' ', 0)
	fmt.Fprintf(writer, "run %s of %s: %s\n", run.ID, run.Script, run.standing())
	fmt.Fprintf(writer, "  %s\n", plainText(countsOf(run.Counts)))
	if len(run.Waves) > 1 {
		for _, wave := range run.Waves {
			fmt.Fprintf(writer, "  wave %s\t%s\n", plainText(wave.Name), countsOf(wave.Counts))
		}
	}
	for _, breakdown := range run.By {
		fmt.Fprintf(writer, "  by %s:\n", plainText(breakdown.Column))
		for _, value := range slices.Sorted(maps.Keys(breakdown.Counts)) {
			fmt.Fprintf(writer, "    %s\t%s\n", plainText(cmp.Or(value, "(empty)")), countsOf(*breakdown.Counts[value]))
		}
	}
	for _, line := range Next(run.ID, run.Counts, run.Groups, run.Over) {
		fmt.Fprintf(writer, "%s\n", plainText(line))
	}
	if run.Untold > 0 {
		fmt.Fprintf(writer, "%s a value that only the target knows\n", several(run.Untold, "reset gave", "resets gave"))
	}
	if run.Unchanged > 0 {
		fmt.Fprintf(writer, "%d done without a change of a password\n", run.Unchanged)
	}
	for _, event := range run.Events {
		fmt.Fprintf(writer, "%s\n", plainText(event))
	}
	for _, warning := range run.Warnings {
		fmt.Fprintf(writer, "warning: %s\n", plainText(warning))
	}
	for _, file := range run.Files {
		fmt.Fprintf(writer, "report: %s\n", plainText(file))
	}
	return writer.Flush()
}

// several is a number with the word for one or for many.
func several(count int64, one, many string) string {
	if count == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", count, many)
}

// standing is "finished in 3m12s" or "stopped: why".
func (r Run) standing() string {
	text := string(r.Status)
	if took := r.took(); took > 0 {
		text += " after " + took.String()
	}
	if r.Reason != "" {
		text += ": " + plainText(r.Reason)
	}
	return text
}

func (r Run) took() time.Duration {
	span := r.Took
	if span == 0 && !r.Started.IsZero() && r.Ended.After(r.Started) {
		span = r.Ended.Sub(r.Started)
	}
	switch {
	case 0 < span && span < 10*time.Millisecond:
		return 10 * time.Millisecond // a run that took no time is one of which it is not known
	case span < 10*time.Second:
		return span.Round(10 * time.Millisecond)
	}
	return span.Round(time.Second)
}

// countsOf is "2000 users: 1950 done, 50 failed", leaving zeros out.
func countsOf(counts ledger.Counts) string {
	noun := "users"
	if counts.Total == 1 {
		noun = "user"
	}
	var parts []string
	for _, counted := range statusCounts(counts) {
		if counted.users > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", counted.users, counted.status))
		}
	}
	text := fmt.Sprintf("%d %s", counts.Total, noun)
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
func statusCounts(counts ledger.Counts) []statusCount {
	return []statusCount{
		{journal.Done, counts.Done}, {journal.Failed, counts.Failed}, {journal.Partial, counts.Partial}, {journal.Unresolved, counts.Unknown},
		{journal.Skipped, counts.Skipped}, {journal.Pending, counts.Pending}, {journal.HeldPending, counts.Held},
	}
}

// plainText quotes what would upset a terminal or the columns.
func plainText(text string) string {
	if strings.ContainsFunc(text, func(letter rune) bool { return !unicode.IsPrint(letter) }) {
		return strconv.Quote(text)
	}
	return text
}
