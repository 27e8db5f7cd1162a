package bounded

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

const enough = 1 << 16

// within runs a reading that has to end soon.
func within(t *testing.T, most time.Duration, read func() ([]byte, error)) ([]byte, error) {
	t.Helper()
	type result struct {
		text []byte
		err  error
	}
	done := make(chan result, 1)
	go func() { text, err := read(); done <- result{text, err} }()
	select {
	case r := <-done:
		return r.text, r.err
	case <-time.After(most):
		t.Fatalf("still reading after %s", most)
		return nil, nil
	}
}

func fifo(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "fifo")
	if err := unix.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestWhatIsNoFileIsNamed(t *testing.T) {
	dir := t.TempDir()
	socket := filepath.Join(dir, "s")
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	link := filepath.Join(dir, "link")
	if err := os.Symlink("/dev/zero", link); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]error{
		"/dev/zero": ErrDevice, "/dev/random": ErrDevice, "/dev/urandom": ErrDevice, "/dev/full": ErrDevice, link: ErrDevice,
		dir: ErrDirectory, "/": ErrDirectory, socket: ErrSocket, filepath.Join(dir, "none"): os.ErrNotExist,
	} {
		_, err := within(t, 5*time.Second, func() ([]byte, error) { return ReadFile(context.Background(), path, enough) })
		if !errors.Is(err, want) {
			t.Errorf("%s: %v, want %v", path, err, want)
		}
	}
}

func TestFilesAndPipesAreReadToTheirEnd(t *testing.T) {
	dir := t.TempDir()
	plain := filepath.Join(dir, "plain")
	if err := os.WriteFile(plain, []byte("text"), 0o600); err != nil {
		t.Fatal(err)
	}
	named := fifo(t)
	go func() {
		time.Sleep(200 * time.Millisecond) // a writer that is late
		w, err := os.OpenFile(named, os.O_WRONLY, 0)
		if err != nil {
			return
		}
		defer w.Close()
		for range 3 {
			time.Sleep(100 * time.Millisecond) // and slow
			_, _ = fmt.Fprint(w, "text")
		}
	}()
	empty := fifo(t)
	go func() {
		if w, err := os.OpenFile(empty, os.O_WRONLY, 0); err == nil {
			w.Close()
		}
	}()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	_, _ = fmt.Fprint(w, "text")
	w.Close()
	ended, w2, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer ended.Close()
	w2.Close()
	for path, want := range map[string]string{
		plain: "text", named: "texttexttext", empty: "", os.DevNull: "",
		fmt.Sprintf("/dev/fd/%d", r.Fd()): "text", fmt.Sprintf("/dev/fd/%d", ended.Fd()): "",
	} {
		text, err := within(t, 5*time.Second, func() ([]byte, error) { return ReadFile(context.Background(), path, enough) })
		if err != nil || string(text) != want {
			t.Errorf("%s: %q, %v, want %q", path, text, err, want)
		}
	}
	if text, err := ReadFile(context.Background(), "/proc/self/status", enough); err != nil || !strings.Contains(string(text), "Pid") {
		t.Errorf("a file whose size the kernel does not say: %.20q, %v", text, err)
	}
}

