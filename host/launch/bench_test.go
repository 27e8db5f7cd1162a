package launch_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/rekey-host/rekey/host/launch"
	"github.com/rekey-host/rekey/sdk"
	"github.com/rekey-host/rekey/sdk/secret"
)

// BenchmarkOperations is what an operation costs between host and plugin, in two
// processes, with certificates: over the stream in frames of 64, 1 and one by
// one, and as unary calls, 32 at once.
func BenchmarkOperations(b *testing.B) {
	w := plug(b, command(b, "good"), launch.Options{})
	i := w.open(b, sdk.Config{Concurrency: 32})
	ops := make([]sdk.Operation, 1<<12)
	for n := range ops {
		ops[n] = sdk.Operation{Verb: sdk.Set, Account: fmt.Sprintf("user%07d", n), Value: secret.New(fmt.Sprintf("Xq7-%016d", n))}
	}
	for _, size := range []int{64, 1} {
		b.Run(fmt.Sprintf("stream/frames of %d", size), func(b *testing.B) {
			window := make(chan struct{}, 1024)
			var open sync.WaitGroup
			for sent := 0; sent < b.N; sent += size {
				n := min(size, b.N-sent)
				open.Add(n)
				for range n {
					window <- struct{}{}
				}
				at := sent % (len(ops) - size)
				i.Submit(ops[at:at+n], func(int, sdk.Receipt) { <-window; open.Done() })
			}
			open.Wait()
		})
	}
	b.Run("unary", func(b *testing.B) {
		slots := make(chan struct{}, 32)
		var open sync.WaitGroup
		for n := range b.N {
			slots <- struct{}{}
			open.Go(func() {
				op := ops[n%len(ops)]
				op.Verb = sdk.Unlock
				i.Ask(context.Background(), op)
				<-slots
			})
		}
		open.Wait()
	})
}

// BenchmarkStart is what a first operation waits for.
func BenchmarkStart(b *testing.B) { benchStart(b, command(b, "good"), launch.Options{}) }

func benchStart(b *testing.B, command launch.Command, options launch.Options) {
	b.Helper()
	for b.Loop() {
		p := launch.New(command, options)
		i, err := p.Open(context.Background(), sdk.Config{Label: "x", Concurrency: 1, Timeout: time.Minute})
		if err != nil {
			b.Fatal(err)
		}
		if r := one(b, i, sdk.Operation{Account: "u"}); r.Outcome != sdk.Applied {
			b.Fatal(r.Err)
		}
		b.StopTimer()
		_ = p.Close()
		b.StartTimer()
	}
}
