package backendtest

import (
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"time"
)

// traces collects what other people of the machine could see of a plugin's
// process and its descendants: their arguments and environments, where the
// system shows them.
type traces struct {
	seen map[string]bool
	stop chan struct{}
	wg   sync.WaitGroup
}

// follow looks again and again at the processes of a group until end.
func follow(group int) *traces {
	made := &traces{seen: map[string]bool{}, stop: make(chan struct{})}
	made.wg.Go(func() {
		again := time.NewTicker(2 * time.Millisecond)
		defer again.Stop()
		for {
			made.look(group)
			select {
			case <-again.C:
			case <-made.stop:
				return
			}
		}
	})
	return made
}

func (t *traces) look(group int) {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return
	}
	for _, dirEntry := range entries {
		if _, err := strconv.Atoi(dirEntry.Name()); err != nil || groupOf(dirEntry.Name()) != group {
			continue
		}
		for _, name := range []string{"cmdline", "environ"} {
			if text, err := os.ReadFile(filepath.Join("/proc", dirEntry.Name(), name)); err == nil {
				t.seen[string(text)] = true
			}
		}
	}
}

// groupOf returns a process's group: the third field after the name in
// brackets, which may hold anything.
func groupOf(pid string) int {
	stat, err := os.ReadFile(filepath.Join("/proc", pid, "stat"))
	if err != nil {
		return 0
	}
	fields := bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:])
	if len(fields) < 3 {
		return 0
	}
	group, _ := strconv.Atoi(string(fields[2]))
	return group
}

// end stops looking and returns what was seen.
func (t *traces) end() []string {
	close(t.stop)
	t.wg.Wait()
	var all []string
	for text := range t.seen {
		all = append(all, text)
	}
	return all
}

// left returns the content of every file that a process left in its own
// directory, which it was told is its home and the place for temporary files.
func left(dir string) map[string]string {
	files := map[string]string{}
	_ = filepath.WalkDir(dir, func(path string, dirEntry fs.DirEntry, err error) error {
		if err == nil && dirEntry.Type().IsRegular() {
			if text, err := os.ReadFile(path); err == nil {
				files[path] = string(text)
			}
		}
		return nil
	})
	return files
}

// strewn returns the files in the places where anybody may write that hold a part of
// a shard and were written since.
func strewn(shard string, since time.Time) []string {
	var found []string
	for _, dir := range []string{"/tmp", "/var/tmp", "/dev/shm"} {
		entries, _ := os.ReadDir(dir)
		for _, dirEntry := range entries {
			info, err := dirEntry.Info()
			if err != nil || !info.Mode().IsRegular() || info.Size() > 1<<20 || info.ModTime().Before(since) {
				continue
			}
			name := filepath.Join(dir, dirEntry.Name())
			if text, err := os.ReadFile(name); err == nil && shardIn(shard, string(text)) != "" {
				found = append(found, name)
			}
		}
	}
	return found
}

// withEnvironment returns the processes that have a variable in their environment,
// where the system shows that.
func withEnvironment(variable string) []int {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil
	}
	var found []int
	for _, dirEntry := range entries {
		pid, err := strconv.Atoi(dirEntry.Name())
		if err != nil {
			continue
		}
		text, err := os.ReadFile(filepath.Join("/proc", dirEntry.Name(), "environ"))
		if err == nil && bytes.Contains(append([]byte{0}, text...), []byte("\x00"+variable+"\x00")) {
			found = append(found, pid)
		}
	}
	return found
}