func TestAContextEndsEveryWaiting(t *testing.T) {
	silent := fifo(t)
	w, err := os.OpenFile(silent, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	r, w2, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	defer w2.Close()
	for name, read := range map[string]func(context.Context) ([]byte, error){
		"a pipe without a writer": func(ctx context.Context) ([]byte, error) { return ReadFile(ctx, fifo(t), enough) },
		"a writer that is silent": func(ctx context.Context) ([]byte, error) { return ReadFile(ctx, silent, enough) },
		"standard input":          func(ctx context.Context) ([]byte, error) { return io.ReadAll(Until(ctx, r)) },
		"a reader without an end": func(ctx context.Context) ([]byte, error) { return nil, drain(Until(ctx, zeros{})) },
	} {
		ctx, cancel := context.WithCancel(context.Background())
		time.AfterFunc(200*time.Millisecond, cancel)
		began := time.Now()
		_, err := within(t, 3*time.Second, func() ([]byte, error) { return read(ctx) })
		if !errors.Is(err, context.Canceled) || time.Since(began) > 2*time.Second {
			t.Errorf("%s: %v after %s, want it to end with its context", name, err, time.Since(began))
		}
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { return len(p), nil }

func drain(r io.Reader) error {
	_, err := io.Copy(io.Discard, r)
	return err
}

func TestAPipeThatNobodyWritesToEnds(t *testing.T) {
	f, err := Open(context.Background(), fifo(t))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	f.since = time.Now().Add(-patience)
	if _, err := within(t, 2*time.Second, func() ([]byte, error) { return io.ReadAll(f) }); !errors.Is(err, ErrNobodyWrites) {
		t.Errorf("%v, want %v", err, ErrNobodyWrites)
	}
}

func TestAFileThatGrowsOrIsTooLargeEnds(t *testing.T) {
	path := filepath.Join(t.TempDir(), "growing")
	if err := os.WriteFile(path, make([]byte, 1000), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := ReadFile(context.Background(), path, 999); err == nil || !strings.Contains(err.Error(), "is larger than") {
		t.Errorf("%v, want that it is too large", err)
	}
	f, err := Open(context.Background(), path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := os.Truncate(path, 1<<40); err != nil {
		t.Fatal(err)
	}
	if _, err := within(t, 5*time.Second, func() ([]byte, error) { return nil, drain(f) }); !errors.Is(err, ErrGrew) {
		t.Errorf("%v, want %v", err, ErrGrew)
	}
}

// stuck is a reader that waits in the kernel and takes no notice of anything,
// as one of a file system whose server is gone.
func stuck(t *testing.T) *os.File {
	t.Helper()
	var fds [2]int
	if err := unix.Pipe(fds[:]); err != nil { // not non-blocking: the runtime does not wait for it
		t.Fatal(err)
	}
	r, w := os.NewFile(uintptr(fds[0]), "stuck"), os.NewFile(uintptr(fds[1]), "its writer")
	t.Cleanup(func() { w.Close() })
	return r
}

func TestAContextEndsWhatWaitsInTheKernel(t *testing.T) {
	plain := filepath.Join(t.TempDir(), "plain")
	if err := os.WriteFile(plain, []byte("text"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, read := range map[string]func(context.Context, *os.File) error{
		"a read of a regular file": func(ctx context.Context, held *os.File) error {
			f, err := Open(ctx, plain)
			if err != nil {
				return err
			}
			_ = f.file.Close()
			f.file = held
			_, err = io.ReadAll(f)
			if _, again := f.Read(make([]byte, 1)); again == nil {
				t.Error("a read after the end of the context tells of no error")
			}
			return errors.Join(err, f.Close())
		},
		"an opening or a look": func(ctx context.Context, held *os.File) error {
			_, err := Within(ctx, func() (int, error) { return held.Read(make([]byte, 1)) })
			return err
		},
	} {
		ctx, cancel := context.WithCancel(context.Background())
		time.AfterFunc(200*time.Millisecond, cancel)
		began := time.Now()
		_, err := within(t, 3*time.Second, func() ([]byte, error) { return nil, read(ctx, stuck(t)) })
		if !errors.Is(err, context.Canceled) || time.Since(began) > 2*time.Second {
			t.Errorf("%s: %v after %s, want it to end with its context", name, err, time.Since(began))
		}
	}
}

// TestWhatComesTooLateIsDropped: a file that was opened after all is closed, and
// bytes that arrive do not change what the caller goes on with.
func TestWhatComesTooLateIsDropped(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	go1, dropped := make(chan bool), make(chan string, 1)
	_, err := withinOr(ctx, func() (string, error) { <-go1; return "late", nil }, func(s string) { dropped <- s })
	if !errors.Is(err, context.Canceled) {
		t.Errorf("%v, want that of the context", err)
	}
	close(go1)
	select {
	case s := <-dropped:
		if s != "late" {
			t.Errorf("%q was dropped", s)
		}
	case <-time.After(3 * time.Second):
		t.Error("what came too late is kept")
	}
}
