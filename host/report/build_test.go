package report_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rekey-host/rekey/host/journal"
	"github.com/rekey-host/rekey/host/ledger"
	"github.com/rekey-host/rekey/host/report"
	"github.com/rekey-host/rekey/host/source"
	"github.com/rekey-host/rekey/sdk"
	"github.com/rekey-host/rekey/sdk/secret"
)

var noon = time.Date(2026, 9, 14, 12, 0, 0, 0, time.UTC)

// log builds a user's history.
type log struct{ records []journal.Record }

func (l *log) add(r journal.Record) *log {
	r.Index = int64(10 + len(l.records))
	r.At = noon.Add(time.Duration(len(l.records)) * time.Second)
	l.records = append(l.records, r)
	return l
}

// step is a record about a step of cloud ann.
func step(kind journal.Kind, n, try int, verb, cred string) journal.Record {
	return journal.Record{Kind: kind, User: 7, Step: n, Try: try, Verb: verb, Backend: "cloud", Account: "ann", Cred: cred}
}

func (l *log) intent(n, try int, verb, cred, value string) *log {
	r := step(journal.Intent, n, try, verb, cred)
	if value != "" {
		r.Sealed = []byte(value)
	}
	return l.add(r)
}

func (l *log) change(n int, old, value string) *log {
	r := step(journal.Intent, n, 0, "change", "")
	r.Sealed, r.SealedOld = []byte(value), []byte(old)
	return l.add(r)
}

func (l *log) outcome(n, try int, verb, cred string, o sdk.Outcome, code sdk.Code) *log {
	r := step(journal.Outcome, n, try, verb, cred)
	r.Outcome, r.Code, r.Detail.Attempt = o, code, 1
	return l.add(r)
}

func (l *log) verify(n int, code sdk.Code) *log {
	r := step(journal.Answer, n, 0, "verify", "")
	r.Outcome, r.Code = sdk.Applied, code
	if code != "" {
		r.Outcome = sdk.Refused
	}
	return l.add(r)
}

// view opens values that are not sealed at all.
func view() report.View {
	return report.View{Run: "r7k2", Labels: []string{"cloud", "pbx"}, Unseal: func(_ int64, _, _ int, role string, sealed []byte) (secret.Value, error) {
		return secret.New(string(sealed)), nil
	}}
}

func reveal(values map[string]secret.Value) map[string]string {
	m := map[string]string{}
	for name, v := range values {
		m[name] = "none"
		if v.Present() {
			m[name] = v.Reveal()
		}
	}
	return m
}

