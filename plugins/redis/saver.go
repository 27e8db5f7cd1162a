package redis

import (
	"context"
	"sync"
)

// saver makes changes last. Who asks while it saves shares the next save: one
// takes in what all of them have changed.
type saver struct {
	write   func(context.Context) *failure
	mu      sync.Mutex
	next    *round // that has not begun; nil: nothing waits
	busy    bool
	running sync.WaitGroup
	ctx     context.Context
	stop    context.CancelFunc
}

// round is one save.
type round struct {
	done   chan struct{} // closed when failed is there
	failed *failure
}

func newSaver(write func(context.Context) *failure) *saver {
	made := &saver{write: write}
	made.ctx, made.stop = context.WithCancel(context.Background()) // ends with close
	return made
}

// save returns when a save is over that began after it was asked.
func (s *saver) save(ctx context.Context) *failure {
	s.mu.Lock()
	if s.next == nil {
		s.next = &round{done: make(chan struct{})}
	}
	mine := s.next
	if !s.busy {
		s.busy = true
		s.running.Go(s.loop)
	}
	s.mu.Unlock()
	select {
	case <-mine.done:
		return mine.failed
	case <-ctx.Done():
		return &failure{sent: true, err: notSaved(ctx.Err().Error())}
	}
}

func (s *saver) loop() {
	for {
		s.mu.Lock()
		round := s.next
		s.next = nil
		s.busy = round != nil
		s.mu.Unlock()
		if round == nil {
			return
		}
		round.failed = s.write(s.ctx)
		close(round.done)
	}
}

// close waits for what is being saved.
func (s *saver) close() {
	s.running.Wait()
	s.stop()
}
