package report_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"html"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/rekey-host/rekey/host/journal"
	"github.com/rekey-host/rekey/host/ledger"
	"github.com/rekey-host/rekey/host/report"
	"github.com/rekey-host/rekey/host/source"
	"github.com/rekey-host/rekey/sdk/secret"
)

func TestThePageRefusesSecrets(t *testing.T) {
	for name, v := range map[string]any{
		"plain": secret.New(canary), "in a list": []any{1, secret.New(canary)}, "in a map": map[string]any{"x": []any{secret.New(canary)}},
		"in a row": report.Row{{Name: "x", Value: secret.New(canary)}},
	} {
		t.Run(name, func(t *testing.T) {
			var b bytes.Buffer
			h := report.NewHTML(&b, sampleRun())
			err := h.Add(report.Result{Row: source.Row{Key: "ann"}, Status: journal.Done}, report.Row{{Name: "password", Value: v}})
			want := `row of user "ann", column "password": the value is secret, and an HTML report never holds one; leave the column out, or use csv or json`
			if err == nil || err.Error() != want {
				t.Errorf("Add = %v, want %q", err, want)
			}
			_ = h.Close()
			if strings.Contains(b.String(), "é") {
				t.Error("the page holds the value")
			}
		})
	}
	h := report.NewHTML(io.Discard, sampleRun())
	if err := h.Add(report.Result{Status: journal.Done}, report.Row{{Name: "password", Value: secret.Value{}}}); err != nil {
		t.Errorf("an absent secret: %v", err)
	}
}

func TestThePageAsksNothingOfTheNetwork(t *testing.T) {
	p := string(page(t, sampleRun(), 3))
	if m := regexp.MustCompile(`(?i)\b(https?:)?//[a-z]|\b(src|href|action)="[^#"]`).FindString(strings.ReplaceAll(p, "// ", "")); m != "" {
		t.Errorf("the page refers to %q", m)
	}
	if m := regexp.MustCompile(`(?i)<[^>]*\s(on[a-z]+|style)=`).FindString(p); m != "" {
		t.Errorf("the policy forbids %q", m)
	}
	policy := html.UnescapeString(regexp.MustCompile(`http-equiv="Content-Security-Policy" content="([^"]*)"`).FindStringSubmatch(p)[1])
	for _, tag := range []string{"style", "script"} {
		text := regexp.MustCompile(`(?s)<` + tag + `>(.*?)</` + tag + `>`).FindStringSubmatch(p)[1]
		sum := sha256.Sum256([]byte(text))
		if hash := tag + "-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"; !strings.Contains(policy, hash) {
			t.Errorf("policy %q lacks %q", policy, hash)
		}
	}
	if !strings.HasPrefix(policy, "default-src 'none'; ") {
		t.Errorf("policy = %q", policy)
	}
}

func TestACellCannotLeaveItsBlock(t *testing.T) {
	var b bytes.Buffer
	h := report.NewHTML(&b, report.Run{ID: "r1", Status: journal.StateFinished})
	evil := `</script><script>alert(1)</script><!--<script>`
	if err := h.Add(report.Result{Row: source.Row{Key: evil}, Status: journal.Done}, report.Row{{Name: evil, Value: evil}}); err != nil {
		t.Fatal(err)
	}
	if err := h.Close(); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(b.String(), "alert(1)</") || strings.Contains(b.String(), "<!--") {
		t.Error("the cell is not escaped")
	}
}

func TestVerdictsSayHowItWent(t *testing.T) {
	tests := []struct {
		counts    ledger.Counts
		unchanged int64
		want      string
	}{
		{ledger.Counts{}, 0, "There were no users."},
		{ledger.Counts{Total: 3, Skipped: 3}, 0, "Nothing was changed: every user was skipped."},
		{ledger.Counts{Total: 1, Done: 1}, 0, "The user has a new password."},
		{ledger.Counts{Total: 1, Done: 1}, 1, "0 of 1 users have their new password. 1 done without a change."},
		{ledger.Counts{Total: 1500, Done: 1400, Skipped: 100}, 0, "All 1,400 users have their new password."},
		{ledger.Counts{Total: 1500, Done: 1400, Skipped: 100}, 1400, "0 of 1,400 users have their new password. 1,400 done without a change."},
		{ledger.Counts{Total: 10, Done: 8, Failed: 1, Unknown: 1}, 0, "8 of 10 users have their new password. For 1 it is not known which password they have: it is one that the ledger holds."},
	}
	for _, tt := range tests {
		var b bytes.Buffer
		_ = report.NewHTML(&b, report.Run{ID: "r1", Status: journal.StateFinished, Counts: tt.counts, Unchanged: tt.unchanged}).Close()
		got := regexp.MustCompile(`<p class="verdict">(.*)</p>`).FindStringSubmatch(b.String())[1]
		if html.UnescapeString(got) != tt.want {
			t.Errorf("verdict of %+v = %q, want %q", tt.counts, got, tt.want)
		}
	}
}

