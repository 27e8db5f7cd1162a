package faultfs

import (
	"bytes"
	"context"
	"maps"
	"slices"
	"syscall"

	gofs "github.com/hanwen/go-fuse/v2/fs"
	"github.com/hanwen/go-fuse/v2/fuse"
)

// node is a thing as the kernel sees it.
type node struct {
	gofs.Inode
	fs *FS
	at *thing
}

var (
	_ gofs.NodeLookuper  = (*node)(nil)
	_ gofs.NodeReaddirer = (*node)(nil)
	_ gofs.NodeCreater   = (*node)(nil)
	_ gofs.NodeTmpfiler  = (*node)(nil)
	_ gofs.NodeMkdirer   = (*node)(nil)
	_ gofs.NodeLinker    = (*node)(nil)
	_ gofs.NodeUnlinker  = (*node)(nil)
	_ gofs.NodeRmdirer   = (*node)(nil)
	_ gofs.NodeRenamer   = (*node)(nil)
	_ gofs.NodeGetattrer = (*node)(nil)
	_ gofs.NodeSetattrer = (*node)(nil)
	_ gofs.NodeOpener    = (*node)(nil)
	_ gofs.NodeReader    = (*node)(nil)
	_ gofs.NodeWriter    = (*node)(nil)
	_ gofs.NodeFsyncer   = (*node)(nil)
	_ gofs.NodeStatfser  = (*node)(nil)
)

// name is the path of a child, for events.
func (n *node) name(child string) string {
	up := n.Path(nil)
	if up == "" {
		return child
	}
	if child == "" {
		return up
	}
	return up + "/" + child
}

func (n *node) lock() func() { n.fs.mu.Lock(); return n.fs.mu.Unlock }

func (n *node) child(ctx context.Context, thing *thing, out *fuse.EntryOut) *gofs.Inode {
	attr(thing, &out.Attr)
	mode := uint32(fuse.S_IFREG)
	if thing.dir {
		mode = fuse.S_IFDIR
	}
	return n.NewInode(ctx, &node{fs: n.fs, at: thing}, gofs.StableAttr{Ino: thing.ino, Gen: thing.life, Mode: mode})
}

func attr(thing *thing, out *fuse.Attr) {
	out.Ino, out.Nlink, out.Mode, out.Size = thing.ino, 1, fuse.S_IFREG|thing.mode, uint64(len(thing.data))
	if thing.dir {
		out.Mode, out.Nlink = fuse.S_IFDIR|thing.mode, 2
	}
	out.Blksize, out.Blocks = 4096, (out.Size+511)/512
}

// Lookup finds a name.
func (n *node) Lookup(ctx context.Context, name string, out *fuse.EntryOut) (*gofs.Inode, syscall.Errno) {
	defer n.lock()()
	thing := n.at.names[name]
	if thing == nil {
		return nil, syscall.ENOENT
	}
	return n.child(ctx, thing, out), 0
}

// Readdir lists the names.
func (n *node) Readdir(context.Context) (gofs.DirStream, syscall.Errno) {
	defer n.lock()()
	var list []fuse.DirEntry
	for _, name := range slices.Sorted(maps.Keys(n.at.names)) {
		thing, mode := n.at.names[name], uint32(fuse.S_IFREG)
		if thing.dir {
			mode = fuse.S_IFDIR
		}
		list = append(list, fuse.DirEntry{Name: name, Ino: thing.ino, Mode: mode})
	}
	return gofs.NewListDirStream(list), 0
}

// change changes the names of the directory.
func (n *node) change(change change) {
	for _, name := range []string{change.gone, change.name} {
		if was := n.at.names[name]; was != nil && was != change.to {
			n.fs.used -= int64(len(was.data))
		}
	}
	change.apply(n.at.names)
	n.at.changes = append(n.at.changes, change)
}

// Create makes a file.
func (n *node) Create(ctx context.Context, name string, _ uint32, mode uint32, out *fuse.EntryOut) (*gofs.Inode, gofs.FileHandle, uint32, syscall.Errno) {
	inode, errno := n.make(ctx, name, false, mode, out)
	return inode, nil, 0, errno
}

// Tmpfile makes a file without a name.
func (n *node) Tmpfile(ctx context.Context, _ uint32, mode uint32, out *fuse.EntryOut) (*gofs.Inode, gofs.FileHandle, uint32, syscall.Errno) {
	defer n.lock()()
	if errno := n.fs.before(Create, n.name("")); errno != 0 {
		return nil, nil, 0, errno
	}
	return n.child(ctx, n.fs.newThing(false, mode), out), nil, 0, 0
}

// Mkdir makes a directory.
func (n *node) Mkdir(ctx context.Context, name string, mode uint32, out *fuse.EntryOut) (*gofs.Inode, syscall.Errno) {
	return n.make(ctx, name, true, mode, out)
}

func (n *node) make(ctx context.Context, name string, dir bool, mode uint32, out *fuse.EntryOut) (*gofs.Inode, syscall.Errno) {
	defer n.lock()()
	if n.at.names[name] != nil {
		return nil, syscall.EEXIST
	}
	if errno := n.fs.before(Create, n.name(name)); errno != 0 {
		return nil, errno
	}
	thing := n.fs.newThing(dir, mode)
	n.change(change{name: name, to: thing})
	return n.child(ctx, thing, out), 0
}

