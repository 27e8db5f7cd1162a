package report_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
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

const canary = "c\"a\\n%y é"

// sampleRun is a run of 2,000 users that was stopped in its second wave.
func sampleRun() report.Run {
	began := time.Date(2026, 9, 14, 6, 30, 12, 0, time.UTC)
	return report.Run{
		ID: "r7k2", Script: "rotate.star", Status: journal.StateStopped,
		Reason: `wave "all": 21 users failed, more than max_failures allows`,
		Counts: ledger.Counts{Total: 2000, Done: 1406, Failed: 41, Skipped: 63, Partial: 3, Unknown: 2, Pending: 485},
		Waves: []ledger.WaveCounts{
			{Name: "canary", Counts: ledger.Counts{Total: 50, Done: 49, Failed: 1}},
			{Name: "all", Counts: ledger.Counts{Total: 1887, Done: 1357, Failed: 40, Partial: 3, Unknown: 2, Pending: 485}},
		},
		Groups: []report.Group{
			{Code: sdk.ConnectionLost, Unknown: true, Users: 2, Key: "u0731", Message: "the connection was cut after the request was sent"},
			{Code: sdk.AccountNotFound, Users: 37, Key: "u0012", Message: `no entry has uid "u0012"`},
			{Code: sdk.PolicyViolation, Users: 6, Partial: 2, Key: "u0044", Message: "the value is one of the last 5"},
			{Code: "ScriptFailed", Users: 1, Partial: 1, Key: "u0901", Message: "cloud changed, directory refused: <busy>"},
		},
		Started: began, Ended: began.Add(192 * time.Second), Requestor: "CHG-20417", SourceSystem: "migration", OSUser: "maria", Host: "ops-3", Version: "1.0.0",
		Head: "q1RZ0sJ3n1cCkXn2o3h0m1cJm6nS1mJpJ0Jq8hQwZ5Y=", Size: 6123,
		Files:    []string{"passwords.csv", "report.html"},
		Warnings: []string{report.Spoilt{Column: "name", Users: 2, Key: "u0007"}.Warning("passwords.csv")},
	}
}

// sampleResults are a few users of it, of every status.
func sampleResults() []report.Result {
	at := time.Date(2026, 9, 14, 6, 31, 0, 0, time.UTC)
	value := secret.New(canary)
	user := func(key string, s journal.Status, code sdk.Code, message, wave string) report.Result {
		return report.Result{Row: source.Row{Key: key}, Status: s, Code: code, Message: message, Wave: wave, Attempts: 1, At: at}
	}
	done := user("ann@acme.example", journal.Done, "", "", "canary")
	done.Password, done.Values = &value, report.Values{{Name: "cloud", Certain: value}}
	return []report.Result{
		done,
		user("bob@acme.example", journal.Failed, sdk.AccountNotFound, `no entry has uid "bob"`, "all"),
		user("cy@acme.example", journal.Partial, "ScriptFailed", "cloud changed, directory refused: </script><!-- & \u2028", "all"),
		user("dee@acme.example", journal.Unresolved, sdk.ConnectionLost, "cut after it was sent", "all"),
		user("eve@acme.example", journal.Skipped, "", "change freeze: sales", ""),
		user("fay@acme.example", journal.Pending, "", "", "all"),
	}
}

// writer is what the formats have in common.
type writer interface {
	Add(report.Result, report.Row) error
	Close() error
}

// golden compares with a file under testdata; UPDATE=1 rewrites it.
func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	file := filepath.Join("testdata", name)
	if os.Getenv("UPDATE") == "1" {
		if err := os.WriteFile(file, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("%s (-want +got):\n%s", file, diff)
	}
}

func write(t *testing.T, w writer, results []report.Result, row func(report.Result) report.Row) {
	t.Helper()
	for _, r := range results {
		if err := w.Add(r, row(r)); err != nil {
			t.Fatalf("Add: %v", err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatalf("Close: %v", err)
	}
}

// manyResults are n users in the proportions of sampleRun.
func manyResults(n int) func(func(report.Result) bool) {
	teams := []string{"it-ops", "sales", "finance", "support", "research"}
	return func(yield func(report.Result) bool) {
		for i := range n {
			r := report.Result{Row: source.Row{Key: fmt.Sprintf("u%06d@%s.acme.example", i, teams[i%5])}, Status: journal.Done, Wave: "all"}
			switch {
			case i%53 == 12:
				r.Status, r.Code, r.Message = journal.Failed, sdk.AccountNotFound, fmt.Sprintf("no entry has uid %q", r.Row.Key)
			case i%331 == 44:
				r.Status, r.Code, r.Message = journal.Partial, sdk.PolicyViolation, "the value is one of the last 5"
			case i%997 == 731:
				r.Status, r.Code, r.Message = journal.Unresolved, sdk.ConnectionLost, "the connection was cut after the request was sent"
			case i%31 == 5:
				r.Status, r.Wave, r.Message = journal.Skipped, "", "change freeze: "+teams[i%5]
			case i > n*3/4:
				r.Status = journal.Pending
			case i < 50:
				r.Wave = "canary"
			}
			if !yield(r) {
				return
			}
		}
	}
}

func page(t testing.TB, run report.Run, n int) []byte {
	t.Helper()
	var b bytes.Buffer
	h := report.NewHTML(&b, run)
	for r := range manyResults(n) {
		if err := h.Add(r, report.DefaultRow(r)); err != nil {
			t.Fatal(err)
		}
	}
	if err := h.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}
