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
// never holds a secret: a row that has one is refused.
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
	h := &HTML{out: bufio.NewWriter(w), run: run, index: map[sdk.Code]int{}}
	h.err = h.begin()
	return h
}

func (h *HTML) begin() error {
	t, err := template.New("page").Parse(pageText)
	if err != nil {
		return err
	}
	p := pageOf(h.run)
	if err := t.ExecuteTemplate(h.out, "top", p); err != nil {
		return err
	}
	_, _ = io.WriteString(h.out, "<style>"+pageCSS+"</style>\n") // an error stays in out
	return t.ExecuteTemplate(h.out, "body", p)
}

// Add writes the row of one user. A row that holds a secret is an error.
func (h *HTML) Add(r Result, row Row) error {
	if h.err != nil {
		return h.err
	}
	row, err := h.cols.fit(r.Row.Key, row)
	if err != nil {
		return err
	}
	b := h.buf[:0]
	switch {
	case h.rows%rowsInBlock != 0:
		b = append(b, ",\n["...)
	case h.rows > 0:
		b = append(b, "]</script>\n"...)
		fallthrough
	default:
		b = append(b, `<script type="application/json" class="rows">[[`...)
	}
	b = strconv.AppendInt(b, int64(statusIndex(r.Status)), 10)
	b = append(b, ',')
	b = strconv.AppendInt(b, int64(h.code(r.Code)), 10)
	for _, f := range row {
		b = append(b, ',')
		if b, err = pageCell(b, f.Value); err != nil {
			return inCell(r.Row.Key, f.Name, err)
		}
	}
	b = append(b, ']')
	h.rows++
	h.buf = b
	_, err = h.out.Write(b)
	return err
}

// pageCell appends a cell: numbers, truths and nothing as they are, the rest
// as text.
func pageCell(b []byte, v any) ([]byte, error) {
	if holdsSecret(v) {
		return b, fmt.Errorf("the value is secret, and an HTML report never holds one; leave the column out, or use csv or json")
	}
	cells := jsonCells{html: true}
	switch v.(type) {
	case nil, bool, int, int64, float64:
		return cells.appendTo(b, v)
	}
	s, err := text(v)
	if err != nil {
		return b, err
	}
	return cells.text(b, s)
}

// statusIndex is a status's place in the list that page.js has too.
func statusIndex(s journal.Status) int {
	return slices.IndexFunc(statusCounts(ledger.Counts{}), func(c statusCount) bool { return c.status == s })
}

