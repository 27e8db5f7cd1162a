package bounded

import (
	"context"
	"io"
)

// Within does something that may wait in the kernel, where nothing ends it: on
// a file system whose server is gone, or a file of the kernel's. It waits for it
// until the context ends. A later result is dropped.
func Within[T any](ctx context.Context, do func() (T, error)) (T, error) {
	return withinOr(ctx, do, func(T) {})
}

// withinOr is Within for a result that needs a hand to drop it.
func withinOr[T any](ctx context.Context, do func() (T, error), drop func(T)) (T, error) {
	if ctx.Done() == nil {
		return do()
	}
	type result struct {
		found T
		err   error
	}
	done := make(chan result)
	go func() {
		found, err := do()
		select {
		case done <- result{found, err}:
		case <-ctx.Done():
			if err == nil {
				drop(found)
			}
		}
	}()
	select {
	case result := <-done:
		return result.found, result.err
	case <-ctx.Done():
		var none T
		return none, context.Cause(ctx)
	}
}

// most is how much one read takes at a time.
const most = 64 << 10

// read is a Read until the context ends. It may come to its end later: whatever it
// reads into is its own.
func read(ctx context.Context, r io.Reader, data []byte) (int, error) {
	if ctx.Done() == nil {
		return r.Read(data)
	}
	own := make([]byte, min(len(data), most))
	count, err := Within(ctx, func() (int, error) { return r.Read(own) })
	copy(data, own[:count])
	clear(own[:count]) // of a read that came to its end
	return count, err
}
