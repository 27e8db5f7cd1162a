package engine

import "runtime/debug"

// panics is told of a goroutine that panics, and should not return; see
// Job.Panicked. A nil one lets the panic go on.
type panics func(user string, reason any, stack []byte)

// guard is deferred by all that begins on a goroutine of its own, or on one that
// is not the engine's. It says whose goroutine panics: the user's key; "" where it
// works for many.
func (p panics) guard(user string) {
	if p == nil {
		return
	}
	if reason := recover(); reason != nil {
		p(user, reason, debug.Stack())
		panic(reason)
	}
}

// guarded is fn for a goroutine that works for many.
func (p panics) guarded(fn func()) func() {
	return func() {
		defer p.guard("")
		fn()
	}
}