func (h *HTML) code(c sdk.Code) int {
	i, ok := h.index[c]
	if !ok {
		i = len(h.codes)
		h.index[c], h.codes = i, append(h.codes, c)
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
	for _, c := range h.codes {
		codes = append(codes, string(c))
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

func pageOf(r Run) page {
	p := page{
		Policy: contentPolicy(), ID: r.ID, Version: r.Version, Verdict: r.verdict(), Status: string(r.Status), StateClass: stateClass(r),
		Facts: r.facts(), Total: grouped(r.Counts.Total), Tiles: tiles(r.Counts), Bar: stretches(r.Counts), Fixes: r.fixes(),
		Warnings: r.Warnings, Head: r.Head, Records: grouped(r.Size),
	}
	p.Title = fmt.Sprintf("Run %s: %s", r.ID, countsOf(r.Counts))
	for _, s := range statusCounts(r.Counts) {
		if s.users > 0 {
			p.WaveColumns = append(p.WaveColumns, s.status)
		}
	}
	for _, w := range r.Waves {
		p.Waves = append(p.Waves, waveOf(w, p.WaveColumns))
	}
	return p
}

// contentPolicy allows this page its own style and script and nothing else:
// no request can leave it, whatever a cell holds.
func contentPolicy() string {
	hash := func(s string) string {
		sum := sha256.Sum256([]byte(s))
		return "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
	}
	return "default-src 'none'; style-src " + hash(pageCSS) + "; script-src " + hash(pageJS) + "; base-uri 'none'; form-action 'none'"
}

// stateClass colours the state as the status that it is about.
func stateClass(r Run) string {
	switch {
	case r.Status == journal.StateStopped:
		return "s-failed"
	case r.Counts.Unknown > 0:
		return "s-unknown"
	case r.Status == journal.StateHeld:
		return "s-held"
	case r.Status != journal.StateFinished:
		return "s-pending"
	case r.Counts.Failed+r.Counts.Partial > 0:
		return "s-partial"
	default:
		return "s-done"
	}
}

// verdict says in one or two sentences how it went.
func (r Run) verdict() string {
	c := r.Counts
	s := r.changed()
	if r.Unchanged > 0 {
		s += fmt.Sprintf(" %s done without a change.", grouped(r.Unchanged))
	}
	if c.Unknown > 0 {
		s += fmt.Sprintf(" For %s it is not known which password they have: it is one that the ledger holds.", grouped(c.Unknown))
	}
	if r.Reason != "" {
		s += fmt.Sprintf(" %s%s: %s.", strings.ToUpper(string(r.Status[:1])), r.Status[1:], strings.TrimSuffix(r.Reason, "."))
	}
	return s
}

// changed says who has a new password: nobody who was only verified or left
// alone.
func (r Run) changed() string {
	due := r.Counts.Total - r.Counts.Skipped
	has := r.Counts.Done - r.Unchanged
	switch {
	case r.Counts.Total == 0:
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

func (r Run) facts() []fact {
	all := []fact{
		{"Script", r.Script}, {"Started", stamp(r.Started)}, {"Ended", stamp(r.Ended)}, {"By", by(r.OSUser, r.Host)},
		{"Requestor", r.Requestor}, {"Source system", r.SourceSystem},
	}
	if d := r.took(); d > 0 {
		all = slices.Insert(all, 3, fact{"Took", d.String()})
	}
	return slices.DeleteFunc(all, func(f fact) bool { return f.Text == "" })
}

func stamp(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format("2006-01-02 15:04:05 UTC")
}

func by(user, host string) string {
	if user == "" || host == "" {
		return cmp.Or(user, host)
	}
	return user + " on " + host
}

// grouped writes a number with commas between thousands.
func grouped(n int64) string {
	s := strconv.FormatInt(n, 10)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// tiles are the counts; done and failed are shown even if nobody is.
func tiles(c ledger.Counts) []tile {
	var list []tile
	for _, s := range statusCounts(c) {
		if s.users > 0 || s.status == journal.Done || s.status == journal.Failed {
			list = append(list, tile{s.status, s.users, grouped(s.users)})
		}
	}
	return list
}

// stretches divide the bar; the smallest part stays visible.
func stretches(c ledger.Counts) []stretch {
	const least, width = 4.0, 1000.0
	var parts []statusCount
	for _, s := range statusCounts(c) {
		if s.users > 0 {
			parts = append(parts, s)
		}
	}
	var list []stretch
	at := 0.0
	free := width - least*float64(len(parts))
	for _, s := range parts {
		w := least + free*float64(s.users)/float64(c.Total)
		list = append(list, stretch{s.status, decimal(at), decimal(w)})
		at += w
	}
	return list
}

func decimal(f float64) string { return strconv.FormatFloat(f, 'f', 1, 64) }

func waveOf(w ledger.WaveCounts, columns []journal.Status) wave {
	out := wave{Name: w.Name, Total: grouped(w.Total)}
	for _, s := range statusCounts(w.Counts) {
		if slices.Contains(columns, s.status) {
			out.Cells = append(out.Cells, tile{s.status, s.users, grouped(s.users)})
		}
	}
	return out
}

// fixes are the groups and what else is left to do.
func (r Run) fixes() []fix {
	var list []fix
	for _, g := range r.Groups {
		list = append(list, r.fixOf(g))
	}
	if n := r.Counts.Held; n > 0 {
		list = append(list, fix{Users: grouped(n), Class: "s-held", Title: "Held", Do: "Look at the wave before, release the hold, then resume.",
			Command: "rekey approve " + r.ID + " && rekey resume " + r.ID, Filter: string(journal.HeldPending)})
	}
	if n := r.Counts.Pending; n > 0 {
		f := fix{Users: grouped(n), Class: "s-pending", Title: "Pending", Do: "Nothing was sent for them yet.",
			Command: "rekey resume " + r.ID, Filter: string(journal.Pending)}
		if r.Over {
			f.Do, f.Command = "A wave has failed more often than max_failures allows. Mend the cause, then retry, or resume with --over-threshold.", "rekey retry "+r.ID
		}
		list = append(list, f)
	}
	return list
}

func (r Run) fixOf(g Group) fix {
	do, command := g.fix(r.ID)
	f := fix{Users: grouped(g.Users), Class: "s-failed", Title: cmp.Or(string(g.Code), "without a code"), Code: string(g.Code),
		Do: strings.ToUpper(do[:1]) + do[1:] + ".", Command: command, Said: g.Message}
	switch {
	case g.Unknown:
		f.Class, f.Note, f.Filter = "s-unknown", "outcome unknown", string(journal.Unresolved)
	case g.Partial == g.Users:
		f.Class, f.Note, f.Filter = "s-partial", "partly changed", string(journal.Partial)
	case g.Partial > 0:
		f.Note = grouped(g.Partial) + " partly changed"
	default:
		f.Filter = string(journal.Failed)
	}
	if f.Said != "" && g.Users > 1 {
		f.Said = "First: " + f.Said
	}
	return f
}
