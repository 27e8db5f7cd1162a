package launch

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"regexp"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/hashicorp/go-hclog"

	"github.com/rekey-host/rekey/sdk/dial"
	"github.com/rekey-host/rekey/sdk/secret"
)

// flooded reads what write writes as a plugin's standard error, and returns what it
// keeps of it.
func flooded(t *testing.T, redact *dial.Redactor, write func(io.Writer)) (kept []string) {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		write(w)
		_ = w.Close()
	}()
	read := &tail{from: r, dropped: &atomic.Int64{}, redact: redact, log: hclog.NewNullLogger(), file: func(text string) { kept = append(kept, text) }}
	read.read()
	return kept
}

// pieceOf returns a piece of the secret of so many bytes that a text has; "" if it has none.
func pieceOf(secret, text string, count int) string {
	for from := range len(secret) - count + 1 {
		if piece := secret[from : from+count]; strings.Contains(text, piece) {
			return piece
		}
	}
	return ""
}

var droppedLines = regexp.MustCompile(`^rekey: (\d+) lines dropped: `)

// TestAFloodIsDroppedAndCounted: who writes is not held up by the search for secrets, so
// that most are dropped; no line is missing in the count, the last one is there, and no secret: of one that goes
// over the end of a line its larger part stands alone.
func TestAFloodIsDroppedAndCounted(t *testing.T) {
	t.Parallel()
	const canary = "C4n'ary-Xy7Q-lo9g"
	redact := &dial.Redactor{}
	redact.Note(secret.New(canary))
	for n := range 1000 {
		redact.Note(secret.New(fmt.Sprintf("another-%d-Secret", n)))
	}
	const count = 100_000
	kept := flooded(t, redact, func(pipe io.Writer) {
		w := bufio.NewWriterSize(pipe, 1<<20)
		for n := range count {
			from, to := n%len(canary), (n+1)%len(canary)
			_, _ = fmt.Fprintf(w, "%s and much that is said of it %d %s\n", canary[from:], n, canary[:to])
		}
		_, _ = io.WriteString(w, canary[count%len(canary):]+"\npanic: the last one")
		_ = w.Flush()
	})
	passed, dropped := 0, 0
	for _, line := range kept {
		if of := droppedLines.FindStringSubmatch(line); of != nil {
			more, _ := strconv.Atoi(of[1])
			dropped += more
			continue
		}
		passed++
		if eight := pieceOf(canary, line, 8); eight != "" {
			t.Fatalf("%q is left", eight)
		}
	}
	if passed+dropped != count+2 || dropped < count/2 || kept[len(kept)-1] != "panic: the last one" && kept[len(kept)-2] != "panic: the last one" {
		t.Errorf("%d lines passed, %d were dropped of %d; the last is %q", passed, dropped, count+2, kept[len(kept)-1])
	}
}

// TestALineWhoseSecretsMayBeForgottenIsDropped, as one that waits while thousands of
// users are served.
func TestALineWhoseSecretsMayBeForgottenIsDropped(t *testing.T) {
	t.Parallel()
	redact := &dial.Redactor{}
	lines := newBacklog(redact.Noted, &atomic.Int64{})
	lines.put("old")
	for n := range waitNotes + 1 {
		redact.Note(secret.New(fmt.Sprint("a secret of a user ", n)))
	}
	lines.put("new")
	lines.end()
	line, ok := lines.take()
	if !ok || line.text != "new" || line.before != "old\n" || lines.left() != 1 {
		t.Errorf("got %+v", line)
	}
	if line, ok := lines.take(); ok {
		t.Errorf("then %+v", line)
	}
}

// TestABacklogIsBounded in bytes too, and of a long line holds no more than is looked at.
func TestABacklogIsBounded(t *testing.T) {
	t.Parallel()
	lines := newBacklog(func() uint64 { return 0 }, &atomic.Int64{})
	for range 200 {
		lines.put(strings.Repeat("x", readBytes))
	}
	if lines.bytes > waitBytes || len(lines.waiting) != waitBytes/(2*maxLine) || lines.left() != int64(200-len(lines.waiting)) {
		t.Errorf("%d bytes in %d lines", lines.bytes, len(lines.waiting))
	}
}
