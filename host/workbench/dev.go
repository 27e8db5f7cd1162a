package workbench

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/rekey-host/rekey/host/launch"
)

// Workshop keeps the plugin of a folder built and running while its author writes.
type Workshop struct {
	Path    string          // a program, or the folder of one: of a program of Go what it is built of
	Options launch.Options  // of the process
	Tell    func(string)    // says something to the author
	Ready   func(Prototype) // a program runs, again after each that took its place
	Every   time.Duration   // how often it is looked for changes; 0: a third of a second

	made string // the directory of what is built
}

// Prototype is a program that runs.
type Prototype struct {
	Name     string // what the backend calls itself
	PID      int
	Reattach string // what REKEY_REATTACH has to be; it stays while the workshop is open
}

// Run builds and starts until the context ends. The error says what it cannot begin with; what
// is wrong with a program is told, and the next change tried.
func (w Workshop) Run(ctx context.Context) error {
	folder, err := w.folder()
	if err != nil {
		return err
	}
	if w.made, err = os.MkdirTemp("", "rekey-dev-*"); err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(w.made) }()
	stand, err := launch.NewStand(w.Options)
	if err != nil {
		return err
	}
	defer stand.Close()
	if w.Every == 0 {
		w.Every = time.Second / 3
	}
	for ctx.Err() == nil {
		seen := state(folder)
		w.renew(ctx, stand)
		w.await(ctx, stand, func() bool { return state(folder) != seen })
	}
	return nil
}

// folder is where a change means another program.
func (w Workshop) folder() (string, error) {
	info, err := os.Stat(w.Path)
	switch {
	case err != nil:
		return "", err
	case info.IsDir():
		return w.Path, nil
	}
	if program, err := launch.IsProgram(w.Path); err != nil || program {
		return w.Path, err // a linker writes it
	}
	return filepath.Dir(w.Path), nil
}

// renew builds the program and starts it in the place of the one before, which stays if it
// cannot be built.
func (w Workshop) renew(ctx context.Context, stand *launch.Stand) {
	program, err := w.build(ctx)
	if err != nil {
		w.Tell(err.Error())
		return
	}
	pid, err := stand.Serve(ctx, program)
	var failed *launch.StartError
	switch {
	case ctx.Err() != nil:
	case errors.As(err, &failed):
		for _, line := range failed.Stderr {
			w.Tell(line)
		}
		w.Tell(err.Error())
	case err != nil:
		w.Tell(err.Error())
	default:
		w.Ready(Prototype{Name: stand.Name(), PID: pid, Reattach: stand.Reattach()})
	}
}

// await waits for a change. A program that ends is told, and not started again by
// itself: it would end again.
func (w Workshop) await(ctx context.Context, stand *launch.Stand, changed func() bool) {
	ticker := time.NewTicker(w.Every)
	defer ticker.Stop()
	ended := stand.Exited()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ended:
			ended = nil
			w.Tell("it ended: " + stand.How() + "; the next change starts it again")
		case <-ticker.C:
			if changed() {
				return
			}
		}
	}
}

// build returns the program of the path. One of Go is built, so that a debugger finds its
// way; what a folder of another language has is started as it is.
func (w Workshop) build(ctx context.Context) (string, error) {
	info, err := os.Stat(w.Path)
	if err != nil || !info.IsDir() {
		return w.Path, err
	}
	if sources, _ := filepath.Glob(filepath.Join(w.Path, "*.go")); len(sources) == 0 {
		return scriptIn(w.Path)
	}
	name := filepath.Base(w.Path)
	if !strings.HasPrefix(name, "rekey-backend-") {
		name = "rekey-backend-" + name
	}
	program := filepath.Join(w.made, name)
	var said bytes.Buffer
	build := exec.CommandContext(ctx, "go", "build", "-gcflags", "-N -l", "-o", program+".new", ".")
	build.Dir, build.Stdout, build.Stderr = w.Path, &said, &said
	if err := build.Run(); err != nil {
		return "", fmt.Errorf("%sgo build: %w", said.String(), err)
	}
	return program, os.Rename(program+".new", program)
}

// scriptIn is the one executable rekey-backend-NAME of a folder.
func scriptIn(folder string) (string, error) {
	found, err := filepath.Glob(filepath.Join(folder, "rekey-backend-*"))
	var programs []string
	for _, path := range found {
		if info, err := os.Stat(path); err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0 {
			programs = append(programs, path)
		}
	}
	if err != nil || len(programs) != 1 {
		return "", fmt.Errorf("%s: it has neither files of Go nor one executable rekey-backend-NAME; give the program itself", folder)
	}
	return programs[0], nil
}

// state is another number when a file was written, came or went. Names that begin with
// a dot, and what packages and interpreters put there, do not count.
func state(path string) uint64 {
	sum := fnv.New64a()
	_ = filepath.WalkDir(path, func(at string, entry fs.DirEntry, err error) error {
		if err != nil {
			return nil // it is going, or coming: the next look tells
		}
		name := entry.Name()
		if at != path && (strings.HasPrefix(name, ".") || name == "node_modules" || name == "__pycache__") {
			if entry.IsDir() {
				return fs.SkipDir
			}
			return nil
		}
		if info, err := entry.Info(); err == nil && !entry.IsDir() {
			_, _ = fmt.Fprintln(sum, at, info.Size(), info.ModTime().UnixNano())
		}
		return nil
	})
	return sum.Sum64()
}
