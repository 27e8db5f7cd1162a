package ledger

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/rekey-host/rekey/host/hashlog"
	"github.com/rekey-host/rekey/host/journal"
	"github.com/rekey-host/rekey/sdk"
)

// bundleText is a bundle as its file has it.
type bundleText struct {
	Format   string `json:"format"`
	Run      string `json:"run"`
	Complete bool   `json:"complete"`
	Withheld bool   `json:"withheld"`
	Head     string `json:"head"`
	Records  []leaf `json:"records"`
	Rows     []leaf `json:"rows"`
}

// leaf is one element of a bundle as its file has it.
type leaf struct {
	Shows   json.RawMessage `json:"shows"`
	Public  []byte          `json:"public"`
	Private []byte          `json:"private,omitempty"`
	Salt    []byte          `json:"salt,omitempty"`
	Hidden  []byte          `json:"hidden,omitempty"`
	Proof   json.RawMessage `json:"proof,omitempty"`
}

// flipped returns bytes whose first is another.
func flipped(b []byte) []byte {
	b = bytes.Clone(b)
	b[0] ^= 1
	return b
}

// TestEachChangeOfABundleIsNamed: one is enough, and it is called what it is.
func TestEachChangeOfABundleIsNamed(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	r := story(t, s, newKeys(t, s))
	vkey, err := s.VerifierKey()
	must(t, err)
	bob, all := ExportOptions{Keys: []string{"bob"}}, ExportOptions{}
	hidden, allHidden := ExportOptions{Keys: []string{"bob"}, Withhold: true}, ExportOptions{Withhold: true}
	for _, c := range []struct {
		name string
		of   []ExportOptions
		edit func(b *bundleText)
		want string
	}{
		{"nothing", []ExportOptions{bob, all, hidden, allHidden}, func(*bundleText) {}, ""},
		{"salt of a record of all", []ExportOptions{all}, func(b *bundleText) { b.Records[3].Salt = flipped(b.Records[3].Salt) }, "log: 24 records that do not make up the signed head over 24"},
		{"salt of a record", []ExportOptions{bob}, func(b *bundleText) { b.Records[3].Salt = flipped(b.Records[3].Salt) }, "it is not in the log: its proof fails"},
		{"hidden part of a record", []ExportOptions{allHidden}, func(b *bundleText) { b.Records[3].Hidden = flipped(b.Records[3].Hidden) }, "log: 24 records that do not make up"},
		{"last record of all", []ExportOptions{all, allHidden}, func(b *bundleText) { b.Records = b.Records[:23] }, "log: 23 records that do not make up the signed head over 24"},
		{"salt of a row of all", []ExportOptions{all}, func(b *bundleText) { b.Rows[1].Salt = flipped(b.Rows[1].Salt) }, "plan: 4 rows that do not make up the plan of 4 that was frozen"},
		{"salt of a row", []ExportOptions{bob}, func(b *bundleText) { b.Rows[0].Salt = flipped(b.Rows[0].Salt) }, "its row is not in the plan: its proof fails"},
		{"last row of all", []ExportOptions{all, allHidden}, func(b *bundleText) { b.Rows = b.Rows[:3] }, "plan: 3 rows that do not make up the plan of 4"},
		{"rows in another order", []ExportOptions{all, allHidden}, func(b *bundleText) { b.Rows[0], b.Rows[1] = b.Rows[1], b.Rows[0] }, "its row of the plan stands elsewhere"},
		{"records in another order", []ExportOptions{all, allHidden}, func(b *bundleText) { b.Records[3], b.Records[4] = b.Records[4], b.Records[3] }, "it stands at place 3"},
		{"a row twice", []ExportOptions{bob, hidden}, func(b *bundleText) { b.Rows = append(b.Rows, b.Rows[0]) }, "a second time, or out of order"},
		{"a record twice", []ExportOptions{bob, hidden}, func(b *bundleText) { b.Records = append(b.Records, b.Records[8]) }, "it stands behind record 12: a second time, or out of order"},
		{"no rows", []ExportOptions{bob, hidden}, func(b *bundleText) { b.Rows = []leaf{} }, "there are records, but no row of the plan"},
		{"the record of the plan", []ExportOptions{bob, hidden}, func(b *bundleText) { b.Records = slices.Delete(b.Records, 1, 2) }, "its row is not in the plan: its proof fails"},
		{"what a record shows", []ExportOptions{bob, all}, func(b *bundleText) { b.Records[3].Shows = json.RawMessage(`{"kind":"x"}`) }, "it shows something else than its bytes say"},
		{"what a row shows", []ExportOptions{bob, hidden}, func(b *bundleText) { b.Rows[0].Shows = json.RawMessage(`{"key":"x"}`) }, "its row of the plan shows something else than its bytes say"},
		{"bytes behind a record", []ExportOptions{bob, all}, func(b *bundleText) { b.Records[3].Private = append(b.Records[3].Private, 0) }, "its bytes are no record"},
		{"bytes behind a row", []ExportOptions{bob, all}, func(b *bundleText) { b.Rows[0].Private = append(b.Rows[0].Private, 0) }, "row 1: its bytes are no row"},
		{"a row cut short", []ExportOptions{bob, all}, func(b *bundleText) { b.Rows[0].Private = b.Rows[0].Private[:3] }, "row 1: its bytes are no row"},
		{"cells of a row cut short", []ExportOptions{bob, all}, func(b *bundleText) { b.Rows[0].Private = []byte{0, 0, 1, 7} }, "row 1: its bytes are no row"},
		{"version of a row", []ExportOptions{bob, hidden}, func(b *bundleText) { b.Rows[0].Public[0]++ }, "row 1: its bytes are no row"},
		{"public part of a row", []ExportOptions{bob, hidden}, func(b *bundleText) { b.Rows[0].Public = b.Rows[0].Public[1:] }, "row 1: its bytes are no row"},
		{"no public part of a row", []ExportOptions{bob, hidden}, func(b *bundleText) { b.Rows[0].Public = nil }, "row 1: its bytes are no row"},
		{"a record without a salt", []ExportOptions{bob, all}, func(b *bundleText) { b.Records[0].Salt = nil }, "a leaf without a salt"},
		{"a short salt", []ExportOptions{bob, all}, func(b *bundleText) { b.Rows[0].Salt = b.Rows[0].Salt[:15] }, "a leaf without a salt"},
		{"a record without a hidden part", []ExportOptions{hidden, allHidden}, func(b *bundleText) { b.Records[0].Hidden = b.Records[0].Hidden[:31] }, "a leaf without a hidden part"},
		{"a private part although names are withheld", []ExportOptions{hidden, allHidden}, func(b *bundleText) { b.Records[0].Private = []byte("ann") }, "a leaf without a hidden part"},
		{"a salt although names are withheld", []ExportOptions{hidden, allHidden}, func(b *bundleText) { b.Rows[0].Salt = []byte("x") }, "a leaf without a hidden part"},
		{"the run", []ExportOptions{bob, all}, func(b *bundleText) { b.Run = "rother" }, "head: it is of another run"},
		{"the signature", []ExportOptions{bob, all}, func(b *bundleText) { b.Head = strings.Replace(b.Head, "\n24\n", "\n23\n", 1) }, "head: it is not signed with this key"},
		{"the head", []ExportOptions{bob, all}, func(b *bundleText) { b.Head = "x" }, "not the head of a run"},
		{"the format", []ExportOptions{bob, all}, func(b *bundleText) { b.Format = "rekey-audit-bundle/2" }, `format "rekey-audit-bundle/2", want "rekey-audit-bundle/1"`},
	} {
		for _, o := range c.of {
			var out bytes.Buffer
			must(t, r.Export(&out, o))
			var b bundleText
			must(t, json.Unmarshal(out.Bytes(), &b))
			c.edit(&b)
			text, err := json.Marshal(&b)
			must(t, err)
			got, err := hashlog.VerifyBundle(bytes.NewReader(text), vkey, nil)
			said := listed(hashlog.Audit{Problems: got.Problems})
			if err != nil {
				said += err.Error()
			}
			if (c.want == "") != (err == nil && got.OK) || !strings.Contains(said, c.want) {
				t.Errorf("%s, %+v: OK %v: %s; want %q", c.name, o, got.OK, said, c.want)
			}
		}
	}
}