func TestAPasswordIsThereOnlyWhereItIsCertain(t *testing.T) {
	ok, no, lost := sdk.Applied, sdk.Refused, sdk.Unknown
	bridge := func() journal.Record {
		r := step(journal.Intent, 1, 1, "change", "")
		r.Sealed, r.Detail.Bridge = []byte("bridge"), true
		return r
	}
	other := func(l *log) *log {
		for _, kind := range []journal.Kind{journal.Intent, journal.Outcome} {
			r := journal.Record{Kind: kind, User: 7, Step: 2, Verb: "set", Backend: "cloud", Account: "ann-admin", Outcome: sdk.Applied}
			if kind == journal.Intent {
				r.Sealed = []byte("two")
			}
			l.add(r)
		}
		return l
	}
	tests := []struct {
		name       string
		log        *log
		password   string
		passwords  map[string]string
		candidates map[string]string
	}{
		{"nothing was sent", &log{}, "none", map[string]string{"cloud": "none", "pbx": "none"}, map[string]string{"cloud": "", "pbx": ""}},
		{"a set was applied", new(log).intent(1, 0, "set", "", "one").outcome(1, 0, "set", "", ok, ""),
			"one", map[string]string{"cloud": "one", "pbx": "none"}, map[string]string{"cloud": "one", "pbx": ""}},
		{"the last of two applied", new(log).intent(1, 0, "set", "", "one").outcome(1, 0, "set", "", ok, "").intent(2, 0, "set", "", "two").outcome(2, 0, "set", "", ok, ""),
			"two", map[string]string{"cloud": "two", "pbx": "none"}, map[string]string{"cloud": "two", "pbx": ""}},
		{"a refusal leaves what was applied", new(log).intent(1, 0, "set", "", "one").outcome(1, 0, "set", "", ok, "").intent(2, 0, "set", "", "two").outcome(2, 0, "set", "", no, sdk.PolicyViolation),
			"one", map[string]string{"cloud": "one", "pbx": "none"}, map[string]string{"cloud": "one", "pbx": ""}},
		{"refused", new(log).change(1, "old", "one").outcome(1, 0, "change", "", no, sdk.PolicyViolation),
			"none", map[string]string{"cloud": "none", "pbx": "none"}, map[string]string{"cloud": "", "pbx": ""}},
		{"unknown after applied", new(log).intent(1, 0, "set", "", "one").outcome(1, 0, "set", "", ok, "").intent(2, 0, "set", "", "two").outcome(2, 0, "set", "", lost, sdk.Timeout),
			"none", map[string]string{"cloud": "none", "pbx": "none"}, map[string]string{"cloud": "two one", "pbx": ""}},
		{"an intent without an outcome is unknown", new(log).intent(1, 0, "set", "", "one"),
			"none", map[string]string{"cloud": "none", "pbx": "none"}, map[string]string{"cloud": "one", "pbx": ""}},
		{"the old value of a lost change may be in force", new(log).change(1, "old", "one").outcome(1, 0, "change", "", lost, sdk.ConnectionLost),
			"none", map[string]string{"cloud": "none", "pbx": "none"}, map[string]string{"cloud": "one old", "pbx": ""}},
		{"settled later", new(log).change(1, "old", "one").outcome(1, 0, "change", "", lost, sdk.ConnectionLost).outcome(1, 0, "change", "", ok, ""),
			"one", map[string]string{"cloud": "one", "pbx": "none"}, map[string]string{"cloud": "one", "pbx": ""}},
		{"a bridge is not meant to stay", new(log).change(1, "old", "one").outcome(1, 0, "change", "", lost, sdk.Timeout).add(bridge()).outcome(1, 1, "change", "", ok, ""),
			"none", map[string]string{"cloud": "none", "pbx": "none"}, map[string]string{"cloud": "bridge", "pbx": ""}},
		{"verified", new(log).intent(1, 0, "set", "", "one").outcome(1, 0, "set", "", ok, "").verify(2, ""),
			"one", map[string]string{"cloud": "one", "pbx": "none"}, map[string]string{"cloud": "one", "pbx": ""}},
		{"its verify was refused", new(log).intent(1, 0, "set", "", "one").outcome(1, 0, "set", "", ok, "").verify(2, sdk.NotAccepted),
			"none", map[string]string{"cloud": "none", "pbx": "none"}, map[string]string{"cloud": "one", "pbx": ""}},
		{"its verify could not tell", new(log).intent(1, 0, "set", "", "one").outcome(1, 0, "set", "", ok, "").verify(2, sdk.Unsupported),
			"one", map[string]string{"cloud": "one", "pbx": "none"}, map[string]string{"cloud": "one", "pbx": ""}},
		{"two kinds", new(log).intent(1, 0, "set", "sip", "one").outcome(1, 0, "set", "sip", ok, "").intent(2, 0, "set", "web", "two").outcome(2, 0, "set", "web", ok, ""),
			"none", map[string]string{"cloud/sip": "one", "cloud/web": "two", "pbx": "none"}, map[string]string{"cloud/sip": "one", "cloud/web": "two", "pbx": ""}},
		{"two accounts of one backend", other(new(log).intent(1, 0, "set", "", "one").outcome(1, 0, "set", "", ok, "")),
			"none", map[string]string{"cloud:ann": "one", "cloud:ann-admin": "two", "pbx": "none"}, map[string]string{"cloud:ann": "one", "cloud:ann-admin": "two", "pbx": ""}},
		{"reverted", new(log).change(1, "old", "one").outcome(1, 0, "change", "", ok, "").intent(2, 0, "revert", "", "old").outcome(2, 0, "revert", "", ok, ""),
			"old", map[string]string{"cloud": "old", "pbx": "none"}, map[string]string{"cloud": "old", "pbx": ""}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r, err := report.Build(view(), ledger.User{Pos: 7, Key: "ann", History: tt.log.records})
			if err != nil {
				t.Fatal(err)
			}
			password := "none"
			if r.Password != nil {
				password = r.Password.Reveal()
			}
			if password != tt.password {
				t.Errorf("password = %q, want %q", password, tt.password)
			}
			if diff := cmp.Diff(tt.passwords, reveal(r.Values.Passwords())); diff != "" {
				t.Errorf("passwords (-want +got):\n%s", diff)
			}
			got := map[string]string{}
			for name, list := range r.Values.Candidates() {
				var values []string
				for _, v := range list {
					values = append(values, v.Reveal())
				}
				got[name] = strings.Join(values, " ")
			}
			if diff := cmp.Diff(tt.candidates, got); diff != "" {
				t.Errorf("candidates (-want +got):\n%s", diff)
			}
		})
	}
}

