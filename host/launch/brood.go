package launch

import (
	"bytes"
	"sync"
)

// Brood are the processes below this one that plugins started. Once this
// process is their reaper, which is for a whole program to say, a child that a
// plugin put into a session of its own comes to it when its parent is gone,
// and is ended.
type Brood struct {
	mu      sync.Mutex
	leaders map[int]bool // plugins that live
	shared  bool         // there were children before, of a shell that became this process
}

// NewBrood makes this process the reaper of all below it, where the system has
// that. A process starts no others than plugins until the Brood is closed, or has
// seen their ends by then.
func NewBrood() *Brood {
	before := childrenHere()
	reapOrphans()
	return &Brood{leaders: map[int]bool{}, shared: len(before) > 0}
}

// joined notes a plugin.
func (b *Brood) joined(pid int) {
	if b == nil {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.leaders[pid] = true
}

// left notes that a plugin is gone, and ends what it left behind: that is known
// by its directory, which it inherited in its environment.
func (b *Brood) left(pid int, scratch string) {
	if b == nil {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.leaders, pid)
	b.sweep(func(environ []byte) bool { return scratch != "" && bytes.Contains(environ, []byte(scratch)) })
}

// Close ends what is left of any plugin, when none lives any more: all children,
// unless this process had some before.
func (b *Brood) Close() {
	if b == nil {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.leaders) == 0 && !b.shared {
		b.sweep(func([]byte) bool { return true })
	}
}

// mostGenerations bounds how often the children of what was ended are looked for.
const mostGenerations = 64

// sweep ends the orphans of which the environment says that they are to go, and
// what comes to this process because they are gone.
func (b *Brood) sweep(goes func(environ []byte) bool) {
	for range mostGenerations {
		ended := false
		for _, pid := range childrenHere() {
			if !b.leaders[pid] && goes(environOf(pid)) {
				endOrphan(pid)
				ended = true
			}
		}
		if !ended {
			return
		}
	}
}
