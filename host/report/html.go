package report

import (
	"bufio"
	"cmp"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"fmt"
	"html/template"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/rekey-host/rekey/host/journal"
	"github.com/rekey-host/rekey/host/ledger"
	"github.com/rekey-host/rekey/sdk"
)

var (
	//go:embed page/page.css
	pageCSS string
	//go:embed page/page.js
	pageJS string
	//go:embed page/page.tmpl
	pageText string
)

// rowsInBlock is how many rows one JSON block of the page holds.
const rowsInBlock = 1000

// HTML writes one page that needs nothing beside itself: totals, waves,
// failures with what to do, and a table of the users that can be searched. It
// never holds a secret: a row with one is refused.
type HTML struct {
	out   *bufio.Writer
	run   Run
	cols  columns
	codes []sdk.Code
	index map[sdk.Code]int
	rows  int64
	buf   []byte
	err   error // of the beginning of the page
}

// NewHTML returns a writer of a page about the run. What of the run is to be
// shown has to be known by now; rows follow. It does not close w.
func NewHTML(w io.Writer, run Run) *HTML {
	html := &HTML{out: bufio.NewWriter(w), run: run, index: map[sdk.Code]int{}}
	html.err = html.begin()
	return html
}

func (h *HTML) begin() error {
	t, err := template.New("page").Parse(pageText)
	if err != nil {
		return err
	}
	page := pageOf(h.run)
	if err := t.ExecuteTemplate(h.out, "top", page); err != nil {
		return err
	}
	_, _ = io.WriteString(h.out, "<style>"+pageCSS+"</style>\n") // an error stays in out
	return t.ExecuteTemplate(h.out, "body", page)
}

// Add writes the row of one user. A row that holds a secret is an error.
func (h *HTML) Add(result Result, row Row) error {
	if h.err != nil {
		return h.err
	}
	row, err := h.cols.fit(result.Row.Key, row)
	if err != nil {
		return err
	}
	data := h.buf[:0]
	switch {
	case h.rows%rowsInBlock != 0:
		data = append(data, ",\n["...)
	case h.rows > 0:
		data = append(data, "]</script>\n"...)
		fallthrough
	default:
		data = append(data, `<script type="application/json" class="rows">[[`...)
	}
	data = strconv.AppendInt(data, int64(statusIndex(result.Status)), 10)
	data = append(data, ',')
	data = strconv.AppendInt(data, int64(h.code(result.Code)), 10)
	for _, field := range row {
		data = append(data, ',')
		if data, err = pageCell(data, field.Value); err != nil {
			return inCell(result.Row.Key, field.Name, err)
		}
	}
	data = append(data, ']')
	h.rows++
	h.buf = data
	_, err = h.out.Write(data)
	return err
}

// pageCell appends a cell: numbers, truths and nothing as they are, the rest
// as text.
func pageCell(data []byte, value any) ([]byte, error) {
	if holdsSecret(value) {
		return data, fmt.Errorf("the value is secret, and an HTML report never holds one; leave the column out, or use csv or json")
	}
	cells := jsonCells{html: true}
	switch value.(type) {
	case nil, bool, int, int64, float64:
		return cells.appendTo(data, value)
	}
	name, err := text(value)
	if err != nil {
		return data, err
	}
	return cells.text(data, name)
}

// statusIndex is a status's place in the list that page.js has too.
func statusIndex(status journal.Status) int {
	return slices.IndexFunc(statusCounts(ledger.Counts{}), func(c statusCount) bool { return c.status == status })
}

func (h *HTML) code(code sdk.Code) int {
	i, ok := h.index[code]
	if !ok {
		i = len(h.codes)
		h.index[code], h.codes = i, append(h.codes, code)
	}
	return i
}

// Close ends the page.
func (h *HTML) Close() error {
	if h.err != nil {
		return h.err
	}
	if h.rows > 0 {
		_, _ = io.WriteString(h.out, "]</script>\n")
	}
	names := h.cols.names
	if names == nil {
		names = DefaultColumns()
	}
	var columns, codes []any
	for _, name := range names {
		columns = append(columns, name)
	}
	for _, code := range h.codes {
		codes = append(codes, string(code))
	}
	meta, err := jsonCells{html: true}.row(nil, Row{{"columns", columns}, {"codes", codes}})
	if err != nil {
		return err
	}
	fmt.Fprintf(h.out, "<script type=\"application/json\" id=\"meta\">%s</script>\n<script>%s</script>\n</body>\n</html>\n", meta, pageJS)
	return h.out.Flush()
}

