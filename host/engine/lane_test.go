package engine

import (
	"sync"
	"testing"
)

// TestWhatIsAbandonedIsNeverSent, and what was sent is not abandoned.
func TestWhatIsAbandonedIsNeverSent(t *testing.T) {
	l := &lane{writer: &writer{wake: make(chan struct{}, 1)}}
	l.cond = sync.NewCond(&l.mu)
	queued, early, sent := &parcel{}, &parcel{}, &parcel{sent: true}
	l.push(queued)
	if !l.abandon(queued) || !l.abandon(early) || l.abandon(sent) {
		t.Error("what was queued, and what was not durable yet, can be abandoned; what was sent cannot")
	}
	l.push(early) // its intent became durable meanwhile
	if n := len(l.queue); n != 0 || l.durable.Load() != 0 {
		t.Errorf("%d operations are queued, %d counted, want none", n, l.durable.Load())
	}
}
