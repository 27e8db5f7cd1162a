package file

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"github.com/rekey-host/rekey/plugins/internal/files"
	"github.com/rekey-host/rekey/sdk"
	"github.com/rekey-host/rekey/sdk/secret"
)

// largest is more than a configuration file has.
const largest = 16 << 20

// state is the file at one moment.
type state struct {
	target string // behind symbolic links
	info   fs.FileInfo
	text   string
}

// read returns the file as it is.
func (i *Instance) read() (state, *sdk.Error) {
	target, err := filepath.EvalSymlinks(i.path)
	if err != nil {
		return state{}, files.Error(err)
	}
	opened, err := files.OpenNow(target)
	if err != nil {
		return state{}, files.Error(err)
	}
	defer func() { _ = opened.Close() }()
	info, err := opened.Stat()
	switch {
	case err != nil:
		return state{}, files.Error(err)
	case !info.Mode().IsRegular():
		return state{}, sdk.Errorf(sdk.InvalidConfig, "path: %q is not a regular file", i.path)
	case info.Size() > largest:
		return state{}, sdk.Errorf(sdk.InvalidConfig, "path: %q is larger than a configuration file", i.path)
	}
	text, err := io.ReadAll(opened)
	return state{target: target, info: info, text: string(text)}, files.Error(err)
}

// canonical is the one name of the file.
func (i *Instance) canonical() string {
	if target, err := filepath.EvalSymlinks(i.path); err == nil {
		return target
	}
	return filepath.Clean(i.path)
}

// links is how many names the file has.
func (s state) links() uint64 {
	if stat, ok := s.info.Sys().(*syscall.Stat_t); ok {
		return uint64(stat.Nlink)
	}
	return 1
}

func (s state) linked() *sdk.Error {
	if s.links() < 2 {
		return nil
	}
	return sdk.Errorf(sdk.InvalidConfig, "%q has hard links, which would keep the old value; make them symbolic links", s.target)
}

// obstacles returns what will hinder a replacement.
func (s state) obstacles() []sdk.Finding {
	if failure := s.linked(); failure != nil {
		return []sdk.Finding{bad(failure)}
	}
	return files.Obstacles(filepath.Dir(s.target), s.target, s.info)
}

// write puts a value to its place, under the lock that all rekey processes take.
func (i *Instance) write(ctx context.Context, op sdk.Operation) sdk.Receipt {
	unlock, failure := i.lock(ctx)
	if failure != nil {
		return sdk.Refuse(failure)
	}
	defer unlock()
	now, failure := i.read()
	if failure != nil {
		return sdk.Refuse(failure)
	}
	text, done, failure := i.wanted(now, op)
	if failure != nil {
		return sdk.Refuse(failure)
	}
	unmark, err := i.untold().mark(op.Account)
	switch {
	case err != nil:
		return sdk.Refuse(files.Error(err))
	case done:
		return sdk.Receipt{Outcome: sdk.AlreadyApplied}
	case text == now.text: // an earlier attempt was here
		return sdk.OK()
	}
	receipt := i.replace(ctx, now, text)
	if receipt.Outcome == sdk.Refused {
		unmark()
	}
	return receipt
}

// wanted is the text that an operation makes of the file's. done: an earlier attempt
// of the same change has been here.
func (i *Instance) wanted(now state, op sdk.Operation) (text string, done bool, failure *sdk.Error) {
	if op.Verb == sdk.Change {
		if done, failure := i.admit(now, op); failure != nil || done {
			return now.text, done, failure
		}
	}
	text, failure = i.with(now, op.Account, op.Value.Reveal())
	for _, further := range also(op) {
		if failure == nil {
			text, failure = i.with(state{text: text}, further.place, further.text)
		}
	}
	if failure == nil && text != now.text {
		failure = now.linked()
	}
	return text, false, failure
}

