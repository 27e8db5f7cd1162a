package host_test

import (
	"context"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/rekey-host/rekey/host/engine"
	"github.com/rekey-host/rekey/sdk"
	"github.com/rekey-host/rekey/sdk/secret"
)

// hold keeps a request on its way, and reports whether it did. Whoever sent it
// gets no answer, and may be gone when it arrives.
func (t teller) hold(op sdk.Operation) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed || t.dice(op, 2).IntN(100) >= t.spec.Hold {
		return false
	}
	t.write(entry{What: held, Label: t.label, Account: op.Account, Value: op.Value.Reveal(), Op: op.ID,
		Verb: op.Verb, Old: op.Old.Reveal(), Must: op.MustChange, Held: t.holds + 1})
	return true
}

// arrive lets what is held arrive, in another order than it was sent. The
// caller has the lock.
func (b *bank) arrive() {
	list := slices.Clone(b.held)
	rand.New(rand.NewPCG(b.spec.Seed, uint64(b.holds))).Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
	for _, e := range list {
		b.late++
		b.write(entry{What: arrived, Label: e.Label, Account: e.Account, Op: e.Op, Held: e.Held})
		teller{b, e.Label}.effect(sdk.Operation{ID: e.Op, Verb: e.Verb, Account: e.Account, Value: secret.New(e.Value), Old: secret.New(e.Old), MustChange: e.Must, Attempt: 1})
	}
}

// released returns what all accounts were given when everything that is held
// has arrived. The file is left as it is.
func released(spec life) ([]entry, error) {
	list, err := bankEntries(spec.Bank)
	if err != nil {
		return nil, err
	}
	file := &memo{list: list}
	b := newBank(spec, func(string) {})
	for _, e := range list {
		b.take(e)
	}
	b.file = file
	b.arrive()
	return file.list, nil
}

// wholeWait is longer than any pause but the one for a request that may still
// be on its way.
const wholeWait = 30 * time.Second

// hurried passes time a thousand times as fast. What is held arrives in the
// last moment of a wait for it.
type hurried struct {
	engine.SystemClock
	bank *bank
}

func (h hurried) Sleep(ctx context.Context, d time.Duration) error {
	err := h.SystemClock.Sleep(ctx, d/1000)
	if d >= wholeWait {
		h.bank.mu.Lock()
		defer h.bank.mu.Unlock()
		if !h.bank.closed {
			h.bank.arrive()
		}
	}
	return err
}
