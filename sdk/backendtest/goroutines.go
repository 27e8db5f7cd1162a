package backendtest

import (
	"runtime"
	"time"
)

// goroutines counts those of this process; 0 if the backend is in another.
func goroutines(probe *probe) int {
	if !probe.near {
		return 0
	}
	return runtime.NumGoroutine()
}

// settled waits until the goroutines are no more than before, for two
// seconds at most: those about to end may.
func settled(probe *probe, before int) int {
	count := goroutines(probe)
	for range 200 {
		if count <= before {
			break
		}
		time.Sleep(10 * time.Millisecond)
		count = goroutines(probe)
	}
	return count
}
