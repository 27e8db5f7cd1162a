package engine

import (
	"testing"

	"github.com/rekey-host/rekey/host/ledger"
)

// A wave with max_failures lets few users in at once. What the others have
// queued at the lane cannot be sent before one of those is done, so it is no
// reason to let their second step wait.
func TestAnIntentIsWorthASyncWhereOthersWaitForItsUser(t *testing.T) {
	bounded, open := newGate(2), newGate(0)
	inside, outside := &ticket{}, &ticket{}
	inside.admitted.Store(true)
	for _, c := range []struct {
		name   string
		queued int64 // durable operations that the lane has not sent
		gate   *gate
		ticket *ticket
		want   bool
	}{
		{"the lane would run dry", 0, open, outside, true},
		{"the lane has enough", 1000, open, outside, false},
		{"the lane has enough, and everybody may pass", 1000, open, inside, false},
		{"the lane has what may not be sent yet", 1000, bounded, inside, true},
		{"one of those that may not be sent yet", 1000, bounded, outside, false},
	} {
		l := &lane{backend: Backend{Concurrency: 2}}
		l.durable.Store(c.queued)
		w := &writer{queue: []entry{{rec: &ledger.Record{}, lane: l, pressing: c.gate.pressing(c.ticket)}}}
		if group, _ := w.take(false); (len(group) == 1) != c.want {
			t.Errorf("%s: taken %v, want %v", c.name, len(group) == 1, c.want)
		}
	}
}