func TestAResetGivesTheValueThatItReturned(t *testing.T) {
	l := new(log).intent(1, 0, "reset", "", "")
	returned := step(journal.Outcome, 1, 0, "reset", "")
	returned.Outcome, returned.Sealed = sdk.Applied, []byte("picked")
	for _, tt := range []struct {
		name, want string
		last       journal.Record
	}{
		{"told", "picked", returned},
		{"kept", "none", func() journal.Record { r := returned; r.Sealed = nil; return r }()},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h := log{records: append([]journal.Record(nil), l.records...)}
			r, err := report.Build(view(), ledger.User{Pos: 7, History: h.add(tt.last).records})
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(map[string]string{"cloud": tt.want, "pbx": "none"}, reveal(r.Values.Passwords())); diff != "" {
				t.Errorf("passwords (-want +got):\n%s", diff)
			}
		})
	}
}

func TestWithoutUnsealThereAreNoValues(t *testing.T) {
	v := view()
	v.Unseal = nil
	r, err := report.Build(v, ledger.User{History: new(log).intent(1, 0, "set", "", "one").outcome(1, 0, "set", "", sdk.Applied, "").records})
	if err != nil || r.Values != nil || r.Password != nil {
		t.Errorf("Build = %v, %v, %v, want no values", r.Values, r.Password, err)
	}
}

func TestBuildNamesTheUserOfAnError(t *testing.T) {
	u := ledger.User{Key: "ann", History: new(log).intent(1, 0, "set", "", "one").outcome(1, 0, "set", "", sdk.Applied, "").records}
	broken := errors.New("the key is gone")
	for _, tt := range []struct {
		name string
		view report.View
		want string
	}{
		{"values", report.View{Unseal: func(int64, int, int, string, []byte) (secret.Value, error) { return secret.Value{}, broken }}, `values of user "ann": the key is gone`},
		{"row", report.View{Row: func(ledger.User) (source.Row, error) { return source.Row{}, broken }}, `row of user "ann": the key is gone`},
	} {
		_, err := report.Build(tt.view, u)
		if err == nil || err.Error() != tt.want || !errors.Is(err, broken) {
			t.Errorf("%s: Build = %v, want %q", tt.name, err, tt.want)
		}
	}
}

