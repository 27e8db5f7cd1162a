package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"
)

// held is written to when it is let go.
type held struct {
	bytes.Buffer
	free chan struct{}
}

func (h *held) Write(p []byte) (int, error) {
	<-h.free
	return h.Buffer.Write(p)
}

// TestASpoolKeepsTheOrderAndCountsWhatIsLeftOut.
func TestASpoolKeepsTheOrderAndCountsWhatIsLeftOut(t *testing.T) {
	to := &held{free: make(chan struct{})}
	s := newSpool(to)
	began := time.Now()
	for i := range 1500 {
		if n, err := fmt.Fprintf(s, "%04d%s\n", i, strings.Repeat("x", 1019)); n != 1024 || err != nil {
			t.Fatal(n, err)
		}
	}
	if took := time.Since(began); took > 2*patience {
		t.Errorf("who prints waited %s", took)
	}
	s.hurry()
	s.flush() // it is not read
	close(to.free)
	s.flush()
	_, _ = fmt.Fprintln(s, "the end")
	lines := strings.Split(strings.TrimSpace(to.String()), "\n")
	if n := len(lines); n != 1024+2 || lines[n-1] != "the end" || lines[n-2] != "rekey: 476 messages left out here: standard error was not read" {
		t.Fatalf("%d lines, the last ones %.200q", n, lines[max(0, n-2):])
	}
	for i, line := range lines[:1024] {
		if !strings.HasPrefix(line, fmt.Sprintf("%04dx", i)) {
			t.Fatalf("line %d is %.10s", i, line)
		}
	}
}

// TestASpoolThatIsReadIsAsAFile: what is printed is there, and so is its error.
func TestASpoolThatIsReadIsAsAFile(t *testing.T) {
	var to bytes.Buffer
	s := newSpool(&to)
	for i := range 100 {
		_, _ = fmt.Fprintln(s, i)
		if !strings.HasSuffix(to.String(), fmt.Sprintf("%d\n", i)) {
			t.Fatalf("%d is not there", i)
		}
		s.flush()
	}
	r, w := io.Pipe()
	_ = r.Close()
	if _, err := newSpool(w).Write([]byte("x")); !errors.Is(err, io.ErrClosedPipe) {
		t.Errorf("got %v", err)
	}
}
