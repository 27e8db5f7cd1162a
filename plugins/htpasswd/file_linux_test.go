package htpasswd

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/rekey-host/rekey/plugins/internal/files"
	"github.com/rekey-host/rekey/sdk"
)

func TestWhatTheSystemSaysHasACode(t *testing.T) {
	tests := []struct {
		err  error
		want sdk.Code
	}{
		{syscall.EACCES, sdk.PermissionDenied},
		{syscall.EPERM, sdk.PermissionDenied},
		{syscall.ENOENT, sdk.InvalidConfig},
		{syscall.ENOTDIR, sdk.InvalidConfig},
		{syscall.ELOOP, sdk.InvalidConfig},
		{syscall.EROFS, sdk.ReadOnly},
		{syscall.ENOSPC, sdk.TargetUnavailable},
		{syscall.EDQUOT, sdk.TargetUnavailable},
		{syscall.EIO, sdk.TargetUnavailable},
		{syscall.EMFILE, sdk.TargetUnavailable},
		{syscall.EINVAL, sdk.TargetError},
		{context.DeadlineExceeded, sdk.Timeout},
		{context.Canceled, sdk.Cancelled},
		{sdk.Errorf(sdk.Unsupported, "no"), sdk.Unsupported},
	}
	for _, tt := range tests {
		got := files.Error(fmt.Errorf("wrapped: %w", &fs.PathError{Op: "open", Path: "f", Err: tt.err}))
		if got.Code != tt.want {
			t.Errorf("files.Error(%v) = %v, want %s", tt.err, got, tt.want)
		}
	}
	if files.Error(nil) != nil {
		t.Error("files.Error(nil) is not nil")
	}
}

func TestReplacementKeepsExtendedAttributes(t *testing.T) {
	const name = "user.rekey-test"
	i, path := open(t, "alice:h\n")
	kept := syscall.Setxattr(path, name, []byte("kept"), 0) == nil // not every file system has them
	if r := i.Apply(t.Context(), set("alice", "x")); r.Outcome != sdk.Applied {
		t.Fatalf("got %v %v, want applied", r.Outcome, r.Err)
	}
	value := make([]byte, 16)
	n, err := syscall.Getxattr(path, name, value)
	if got := err == nil && string(value[:n]) == "kept"; got != kept {
		t.Errorf("attribute kept: %v, want %v", got, kept)
	}
}

func TestReplacementKeepsTheOwner(t *testing.T) {
	i, path := open(t, "alice:h\n")
	uid, gid := os.Geteuid(), os.Getegid()
	if uid == 0 {
		uid, gid = 12345, 54321
		if err := os.Chown(path, uid, gid); err != nil {
			t.Fatal(err)
		}
	}
	if r := i.Apply(t.Context(), set("alice", "x")); r.Outcome != sdk.Applied {
		t.Fatalf("got %v %v, want applied", r.Outcome, r.Err)
	}
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if st := info.Sys().(*syscall.Stat_t); int(st.Uid) != uid || int(st.Gid) != gid {
		t.Errorf("owner %d:%d, want %d:%d", st.Uid, st.Gid, uid, gid)
	}
}

// BenchmarkRotate sets all accounts of a file of 2,000, a batch at a time.
func BenchmarkRotate(b *testing.B) {
	const accounts = 2000
	for _, kind := range []string{"sha512", "apr1"} {
		b.Run(kind, func(b *testing.B) {
			path := b.TempDir() + "/users"
			var lines strings.Builder
			for n := range accounts {
				fmt.Fprintf(&lines, "u%d:h\n", n)
			}
			if err := os.WriteFile(path, []byte(lines.String()), 0o600); err != nil {
				b.Fatal(err)
			}
			i, err := New().Configure(b.Context(), sdk.Config{Values: map[string]any{"path": path, "hash": kind}})
			if err != nil {
				b.Fatal(err)
			}
			for b.Loop() {
				rotateAll(b, i.(*Instance), accounts)
			}
			b.ReportMetric(accounts*float64(b.N)/b.Elapsed().Seconds(), "accounts/s")
		})
	}
}

func rotateAll(b *testing.B, i *Instance, accounts int) {
	for from := 0; from < accounts; from += batch {
		var ops []sdk.Operation
		for n := from; n < min(from+batch, accounts); n++ {
			ops = append(ops, set(fmt.Sprint("u", n), "correct horse battery"))
		}
		for _, r := range i.ApplyBatch(b.Context(), ops) {
			if r.Outcome != sdk.Applied {
				b.Fatal(r.Err)
			}
		}
	}
}
