package backendtest

import (
	"runtime"
	"time"
)

// goroutines counts those of this process; 0 if the backend is in another.
func goroutines(p *probe) int {
	if !p.near {
		return 0
	}
	return runtime.NumGoroutine()
}

// settled waits until there are no more goroutines than before, for two
// seconds at most: those that are about to end may.
func settled(p *probe, before int) int {
	n := goroutines(p)
	for range 200 {
		if n <= before {
			break
		}
		time.Sleep(10 * time.Millisecond)
		n = goroutines(p)
	}
	return n
}
