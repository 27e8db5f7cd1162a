package source

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"hash"
	"io"
	"io/fs"
	"path/filepath"
	"strings"
	"sync"

	"github.com/rekey-host/rekey/host/diag"
	"github.com/rekey-host/rekey/host/internal/bounded"
)

// Files says where the files of a source come from.
type Files struct {
	Dir      string // that paths are relative to; "": the process's working directory
	Embedded fs.FS  // holds the paths that start with "@rekey/"; nil: without them
	Stdin    *Spool // is read for the path "-"; all sources of a process share one; nil: without it
	Text     []byte // stands for whatever file there is; nil: it is opened
	SpoolDir string // where a pipe is kept that does not fit into memory; "": os.TempDir
}

const (
	stdinPath      = "-"
	stdinName      = "stdin"
	embeddedPrefix = "@rekey/"
)

// input is a file that can be opened again. Pipes and stdin are spooled, so
// that they can.
type input struct {
	path  string // as written
	files Files

	mu   sync.Mutex
	pipe *Spool // of a path other than a regular file
	sum  string // of the first complete reading
}

// name is how problems call the input.
func (in *input) name() string {
	if in.path == stdinPath {
		return stdinName
	}
	return in.path
}

// open returns the input from its start, until the context ends. What a user
// can mend is a *Problems.
func (in *input) open(ctx context.Context) (io.ReadCloser, error) {
	switch {
	case in.files.Text != nil:
		return io.NopCloser(bytes.NewReader(in.files.Text)), nil
	case in.path == stdinPath:
		return in.openSpool(ctx, in.files.Stdin)
	case strings.HasPrefix(in.path, embeddedPrefix):
		return in.openEmbedded(strings.TrimPrefix(in.path, embeddedPrefix))
	}
	in.mu.Lock()
	defer in.mu.Unlock()
	if in.pipe != nil {
		return in.openSpool(ctx, in.pipe)
	}
	return in.openFile(ctx)
}

func (in *input) openFile(ctx context.Context) (io.ReadCloser, error) {
	path := in.path
	if !filepath.IsAbs(path) {
		path = filepath.Join(in.files.Dir, path)
	}
	file, err := bounded.Open(ctx, path)
	if err != nil {
		return nil, in.broken(0, err)
	}
	info, err := file.Stat()
	switch {
	case err != nil:
		_ = file.Close()
		return nil, in.broken(0, err)
	case info.Mode().IsRegular() && info.Size() > 0: // a file of the kernel's says 0
		return file, nil
	}
	pipe := NewSpool(file, in.files.SpoolDir)
	defer file.Close() // Open reads it to its end
	readCloser, err := in.openSpool(ctx, pipe)
	if !info.Mode().IsRegular() && err == nil {
		in.pipe = pipe
	}
	return readCloser, err
}

func (in *input) openEmbedded(path string) (io.ReadCloser, error) {
	if in.files.Embedded == nil {
		return nil, in.broken(0, fs.ErrNotExist)
	}
	file, err := in.files.Embedded.Open(path)
	if err != nil {
		return nil, in.broken(0, err)
	}
	return file, nil
}

func (in *input) openSpool(ctx context.Context, spool *Spool) (io.ReadCloser, error) {
	if spool == nil {
		return nil, one(diag.Problem{File: stdinName, Message: "there is no standard input to read users from"})
	}
	r, err := spool.Open(ctx)
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	if err != nil {
		return nil, in.broken(0, err)
	}
	return io.NopCloser(r), nil
}

// once reports whether the input can only be read in this process.
func (in *input) once() bool {
	in.mu.Lock()
	defer in.mu.Unlock()
	return in.path == stdinPath || in.pipe != nil
}

