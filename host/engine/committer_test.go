package engine

import (
	"errors"
	"testing"
	"time"

	"github.com/rekey-host/rekey/host/journal"
)

// A wave with max_failures lets few users in at once. What the others have
// queued at the dispatcher cannot be sent before one of those is done, so it is no
// reason to let their second step wait.
func TestAnIntentIsWorthASyncWhereOthersWaitForItsUser(t *testing.T) {
	bounded, open := newSemaphore(2), newSemaphore(0)
	inside, outside := &permit{}, &permit{}
	inside.admitted.Store(true)
	for _, c := range []struct {
		name      string
		queued    int64 // durable operations that the dispatcher has not sent
		semaphore *semaphore
		permit    *permit
		want      bool
	}{
		{"the dispatcher would run dry", 0, open, outside, true},
		{"the dispatcher has enough", 1000, open, outside, false},
		{"the dispatcher has enough, and everybody may pass", 1000, open, inside, false},
		{"the dispatcher has what may not be sent yet", 1000, bounded, inside, true},
		{"one of those that may not be sent yet", 1000, bounded, outside, false},
	} {
		l := &dispatcher{backend: Backend{Concurrency: 2}}
		l.durable.Store(c.queued)
		e := entry{rec: &journal.Record{}, backlog: &l.backlog, pressing: c.semaphore.pressing(c.permit)}
		w := &committer{queue: []entry{e}}
		w.waiting.add(e)
		if group, _ := w.take(linger, linger); (len(group) == 1) != c.want {
			t.Errorf("%s: taken %v, want %v", c.name, len(group) == 1, c.want)
		}
	}
}

// TestADispatcherThatRunsDryLingers for others, but not long, and not where there are
// many or somebody presses.
func TestADispatcherThatRunsDryLingers(t *testing.T) {
	dry, full := &dispatcher{}, &dispatcher{}
	full.durable.Store(1000)
	queue := func(n int, e entry) []entry {
		list := make([]entry, n)
		for i := range list {
			list[i] = e
		}
		return list
	}
	for _, c := range []struct {
		name            string
		queue           []entry
		queued, starved time.Duration
		want            int
	}{
		{"nothing", nil, time.Hour, time.Hour, 0},
		{"one, at once", queue(1, entry{backlog: &dry.backlog}), 0, 0, 0},
		{"one, in time", queue(1, entry{backlog: &dry.backlog}), linger, linger, 1},
		{"many", queue(goodGroup, entry{backlog: &dry.backlog}), 0, 0, goodGroup},
		{"nearly many", queue(goodGroup-1, entry{backlog: &dry.backlog}), 0, 0, 0},
		{"many, but nobody runs dry", queue(goodGroup, entry{backlog: &full.backlog}), linger, 0, 0},
		{"too many", queue(groupLimit+1, entry{backlog: &full.backlog}), 0, 0, groupLimit},
		{"just enough", queue(groupLimit, entry{backlog: &full.backlog}), 0, 0, groupLimit},
		{"old", queue(1, entry{}), lazyCommit, 0, 1},
		{"nearly old", queue(1, entry{}), lazyCommit - 1, 0, 0},
		{"somebody presses", queue(1, entry{backlog: &full.backlog, pressing: true}), 0, 0, 1},
	} {
		w := &committer{queue: c.queue}
		for _, e := range c.queue {
			w.waiting.add(e)
		}
		group, _ := w.take(c.queued, c.starved)
		if len(group) != c.want || len(w.queue) != len(c.queue)-c.want || len(w.queue) == 0 && len(w.waiting.backlogs) > 0 && c.want > 0 {
			t.Errorf("%s: took %d and left %d, want %d", c.name, len(group), len(w.queue), c.want)
		}
	}
}

// guarded is a journal that tells whether it is still where it was.
type guarded struct {
	*book
	gone error
}

func (g *guarded) Intact() error { return g.gone }