// page is what the templates show.
type page struct {
	Policy, Title, ID, Version, Verdict string
	Status, StateClass                  string
	Facts                               []fact
	Total                               string
	Tiles                               []tile
	Bar                                 []stretch
	Fixes                               []fix
	WaveColumns                         []journal.Status
	Waves                               []wave
	Warnings                            []string
	Head, Records                       string
}

type fact struct{ Name, Text string }

type tile struct {
	Status journal.Status
	Users  int64
	Number string
}

// stretch is one part of the bar, in thousandths of its width.
type stretch struct {
	Status journal.Status
	From   string
	Width  string
}

type fix struct {
	Users, Class, Title, Note string
	Do, Command, Said         string
	Filter, Code              string // what the button shows
}

type wave struct {
	Name, Total string
	Cells       []tile
}

func pageOf(run Run) page {
	made := page{
		Policy: contentPolicy(), ID: run.ID, Version: run.Version, Verdict: verdictOf(run), Status: string(run.Status), StateClass: stateClass(run),
		Facts: factsOf(run), Total: grouped(run.Counts.Total), Tiles: tiles(run.Counts), Bar: stretches(run.Counts), Fixes: fixesOf(run),
		Warnings: slices.Concat(run.Events, run.Warnings), Head: run.Head, Records: grouped(run.Size),
	}
	made.Title = fmt.Sprintf("Run %s: %s", run.ID, countsOf(run.Counts))
	for _, counted := range statusCounts(run.Counts) {
		if counted.users > 0 {
			made.WaveColumns = append(made.WaveColumns, counted.status)
		}
	}
	for _, waveCounts := range run.Waves {
		made.Waves = append(made.Waves, waveOf(waveCounts, made.WaveColumns))
	}
	return made
}

// contentPolicy allows this page its own style and script and nothing else:
// no request can leave it, whatever a cell holds.
func contentPolicy() string {
	hash := func(text string) string {
		sum := sha256.Sum256([]byte(text))
		return "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
	}
	return "default-src 'none'; style-src " + hash(pageCSS) + "; script-src " + hash(pageJS) + "; base-uri 'none'; form-action 'none'"
}

// stateClass colours the state as the status that it is about.
func stateClass(run Run) string {
	switch {
	case run.Status == journal.StateStopped:
		return "s-failed"
	case run.Counts.Unknown > 0:
		return "s-unknown"
	case run.Status == journal.StateHeld:
		return "s-held"
	case run.Status != journal.StateFinished:
		return "s-pending"
	case run.Counts.Failed+run.Counts.Partial > 0:
		return "s-partial"
	default:
		return "s-done"
	}
}

// verdictOf says in one or two sentences how it went.
func verdictOf(run Run) string {
	counts := run.Counts
	text := changedOf(run)
	if run.Unchanged > 0 {
		text += fmt.Sprintf(" %s done without a change.", grouped(run.Unchanged))
	}
	if counts.Unknown > 0 {
		text += fmt.Sprintf(" For %s it is not known which password they have: it is one that the ledger holds.", grouped(counts.Unknown))
	}
	if run.Reason != "" {
		text += fmt.Sprintf(" %s%s: %s.", strings.ToUpper(string(run.Status[:1])), run.Status[1:], strings.TrimSuffix(run.Reason, "."))
	}
	return text
}

// changedOf says who has a new password: not users who were only verified or left
// alone.
func changedOf(run Run) string {
	due := run.Counts.Total - run.Counts.Skipped
	has := run.Counts.Done - run.Unchanged
	switch {
	case run.Counts.Total == 0:
		return "There were no users."
	case due == 0:
		return "Nothing was changed: every user was skipped."
	case has == due && due == 1:
		return "The user has a new password."
	case has == due:
		return fmt.Sprintf("All %s users have their new password.", grouped(due))
	default:
		return fmt.Sprintf("%s of %s users have their new password.", grouped(has), grouped(due))
	}
}

