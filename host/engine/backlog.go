package engine

import "sync/atomic"

// backlog counts the durable operations of a dispatcher not sent yet.
type backlog struct {
	durable atomic.Int64
	credit  int64 // of its plugin
}

// runsDry reports whether the plugin would run dry unless intents become durable
// soon.
func (b *backlog) runsDry() bool { return b.durable.Load() <= b.credit }
