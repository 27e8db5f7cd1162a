// Package define is about backends whose behaviour a file gives: a definition. It reads
// such files and tells them apart by their digests; what stands in one is for the
// backend to understand.
package define

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"

	"github.com/rekey-host/rekey/sdk"
)

// Setting is the name of the setting that names the file.
const Setting = "definition"

// shippedPrefix is what the names of files that come with a backend begin with.
const shippedPrefix = "@rekey/"

// MaxSize bounds a definition, in bytes.
const MaxSize = 64 << 10

// Backend is one that a definition makes more of: its settings, verbs and abilities are
// those that the file gives.
type Backend interface {
	sdk.Backend
	// Define returns the backend of a definition. file is what its errors call the
	// text. It opens nothing, and its result describes itself as every backend does.
	Define(file, text string) (sdk.Backend, error)
	// Shipped returns the definitions that come with the backend; nil: none do.
	Shipped() fs.FS
}

// File is a definition as it was read.
type File struct {
	Path   string // absolute, or @rekey/NAME
	Text   string
	Digest string // SHA-256 of the text, in hex
}

// IsShipped reports whether a path names a definition that comes with a backend.
func IsShipped(path string) bool { return strings.HasPrefix(path, shippedPrefix) }

// Names returns the definitions that come with a backend, as a script names them.
func Names(backend Backend) []string {
	var names []string
	if shipped := backend.Shipped(); shipped != nil {
		entries, _ := fs.ReadDir(shipped, ".")
		for _, entry := range entries {
			names = append(names, shippedPrefix+entry.Name())
		}
	}
	slices.Sort(names)
	return names
}

// Read reads a definition: a file, or one that comes with the backend.
func Read(backend Backend, path string) (File, error) {
	text, err := read(backend, path)
	if err != nil {
		return File{}, fmt.Errorf("definition: %w", err)
	}
	sum := sha256.Sum256(text)
	return File{path, string(text), hex.EncodeToString(sum[:])}, nil
}

func read(backend Backend, path string) ([]byte, error) {
	name, ships := strings.CutPrefix(path, shippedPrefix)
	if ships {
		shipped := backend.Shipped()
		if shipped == nil {
			return nil, fmt.Errorf("%s: no definition comes with %s", path, backend.Describe().Name)
		}
		text, err := fs.ReadFile(shipped, name)
		if errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("%s: does not exist; there is %s", path, strings.Join(Names(backend), ", "))
		}
		return text, err
	}
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%s: does not exist", path)
	}
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s: is no file", path)
	}
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	text, err := io.ReadAll(io.LimitReader(file, MaxSize+1))
	if err == nil && len(text) > MaxSize {
		err = fmt.Errorf("%s: is longer than %d bytes; a definition is a page", path, MaxSize)
	}
	return text, err
}

// Of returns the backend of a definition. With a digest no other text will do.
func Of(backend Backend, path, digest string) (sdk.Backend, error) {
	file, err := Read(backend, path)
	if err != nil {
		return nil, err
	}
	if digest != "" && digest != file.Digest {
		return nil, fmt.Errorf("definition: %s has changed since it was read; start again", path)
	}
	return backend.Define(path, file.Text)
}

// Served returns the backend that a program serves, by its arguments: the definition's
// path, and its digest. Without a path it is the backend itself. What is wrong with the
// definition ends the process.
func Served(backend Backend, args ...string) sdk.Backend {
	args = slices.DeleteFunc(args, func(arg string) bool { return arg == "" })
	if len(args) == 0 {
		return backend
	}
	defined, err := Of(backend, args[0], strings.Join(args[1:], " "))
	if err != nil {
		fmt.Fprintf(os.Stderr, "rekey-backend-%s: %s\n", backend.Describe().Name, err)
		os.Exit(1)
	}
	return defined
}
