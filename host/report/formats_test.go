package report_test

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"io"
	"math"
	"math/big"
	"strings"
	"testing"
	"time"

	"filippo.io/age"
	"github.com/google/go-cmp/cmp"

	"github.com/rekey-host/rekey/host/journal"
	"github.com/rekey-host/rekey/host/ledger"
	"github.com/rekey-host/rekey/host/report"
	"github.com/rekey-host/rekey/host/source"
	"github.com/rekey-host/rekey/sdk"
	"github.com/rekey-host/rekey/sdk/secret"
)

// loginPassword is the row function of most scripts.
func loginPassword(r report.Result) report.Row {
	var password any
	if r.Password != nil {
		password = *r.Password
	}
	return report.Row{{Name: "login", Value: r.Row.Key}, {Name: "password", Value: password}}
}

func TestFormatsAreAsTheyWere(t *testing.T) {
	tests := []struct {
		file string
		make func(io.Writer) writer
		row  func(report.Result) report.Row
	}{
		{"default.json", func(w io.Writer) writer { return report.NewJSON(w) }, report.DefaultRow},
		{"default.jsonl", func(w io.Writer) writer { return report.NewJSONL(w) }, report.DefaultRow},
		{"default.csv", func(w io.Writer) writer { return report.NewCSV(w) }, report.DefaultRow},
		{"passwords.json", func(w io.Writer) writer { return report.NewJSON(w) }, loginPassword},
		{"passwords.csv", func(w io.Writer) writer { return report.NewCSV(w) }, loginPassword},
		{"revealed.jsonl", func(w io.Writer) writer { return report.NewJSONL(w) }, report.RevealedRow},
		{"page.html", func(w io.Writer) writer { return report.NewHTML(w, sampleRun()) }, report.DefaultRow},
	}
	for _, tt := range tests {
		t.Run(tt.file, func(t *testing.T) {
			var b bytes.Buffer
			write(t, tt.make(&b), sampleResults(), tt.row)
			golden(t, tt.file, b.Bytes())
		})
	}
}

func TestSummaryIsAsItWas(t *testing.T) {
	small := sampleRun()
	small.Status, small.Reason, small.Counts, small.Waves, small.Groups, small.Warnings = journal.StateFinished, "", ledger.Counts{Total: 1, Done: 1}, nil, nil, nil
	held := small
	held.Status, held.Reason, held.Counts = journal.StateHeld, "wave canary", ledger.Counts{Total: 20, Done: 10, Held: 10}
	for file, run := range map[string]report.Run{"stopped.txt": sampleRun(), "finished.txt": small, "held.txt": held} {
		t.Run(file, func(t *testing.T) {
			var b bytes.Buffer
			if err := report.Summary(&b, run); err != nil {
				t.Fatal(err)
			}
			golden(t, file, b.Bytes())
		})
	}
}