// TestBundleIsLaidOutInOneWay: readers that are no JSON parsers find things
// where they look for them.
func TestBundleIsLaidOutInOneWay(t *testing.T) {
	s := newStore(t)
	r := story(t, s, newKeys(t, s))
	vkey, err := s.VerifierKey()
	must(t, err)
	_, _, text := bundled(t, s, r, ExportOptions{})
	for _, c := range []struct{ old, new, want string }{
		{`"run": `, `"ruin": `, `field ruin, want "run"`},
		{`"records": `, `"recs": `, `field recs, want "records"`},
		{`"rows": `, `"row": `, `field row, want "rows"`},
		{"\"records\": [", "\"records\": 7, \"x\": [", "7, want ["},
		{`{"format"`, `["format"`, "[, want {"},
		{`"complete": true`, `"complete": "yes"`, "bundle: "},
	} {
		bad := bytes.Replace(text, []byte(c.old), []byte(c.new), 1)
		if bytes.Equal(bad, text) {
			t.Fatalf("%s is not in the bundle", c.old)
		}
		if _, err := hashlog.VerifyBundle(bytes.NewReader(bad), vkey, nil); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s for %s: %v, want %q", c.new, c.old, err, c.want)
		}
	}
}

func TestBundleShowsOutcomesOfWhatHasOne(t *testing.T) {
	s := newStore(t)
	r := story(t, s, newKeys(t, s))
	_, _, text := bundled(t, s, r, ExportOptions{})
	var b bundleText
	must(t, json.Unmarshal(text, &b))
	seen := map[string]int{}
	for _, l := range b.Records {
		var v struct{ Kind, Outcome string }
		must(t, json.Unmarshal(l.Shows, &v))
		has := v.Kind == journal.Outcome.String() || v.Kind == journal.Answer.String()
		if (v.Outcome != "") != has {
			t.Errorf("a record of kind %s shows outcome %q", v.Kind, v.Outcome)
		}
		seen[v.Kind]++
	}
	if seen[journal.Answer.String()] != 1 || seen[journal.Outcome.String()] != 4 || seen[journal.Intent.String()] != 4 {
		t.Errorf("kinds: %v", seen)
	}
}

