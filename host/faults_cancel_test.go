package host_test

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/rekey-host/rekey/host/engine"
	"github.com/rekey-host/rekey/host/journal"
)

// signals are the forms of an interruption: asked to stop once, or a second
// time at once or a little later, which drops what is under way.
var signals = []life{{Stop: 1}, {Stop: 2}, {Stop: 2, Later: 1}, {Stop: 2, Later: 7}}

// everyVerb is what a step, or a generate, calls.
var everyVerb = append(journal.StepVerbs(), "generate")

// cancels adds up what histories with signals came to.
type cancels struct {
	mu          sync.Mutex
	once, twice int
	dropped     map[string]int // by verb
	first       []finding
	classes     map[string]int
}

func newCancels() *cancels { return &cancels{dropped: map[string]int{}, classes: map[string]int{}} }

func (c *cancels) note(found []finding) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, f := range found {
		c.classes[f.class]++
	}
	c.first = append(c.first, found[:min(len(found), max(0, 20-len(c.first)))]...)
}

// TestFaultsACancellationIsNoAnswer interrupts runs at every crash point, by
// one signal and by two, while every verb is under way. Nothing is recorded of
// a call that was cancelled, nobody ends for it, and a resume ends everybody as
// if nothing had been.
func TestFaultsACancellationIsNoAnswer(t *testing.T) {
	wanted, c := scaleOf(t).signals, newCancels()
	points := append(everyPointOfAll(), atEffect, atAnswer)
	if wanted == 1 { // make test: other ones with another seed
		points = some(rand.New(rand.NewPCG(harnessSeed(t), 7)), points, 3)
	}
	for _, verb := range everyVerb {
		points = append(points, under(verb))
	}
	var jobs sync.WaitGroup
	slots := make(chan struct{}, 16) // they wait more than they work
	for i, point := range points {
		slots <- struct{}{}
		jobs.Go(func() {
			c.interruptAt(t, point, wanted, rand.New(rand.NewPCG(harnessSeed(t), uint64(100+i))))
			<-slots
		})
	}
	jobs.Wait()
	c.verdict(t, wanted, len(points))
}

// interruptAt makes histories until so many signals hit at the point.
func (c *cancels) interruptAt(t *testing.T, point string, wanted int, luck *rand.Rand) {
	hits := 0
	for n := 0; hits < wanted && n < 30*wanted+60; n++ {
		hit, err := c.interrupt(t, point, n, luck)
		if err != nil {
			t.Errorf("%s, trial %d, seed %d: %v", point, n, harnessSeed(t), err)
			return
		}
		hits += hit
	}
	if hits < wanted {
		t.Errorf("%d signals hit at %s, want %d", hits, point, wanted)
	}
}

// interrupt makes one history with a signal at the point, and returns how many
// hit.
func (c *cancels) interrupt(t *testing.T, point string, n int, luck *rand.Rand) (int, error) {
	h, lossy := newHistory(inMemory(t)), false
	defer os.RemoveAll(h.dir)
	h.story, h.wired = []string{"verbs", ""}[n/2%2], n%5 == 4
	ofVerb := strings.HasPrefix(point, under(""))
	if ofVerb {
		h.story = "verbs"
	}
	if neverCalm(point) {
		h.story, lossy = "", true
	}
	if lossy && point != engine.CrashBridgeSet {
		if _, err := h.live(life{Point: atAnswer, N: 1 + luck.IntN(25), Lose: 40, Seed: luck.Uint64()}); err != nil {
			return 0, err
		}
	}
	spec := signals[luck.IntN(len(signals))]
	spec.Point, spec.N, spec.Seed = point, 1+luck.IntN(30), luck.Uint64()
	if lossy || ofVerb || n%2 == 0 {
		spec.N = 1 + luck.IntN(2)
	}
	if ofVerb { // this very call
		spec.Stop, spec.Later = 2, 0
	}
	if lossy {
		spec.Lose = 30
	}
	if _, err := h.live(spec); err != nil {
		return 0, err
	}
	hit := c.count(h, spec)
	if hit == 0 {
		return 0, nil
	}
	found, err := h.look(scene{calm: !lossy, lossy: lossy})
	if err == nil {
		c.note(found)
		err = c.goOn(h, lossy)
	}
	return hit, err
}

// neverCalm reports whether a process passes the point only when it settles
// what another one left.
func neverCalm(point string) bool {
	return slices.Contains([]string{engine.CrashSettling, engine.CrashEvidenceAsked, engine.CrashEvidenceGot, engine.CrashRecovering, engine.CrashBridgeSet}, point)
}

func (c *cancels) count(h *history, spec life) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case spec.Stop == 1 && h.signalled:
		c.once++
	case spec.Stop == 2 && h.cancelled:
		c.twice++
	default:
		return 0
	}
	for verb, n := range h.dropped {
		c.dropped[verb] += n
	}
	return 1
}

// goOn resumes what was interrupted, once; what is lossy may be left unknown
// and takes another.
func (c *cancels) goOn(h *history, lossy bool) error {
	lives := 1
	if lossy {
		lives = 3
	}
	for range lives {
		if _, err := h.live(life{}); err != nil {
			return err
		}
	}
	found, err := h.look(scene{calm: !lossy, lossy: lossy, settled: true})
	c.note(found)
	return err
}

func (c *cancels) verdict(t *testing.T, wanted, points int) {
	t.Helper()
	for _, f := range c.first {
		t.Error(f)
	}
	var parts []string
	for _, verb := range everyVerb {
		if c.dropped[verb] < wanted {
			t.Errorf("%s was cancelled %d times while it was under way, want %d", verb, c.dropped[verb], wanted)
		}
		parts = append(parts, fmt.Sprintf("%s %d", verb, c.dropped[verb]))
	}
	t.Logf("counts: signals: %d runs were stopped, %d cancelled, at each of %d points; under way at a cancellation: %s", c.once, c.twice, points, strings.Join(parts, ", "))
	t.Logf("counts: signals: taken for an answer = %d · lost = %d · doubled values = %d · false done = %d · false refused = %d · rows without a status = %d · otherwise wrong = %d",
		c.classes[cancelled], c.classes[lost], c.classes[doubled], c.classes[falseDone], c.classes[falseRefused], c.classes[noStatus], c.classes[wrong]+c.classes[leaked])
}

// TestFaultsFindACancellationThatIsAnAnswer is the test of the test: a script
// that goes on with a cancellation is found.
func TestFaultsFindACancellationThatIsAnAnswer(t *testing.T) {
	luck := rand.New(rand.NewPCG(1, 8))
	classes := map[string]int{}
	for n := 0; n < 20 && classes[cancelled] == 0; n++ {
		h := newHistory(inMemory(t))
		h.story, h.wired = "verbs", true
		if _, err := h.live(life{Point: under("find"), N: 1 + luck.IntN(2), Stop: 2, Off: cancellation, Seed: luck.Uint64()}); err != nil {
			t.Fatal(err)
		}
		found, err := h.look(scene{calm: true})
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range found {
			classes[f.class]++
		}
	}
	if classes[cancelled] == 0 {
		t.Errorf("a script that goes on with a cancellation: the harness finds %v", slices.Sorted(maps.Keys(classes)))
	}
	t.Logf("counts: signals: without cancellations that raise: %d users end for one", classes[cancelled])
}
