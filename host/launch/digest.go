package launch

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"syscall"
)

// Digest returns the SHA-256 of a file in hex.
func Digest(path string) (string, error) {
	file, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer func() { _ = file.Close() }()
	return digest(file)
}

func digest(file *os.File) (string, error) {
	sum := sha256.New()
	if _, err := io.Copy(sum, file); err != nil {
		return "", err
	}
	return hex.EncodeToString(sum.Sum(nil)), nil
}

// verify compares the executable with its digest. A program is then started
// from the very file that was read, so that nobody can change the name's
// meaning in between. A script cannot be: its interpreter needs its name to find
// what lies beside it. It is compared once more when it runs, by unchanged.
func (r *pluginRunner) verify() error {
	if r.command.Digest == "" {
		return nil
	}
	file, err := os.Open(r.command.Path)
	if err != nil {
		return r.spawnError(err)
	}
	r.files = append(r.files, file)
	got, err := digest(file)
	if err != nil {
		return fmt.Errorf("cannot be read: %w", err)
	}
	if got != r.command.Digest {
		return fmt.Errorf("%s has changed since it was looked at: its SHA-256 is %s, want %s; run the command again", r.command.Path, got, r.command.Digest)
	}
	if path := descriptorPath(3 + len(r.cmd.ExtraFiles)); path != "" && isProgram(file) {
		r.cmd.Path = path
		r.cmd.ExtraFiles = append(r.cmd.ExtraFiles, file)
		return nil
	}
	r.verified, err = file.Stat()
	return err
}

// unchanged reports whether the name of a script still means the file that was
// verified, with the same content. By then its interpreter has read it, and no
// secret has been sent.
func (r *pluginRunner) unchanged() error {
	if r.verified == nil {
		return nil
	}
	now, err := os.Stat(r.command.Path)
	if err == nil && os.SameFile(now, r.verified) && changedAt(now) == changedAt(r.verified) {
		var got string
		if got, err = Digest(r.command.Path); err == nil && got == r.command.Digest {
			return nil
		}
	}
	return errReplaced
}

var errReplaced = errors.New("its file was replaced while it was started")

// changedAt is when anything about a file changed last: nobody can set it back.
func changedAt(info fs.FileInfo) syscall.Timespec {
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return syscall.Timespec{}
	}
	return changeTime(stat)
}

// isProgram reports whether the file is what the kernel runs without an
// interpreter.
func isProgram(file *os.File) bool {
	magic := make([]byte, 4)
	_, err := file.ReadAt(magic, 0)
	return err == nil && bytes.Equal(magic, []byte("\x7fELF"))
}