// TestBundleOfWhatCannotBeSigned is under the newest head that there is, and
// says how much it leaves out; without one there is none.
func TestBundleOfWhatCannotBeSigned(t *testing.T) {
	s := newStore(t)
	r := newRun(t, s, newKeys(t, s), 2)
	r.writer.signed = s.now().Add(1 << 40)
	commit(t, r, &journal.Record{Kind: journal.Started})
	commit(t, r, intent(r, 1, 1, 0, "x"), outcome(1, 1, 0, sdk.Applied, ""))
	must(t, r.Close())
	vkey, err := s.VerifierKey()
	must(t, err)
	must(t, os.WriteFile(filepath.Join(s.dir, "audit.key"), []byte("nonsense"), 0o600))
	s = opened(t, s.dir, "test host")
	ro, err := s.Read(r.ID())
	must(t, err)
	defer ro.Close()
	var out bytes.Buffer
	must(t, ro.Export(&out, ExportOptions{}))
	b, err := hashlog.VerifyBundle(bytes.NewReader(out.Bytes()), vkey, nil)
	must(t, err)
	if !b.OK || b.Size != 2 || ro.Uncovered() != 3 {
		t.Errorf("VerifyBundle() = %+v, %d are left out", b, ro.Uncovered())
	}
	edit(t, s, r.ID(), "DELETE FROM head")
	if err := ro.Export(&out, ExportOptions{}); err == nil || !strings.Contains(err.Error(), "no signed head covers its 5 records") {
		t.Errorf("Export() = %v", err)
	}
}