func TestStatusAndAttemptsAreThoseOfTheLedger(t *testing.T) {
	l := new(log).intent(1, 0, "set", "", "one")
	busy := step(journal.Outcome, 1, 0, "set", "")
	busy.Outcome, busy.Code = sdk.Refused, sdk.RateLimited
	busy.Detail = journal.Detail{Attempt: 5, Native: "HTTP 429", Message: "too many"}
	end := journal.Record{Kind: journal.Finished, User: 7, Code: sdk.RateLimited, Detail: journal.Detail{Status: journal.Failed, Native: "HTTP 429", Message: "too many"}}
	l.add(busy).verify(2, sdk.Unsupported).add(end)
	u := ledger.User{Pos: 7, Line: 17, Key: "ann", WaveName: "all", Status: journal.Failed, History: l.records}
	r, err := report.Build(view(), u)
	if err != nil {
		t.Fatal(err)
	}
	got := []any{r.Status, r.Code, r.Native, r.Message, r.Wave, r.Attempts, r.Row.Line, r.At}
	want := []any{journal.Failed, sdk.RateLimited, "HTTP 429", "too many", "all", 5, 17, noon.Add(3 * time.Second)}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	l.add(journal.Record{Kind: journal.Reopened, User: 7})
	u.Status, u.History = journal.Pending, l.records
	r, _ = report.Build(view(), u)
	if r.Code != "" || r.Message != "" || !r.At.IsZero() {
		t.Errorf("reopened: %q %q %v, want nothing", r.Code, r.Message, r.At)
	}
}

func TestALineIsWhatTheContractSays(t *testing.T) {
	l := new(log).intent(1, 0, "set", "web", canary)
	refused := step(journal.Outcome, 1, 0, "set", "web")
	refused.Outcome, refused.Code = sdk.Refused, sdk.PolicyViolation
	refused.Detail = journal.Detail{Attempt: 2, Native: "53", Message: "too short", Ref: "req-9", AccountStatus: sdk.StatusActive,
		Violations: []sdk.Violation{{Rule: sdk.RuleMinLength, Limit: 12, Message: "too short"}}}
	l.add(refused).intent(1, 1, "set", "web", canary).outcome(1, 1, "set", "web", sdk.Applied, "")
	l.add(journal.Record{Kind: journal.Finished, User: 7, Detail: journal.Detail{Status: journal.Done}})
	line := report.LineOf(report.View{Run: "r7k2", Requestor: "CHG-1", SourceSystem: "hr"}, ledger.User{Pos: 7, Key: "ann", WaveName: "all", Status: journal.Done, History: l.records})
	got, err := json.MarshalIndent(line, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(got), "é") {
		t.Error("the line holds the value")
	}
	golden(t, "line.json", append(got, '\n'))
}

func TestARevealedLineHasValuesAndNulls(t *testing.T) {
	r, err := report.Build(view(), ledger.User{Pos: 7, Key: "ann", History: new(log).intent(1, 0, "set", "", canary).outcome(1, 0, "set", "", sdk.Applied, "").records})
	if err != nil {
		t.Fatal(err)
	}
	l := report.RevealedLine(r)
	got, _ := json.Marshal([]any{l.Passwords, l.Candidates})
	want, _ := json.Marshal([]any{map[string]any{"cloud": canary, "pbx": nil}, map[string]any{"cloud": []string{canary}, "pbx": []string{}}})
	if string(got) != string(want) {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestViewOfReadsTheHeader(t *testing.T) {
	schema, _ := json.Marshal(source.Schema{Columns: []source.Column{{Name: "login", Type: source.String}}})
	v, err := report.ViewOf(ledger.Header{ID: "r7k2", Schema: schema, Backends: []journal.BackendPin{{Label: "cloud"}}})
	if err != nil || v.Schema.Index("login") != 0 || v.Labels[0] != "cloud" {
		t.Errorf("ViewOf = %+v, %v", v, err)
	}
	if _, err := report.ViewOf(ledger.Header{ID: "r7k2", Schema: []byte("{")}); err == nil {
		t.Error("a broken schema is no error")
	}
}
