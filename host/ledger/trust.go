package ledger

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"syscall"

	"github.com/rekey-host/rekey/host/internal/bounded"
	"github.com/rekey-host/rekey/sdk/strict"
)

// readKeys reads a file of keys that only this user and root may own and use,
// without the mark that some editors put in front.
func readKeys(path string) ([]byte, error) {
	f, err := bounded.Open(context.Background(), path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err == nil {
		err = kept(path, info)
	}
	if err != nil {
		return nil, err
	}
	text, err := io.ReadAll(io.LimitReader(f, maxKeyFile+1))
	if err != nil {
		return nil, &fs.PathError{Op: "read", Path: path, Err: err}
	}
	return keyText(path, text)
}

// kept judges an opened file of keys, and every name on the way to it.
func kept(path string, open fs.FileInfo) error {
	there, err := strict.Keep(path, os.Geteuid())
	if errors.Is(err, fs.ErrNotExist) && nameless(open) {
		return nil // who started this process has handed it over
	}
	switch own := strict.Opened(path, open, os.Geteuid()); {
	case own != nil:
		return own
	case err != nil:
		return err
	case !os.SameFile(there, open):
		return fmt.Errorf("%s: another file was put there while it was being read", path)
	}
	return nil
}

// nameless reports whether a file was opened by its descriptor, and has no name:
// a pipe of a shell, or a removed file.
func nameless(open fs.FileInfo) bool {
	stat, ok := open.Sys().(*syscall.Stat_t)
	return ok && (open.Mode()&fs.ModeNamedPipe != 0 || stat.Nlink == 0)
}
