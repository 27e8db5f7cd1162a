package command

import "sync"

// strays are the programs that go on after their time, by the account that they were
// started for.
type strays struct {
	mu   sync.Mutex
	left map[string]<-chan struct{}
}

func newStrays() *strays { return &strays{left: map[string]<-chan struct{}{}} }

// add notes a program until the channel is closed. Nil: it has ended.
func (s *strays) add(account string, left <-chan struct{}) {
	if left == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.left[account] = left
}

// has reports whether a program still runs on an account.
func (s *strays) has(account string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	select {
	case <-s.left[account]:
		delete(s.left, account)
		return false
	default:
		return s.left[account] != nil
	}
}
