// Package faultfs is a file system for tests that fails as told, and that
// loses what was not synced when its power is cut. It lives in memory and is
// mounted through FUSE, so that any program meets its faults, one
// started for the purpose and killed in the middle among them.
//
// It is strict, as POSIX allows a disk to be: data written to a file is
// durable once that file is synced, and a name once its directory is. It knows
// nothing of who uses it.
package faultfs

import (
	"bytes"
	"io/fs"
	"maps"
	"math/rand/v2"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	gofs "github.com/hanwen/go-fuse/v2/fs"
	"github.com/hanwen/go-fuse/v2/fuse"
)

// Op is a kind of operation that may fail.
type Op string

// The operations. Create is of files and directories, Remove too; Sync is of
// files, SyncDir of directories.
const (
	Create   Op = "create"
	Write    Op = "write"
	Truncate Op = "truncate"
	Sync     Op = "fsync"
	SyncDir  Op = "fsync-dir"
	Rename   Op = "rename"
	Link     Op = "link"
	Remove   Op = "unlink"
)

// Ops returns all kinds.
func Ops() []Op { return []Op{Create, Write, Truncate, Sync, SyncDir, Rename, Link, Remove} }

// Event is one operation about to be done.
type Event struct {
	Op   Op
	Path string // below the root, as the operation named it
	N    int    // which of its kind, from 1, since the last Restore
	All  int    // which of all kinds
}

// Options is how a file system behaves.
type Options struct {
	// Before is called before each operation, one at a time. Its result is
	// what the operation fails with; 0 lets it be done. It may call Stop and
	// nothing else of the file system.
	Before func(e Event) syscall.Errno
	// Ignore names files whose operations are not counted and never fail.
	Ignore func(path string) bool
	// Capacity is how many bytes of files there is room for; 0: no limit.
	Capacity int64
	// LieOnSync makes a sync succeed and do nothing.
	LieOnSync bool
}

// FS is one mounted file system. Its methods are safe for concurrent use.
type FS struct {
	dir    string
	server *fuse.Server

	mu      sync.Mutex
	options Options
	root    *thing
	nextIno uint64
	counts  map[Op]int
	all     int
	used    int64
	stopped bool
	lives   uint64 // Restores
}

// thing is a file or a directory.
type thing struct {
	ino  uint64
	life uint64 // in which it was made or restored
	dir  bool
	mode uint32

	data    []byte  // of a file, as programs see it
	durable []byte  // as the disk has it
	pending []write // what the disk lacks, in order

	names   map[string]*thing // of a directory, as programs see it
	kept    map[string]*thing // as the disk has it
	changes []change          // what the disk lacks, in order
}

// write is a piece of data, or, without one, a new size.
type write struct {
	off  int64
	data []byte
}

// change takes a name from all, or gives a name to a thing, at once or both.
type change struct {
	gone string
	name string
	to   *thing
}

// Mount mounts an empty file system on a directory that exists.
func Mount(dir string, options Options) (*FS, error) {
	made := &FS{dir: dir, options: options, counts: map[Op]int{}}
	made.root = made.newThing(true, 0o700)
	never := time.Duration(0)
	server, err := gofs.Mount(dir, &node{fs: made, at: made.root}, &gofs.Options{
		EntryTimeout: &never, AttrTimeout: &never, NegativeTimeout: &never,
		RootStableAttr: &gofs.StableAttr{Ino: made.root.ino, Mode: fuse.S_IFDIR},
		MountOptions:   fuse.MountOptions{DirectMount: true, FsName: "faultfs", Name: "faultfs", DisableReadDirPlus: true},
	})
	made.server = server
	return made, err
}

// Unmount ends the file system; nothing of it is left.
func (f *FS) Unmount() error { return f.server.Unmount() }

// Dir returns where it is mounted.
func (f *FS) Dir() string { return f.dir }

// Set replaces the options.
func (f *FS) Set(options Options) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.options = options
}

// Counts returns how many operations there were since the last Restore.
func (f *FS) Counts() map[Op]int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return maps.Clone(f.counts)
}

// Stop makes every further operation that would change something fail with
// EIO, as if the program that asks had ended before it. Before may call it.
func (f *FS) Stop() { f.stopped = true }

// Restart ends a Stop. What was written and not synced is still there: the
// machine did not lose its power.
func (f *FS) Restart() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.stopped = false
}

// Image is what a file system holds: the files by their path below the root, with
// a slash at the end for directories.
type Image map[string]File

// File is one file of an Image.
type File struct {
	Mode fs.FileMode
	Data []byte
	Ino  uint64 // its number, which outlives a cut of the power; 0: Restore gives it one
}

// Restore replaces all that the file system holds, durably, and begins to count
// anew. No file of it may be open.
func (f *FS) Restore(image Image) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.lives++ // the kernel may remember things of the same number
	f.root.names, f.root.kept, f.root.changes = map[string]*thing{}, map[string]*thing{}, nil
	f.counts, f.all, f.used, f.stopped = map[Op]int{}, 0, 0, false
	for _, file := range image {
		f.nextIno = max(f.nextIno, file.Ino)
	}
	for _, name := range slices.Sorted(maps.Keys(image)) {
		file := image[name]
		thing := f.newThing(strings.HasSuffix(name, "/"), uint32(file.Mode.Perm()))
		if file.Ino != 0 {
			thing.ino = file.Ino
		}
		thing.data, thing.durable = bytes.Clone(file.Data), bytes.Clone(file.Data)
		f.used += int64(len(thing.data))
		up, base := f.root, strings.TrimSuffix(name, "/")
		if i := strings.LastIndexByte(base, '/'); i >= 0 {
			up, base = f.find(base[:i]), base[i+1:]
		}
		up.names[base], up.kept[base] = thing, thing
	}
}

