package serve

import (
	"context"
	"errors"
	"testing"
	"time"
)

// TestACallIsAContext holds it to what the standard library's contexts do, for
// those that are derived from it too.
func TestACallIsAContext(t *testing.T) {
	deadline := time.Now().Add(time.Hour)
	c := newCall([]*job{{}}, deadline)
	if at, ok := c.Deadline(); !ok || !at.Equal(deadline) || c.Err() != nil || c.Value("key") != nil {
		t.Errorf("deadline %v %v, err %v, value %v", at, ok, c.Err(), c.Value("key"))
	}
	derived, cancel := context.WithTimeout(c, 2*time.Hour)
	defer cancel()
	other, stop := context.WithCancel(c)
	stop()
	ran := make(chan struct{})
	context.AfterFunc(c, func() { close(ran) })
	if never := context.AfterFunc(c, func() { t.Error("it ran after it was stopped") }); !never() {
		t.Error("it could not be stopped")
	}
	if at, _ := derived.Deadline(); !at.Equal(deadline) || derived.Err() != nil || !errors.Is(other.Err(), context.Canceled) {
		t.Errorf("derived: deadline %v, err %v; cancelled: %v", at, derived.Err(), other.Err())
	}
	c.end(context.DeadlineExceeded)
	c.giveUp() // too late to be the reason
	<-c.Done()
	<-derived.Done()
	<-ran
	if !errors.Is(c.Err(), context.DeadlineExceeded) || !errors.Is(derived.Err(), context.DeadlineExceeded) || !errors.Is(context.Cause(derived), context.DeadlineExceeded) {
		t.Errorf("it ended with %v, the derived one with %v", c.Err(), derived.Err())
	}
	late := newCall(nil, deadline)
	late.giveUp()
	select {
	case <-late.Done():
	default:
		t.Error("who asks after the end waits")
	}
}
