package launch

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/rekey-host/rekey/sdk/dial"
	"github.com/rekey-host/rekey/sdk/secret"
	"github.com/rekey-host/rekey/sdk/strict"
)

func openLogs(t *testing.T) (logs *Logs, dir string) {
	t.Helper()
	dir = filepath.Join(t.TempDir(), "logs")
	logs, err := OpenLogs(dir, func() time.Time { return time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC) })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = logs.Close() })
	return logs, dir
}

func readLog(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// TestWhatAPluginPrintsGoesToItsFile: scrubbed, a stack on lines of its own, and
// nothing that a terminal obeys; another plugin's elsewhere.
func TestWhatAPluginPrintsGoesToItsFile(t *testing.T) {
	t.Parallel()
	logs, dir := openLogs(t)
	redact := &dial.Redactor{}
	redact.Note(secret.New("Spring-1728-x"))
	made := &tail{redact: redact, log: hclog.NewNullLogger(), file: func(text string) { logs.line("acme", 7, text) }}
	made.take(placed{text: "plain \x1b[31mSpring-1728-x"})
	made.take(placed{text: `{"@level":"error","@message":"panic","account":"ann","stack":"goroutine 1:\n\tmain.set(Spring-1728-x)\n"}`})
	logs.line("other", 8, "elsewhere")
	at := "2026-11-30T12:00:00.000Z [7] "
	want := at + "plain [31m[redacted]\n" + at + "ERROR panic account=ann\n" + at + "  stack:\n" + at + "  | goroutine 1:\n" + at + "  |  main.set([redacted])\n"
	if got := readLog(t, filepath.Join(dir, "acme.log")); got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
	if got := readLog(t, filepath.Join(dir, "other.log")); !strings.HasSuffix(got, "[8] elsewhere\n") {
		t.Errorf("got %s", got)
	}
	for _, path := range []string{dir, filepath.Join(dir, "acme.log")} {
		if info, err := os.Stat(path); err != nil || info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s: %v %v", path, info.Mode(), err)
		}
	}
}

// TestALogIsRotated, and what two hosts write is all kept.
func TestALogIsRotated(t *testing.T) {
	t.Parallel()
	logs, dir := openLogs(t)
	second, err := OpenLogs(dir, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	defer second.Close()
	path := filepath.Join(dir, "acme.log")
	for n := range oldLogs + 3 {
		logs.line("acme", n, strings.Repeat("x", 100))
		second.line("acme", n, "second")
		if err := os.Truncate(path, mostLog); err != nil {
			t.Fatal(err)
		}
	}
	files, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil || len(files) != oldLogs+1 {
		t.Errorf("%d files, %v: %v", len(files), err, files)
	}
	if err := errors.Join(logs.Close(), second.Close()); err != nil {
		t.Error(err)
	}
}

// TestALogIsNotWrittenWhereAnotherUserCouldReadItElsewhere: neither into a
// directory of all, nor through a link.
func TestALogIsNotWrittenWhereAnotherUserCouldReadItElsewhere(t *testing.T) {
	t.Parallel()
	open := filepath.Join(t.TempDir(), "open")
	if err := errors.Join(os.Mkdir(open, 0o700), os.Chmod(open, 0o777)); err != nil {
		t.Fatal(err)
	}
	if _, err := OpenLogs(open, time.Now); !errors.As(err, new(*strict.Problem)) {
		t.Errorf("got %v", err)
	}
	logs, dir := openLogs(t)
	elsewhere := filepath.Join(t.TempDir(), "elsewhere")
	if err := os.Symlink(elsewhere, filepath.Join(dir, "acme.log")); err != nil {
		t.Fatal(err)
	}
	logs.line("acme", 1, "text")
	if _, err := os.Stat(elsewhere); err == nil || logs.Close() == nil {
		t.Error("it was written through the link, or nobody was told")
	}
}