func (f *FS) find(name string) *thing {
	thing := f.root
	for _, part := range strings.Split(name, "/") {
		thing = thing.names[part]
	}
	return thing
}

// Now returns what programs see.
func (f *FS) Now() Image {
	f.mu.Lock()
	defer f.mu.Unlock()
	image := Image{}
	collect(image, "", f.root, func(node *thing) map[string]*thing { return node.names }, func(node *thing) []byte { return node.data })
	return image
}

// Cut returns the content of the disk when the power goes now. All that was not
// synced is lost if luck is nil; else each sector of it is there or not, and of
// each directory the first so many changes of names.
func (f *FS) Cut(luck *rand.Rand) Image {
	f.mu.Lock()
	defer f.mu.Unlock()
	image := Image{}
	collect(image, "", f.root, func(node *thing) map[string]*thing { return node.namesAfter(luck) }, func(node *thing) []byte { return node.dataAfter(luck) })
	return image
}

func collect(image Image, prefix string, thing *thing, names func(*thing) map[string]*thing, data func(*thing) []byte) {
	list := names(thing)
	for _, name := range slices.Sorted(maps.Keys(list)) {
		child := list[name]
		if child.dir {
			image[prefix+name+"/"] = File{Mode: fs.FileMode(child.mode), Ino: child.ino}
			collect(image, prefix+name+"/", child, names, data)
			continue
		}
		image[prefix+name] = File{Mode: fs.FileMode(child.mode), Data: bytes.Clone(data(child)), Ino: child.ino}
	}
}

func (t *thing) namesAfter(luck *rand.Rand) map[string]*thing {
	left := maps.Clone(t.kept)
	if luck == nil {
		return left
	}
	for _, change := range t.changes[:luck.IntN(len(t.changes)+1)] {
		change.apply(left)
	}
	return left
}

func (c change) apply(names map[string]*thing) {
	if c.gone != "" {
		delete(names, c.gone)
	}
	if c.to != nil {
		names[c.name] = c.to
	}
}

// sector is what a disk writes whole or not at all.
const sector = 512

func (t *thing) dataAfter(luck *rand.Rand) []byte {
	left := t.durable
	if luck == nil {
		return left
	}
	left = bytes.Clone(left)
	for _, write := range t.pending {
		if write.data == nil {
			if luck.IntN(2) == 0 {
				left = resized(left, write.off)
			}
			continue
		}
		for at := 0; at < len(write.data); {
			count := min(len(write.data)-at, sector-int((write.off+int64(at))%sector))
			if luck.IntN(2) == 0 {
				left = written(left, write.data[at:at+count], write.off+int64(at))
			}
			at += count
		}
	}
	return left
}

func written(text, data []byte, off int64) []byte {
	if end := off + int64(len(data)); end > int64(len(text)) {
		text = resized(text, end)
	}
	copy(text[off:], data)
	return text
}

func resized(data []byte, size int64) []byte {
	if size <= int64(len(data)) {
		return data[:size:size]
	}
	return append(data, make([]byte, size-int64(len(data)))...)
}

// Load returns the image of a directory on the disk.
func Load(dir string) (Image, error) {
	image := Image{}
	err := filepath.WalkDir(dir, func(name string, dirEntry fs.DirEntry, err error) error {
		if err != nil || name == dir {
			return err
		}
		rel, err := filepath.Rel(dir, name)
		if err != nil {
			return err
		}
		info, err := dirEntry.Info()
		if err != nil {
			return err
		}
		if dirEntry.IsDir() {
			image[rel+"/"] = File{Mode: info.Mode().Perm()}
			return nil
		}
		data, err := os.ReadFile(name)
		image[rel] = File{Mode: info.Mode().Perm(), Data: data}
		return err
	})
	return image, err
}

// Save writes the image to a directory, made if missing.
func (i Image) Save(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(i)) {
		to := filepath.Join(dir, path.Clean(name))
		if strings.HasSuffix(name, "/") {
			if err := os.Mkdir(to, i[name].Mode); err != nil {
				return err
			}
			continue
		}
		if err := os.WriteFile(to, i[name].Data, i[name].Mode); err != nil {
			return err
		}
	}
	return nil
}

func (f *FS) newThing(dir bool, mode uint32) *thing {
	f.nextIno++
	made := &thing{ino: f.nextIno, life: f.lives, dir: dir, mode: mode & 0o7777}
	if dir {
		made.names, made.kept = map[string]*thing{}, map[string]*thing{}
	}
	return made
}

// before counts an operation and says whether it fails; the lock is held.
func (f *FS) before(op Op, name string) syscall.Errno {
	if f.options.Ignore != nil && f.options.Ignore(name) {
		return 0
	}
	if f.stopped {
		return syscall.EIO
	}
	f.counts[op]++
	f.all++
	if f.options.Before != nil {
		if errno := f.options.Before(Event{Op: op, Path: name, N: f.counts[op], All: f.all}); errno != 0 {
			return errno
		}
	}
	return 0
}

// room takes bytes of the capacity; the lock is held.
func (f *FS) room(more int64) syscall.Errno {
	if f.options.Capacity > 0 && more > 0 && f.used+more > f.options.Capacity {
		return syscall.ENOSPC
	}
	f.used += more
	return 0
}
