package source

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"golang.org/x/crypto/chacha20poly1305"
)

// TestASealedFileIsWhatWasWritten reads files of every length around the
// bounds of chunks, often, and several at once.
func TestASealedFileIsWhatWasWritten(t *testing.T) {
	for _, n := range []int{0, 1, 100, sealedChunk - 1, sealedChunk, sealedChunk + 1, 3 * sealedChunk, 5*sealedChunk + 77} {
		text := make([]byte, n)
		_, _ = rand.Read(text)
		s, err := newSealed(t.TempDir())
		if err != nil {
			t.Fatal(err)
		}
		defer s.close()
		if _, err := io.Copy(s, iotest.HalfReader(bytes.NewReader(text))); err != nil {
			t.Fatal(err)
		}
		if err := s.flush(); err != nil {
			t.Fatal(err)
		}
		first, second := s.reader(), s.reader()
		for name, r := range map[string]io.Reader{"one": iotest.OneByteReader(first), "another": second, "a third": s.reader()} {
			if n > 2*sealedChunk && name == "one" {
				r = first
			}
			got, err := io.ReadAll(r)
			if err != nil || !bytes.Equal(got, text) {
				t.Errorf("%d bytes, %s: %d bytes, %v", n, name, len(got), err)
			}
		}
	}
}

// TestASealedFileIsNoOthers looks into it, and changes it.
func TestASealedFileIsNoOthers(t *testing.T) {
	write := func() *sealed {
		s, err := newSealed(t.TempDir())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = s.close() })
		for i := range 20_000 {
			_, _ = fmt.Fprintf(s, "u%d;canary-of-the-spool-%d\n", i, i)
		}
		if err := s.flush(); err != nil {
			t.Fatal(err)
		}
		return s
	}
	s := write()
	raw, err := io.ReadAll(io.NewSectionReader(s.file, 0, 1<<30))
	if err != nil || bytes.Contains(raw, []byte("canary")) || len(raw) < 500_000 {
		t.Errorf("%d bytes on the disk, %v; the canary is among them: %v", len(raw), err, bytes.Contains(raw, []byte("canary")))
	}
	chunk := int64(sealedChunk + chacha20poly1305.Overhead)
	for name, change := range map[string]func(s *sealed) error{
		"a byte":       func(s *sealed) error { _, err := s.file.WriteAt([]byte("x"), 7); return err },
		"a chunk less": func(s *sealed) error { return s.file.Truncate(chunk) },
		"chunks moved": func(s *sealed) error {
			first := make([]byte, chunk)
			_, err := s.file.ReadAt(first, 0)
			_, err2 := s.file.WriteAt(first, chunk)
			return errors.Join(err, err2)
		},
	} {
		s := write()
		if err := change(s); err != nil {
			t.Fatal(err)
		}
		if _, err := io.Copy(io.Discard, s.reader()); err == nil {
			t.Errorf("%s: it is read as if nothing had happened", name)
		}
	}
}

// TestASpoolHasABound reads streams without an end.
func TestASpoolHasABound(t *testing.T) {
	lines := strings.NewReader(strings.Repeat("login\n", 400_000)) // 2.4 MB
	s := &Spool{dir: t.TempDir(), bound: 1 << 20, most: 2 << 20, from: lines}
	if _, err := s.Open(context.Background()); !errors.Is(err, errEndless) {
		t.Errorf("too long: %v, want %v", err, errEndless)
	}
	s = NewSpool(zeros{}, t.TempDir())
	if _, err := s.Open(context.Background()); !errors.Is(err, errNoLines) {
		t.Errorf("without lines: %v, want %v", err, errNoLines)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	s = NewSpool(zeros{}, t.TempDir())
	if _, err := s.Open(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("after a signal: %v", err)
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { return len(p), nil }
