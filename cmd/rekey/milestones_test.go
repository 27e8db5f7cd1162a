package main

import (
	"strings"
	"testing"
	"time"

	"github.com/rekey-host/rekey/host/journal"
)

func TestMilestonesSayHowFarARunIs(t *testing.T) {
	now, said := time.Unix(1_000_000, 0), make(chan string, 100)
	m := &milestones{every: time.Millisecond, now: func() time.Time { return now }, say: func(line string) { said <- line }}
	m.Begin(2000, 500)
	if line := <-said; line != "500 of 2,000 users, 0 failed, 0 unknown" {
		t.Errorf("at the beginning: %q", line)
	}
	m.End()
	now = now.Add(10 * time.Second)
	for range 900 {
		m.Finished(journal.Done, "")
	}
	for range 80 {
		m.Finished(journal.Failed, "")
	}
	for range 20 {
		m.Finished(journal.Unresolved, "")
	}
	if line, want := m.line(), "1,500 of 2,000 users, 80 failed, 20 unknown, 100/s, 5s left"; line != want {
		t.Errorf("%q, want %q", line, want)
	}
	for len(said) > 0 {
		<-said
	}
	time.Sleep(5 * time.Millisecond)
	if len(said) > 0 || strings.Contains(m.line(), "NaN") {
		t.Error("a line after the end")
	}
}