// Link gives a file a further name.
func (n *node) Link(ctx context.Context, target gofs.InodeEmbedder, name string, out *fuse.EntryOut) (*gofs.Inode, syscall.Errno) {
	defer n.lock()()
	if n.at.names[name] != nil {
		return nil, syscall.EEXIST
	}
	if errno := n.fs.before(Link, n.name(name)); errno != 0 {
		return nil, errno
	}
	thing := target.(*node).at
	n.change(change{name: name, to: thing})
	return n.child(ctx, thing, out), 0
}

// Unlink takes a name from a file.
func (n *node) Unlink(_ context.Context, name string) syscall.Errno { return n.remove(name) }

// Rmdir removes an empty directory.
func (n *node) Rmdir(_ context.Context, name string) syscall.Errno { return n.remove(name) }

func (n *node) remove(name string) syscall.Errno {
	defer n.lock()()
	thing := n.at.names[name]
	switch {
	case thing == nil:
		return syscall.ENOENT
	case len(thing.names) > 0:
		return syscall.ENOTEMPTY
	}
	if errno := n.fs.before(Remove, n.name(name)); errno != 0 {
		return errno
	}
	n.change(change{gone: name})
	return 0
}

// Rename gives a thing another name; its former owner is gone.
func (n *node) Rename(_ context.Context, name string, to gofs.InodeEmbedder, newName string, flags uint32) syscall.Errno {
	defer n.lock()()
	thing := n.at.names[name]
	if thing == nil {
		return syscall.ENOENT
	}
	if flags != 0 {
		return syscall.EINVAL
	}
	if errno := n.fs.before(Rename, n.name(newName)); errno != 0 {
		return errno
	}
	there := to.(*node)
	if there.at == n.at {
		n.change(change{gone: name, name: newName, to: thing})
		return 0
	}
	there.change(change{name: newName, to: thing})
	n.at.changes = append(n.at.changes, change{gone: name})
	delete(n.at.names, name)
	return 0
}

// Getattr tells of a thing.
func (n *node) Getattr(_ context.Context, _ gofs.FileHandle, out *fuse.AttrOut) syscall.Errno {
	defer n.lock()()
	attr(n.at, &out.Attr)
	return 0
}

// Setattr changes mode and size.
func (n *node) Setattr(_ context.Context, _ gofs.FileHandle, in *fuse.SetAttrIn, out *fuse.AttrOut) syscall.Errno {
	defer n.lock()()
	if mode, ok := in.GetMode(); ok {
		n.at.mode = mode & 0o7777
	}
	if size, ok := in.GetSize(); ok {
		if errno := n.resize(int64(size)); errno != 0 {
			return errno
		}
	}
	attr(n.at, &out.Attr)
	return 0
}

func (n *node) resize(size int64) syscall.Errno {
	if errno := n.fs.before(Truncate, n.name("")); errno != 0 {
		return errno
	}
	if errno := n.fs.room(size - int64(len(n.at.data))); errno != 0 {
		return errno
	}
	n.at.data = resized(n.at.data, size)
	n.at.pending = append(n.at.pending, write{off: size})
	return 0
}

// Open opens a file.
func (n *node) Open(context.Context, uint32) (gofs.FileHandle, uint32, syscall.Errno) {
	return nil, 0, 0
}

// Read reads.
func (n *node) Read(_ context.Context, _ gofs.FileHandle, dest []byte, off int64) (fuse.ReadResult, syscall.Errno) {
	defer n.lock()()
	if off >= int64(len(n.at.data)) {
		return fuse.ReadResultData(nil), 0
	}
	return fuse.ReadResultData(dest[:copy(dest, n.at.data[off:])]), 0
}

// Write writes.
func (n *node) Write(_ context.Context, _ gofs.FileHandle, data []byte, off int64) (uint32, syscall.Errno) {
	defer n.lock()()
	if errno := n.fs.before(Write, n.name("")); errno != 0 {
		return 0, errno
	}
	if errno := n.fs.room(max(0, off+int64(len(data))-int64(len(n.at.data)))); errno != 0 {
		return 0, errno
	}
	n.at.data = written(n.at.data, data, off)
	n.at.pending = append(n.at.pending, write{off, bytes.Clone(data)})
	return uint32(len(data)), 0
}

// Fsync makes a file, or the names of a directory, durable.
func (n *node) Fsync(context.Context, gofs.FileHandle, uint32) syscall.Errno {
	defer n.lock()()
	op := Sync
	if n.at.dir {
		op = SyncDir
	}
	if errno := n.fs.before(op, n.name("")); errno != 0 || n.fs.options.LieOnSync {
		return errno
	}
	if n.at.dir {
		n.at.kept, n.at.changes = maps.Clone(n.at.names), nil
		return 0
	}
	n.at.durable, n.at.pending = bytes.Clone(n.at.data), nil
	return 0
}

// Statfs tells how much room there is.
func (n *node) Statfs(_ context.Context, out *fuse.StatfsOut) syscall.Errno {
	defer n.lock()()
	size := n.fs.options.Capacity
	if size == 0 {
		size = 1 << 40
	}
	out.Bsize, out.Frsize, out.NameLen = 4096, 4096, 255
	out.Blocks = uint64(size) / 4096
	out.Bfree = uint64(max(0, size-n.fs.used)) / 4096
	out.Bavail = out.Bfree
	return 0
}
