package htpasswd

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"sync"
	"time"

	"github.com/rekey-host/rekey/sdk"
	"github.com/rekey-host/rekey/sdk/secret"
)

// hashing makes the hashes of new values, one a processor. It runs against no
// deadline: a hash that is not ready when an operation has to be answered is
// ready, or nearer to it, when the operation comes again.
type hashing struct {
	hasher hasher
	slots  slots // hashing takes nothing else
	ctx    context.Context
	stop   context.CancelFunc

	mu      sync.Mutex
	open    map[string]*making // by operation
	made    map[string][]byte
	key     []byte        // of made
	took    time.Duration // the last hash
	running sync.WaitGroup
}

// making is one hash that is made, or being made.
type making struct {
	value secret.Value
	done  chan struct{} // closed when text or err is there
	text  string
	err   error
}

// remembered bounds what is kept of either: more than a host has under way.
const remembered = 4096

func newHashing(hasher hasher, processors int) *hashing {
	made := &hashing{hasher: hasher, slots: make(slots, processors), open: map[string]*making{}, made: map[string][]byte{}, key: make([]byte, 32)}
	_, _ = rand.Read(made.key) // never fails
	made.ctx, made.stop = context.WithCancel(context.Background())
	return made
}

// of returns the hash of an operation's value: the one that an earlier attempt
// began, or a new one.
func (g *hashing) of(op sdk.Operation) *making {
	g.mu.Lock()
	defer g.mu.Unlock()
	if making := g.open[op.ID]; making != nil && op.ID != "" && making.value.Equal(op.Value) {
		return making
	}
	made := &making{value: op.Value, done: make(chan struct{})}
	if op.ID != "" {
		if len(g.open) >= remembered {
			clear(g.open) // those are made again, should they be asked for
		}
		g.open[op.ID] = made
	}
	g.running.Go(func() { g.make(made) })
	return made
}

func (g *hashing) make(making *making) {
	defer close(making.done)
	if !g.slots.begin(g.ctx) {
		making.err = g.ctx.Err()
		return
	}
	defer g.slots.end()
	start := time.Now()
	making.text, making.err = g.hasher.hash([]byte(making.value.Reveal()))
	g.mu.Lock()
	defer g.mu.Unlock()
	g.took = time.Since(start)
	if making.err != nil {
		return
	}
	if len(g.made) >= remembered {
		clear(g.made)
	}
	g.made[making.text] = g.digest(making.value)
}

// over forgets the hash of an operation that is answered for good.
func (g *hashing) over(op sdk.Operation) {
	g.mu.Lock()
	defer g.mu.Unlock()
	delete(g.open, op.ID)
}

// knows reports whether the hash was made here from the value.
func (g *hashing) knows(text string, value secret.Value) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	was, ok := g.made[text]
	return ok && hmac.Equal(was, g.digest(value))
}

// digest stands for a value.
func (g *hashing) digest(value secret.Value) []byte {
	hash := hmac.New(sha256.New, g.key)
	hash.Write([]byte(value.Reveal()))
	return hash.Sum(nil)
}

// later is the refusal of an operation whose hash is not ready: it is to come
// again, and that costs it nothing.
func (g *hashing) later() *sdk.Error {
	g.mu.Lock()
	took := g.took
	g.mu.Unlock()
	failure := sdk.Errorf(sdk.RateLimited, "waits for a processor: one hash of %s takes %s here", g.hasher.kind, took.Round(time.Millisecond))
	failure.RetryAfter = min(max(took, 100*time.Millisecond), 5*time.Second)
	return failure
}

// close gives up what waits for a processor, and waits for what has one.
func (g *hashing) close() {
	g.stop()
	g.running.Wait()
}

// slots are turns at a processor: there is room for one a processor.
type slots chan struct{}

// begin waits for a processor; false if ctx ends before.
func (s slots) begin(ctx context.Context) bool {
	if ctx.Err() != nil {
		return false
	}
	select {
	case s <- struct{}{}:
		return true
	case <-ctx.Done():
		return false
	}
}

func (s slots) end() { <-s }
