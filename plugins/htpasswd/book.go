package htpasswd

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/rekey-host/rekey/plugins/internal/files"
	"github.com/rekey-host/rekey/sdk"
)

// book is the password file with what was last read of it, taken apart. Every
// question looks whether the file is still that one; only another is read again.
type book struct {
	file

	mu   sync.RWMutex
	view *view // nil: nothing is kept
	is   files.Identity
	sure bool // a later change cannot look like none

	spare []byte // room for the next content; of who updates
}

// place is where the hash of an account stands.
type place struct{ start, end int }

// view is a content and where its accounts stand: of lines with one name the
// first.
type view struct {
	content []byte
	places  []place // in the order of the file
	index   map[string]int
	added   []string   // the names of the last places, which the index lacks
	fault   *sdk.Error // why it must not be replaced
}

// entry returns the account's. Its texts are the content's.
func (v *view) entry(name string) (entry, bool) {
	count, ok := v.index[name]
	if !ok {
		return entry{}, false
	}
	at := v.places[count]
	return entry{name: []byte(name), hash: v.content[at.start:at.end], start: at.start, end: at.end}, true
}

// with returns what the edits make of the view: those that replace in the order
// of the file. room may be used for the content.
func (v *view) with(replaced, added []edit, room []byte) *view {
	next := &view{content: rewrite(room, v.content, replaced, added), index: v.index, fault: v.fault, places: make([]place, len(v.places), len(v.places)+len(added))}
	moved, done := 0, 0
	for index, at := range v.places {
		start := at.start + moved
		if done < len(replaced) && replaced[done].at.start == at.start {
			moved += len(replaced[done].hash) - (at.end - at.start)
			done++
		}
		next.places[index] = place{start, at.end + moved}
	}
	end := len(next.content)
	for _, edit := range added {
		end -= len(edit.name) + len(":") + len(edit.hash) + len("\n")
	}
	for _, edit := range added { // the last lines
		start := end + len(edit.name) + len(":")
		end = start + len(edit.hash) + len("\n")
		next.places = append(next.places, place{start, end - len("\n")})
		next.added = append(next.added, edit.name)
	}
	return next
}

// settle puts the added names into the index, which views before this one share.
func (v *view) settle() {
	first := len(v.places) - len(v.added)
	for index, name := range v.added {
		v.index[name] = first + index
	}
	v.added = nil
}

// holds reports whether the kept view is of that file. The caller holds the lock.
func (b *book) holds(info fs.FileInfo) bool {
	return info != nil && b.view != nil && b.sure && b.is == files.IdentityOf(info)
}

// lookup returns the entry of an account, with texts of its own.
func (b *book) lookup(account string) (entry, *sdk.Error) {
	now := b.glance()
	b.mu.RLock()
	if b.holds(now) {
		defer b.mu.RUnlock()
		return b.view.find(account)
	}
	b.mu.RUnlock()
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.holds(b.glance()) { // another question has read it meanwhile
		return b.view.find(account)
	}
	if _, failed := b.refresh(); failed != nil {
		return entry{}, failed
	}
	return b.view.find(account)
}

func (v *view) find(account string) (entry, *sdk.Error) {
	item, ok := v.entry(account)
	if !ok {
		return entry{}, notFound(account)
	}
	item.hash = bytes.Clone(item.hash)
	return item, nil
}

// slow is how old a file has to be when it is read for a later change to show:
// the coarsest clock of a file system's times.
const slow = 2 * time.Second

// refresh reads the file, and takes it apart unless it is what is kept. The
// caller holds the lock.
func (b *book) refresh() (snapshot, *sdk.Error) {
	began := time.Now()
	now, failed := b.read()
	if failed != nil {
		b.view = nil
		return snapshot{}, failed
	}
	if b.view == nil || !bytes.Equal(b.view.content, now.content) {
		b.view = b.parse(now.content)
	}
	b.is, b.sure = files.Identity{}, false
	if now.info != nil {
		b.is = files.IdentityOf(now.info)
		b.sure = began.UnixNano()-b.is.Touched() > int64(slow)
	}
	return now, nil
}

// open returns the file as it is, and its view.
func (b *book) open() (snapshot, *view, *sdk.Error) {
	info := b.glance()
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.holds(info) {
		target, err := filepath.EvalSymlinks(b.path)
		return snapshot{target: target, info: info}, b.view, files.Error(err)
	}
	now, failed := b.refresh()
	return now, b.view, failed
}

// room returns space for the next content, which is no longer spare then.
func (b *book) room() []byte {
	room := b.spare
	b.spare = nil
	return room
}

// crowded is how often a file may change under its lock, by a program that
// takes none, before an update gives up.
const crowded = 8

// update replaces the file by what change makes of it, all under the lock; nil
// from change leaves it alone. The outcome is Applied, Refused (the file is as it
// was) or Unknown (replaced, but not known to be on the disk).
func (b *book) update(ctx context.Context, change func(now *view) *view) (sdk.Outcome, *sdk.Error) {
	unlock, failed := b.lock(ctx)
	if failed != nil {
		return sdk.Refused, failed
	}
	defer unlock()
	for range crowded {
		old, now, failed := b.open()
		if failed != nil {
			return sdk.Refused, failed
		}
		if now.fault != nil {
			return sdk.Refused, now.fault
		}
		next := change(now)
		if next == nil {
			return sdk.Applied, nil
		}
		outcome, err := b.replace(ctx, old, next)
		if !errors.Is(err, errChanged) {
			return outcome, files.Error(err)
		}
	}
	return sdk.Refused, sdk.Errorf(sdk.Conflict, "%q: another program keeps changing it", b.path)
}

// replace puts next in the place of the old file, unless that has changed since.
// Until the rename a crash leaves the old file, after it the new one.
func (b *book) replace(ctx context.Context, old snapshot, next *view) (sdk.Outcome, error) {
	made, err := old.draft(next.content)
	if err != nil {
		return sdk.Refused, err
	}
	defer made.discard() // in vain after the rename
	if err := old.unchanged(); err != nil {
		return sdk.Refused, err
	}
	if err := ctx.Err(); err != nil {
		return sdk.Refused, err
	}
	if err := b.swap(made, old.target, next); err != nil {
		return sdk.Refused, err
	}
	if err := files.SyncDir(filepath.Dir(old.target)); err != nil {
		return sdk.Unknown, err
	}
	return sdk.Applied, nil
}

// swap renames the draft to target and keeps its view, if the file that is there
// then is certainly this one: its time is to the nanosecond, where another
// program's is a tick of the system's clock.
func (b *book) swap(made draft, target string, next *view) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if err := os.Rename(made.path, target); err != nil {
		return err
	}
	if b.view != nil {
		b.spare = b.view.content
	}
	b.view, b.sure = nil, false
	info, err := os.Stat(target)
	if err != nil || !made.stamped(info) || info.Size() != int64(len(next.content)) {
		return nil // it is read again when somebody asks
	}
	next.settle()
	b.view, b.is, b.sure = next, files.IdentityOf(info), true
	return nil
}
