package main_test

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// TestTheMemoryOfTheHostIsNobodysToRead: the kernel gives the files below /proc
// of a process that is not dumpable to root, and so to nobody else.
func TestTheMemoryOfTheHostIsNobodysToRead(t *testing.T) {
	dir, err := os.MkdirTemp("/tmp", "rk")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	text, err := os.ReadFile(binary)
	if err != nil {
		t.Fatal(err)
	}
	p := &place{t: t, dir: dir, state: filepath.Join(dir, "state")}
	if err := os.WriteFile(filepath.Join(dir, "rekey"), text, 0o755); err != nil {
		t.Fatal(err)
	}
	users := filepath.Join(dir, "users.csv")
	if err := syscall.Mkfifo(users, 0o600); err != nil {
		t.Fatal(err)
	}
	p.write("fifo.star", `workflow(users = csv("users.csv", key = "login"), backend = backend("memory"))`)
	cmd := p.command("plan", "fifo.star")
	cmd.Path = filepath.Join(dir, "rekey")
	asNobody(t, cmd, dir)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill() })
	waits := opened(t, users) // it waits for its users
	proc := fmt.Sprintf("/proc/%d/", cmd.Process.Pid)
	for _, name := range []string{"mem", "environ", "maps"} {
		if owner := ownerOf(t, proc+name); owner != 0 {
			t.Errorf("%s belongs to user %d, want root: other processes of that user may read it", name, owner)
		}
	}
	limits, err := os.ReadFile(proc + "limits")
	if err != nil || !hasLine(string(limits), "Max core file size 0 0 bytes") {
		t.Errorf("%v: a core may be written:\n%s", err, limits)
	}
	_, _ = io.WriteString(waits, "login\nann\n")
	_ = waits.Close()
	if err := cmd.Wait(); err != nil {
		t.Error(err)
	}
}

// asNobody starts the command as a user who is not root, and gives that user the
// directory.
func asNobody(t *testing.T, cmd *exec.Cmd, dir string) {
	t.Helper()
	if os.Getuid() != 0 {
		return
	}
	const nobody = 65534
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
	err := filepath.WalkDir(dir, func(path string, _ os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return os.Chown(path, nobody, nobody)
	})
	if err != nil {
		t.Fatal(err)
	}
}

func ownerOf(t *testing.T, path string) uint32 {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	return info.Sys().(*syscall.Stat_t).Uid
}

// hasLine reports whether a text has the line, spaces aside.
func hasLine(text, want string) bool {
	for line := range strings.Lines(text) {
		if strings.Join(strings.Fields(line), " ") == want {
			return true
		}
	}
	return false
}