// broken is the problem of an input that cannot be read. The path is named by
// the problem and left out of its text.
func (in *input) broken(line int, err error) *diag.Problems {
	reason := err
	var path *fs.PathError
	if errors.As(err, &path) {
		reason = path.Err
	}
	problem := diag.Problem{File: in.name(), Line: line, Message: "cannot be read: " + reason.Error(), Cause: err}
	switch {
	case errors.Is(err, fs.ErrNotExist):
		problem.Message = "no such file"
	case errors.Is(err, bounded.ErrDirectory):
		problem.Message = "is a directory, not a file of users"
	case errors.Is(err, bounded.ErrGrew):
		problem.Message, problem.Fix = reason.Error(), "run again when nothing writes to it"
	}
	return one(problem)
}

// one returns a list of one problem.
func one(problem diag.Problem) *diag.Problems {
	problems := &diag.Problems{}
	problems.Add(problem)
	return problems
}

// hashed adds all bytes read through it to a digest.
type hashed struct {
	io.Reader
	sum hash.Hash
}

func newHashed(r io.Reader) *hashed { return &hashed{Reader: r, sum: sha256.New()} }

func (h *hashed) Read(data []byte) (int, error) {
	count, err := h.Reader.Read(data)
	h.sum.Write(data[:count])
	return count, err
}

// settle compares the digest of a complete reading with that of the first: a
// file that changes under a run would make a plan that no fingerprint names.
func (in *input) settle(hashed *hashed) error {
	sum := hex.EncodeToString(hashed.sum.Sum(nil))
	in.mu.Lock()
	defer in.mu.Unlock()
	if in.sum == "" {
		in.sum = sum
	}
	if in.sum != sum {
		return one(diag.Problem{File: in.name(), Message: "changed while it was being read", Fix: "run again when nothing writes to it"})
	}
	return nil
}

// Fingerprint names the content of one file of a source.
type Fingerprint struct {
	Name   string // of the file, as written
	SHA256 string // of its bytes, in hex
	Stdin  bool   // it was stdin or a pipe: there is nothing to compare it with later
}

// Fingerprinter is a Source of files.
type Fingerprinter interface {
	// Fingerprints returns one for each file, in order, reading each to its end.
	Fingerprints(ctx context.Context) ([]Fingerprint, error)
}

// Fingerprints returns those of the source's files; empty for a source without
// files.
func Fingerprints(ctx context.Context, src Source) ([]Fingerprint, error) {
	fingerprinter, ok := src.(Fingerprinter)
	if !ok {
		return nil, nil
	}
	return fingerprinter.Fingerprints(ctx)
}

func (in *input) fingerprints(ctx context.Context) ([]Fingerprint, error) {
	readCloser, err := in.open(ctx)
	if err != nil {
		return nil, err
	}
	defer readCloser.Close()
	hashed := newHashed(untilDone{ctx, readCloser})
	if _, err := io.Copy(io.Discard, hashed); err != nil {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		return nil, in.broken(0, err)
	}
	if err := in.settle(hashed); err != nil {
		return nil, err
	}
	return []Fingerprint{{Name: in.name(), SHA256: hex.EncodeToString(hashed.sum.Sum(nil)), Stdin: in.once()}}, nil
}

// read opens the input for reading line by line; lines of the characters in
// space are blank.
func (in *input) read(ctx context.Context, charset charset, space string) (*lines, error) {
	readCloser, err := in.open(ctx)
	if err != nil {
		return nil, err
	}
	hashed := newHashed(untilDone{ctx, readCloser})
	text, problem := charset.decode(hashed)
	if problem != nil {
		_ = readCloser.Close()
		problem.File = in.name()
		return nil, one(*problem)
	}
	return &lines{in: in, charset: charset, hash: hashed, text: text, close: readCloser.Close, space: space}, nil
}

// untilDone stops reading when its context ends.
type untilDone struct {
	ctx context.Context
	r   io.Reader
}

func (u untilDone) Read(data []byte) (int, error) {
	if err := u.ctx.Err(); err != nil {
		return 0, err
	}
	return u.r.Read(data)
}