// dump is the page as the browser has made it.
func dump(t *testing.T, file, hash string) string {
	t.Helper()
	browser, err := exec.LookPath("chromium")
	if err != nil {
		t.Fatalf("the page is tested in a browser: install the package chromium: %v", err)
	}
	ctx, stop := context.WithTimeout(t.Context(), time.Minute)
	defer stop()
	cmd := exec.CommandContext(ctx, browser, "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
		"--disable-background-networking", "--disable-component-update", "--disable-sync", "--user-data-dir="+t.TempDir(),
		"--virtual-time-budget=5000", "--dump-dom", "file://"+file+hash)
	cmd.WaitDelay = time.Second
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("chromium: %v", err)
	}
	return string(out)
}

// shown are the keys of the rows that the table shows, and the line below it.
func shown(dom string) (keys []string, count string) {
	for _, m := range regexp.MustCompile(`<tr role="row"><td role="cell" data-label="key">([^<]*)</td>`).FindAllStringSubmatch(dom, -1) {
		keys = append(keys, html.UnescapeString(m[1]))
	}
	if m := regexp.MustCompile(`id="count" role="status">([^<]*)<`).FindStringSubmatch(dom); m != nil {
		count = m[1]
	}
	return keys, count
}

func TestTheTableSearchesFiltersAndTurnsPages(t *testing.T) {
	file := filepath.Join(t.TempDir(), "page.html")
	if err := os.WriteFile(file, page(t, sampleRun(), 20000), 0o600); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name, hash  string
		first, last string
		rows        int
		count       string
	}{
		{"all", "", "u000000@it-ops.acme.example", "u000099@research.acme.example", 100, "1–100 of 20,000 users"},
		{"a text", "#q=U001234", "u001234@research.acme.example", "u001234@research.acme.example", 1, "1 of 20,000 users"},
		{"two words", "#q=sales+uid", "u000171@sales.acme.example", "", 75, "75 of 20,000 users"},
		{"a status", "#status=unknown", "u000731@sales.acme.example", "", 19, "19 of 20,000 users"},
		{"a code", "#code=PolicyViolation&q=it-ops", "u000375@it-ops.acme.example", "", 12, "12 of 20,000 users"},
		{"nobody", "#q=nobody", "", "", 0, "0 of 20,000 users"},
		{"many of more", "#status=failed", "u000012@finance.acme.example", "", 100, "1–100 of 378 users, 20,000 in all"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			keys, count := shown(dump(t, file, tt.hash))
			if len(keys) != tt.rows || count != tt.count {
				t.Fatalf("%d rows, %q, want %d, %q", len(keys), count, tt.rows, tt.count)
			}
			if tt.rows > 0 && keys[0] != tt.first || tt.last != "" && keys[len(keys)-1] != tt.last {
				t.Errorf("from %q to %q, want %q to %q", keys[0], keys[len(keys)-1], tt.first, tt.last)
			}
		})
	}
}

func TestHostileCellsAreShownAsText(t *testing.T) {
	file := filepath.Join(t.TempDir(), "page.html")
	var b bytes.Buffer
	h := report.NewHTML(&b, sampleRun())
	evil := `</script><img src=x onerror="document.title='owned'"><!-- & ' " é`
	for _, key := range []string{evil, "second"} {
		if err := h.Add(report.Result{Row: source.Row{Key: key}, Status: journal.Failed, Code: "X<b>"}, report.Row{{Name: "key", Value: key}, {Name: "n<i>", Value: int64(3)}}); err != nil {
			t.Fatal(err)
		}
	}
	if err := h.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, b.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	dom := dump(t, file, "")
	keys, count := shown(dom)
	if len(keys) != 2 || keys[0] != evil || count != "2 users" {
		t.Errorf("keys = %q, %q", keys, count)
	}
	if strings.Contains(dom, "<img") || strings.Contains(dom, "<title>owned") || !strings.Contains(dom, "n&lt;i&gt;") {
		t.Error("a cell was taken for markup")
	}
}