func factsOf(run Run) []fact {
	all := []fact{
		{"Script", run.Script}, {"Started", stamp(run.Started)}, {"Ended", stamp(run.Ended)}, {"By", by(run.OSUser, run.Host)},
		{"Requestor", run.Requestor}, {"Source system", run.SourceSystem},
	}
	if span := run.took(); span > 0 {
		all = slices.Insert(all, 3, fact{"Took", span.String()})
	}
	return slices.DeleteFunc(all, func(f fact) bool { return f.Text == "" })
}

func stamp(at time.Time) string {
	if at.IsZero() {
		return ""
	}
	return at.UTC().Format("2006-01-02 15:04:05 UTC")
}

func by(user, host string) string {
	if user == "" || host == "" {
		return cmp.Or(user, host)
	}
	return user + " on " + host
}

// grouped writes a number with commas between thousands.
func grouped(count int64) string {
	text := strconv.FormatInt(count, 10)
	for i := len(text) - 3; i > 0; i -= 3 {
		text = text[:i] + "," + text[i:]
	}
	return text
}

// tiles are the counts; done and failed are shown even if zero.
func tiles(counts ledger.Counts) []tile {
	var list []tile
	for _, counted := range statusCounts(counts) {
		if counted.users > 0 || counted.status == journal.Done || counted.status == journal.Failed {
			list = append(list, tile{counted.status, counted.users, grouped(counted.users)})
		}
	}
	return list
}

// stretches divide the bar; the smallest part stays visible.
func stretches(counts ledger.Counts) []stretch {
	const least, width = 4.0, 1000.0
	var parts []statusCount
	for _, counted := range statusCounts(counts) {
		if counted.users > 0 {
			parts = append(parts, counted)
		}
	}
	var list []stretch
	at := 0.0
	free := width - least*float64(len(parts))
	for _, counted := range parts {
		amount := least + free*float64(counted.users)/float64(counts.Total)
		list = append(list, stretch{counted.status, decimal(at), decimal(amount)})
		at += amount
	}
	return list
}

func decimal(amount float64) string { return strconv.FormatFloat(amount, 'f', 1, 64) }

func waveOf(waveCounts ledger.WaveCounts, columns []journal.Status) wave {
	out := wave{Name: waveCounts.Name, Total: grouped(waveCounts.Total)}
	for _, counted := range statusCounts(waveCounts.Counts) {
		if slices.Contains(columns, counted.status) {
			out.Cells = append(out.Cells, tile{counted.status, counted.users, grouped(counted.users)})
		}
	}
	return out
}

// fixesOf are the groups and what else is left to do.
func fixesOf(run Run) []fix {
	var list []fix
	for _, group := range run.Groups {
		list = append(list, fixOf(run, group))
	}
	if count := run.Counts.Held; count > 0 {
		list = append(list, fix{Users: grouped(count), Class: "s-held", Title: "Held", Do: "Look at the wave before, release the hold, then resume.",
			Command: "rekey approve " + run.ID + " && rekey resume " + run.ID, Filter: string(journal.HeldPending)})
	}
	if count := run.Counts.Pending; count > 0 {
		made := fix{Users: grouped(count), Class: "s-pending", Title: "Pending", Do: "Nothing was sent for them yet.",
			Command: "rekey resume " + run.ID, Filter: string(journal.Pending)}
		if run.Over {
			made.Do, made.Command = "A wave has failed more often than max_failures allows. Mend the cause, then retry, or resume with --over-threshold.", "rekey retry "+run.ID
		}
		list = append(list, made)
	}
	return list
}

func fixOf(run Run, group Group) fix {
	do, command := group.fix(run.ID)
	made := fix{Users: grouped(group.Users), Class: "s-failed", Title: cmp.Or(string(group.Code), "without a code"), Code: string(group.Code),
		Do: strings.ToUpper(do[:1]) + do[1:] + ".", Command: command, Said: group.Message}
	switch {
	case group.Unknown:
		made.Class, made.Note, made.Filter = "s-unknown", "outcome unknown", string(journal.Unresolved)
	case group.Partial == group.Users:
		made.Class, made.Note, made.Filter = "s-partial", "partly changed", string(journal.Partial)
	case group.Partial > 0:
		made.Note = grouped(group.Partial) + " partly changed"
	default:
		made.Filter = string(journal.Failed)
	}
	if made.Said != "" && group.Users > 1 {
		made.Said = "First: " + made.Said
	}
	return made
}
