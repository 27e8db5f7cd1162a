package engine

import (
	"context"
	"sync"
	"testing"

	"github.com/rekey-host/rekey/host/ledger"
	"github.com/rekey-host/rekey/sdk"
)

// mute takes operations and never answers them.
type mute struct {
	*target
	once  sync.Once
	taken chan struct{} // closed when it has the first
}

func (m *mute) Submit(ops []sdk.Operation, _ func(int, sdk.Receipt)) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, op := range ops {
		m.take(op)
	}
	m.once.Do(func() { close(m.taken) })
}

func TestACancelledRunWaitsForNoAnswer(t *testing.T) {
	b := newBook(200)
	m := &mute{target: newTarget(t, b), taken: make(chan struct{})}
	backend := m.backend("mute")
	backend.Instance = m
	job := jobOf(b, generateAndSet("mute"), backend)
	ctx, cancel := context.WithCancel(t.Context())
	go func() { <-m.taken; cancel() }()
	ending, err := Apply(ctx, job)
	if err != nil || !ending.Interrupted {
		t.Fatalf("got %+v, %v", ending, err)
	}
	if done := b.counts()[ledger.Done]; done != 0 {
		t.Errorf("%d users are done, nobody answered", done)
	}
	for pos := int64(1); pos <= 200; pos++ {
		for _, rec := range b.user(pos) {
			if sent := m.current(keyOf(pos)) != ""; rec.Kind == ledger.Outcome && (rec.Outcome == sdk.Unknown) != sent {
				t.Errorf("%s: sent %v, recorded as %s", keyOf(pos), sent, rec.Outcome)
			}
		}
	}
}
