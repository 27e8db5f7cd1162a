package launch

import (
	"bytes"
	"sync"
	"time"
)

// Brood are the processes below this one that plugins of others started. Once
// this process is their reaper, which is for a whole program to say, a child that
// a plugin put into a session of its own comes to it when its parent is gone, and
// is ended. What a bundled plugin leaves there is meant to stay, such as a daemon
// that a tool of the operator starts. What may not be ended goes on too, and is
// not waited for.
type Brood struct {
	mu       sync.Mutex
	leaders  map[int]int // plugins not reaped yet, by number: a new one may have that of the last
	starting int         // plugins that may have a number, not noted yet
	shared   bool        // there were children before, of a shell that became this process
	stays    bool        // a bundled plugin ran: an orphan may be of its making
	stop     func()      // ends the burials
}

// The times of a Brood: how often it looks for orphans that have ended, and how long
// it waits for those that it ends, all together.
const (
	burialEvery = time.Second
	endingTakes = 500 * time.Millisecond
)

// NewBrood makes this process the reaper of all below it, where the system has
// that. A process starts no others in process groups of their own than plugins
// until the Brood is closed: it would not learn how they end.
func NewBrood() *Brood {
	before := childrenHere()
	reapOrphans()
	made := &Brood{leaders: map[int]int{}, shared: len(before) > 0}
	done := make(chan struct{})
	made.stop = sync.OnceFunc(func() { close(done) })
	go made.bury(done)
	return made
}

// start starts a plugin and notes it.
func (b *Brood) start(c *child) error {
	if b == nil {
		return c.cmd.Start()
	}
	b.mu.Lock()
	b.starting++
	b.stays = b.stays || c.bundled
	b.mu.Unlock()
	err := c.cmd.Start() // may take long, and keeps no other plugin
	b.mu.Lock()
	defer b.mu.Unlock()
	b.starting--
	if err == nil {
		b.leaders[c.cmd.Process.Pid]++
	}
	return err
}

// left notes that a plugin is gone. It ends what one of others left behind: that
// is known by its directory, which it inherited in its environment.
func (b *Brood) left(c *child) {
	if b == nil {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.leaders[c.pid]--; b.leaders[c.pid] <= 0 {
		delete(b.leaders, c.pid)
	}
	if !c.bundled && c.scratch != "" {
		b.sweep(func(pid int) bool { return bytes.Contains(environOf(pid), []byte(c.scratch)) })
	}
}

// Close ends what is left of any plugin of others, when none lives any more: all
// orphans, where no other can have left them here. It may be called again.
func (b *Brood) Close() {
	if b == nil {
		return
	}
	b.stop()
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.leaders) == 0 && b.starting == 0 && !b.shared && !b.stays {
		b.sweep(func(int) bool { return true })
	}
}

// bury reaps orphans that ended by themselves, until done: a long run would fill
// the table of processes with them.
func (b *Brood) bury(done <-chan struct{}) {
	ticker := time.NewTicker(burialEvery)
	defer ticker.Stop()
	for {
		select {
		case <-done:
			return
		case <-ticker.C:
			b.buryNow()
		}
	}
}

// buryNow reaps the orphans that have ended. A plugin that starts may have ended,
// too, and its status is not for here.
func (b *Brood) buryNow() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.starting > 0 {
		return
	}
	for _, pid := range b.orphans() {
		buried(pid)
	}
}

// orphans are the children here that are no plugins. One in the process group of
// this process was started by it, which waits for it elsewhere.
func (b *Brood) orphans() []int {
	var found []int
	for _, pid := range childrenHere() {
		if b.leaders[pid] == 0 && !inOwnGroup(pid) {
			found = append(found, pid)
		}
	}
	return found
}

// mostGenerations bounds how often the children of what was ended are looked for.
const mostGenerations = 64

// sweep ends the orphans that are to go, and what comes to this process because
// they are gone, within endingTakes. What it may not end it leaves.
func (b *Brood) sweep(goes func(pid int) bool) {
	until := time.Now().Add(endingTakes)
	spared := map[int]bool{}
	for range mostGenerations {
		ended := false
		for _, pid := range b.orphans() {
			if spared[pid] || !goes(pid) {
				continue
			}
			if endOrphan(pid, until) {
				ended = true
			} else {
				spared[pid] = true
			}
		}
		if !ended {
			return
		}
	}
}
