package host_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"sync"
	"testing"

	"github.com/rekey-host/rekey/host/engine"
	"github.com/rekey-host/rekey/sdk"
)

// hasty is a plugin that tries again by itself, and does not tell that a
// request of its own got no answer.
type hasty struct{ engine.Instance }

func (h hasty) Submit(ops []sdk.Operation, answer func(int, sdk.Receipt)) {
	h.Instance.Submit(ops, func(n int, r sdk.Receipt) {
		if r.Outcome != sdk.Unknown || ops[n].Attempt > 8 {
			answer(n, r)
			return
		}
		again := ops[n]
		again.Attempt++
		h.Submit([]sdk.Operation{again}, func(_ int, r sdk.Receipt) { answer(n, r) })
	})
}

// lates adds up what histories with held requests came to.
type lates struct {
	mu                                              sync.Mutex
	histories, held, during, deaths, signals, users int
	unknown                                         int
	firsts                                          []string
	classes                                         map[string]int
}

func (l *lates) note(where string, x *examination) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.unknown += x.unknown
	for _, f := range x.found {
		l.classes[f.class]++
		if len(l.firsts) < 20 {
			l.firsts = append(l.firsts, where+": "+f.String())
		}
	}
}

// lateStories are the scripts whose claims a late request could make untrue.
var lateStories = []string{"set", "two values", "with a history", "change then set", "two backends", "revert", ""}

// TestFaultsHeldRequestsMakeNoClaimUntrue holds requests between the plugin and
// the system, past the end of the process that sent them, and lets them arrive
// in another order: in the middle of a later process, in the last moment of its
// wait for them, or when all is over. Then every claim of the ledger is
// compared with the system's log.
func TestFaultsHeldRequestsMakeNoClaimUntrue(t *testing.T) {
	size, l := scaleOf(t), &lates{classes: map[string]int{}}
	var jobs sync.WaitGroup
	slots := make(chan struct{}, 20) // they wait more than they work
	for i, story := range lateStories {
		for n := range size.holds {
			slots <- struct{}{}
			jobs.Go(func() {
				seed := harnessSeed(t)*1_000_000 + uint64(i*10_000+n)
				if err := l.history(inMemory(t), story, seed, ""); err != nil {
					t.Errorf("%s, seed %d: %v", story, seed, err)
				}
				<-slots
			})
		}
	}
	jobs.Wait()
	for _, text := range l.firsts {
		t.Error(text)
	}
	if least := size.holds * len(lateStories); l.held < least || l.during < least/4 || l.unknown < least/2 || least > 50 && (l.deaths == 0 || l.signals == 0) {
		t.Error("too little happened to prove anything")
	}
	t.Logf("counts: held requests: %d histories of %d scripts · held %d, of which %d arrived in a later process or in the last moment of a wait, the others after the end · deaths %d, signals %d · users unknown on the way %d",
		l.histories, len(lateStories), l.held, l.during, l.deaths, l.signals, l.unknown)
	t.Logf("counts: held requests: lost = %d · doubled values = %d · false done = %d · false refused = %d · rows without a status = %d · otherwise wrong = %d",
		l.classes[lost], l.classes[doubled], l.classes[falseDone], l.classes[falseRefused], l.classes[noStatus], l.classes[wrong]+l.classes[cancelled])
}

// history makes one: processes whose requests are held and that die or are
// stopped, then such that meet nothing, until everybody has ended.
func (l *lates) history(dir, story string, seed uint64, off string) error {
	h, luck := newHistory(dir), rand.New(rand.NewPCG(seed, 9))
	defer os.RemoveAll(h.dir)
	h.story, h.wired = story, off != ""
	x := scene{lossy: true}
	for range 1 + luck.IntN(3) {
		spec := life{Hold: 15 + luck.IntN(30), Lose: 10 * luck.IntN(2), Seed: luck.Uint64(), Off: off}
		if luck.IntN(2) == 0 {
			spec.Point, spec.N, spec.Stop = everyPointOfAll()[luck.IntN(len(everyPointOfAll()))], 1+luck.IntN(12), luck.IntN(3)
		}
		died, err := h.live(spec)
		if err != nil {
			return err
		}
		if err := l.look(h, x, fmt.Sprintf("%s, seed %d", story, seed)); err != nil {
			return err
		}
		l.lived(died, h.signalled)
	}
	return l.end(h, x, fmt.Sprintf("%s, seed %d, at the end", story, seed))
}

// calmLives are how many processes without a fault may be needed to end
// everybody: each settles one loss more.
const calmLives = 6

func (l *lates) end(h *history, x scene, where string) error {
	for range calmLives {
		if _, err := h.live(life{}); err != nil {
			return err
		}
		now, err := h.examined(x)
		if err != nil {
			return err
		}
		l.note(where, now)
		if now.unknown+now.pending == 0 {
			break
		}
	}
	l.mu.Lock()
	l.histories, l.held, l.during, l.users = l.histories+1, l.held+h.held, l.during+h.late, l.users+len(tales[h.story].names)
	l.mu.Unlock()
	x.settled = true
	return l.look(h, x, where)
}

func (l *lates) look(h *history, x scene, where string) error {
	now, err := h.examined(x)
	if err == nil {
		l.note(where, now)
	}
	return err
}

func (l *lates) lived(died, signalled bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if died {
		l.deaths++
	}
	if signalled {
		l.signals++
	}
}

// TestFaultsFindALossThatIsNotSettled is the test of the test: where losses are
// hidden from the host, late requests make claims untrue, and the harness says
// so.
func TestFaultsFindALossThatIsNotSettled(t *testing.T) {
	l := &lates{classes: map[string]int{}}
	for n := uint64(0); n < 20 && l.classes[falseDone] == 0; n++ {
		if err := l.history(inMemory(t), "two values", n, lateness); err != nil {
			t.Fatal(err)
		}
	}
	if l.classes[falseDone] == 0 {
		t.Errorf("with hidden losses the harness finds %v", l.classes)
	}
	t.Logf("counts: held requests: with a plugin that hides its losses: false done = %d", l.classes[falseDone])
}
