package serve_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/rekey-host/rekey/sdk"
	"github.com/rekey-host/rekey/sdk/secret"
)

// BenchmarkStream is what an operation costs over the stream, host, wire and
// plugin in one process: in frames of 64, of a backend that answers at once, and
// of one that takes its time.
func BenchmarkStream(b *testing.B) {
	for _, wait := range []time.Duration{0, time.Millisecond} {
		b.Run(fmt.Sprint(wait), func(b *testing.B) {
			i := serving(b, &fake{apply: func(context.Context, sdk.Operation) sdk.Receipt {
				if wait > 0 {
					time.Sleep(wait)
				}
				return sdk.OK()
			}}, sdk.Config{Concurrency: 64})
			stream(b, i.Submit)
		})
	}
}

// stream sends operations in frames of 64, 1,024 under way.
func stream(b *testing.B, submit func([]sdk.Operation, func(int, sdk.Receipt))) {
	const size = 64
	ops := make([]sdk.Operation, size)
	window := make(chan struct{}, 1024)
	var open sync.WaitGroup
	b.ReportAllocs()
	for sent := 0; sent < b.N; sent += size {
		n := min(size, b.N-sent)
		for k := range n {
			ops[k] = sdk.Operation{ID: fmt.Sprintf("run-%d-1-1", sent+k), Verb: sdk.Set, Account: fmt.Sprintf("user%07d", sent+k), Value: secret.New(fmt.Sprintf("Xq7-%016d", sent+k))}
			window <- struct{}{}
		}
		open.Add(n)
		submit(ops[:n], func(int, sdk.Receipt) { <-window; open.Done() })
	}
	open.Wait()
}

// BenchmarkVerify is what a verify costs in a frame, and as a call of its own.
func BenchmarkVerify(b *testing.B) {
	i := serving(b, able{&fake{apply: func(context.Context, sdk.Operation) sdk.Receipt { return sdk.OK() }}}, sdk.Config{Concurrency: 64})
	b.Run("in frames", func(b *testing.B) {
		stream(b, func(ops []sdk.Operation, answer func(int, sdk.Receipt)) {
			for n := range ops {
				ops[n].Verb = sdk.Verify
			}
			i.Submit(ops, answer)
		})
	})
	b.Run("calls", func(b *testing.B) {
		slots := make(chan struct{}, 64)
		var open sync.WaitGroup
		b.ReportAllocs()
		for b.Loop() {
			slots <- struct{}{}
			open.Go(func() {
				_, _ = i.Verify(context.Background(), "user", "", secret.New("Xq7-0000000000000001"))
				<-slots
			})
		}
		open.Wait()
	})
}
