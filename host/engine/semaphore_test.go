package engine

import (
	"context"
	"testing"
)

// TestASemaphoreLetsSoManyIn, those who are inside as often as they like, and others
// when one has left.
func TestASemaphoreLetsSoManyIn(t *testing.T) {
	g := newSemaphore(2)
	woken := 0
	g.onRelease(func() { woken++ })
	ann, ben, cy := &permit{}, &permit{}, &permit{}
	for _, in := range []*permit{ann, ben, ann} {
		if !g.room(in) || !g.admit(in) {
			t.Error("there is room for two")
		}
	}
	if g.room(cy) || g.admit(cy) || cy.sent() {
		t.Error("a third one was let in")
	}
	ended, end := context.WithCancel(t.Context())
	end()
	if g.wait(ended, cy) == nil {
		t.Error("who waits when the run stops was let in")
	}
	g.leave(cy) // was never inside
	if woken != 0 || g.room(cy) {
		t.Error("who was not inside made room")
	}
	waits := make(chan error)
	go func() { waits <- g.wait(t.Context(), cy) }()
	g.leave(ann)
	if err := <-waits; err != nil || woken != 1 || !cy.sent() {
		t.Errorf("one has left: %v, woken %d times", err, woken)
	}
	if g.room(&permit{}) {
		t.Error("the place that was left is taken")
	}
}

// TestASemaphoreWithoutABoundWakesNobody: nobody waits at it.
func TestASemaphoreWithoutABoundWakesNobody(t *testing.T) {
	g := newSemaphore(0)
	g.onRelease(func() { t.Error("woken") })
	for range 100 {
		in := &permit{}
		if !g.room(in) || !g.admit(in) {
			t.Fatal("there is no bound")
		}
		defer g.leave(in)
	}
}