// TestACommitterWhoseJournalIsGoneFailsWhatWaitsAndWhatComes, with and without
// somebody who waits.
func TestACommitterWhoseJournalIsGoneFailsWhatWaitsAndWhatComes(t *testing.T) {
	gone, full := errors.New("the files are gone"), errors.New("no space left on device")
	for _, c := range []struct {
		name    string
		guarded bool
		lost    error // by the guard
		failed  error // before
		want    error
	}{
		{"well", true, nil, nil, nil}, {"nobody guards it", false, gone, nil, nil}, {"gone", true, gone, nil, gone},
		{"failed, and intact", true, nil, full, full}, {"failed, nobody guards it", false, nil, full, full}, {"failed, then gone", true, gone, full, full},
	} {
		w := &committer{wake: make(chan struct{}, 1), err: c.failed}
		if c.guarded {
			w.guard = &guarded{gone: c.lost}
		}
		answered := make(chan error, 2)
		then := func(err error) { answered <- err }
		w.queue = []entry{{then: waiterFunc(then)}, {}}
		if got := w.intact(); !errors.Is(got, c.want) {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
		if want := c.want != nil && c.failed == nil; (len(answered) == 1) != want || (len(w.queue) == 0) != want {
			t.Errorf("%s: %d of those who wait are answered, %d records wait", c.name, len(answered), len(w.queue))
		}
		before := len(answered)
		w.add(entry{})
		w.add(entry{then: waiterFunc(then)})
		if (len(answered) > before) != (c.want != nil) {
			t.Errorf("%s: a further record is answered: %v", c.name, len(answered) > before)
		}
	}
	w := &committer{closed: true}
	var got error
	if w.add(entry{then: waiterFunc(func(err error) { got = err })}); !errors.Is(got, errClosed) {
		t.Errorf("a closed one says %v", got)
	}
}

// TestARecordWakesTheCommitterWhereThatMayMatter: the first, since its time begins,
// what makes a good group or a full one, and what somebody waits for.
func TestARecordWakesTheCommitterWhereThatMayMatter(t *testing.T) {
	dry, full := &dispatcher{}, &dispatcher{}
	full.durable.Store(1000)
	for _, c := range []struct {
		name   string
		before int // records that wait
		comes  entry
		want   bool
	}{
		{"the first", 0, entry{}, true}, {"a second one, for nobody", 1, entry{}, false}, {"for a dispatcher that has enough", 1, entry{backlog: &full.backlog}, false},
		{"for one that runs dry", 1, entry{backlog: &dry.backlog}, true}, {"of a user who presses", 1, entry{backlog: &full.backlog, pressing: true}, true},
		{"nearly a good group", goodGroup - 2, entry{backlog: &full.backlog}, false}, {"a good group", goodGroup - 1, entry{backlog: &full.backlog}, true},
		{"more than one, though a dispatcher runs dry", goodGroup, entry{backlog: &dry.backlog}, false}, {"nearly a full one", groupLimit - 2, entry{}, false},
		{"a full one", groupLimit - 1, entry{}, true}, {"more than that", groupLimit, entry{}, true},
	} {
		w := &committer{wake: make(chan struct{}, 1), queue: make([]entry, c.before)}
		if w.add(c.comes); (len(w.wake) > 0) != c.want || len(w.queue) != c.before+1 {
			t.Errorf("%s: woken %v, want %v", c.name, len(w.wake) > 0, c.want)
		}
	}
}

// TestACommitterKnowsSinceWhenWhoWaits: who has begun to wait goes on waiting from
// then, and a dispatcher that has enough does not run dry.
func TestACommitterKnowsSinceWhenWhoWaits(t *testing.T) {
	dry, full := &dispatcher{}, &dispatcher{}
	full.durable.Store(1000)
	ago := time.Now().Add(-time.Hour)
	const never, now, before = 0, 1, 2
	at := func(t time.Time) int {
		switch {
		case t.IsZero():
			return never
		case t.Equal(ago):
			return before
		}
		return now
	}
	for _, c := range []struct {
		name            string
		queue           []entry
		since           time.Time
		queued, starved int
	}{
		{"nothing", nil, time.Time{}, never, never}, {"nothing any more", nil, ago, never, never},
		{"a dispatcher that has enough", []entry{{backlog: &full.backlog}}, time.Time{}, now, never}, {"one that runs dry", []entry{{backlog: &dry.backlog}}, time.Time{}, now, now},
		{"one that has run dry for long", []entry{{backlog: &dry.backlog}}, ago, before, before},
	} {
		w := &committer{wake: make(chan struct{}, 1), queue: c.queue}
		for _, e := range c.queue {
			w.waiting.add(e)
		}
		w.kick()
		queued, starved := w.waitFor(c.since, c.since, time.NewTimer(time.Hour))
		if at(queued) != c.queued || at(starved) != c.starved {
			t.Errorf("%s: records wait since %v, somebody runs dry since %v", c.name, queued, starved)
		}
	}
}
