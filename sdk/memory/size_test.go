package memory_test

import (
	"context"
	"fmt"
	"runtime"
	"testing"

	"github.com/rekey-host/rekey/sdk"
	"github.com/rekey-host/rekey/sdk/memory"
)

// heap returns the bytes that live in the heap.
func heap() uint64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// filled returns how many bytes an account takes after n were set.
func filled(t testing.TB, n int) float64 {
	i := open(t, memory.New(), nil)
	before := heap()
	for k := range n {
		op := set(fmt.Sprintf("user%07d", k), "correct horse battery")
		op.ID = fmt.Sprintf("r7k2m3-%d-1-1", k)
		if r := i.Apply(context.Background(), op); r.Outcome != sdk.Applied {
			t.Fatal(r.Err)
		}
	}
	bytes := float64(heap()-before) / float64(n)
	runtime.KeepAlive(i)
	return bytes
}

// TestBytesOfAnAccount holds what an account takes, its name among it: a trial of
// ten million users has to fit.
func TestBytesOfAnAccount(t *testing.T) {
	const most = 200
	if got := filled(t, 200_000); got > most {
		t.Errorf("%.0f bytes an account, want at most %d", got, most)
	} else {
		t.Logf("%.0f bytes an account", got)
	}
}
