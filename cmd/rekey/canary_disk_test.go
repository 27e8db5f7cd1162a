package main_test

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// diskCanary is a password that lists bring; a piece of it is looked for on the
// disk, as it is and as UTF-16.
const diskCanary = "Disk-Canary-7319xq"

// diskScript has the host read a list, sort it and keep it, and send for ever.
const diskScript = `
slow = backend("memory", latency = "60s")

def rotate(user, step):
    print("rotating", user.login)
    step.set(slow, user.login, user.given)

workflow(
    users = csv("-", key = "login", secrets = ["given"]),
    rotate = rotate,
    order_by = ["note", "login"],
    reports = [report.summary(), report.csv("out.csv", row = lambda r: {"login": r.user.login, "status": r.status})],
)
`

// diskList is more than the host keeps of a pipe in memory, and more than
// SQLite does of what it sorts.
func diskList() string {
	var b strings.Builder
	b.WriteString("login,given,note\n")
	note := strings.Repeat("n", 3000)
	for i := range 3000 {
		fmt.Fprintf(&b, "user%04d,%s-%d,%d%s\n", i, diskCanary, i, (i*7919)%3000, note)
	}
	return b.String()
}

// TestNoPasswordIsInABlockOfTheDisk kills a run that has read a long list from
// a pipe, at several moments, and looks for its passwords in all blocks of the
// file system that it worked on, those of files without a name among them.
func TestNoPasswordIsInABlockOfTheDisk(t *testing.T) {
	list := diskList()
	for _, when := range []string{"reading", "rotating", "stopped"} {
		t.Run(when, func(t *testing.T) {
			d := newDisk(t)
			p := newPlace(t, "TMPDIR="+filepath.Join(d.dir, "tmp"))
			p.dir, p.state = d.dir, filepath.Join(d.dir, "state")
			must(t, os.Mkdir(filepath.Join(d.dir, "tmp"), 0o700))
			p.write("r.star", diskScript)
			killWhen(t, p, d, when, list)
			if n := d.count(t, []byte(diskCanary)); n > 0 {
				t.Errorf("%d passwords are on the disk in clear", n)
			}
			if n := d.count(t, doubled(diskCanary)); n > 0 {
				t.Errorf("%d passwords are on the disk as UTF-16", n)
			}
			if n := d.count(t, []byte(`workflow(`)); n == 0 {
				t.Error("not even the script is found: the search proves nothing")
			}
		})
	}
}

// doubled is ASCII as UTF-16.
func doubled(text string) []byte {
	var out []byte
	for i := range len(text) {
		out = append(out, text[i], 0)
	}
	return out
}

// killWhen starts a run and ends it at a moment.
func killWhen(t *testing.T, p *place, d *disk, when, list string) {
	t.Helper()
	cmd := p.command("run", "r.star", "--yes")
	in, err := cmd.StdinPipe()
	must(t, err)
	errs := &trigger{word: []byte("rotating"), seen: make(chan struct{})}
	cmd.Stderr = errs
	must(t, cmd.Start())
	half := len(list)
	if when == "reading" {
		half = len(list) * 9 / 10
	}
	_, err = in.Write([]byte(list[:half]))
	must(t, err)
	if when == "reading" {
		time.Sleep(200 * time.Millisecond)
	} else {
		must(t, in.Close())
		select {
		case <-errs.seen:
		case <-time.After(2 * time.Minute):
			t.Errorf("nobody is rotated: %s", errs.text.String())
		}
	}
	d.look(t, cmd.Process.Pid)
	if when == "stopped" {
		must(t, cmd.Process.Signal(syscall.SIGTERM))
		time.Sleep(200 * time.Millisecond)
	}
	_ = cmd.Process.Kill()
	_ = cmd.Wait()
}

// disk is a directory whose blocks can be looked at: a file system in a file
// where that can be mounted, which is root's to do. Else it is a plain one, and
// of files without a name those are looked at that the process has open.
type disk struct {
	dir   string
	image string // "": it could not be mounted
	open  [][]byte
}

func newDisk(t *testing.T) *disk {
	t.Helper()
	d := &disk{dir: t.TempDir()}
	image := filepath.Join(t.TempDir(), "image")
	must(t, os.WriteFile(image, nil, 0o600))
	must(t, os.Truncate(image, 96<<20))
	for _, args := range [][]string{{"mke2fs", "-q", "-F", "-t", "ext4", image}, {"mount", "-o", "loop", image, d.dir}} {
		cmd := exec.Command(args[0], args[1:]...)
		cmd.Env = append(os.Environ(), "PATH="+os.Getenv("PATH")+":/usr/sbin:/sbin")
		if path, err := exec.LookPath("/usr/sbin/" + args[0]); err == nil {
			cmd.Path, cmd.Err = path, nil
		}
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Logf("%s: %v %s: only files are looked at, those without a name as the process has them open", args[0], err, out)
			return d
		}
	}
	t.Cleanup(func() { _ = syscall.Unmount(d.dir, syscall.MNT_DETACH) })
	d.image = image
	return d
}

// look brings everything to the image while the process lives. Where there is none,
// it keeps what the process has open of the directory.
func (d *disk) look(t *testing.T, pid int) {
	t.Helper()
	if d.image != "" {
		syscall.Sync() // what a killed process has in files without a name is not written any more
		return
	}
	fds, _ := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", pid))
	for _, fd := range fds {
		if to, err := os.Readlink(fd); err == nil && strings.HasPrefix(to, d.dir) {
			text, _ := os.ReadFile(fd)
			d.open = append(d.open, text)
		}
	}
}

// count counts a text in all blocks, or in all files.
func (d *disk) count(t *testing.T, text []byte) int {
	t.Helper()
	if d.image != "" {
		syscall.Sync()
		blocks, err := os.ReadFile(d.image)
		must(t, err)
		return bytes.Count(blocks, text)
	}
	n := 0
	for _, open := range d.open {
		n += bytes.Count(open, text)
	}
	err := filepath.WalkDir(d.dir, func(path string, e os.DirEntry, err error) error {
		if err != nil || !e.Type().IsRegular() {
			return err
		}
		found, err := os.ReadFile(path)
		n += bytes.Count(found, text)
		return err
	})
	must(t, err)
	return n
}