func TestValuesSurviveEveryFormat(t *testing.T) {
	values := []string{canary, "", "=1+1", " both ends ", "a,b;c", "line\nline\r\nend", "tab\tand\x01bell", "</script>", "\u2028", `"quoted"`, "🔑"}
	var array, lines, table bytes.Buffer
	writers := []writer{report.NewJSON(&array), report.NewJSONL(&lines), report.NewCSV(&table)}
	for _, v := range values {
		for _, w := range writers {
			if err := w.Add(report.Result{}, report.Row{{Name: "password", Value: secret.New(v)}}); err != nil {
				t.Fatalf("%q: %v", v, err)
			}
		}
	}
	for _, w := range writers {
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
	}
	got := map[string][]string{}
	var list []map[string]string
	if err := json.Unmarshal(array.Bytes(), &list); err != nil {
		t.Fatal(err)
	}
	for _, o := range list {
		got["json"] = append(got["json"], o["password"])
	}
	for line := range strings.Lines(lines.String()) {
		var o map[string]string
		if err := json.Unmarshal([]byte(line), &o); err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		got["jsonl"] = append(got["jsonl"], o["password"])
	}
	records, err := csv.NewReader(&table).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range records[1:] {
		got["csv"] = append(got["csv"], r[0])
	}
	readable := strings.Split(strings.ReplaceAll(strings.Join(values, "\x00"), "\r\n", "\n"), "\x00") // the reader, not the file, drops the CR
	if diff := cmp.Diff(map[string][]string{"json": values, "jsonl": values, "csv": readable}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestCellsOfEveryType(t *testing.T) {
	row := report.Row{
		{Name: "nil"}, {Name: "absent", Value: secret.Value{}}, {Name: "int", Value: 7}, {Name: "long", Value: int64(math.MinInt64)},
		{Name: "big", Value: new(big.Int).Lsh(big.NewInt(1), 80)}, {Name: "float", Value: 0.5}, {Name: "bool", Value: true},
		{Name: "time", Value: time.Date(2026, 9, 14, 14, 0, 0, 0, time.FixedZone("", 7200))}, {Name: "day", Value: source.Day{Time: noon}},
		{Name: "list", Value: []any{"a", secret.New("b"), nil}}, {Name: "map", Value: map[string]any{"z": 1, "a": report.Row{{Name: "q", Value: `"`}}}},
	}
	var j, c bytes.Buffer
	for _, w := range []writer{report.NewJSONL(&j), report.NewCSV(&c)} {
		write(t, w, make([]report.Result, 1), func(report.Result) report.Row { return row })
	}
	wantJSON := `{"nil": null, "absent": null, "int": 7, "long": -9223372036854775808, "big": 1208925819614629174706176, "float": 0.5, "bool": true, "time": "2026-09-14T12:00:00Z", "day": "2026-09-14", "list": ["a","b",null], "map": {"a":{"q":"\""},"z":1}}` + "\n"
	if diff := cmp.Diff(wantJSON, j.String()); diff != "" {
		t.Errorf("JSON (-want +got):\n%s", diff)
	}
	wantCSV := "nil,absent,int,long,big,float,bool,time,day,list,map\n" +
		`,,7,-9223372036854775808,1208925819614629174706176,0.5,true,2026-09-14T12:00:00Z,2026-09-14,"[""a"",""b"",null]","{""a"":{""q"":""\""""},""z"":1}"` + "\n"
	if diff := cmp.Diff(wantCSV, c.String()); diff != "" {
		t.Errorf("CSV (-want +got):\n%s", diff)
	}
}

func TestRowsThatDoNotFitAreRefused(t *testing.T) {
	cell := func(name string, v any) report.Field { return report.Field{Name: name, Value: v} }
	first := report.Row{cell("a", 1), cell("b", 2)}
	tests := []struct {
		name string
		row  report.Row
		want string
	}{
		{"another order", report.Row{cell("b", 2), cell("a", 1)}, ""},
		{"a column less", report.Row{cell("a", 1)}, `row of user "bob" has the columns a; that of "ann" has a, b; give every row the same`},
		{"a column more", report.Row{cell("a", 1), cell("b", 2), cell("c", 3)}, `row of user "bob" has the columns a, b, c; that of "ann" has a, b; give every row the same`},
		{"another name", report.Row{cell("a", 1), cell("c", 2)}, `row of user "bob" has the columns a, c; that of "ann" has a, b; give every row the same`},
		{"none", nil, `row of user "bob" has the columns none; that of "ann" has a, b; give every row the same`},
		{"a strange value", report.Row{cell("a", struct{}{}), cell("b", 2)}, `row of user "bob", column "a": a value of type struct {} has no place in a report`},
		{"no number", report.Row{cell("a", math.NaN()), cell("b", 2)}, `row of user "bob", column "a": the number NaN has no place in a report`},
	}
	for _, tt := range tests {
		for format, w := range map[string]writer{"json": report.NewJSON(io.Discard), "csv": report.NewCSV(io.Discard), "html": report.NewHTML(io.Discard, sampleRun())} {
			t.Run(tt.name+" in "+format, func(t *testing.T) {
				if err := w.Add(report.Result{Row: source.Row{Key: "ann"}}, first); err != nil {
					t.Fatal(err)
				}
				got := ""
				if err := w.Add(report.Result{Row: source.Row{Key: "bob"}}, tt.row); err != nil {
					got = err.Error()
				}
				if got != tt.want {
					t.Errorf("Add = %q, want %q", got, tt.want)
				}
			})
		}
	}
	if err := report.NewJSON(io.Discard).Add(report.Result{Row: source.Row{Key: "ann"}}, report.Row{cell("a", 1), cell("a", 2)}); err == nil || err.Error() != `row of user "ann" has the column "a" twice` {
		t.Errorf("a column twice: %v", err)
	}
}

func TestColumnsInAnotherOrderKeepTheirHeader(t *testing.T) {
	var b bytes.Buffer
	w := report.NewCSV(&b)
	for _, row := range []report.Row{{{Name: "a", Value: 1}, {Name: "b", Value: 2}}, {{Name: "b", Value: 4}, {Name: "a", Value: 3}}} {
		if err := w.Add(report.Result{}, row); err != nil {
			t.Fatal(err)
		}
	}
	_ = w.Close()
	if b.String() != "a,b\n1,2\n3,4\n" {
		t.Errorf("got %q", b.String())
	}
}

func TestBytesThatAreNoTextAreNotReplacedInSilence(t *testing.T) {
	row := report.Row{{Name: "password", Value: secret.New("caf\xe9")}}
	err := report.NewJSON(io.Discard).Add(report.Result{Row: source.Row{Key: "ann"}}, row)
	if want := `row of user "ann", column "password": the value is not UTF-8, which JSON cannot hold; use csv`; err == nil || err.Error() != want {
		t.Errorf("json: %v, want %q", err, want)
	}
	var b bytes.Buffer
	w := report.NewCSV(&b)
	if err := w.Add(report.Result{}, row); err != nil || w.Close() != nil || b.String() != "password\ncaf\xe9\n" {
		t.Errorf("csv: %q, %v", b.String(), err)
	}
}

func TestReportsOfNobodyAreWhole(t *testing.T) {
	for _, tt := range []struct {
		name, want string
		make       func(io.Writer) writer
	}{
		{"json", "[]\n", func(w io.Writer) writer { return report.NewJSON(w) }},
		{"jsonl", "", func(w io.Writer) writer { return report.NewJSONL(w) }},
		{"csv", "key,status,code,message,wave\n", func(w io.Writer) writer { return report.NewCSV(w, report.DefaultColumns()...) }},
		{"csv of unknown columns", "", func(w io.Writer) writer { return report.NewCSV(w) }},
	} {
		var b bytes.Buffer
		write(t, tt.make(&b), nil, nil)
		if b.String() != tt.want {
			t.Errorf("%s = %q, want %q", tt.name, b.String(), tt.want)
		}
	}
}

func TestFormulasAreCountedAndNotChanged(t *testing.T) {
	var b bytes.Buffer
	w := report.NewCSV(&b)
	for i, v := range []any{"=cmd()", "plain", "+49 170", "-x", "@y", "\ttab", "\rcr", -5, -0.5, "", nil, secret.New("=z")} {
		key := string(rune('a' + i))
		if err := w.Add(report.Result{Row: source.Row{Key: key}}, report.Row{{Name: "n", Value: i}, {Name: "v", Value: v}}); err != nil {
			t.Fatal(err)
		}
	}
	want := []report.Spoilt{{Column: "v", Users: 7, Key: "a"}}
	if diff := cmp.Diff(want, w.Spoilt()); diff != "" {
		t.Errorf("Spoilt (-want +got):\n%s", diff)
	}
	text := `p.csv: column "v": 7 values begin with = + - @ tab or return, the first that of "a"; a spreadsheet would run them: import the column as text`
	if got := want[0].Warning("p.csv"); got != text {
		t.Errorf("Warning = %q, want %q", got, text)
	}
	_ = w.Close()
	if !strings.Contains(b.String(), "\n0,=cmd()\n") {
		t.Errorf("the value was changed: %q", b.String())
	}
}

func TestAnEncryptedReportOpensForItsRecipientsOnly(t *testing.T) {
	identity, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	var sealed bytes.Buffer
	e, err := report.Encrypt(&sealed, []string{identity.Recipient().String()})
	if err != nil {
		t.Fatal(err)
	}
	write(t, report.NewCSV(e), sampleResults(), loginPassword)
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(sealed.Bytes(), []byte("acme.example")) {
		t.Error("the sealed report holds clear text")
	}
	r, err := age.Decrypt(&sealed, identity)
	if err != nil {
		t.Fatal(err)
	}
	clear, err := io.ReadAll(r)
	if err != nil || !bytes.Contains(clear, []byte("ann@acme.example,")) {
		t.Errorf("opened: %q, %v", clear, err)
	}
}

func TestCheckEncryptedNamesTheMistake(t *testing.T) {
	good := "age1lvyvwawkr0mcnnnncaghunadrqkmuf9e6507x9y920xxpp866cnql7dp2z"
	for _, tt := range []struct {
		path string
		to   []string
		want string
	}{
		{"p.csv.age", []string{good}, ""},
		{"p.csv", []string{good}, "p.csv: a report with encrypt_to needs a name that ends in .age"},
		{"p.csv.age", []string{"age1x"}, `encrypt_to: "age1x" is not a recipient of age; it begins with age1`},
		{"p.csv.age", nil, "encrypt_to: no recipient"},
	} {
		got := ""
		if err := report.CheckEncrypted(tt.path, tt.to); err != nil {
			got = err.Error()
		}
		if got != tt.want {
			t.Errorf("CheckEncrypted(%q, %q) = %q, want %q", tt.path, tt.to, got, tt.want)
		}
	}
}

// failing is a disk that is full.
type failing struct{}

func (failing) Write([]byte) (int, error) { return 0, io.ErrShortWrite }

func TestAFullDiskIsAnError(t *testing.T) {
	for name, w := range map[string]writer{"json": report.NewJSON(failing{}), "csv": report.NewCSV(failing{}), "html": report.NewHTML(failing{}, sampleRun())} {
		var err error
		for r := range manyResults(2000) {
			if err = w.Add(r, report.DefaultRow(r)); err != nil {
				break
			}
		}
		if err == nil || w.Close() == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func TestEveryCodeHasAdvice(t *testing.T) {
	unknown := report.AdviceFor("Nonsense")
	for _, c := range append(sdk.Codes(), journal.HostCodes()...) {
		if a := report.AdviceFor(c); a == unknown || a.Do == "" {
			t.Errorf("%s has no advice", c)
		}
	}
}

func TestNextSaysWhatToDoByCode(t *testing.T) {
	var tally report.Tally
	for range 37 {
		tally.Add("ann", journal.Failed, sdk.AccountNotFound, "no entry")
	}
	tally.Add("bob", journal.Partial, sdk.NotAccepted, "no")
	tally.Add("cy", journal.Unresolved, sdk.Timeout, "late")
	tally.Add("dee", journal.Failed, "DuplicateAccount", "twice")
	tally.Add("eve", journal.Done, "", "")
	tally.Add("fay", journal.Failed, "", "")
	tally.Add("gil", journal.Failed, sdk.PolicyViolation, "too short", sdk.Violation{Rule: sdk.RuleMinLength})
	tally.Add("hal", journal.Failed, sdk.PolicyViolation, "too young", sdk.Violation{Rule: sdk.RuleMinLength}, sdk.Violation{Rule: sdk.RuleMinAge})
	tally.Add("ida", journal.Failed, sdk.PolicyViolation, "too often", sdk.Violation{Rule: sdk.RuleChangeCount})
	tally.Add("jo", journal.Failed, sdk.AccountStatus, "disabled", sdk.Violation{Rule: sdk.RuleChangeCount})
	want := []string{
		"1 Timeout, outcome unknown: see what each may have with rekey reveal r7k2, then rekey resume r7k2",
		"37 AccountNotFound: create them, then rekey retry r7k2 --code AccountNotFound",
		"2 PolicyViolation: wait until their passwords may be changed again, or let who keeps the target's rules lift the minimum age or set the count of changes back, then rekey retry r7k2 --code PolicyViolation",
		"1 without a code: read the message of each, then rekey show r7k2",
		"1 AccountStatus: enable or unlock them, then rekey retry r7k2 --code AccountStatus",
		"1 DuplicateAccount: nothing was sent for them: keep one line for each account",
		"1 NotAccepted: find out why the target does not take the new value with rekey show r7k2 --code NotAccepted, then rekey retry r7k2 --code NotAccepted",
		"1 PolicyViolation: fit the values, or the script's policy, to the target's rules, then rekey retry r7k2 --code PolicyViolation --accept-change",
		"4 held: look at the wave before, then rekey approve r7k2 and rekey resume r7k2",
		"9 pending: rekey resume r7k2",
	}
	if diff := cmp.Diff(want, report.Next("r7k2", ledger.Counts{Held: 4, Pending: 9}, tally.Groups(), false)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func BenchmarkCSV(b *testing.B) {
	w := report.NewCSV(io.Discard)
	r := sampleResults()[0]
	b.ReportAllocs()
	for b.Loop() {
		if err := w.Add(r, loginPassword(r)); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkHTML(b *testing.B) {
	w := report.NewHTML(io.Discard, sampleRun())
	r := sampleResults()[1]
	b.ReportAllocs()
	for b.Loop() {
		if err := w.Add(r, report.DefaultRow(r)); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkBuild(b *testing.B) {
	u := ledger.User{Pos: 7, Key: "ann", History: new(log).intent(1, 0, "set", "", "one").outcome(1, 0, "set", "", sdk.Applied, "").verify(2, "").records}
	v := view()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := report.Build(v, u); err != nil {
			b.Fatal(err)
		}
	}
}

// TestDigitsThatASpreadsheetChangesAreCounted, and kept as text where that is asked for.
func TestDigitsThatASpreadsheetChangesAreCounted(t *testing.T) {
	var b bytes.Buffer
	w := report.NewCSV(&b)
	w.Text = []string{"kept"}
	for i, v := range []any{"0042", "42", "0", "00", "1234567890123456", "123456789012345", "0x7", 7, secret.New("0815"), `=1"`, nil} {
		key := string(rune('a' + i))
		if err := w.Add(report.Result{Row: source.Row{Key: key}}, report.Row{{Name: "v", Value: v}, {Name: "kept", Value: v}}); err != nil {
			t.Fatal(err)
		}
	}
	want := []report.Spoilt{{Column: "v", Users: 1, Key: "j"}, {Column: "v", Digits: true, Users: 4, Key: "a"}}
	if diff := cmp.Diff(want, w.Spoilt()); diff != "" {
		t.Errorf("Spoilt (-want +got):\n%s", diff)
	}
	if got, want := want[1].Warning("p.csv"), `p.csv: column "v": 4 values begin with 0, or have more than 15 digits, the first that of "a"; a spreadsheet would change them: import the column as text, list it in text=, or use report.xlsx`; got != want {
		t.Errorf("Warning = %q, want %q", got, want)
	}
	_ = w.Close()
	for _, line := range []string{"\n0042,\"=\"\"0042\"\"\"\n", "\n\"=1\"\"\",\"=\"\"=1\"\"\"\"\"\"\"\n", "\n,\n"} {
		if !strings.Contains(b.String(), line) {
			t.Errorf("%q is not in %q", line, b.String())
		}
	}
}