// admit compares the old value of a change with what is there. done: an earlier
// attempt has been here.
func (i *Instance) admit(now state, op sdk.Operation) (done bool, failure *sdk.Error) {
	if _, failure := find(i.format, now.text, op.Account); failure != nil {
		return false, failure
	}
	there, ok := i.format.read(now.text, op.Account)
	switch have := secret.New(there); {
	case ok && have.Equal(op.Old):
		return false, nil
	case ok && op.Attempt > 1 && have.Equal(op.Value):
		return true, nil
	}
	return false, sdk.Errorf(sdk.WrongCurrentPassword, "%q: the file holds another value than the old one", op.Account)
}

// lock waits for the lock on the file's directory: the file itself is replaced.
func (i *Instance) lock(ctx context.Context) (unlock func(), failure *sdk.Error) {
	if ctx.Err() != nil {
		return nil, files.Error(ctx.Err())
	}
	target := i.canonical()
	held, err := os.Open(filepath.Dir(target))
	if err != nil {
		return nil, files.Error(err)
	}
	if err := files.Wait(ctx, func() error { return files.Flock(held) }); err != nil {
		_ = held.Close()
		return nil, files.Error(err)
	}
	files.Sweep(target)
	return func() { _ = held.Close() }, nil
}

// with is the text with a value at a place. Whatever the spot says, the parser
// has to read the value there, or nothing is written.
func (i *Instance) with(now state, place, value string) (string, *sdk.Error) {
	at, failure := find(i.format, now.text, place)
	if failure != nil {
		return "", failure
	}
	text, read, failure := i.put(now.text, at, value)
	if failure != nil || read {
		return text, failure
	}
	if _, read, _ := i.put(now.text, at, ordinary); read {
		return "", notCarried("a parser of the format would read another value there")
	}
	return "", sdk.Errorf(sdk.Ambiguous, "%q: a program would not read what is written there: something before it, or around it, hides it", place)
}

// ordinary is a value that every format carries.
const ordinary = "ordinary-Value-1"

// put is a text with a value at a spot, and whether a parser reads it there.
func (i *Instance) put(text string, at spot, value string) (string, bool, *sdk.Error) {
	written, failure := i.format.written(at, value)
	if failure != nil {
		return "", false, failure
	}
	text = text[:at.from] + written + text[at.to:]
	got, ok := i.format.read(text, at.place)
	return text, ok && got == value, nil
}

// replace puts a text in the place of the file. Until the rename a crash leaves
// the old file, after it the new one.
func (i *Instance) replace(ctx context.Context, now state, text string) sdk.Receipt {
	draft, err := now.draft(text)
	if err != nil {
		return sdk.Refuse(files.Error(err))
	}
	defer func() { _ = os.Remove(draft) }() // in vain after the rename
	seen, err := os.Stat(now.target)
	switch {
	case err != nil:
		return sdk.Refuse(files.Error(err))
	case files.IdentityOf(seen) != files.IdentityOf(now.info):
		return sdk.Refuse(sdk.Errorf(sdk.Conflict, "%q: another program has changed it meanwhile", i.path))
	case ctx.Err() != nil:
		return sdk.Refuse(files.Error(ctx.Err()))
	}
	if err := os.Rename(draft, now.target); err != nil {
		return sdk.Refuse(files.Error(err))
	}
	if err := files.SyncDir(filepath.Dir(now.target)); err != nil {
		return sdk.Lost(files.Error(err))
	}
	after, failure := i.read()
	if failure != nil || after.text != text {
		return sdk.Lost(sdk.Errorf(sdk.Conflict, "%q: another program has changed it since", i.path))
	}
	return sdk.OK()
}

// draft writes a file beside the old one that is like it in all but its text. It
// is for its owner alone until it is whole.
func (s state) draft(text string) (path string, err error) {
	file, err := os.CreateTemp(filepath.Dir(s.target), files.DraftName(s.target))
	if err != nil {
		return "", err
	}
	_, err = file.WriteString(text)
	if err == nil {
		err = files.Likeness(file, s.target, s.info)
	}
	if err == nil {
		err = file.Sync()
	}
	if err = errors.Join(err, file.Close()); err != nil {
		_ = os.Remove(file.Name())
		return "", err
	}
	return file.Name(), nil
}
