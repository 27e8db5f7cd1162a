package main

import (
	"fmt"
	"sync/atomic"
	"time"

	"github.com/rekey-host/rekey/host/journal"
	"github.com/rekey-host/rekey/sdk"
)

// milestones tell how far a run is where there is no terminal: a line now and then,
// the first after a while, so that a short run has none.
type milestones struct {
	every time.Duration
	now   func() time.Time
	say   func(line string)

	began                 time.Time
	total, before         int64
	done, failed, unknown atomic.Int64
	end, ended            chan struct{}
}

// Begin begins to count.
func (m *milestones) Begin(total, finished int64) {
	m.began, m.total, m.before = m.now(), total, finished
	m.end, m.ended = make(chan struct{}), make(chan struct{})
	go m.tell()
}

func (m *milestones) tell() {
	defer close(m.ended)
	ticker := time.NewTicker(m.every)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			m.say(m.line())
		case <-m.end:
			return
		}
	}
}

// Finished counts a user.
func (m *milestones) Finished(status journal.Status, _ sdk.Code) {
	switch status {
	case journal.Failed, journal.Partial:
		m.failed.Add(1)
	case journal.Unresolved:
		m.unknown.Add(1)
	default:
		m.done.Add(1)
	}
}

// line is how far the run is now.
func (m *milestones) line() string {
	failed, unknown := m.failed.Load(), m.unknown.Load()
	here := m.done.Load() + failed + unknown
	text := fmt.Sprintf("%s of %s, %s failed, %s unknown", thousands(m.before+here), counted(m.total, "user"), thousands(failed), thousands(unknown))
	spent := m.now().Sub(m.began)
	if here == 0 || spent <= 0 {
		return text
	}
	rate := float64(here) / spent.Seconds()
	left := time.Duration(float64(m.total-m.before-here) / rate * float64(time.Second))
	return fmt.Sprintf("%s, %.3g/s, %s left", text, rate, left.Round(time.Second))
}

// End ends it.
func (m *milestones) End() {
	close(m.end)
	<-m.ended
}
