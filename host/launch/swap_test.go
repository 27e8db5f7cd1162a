package launch_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rekey-host/rekey/host/launch"
)

// TestAProgramThatIsSwappedBetweenCheckAndStartIsNeverStarted: in a thousand tries,
// while another one takes its name and gives it back.
func TestAProgramThatIsSwappedBetweenCheckAndStartIsNeverStarted(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	copied := func(of string) string {
		text, err := os.ReadFile("/bin/" + of)
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(dir, of)
		if err := os.WriteFile(path, text, 0o700); err != nil {
			t.Fatal(err)
		}
		return path
	}
	good, evil, path := copied("true"), copied("false"), filepath.Join(dir, "rekey-backend-test")
	digest, _, err := launch.Digest(good)
	if err != nil {
		t.Fatal(err)
	}
	named := func(program string) {
		next := path + ".next"
		if err := os.Link(program, next); err != nil {
			t.Error(err)
		}
		if err := os.Rename(next, path); err != nil {
			t.Error(err)
		}
		_ = os.Remove(next) // a rename to the same file leaves it
	}
	named(good)
	stop, swapping := make(chan struct{}), sync.WaitGroup{}
	swapping.Go(func() {
		for {
			for _, program := range []string{evil, good} {
				select {
				case <-stop:
					return
				case <-time.After(200 * time.Microsecond):
					named(program)
				}
			}
		}
	})
	const tries = 1000
	var started, refused, left atomic.Int64
	left.Store(tries)
	var starting sync.WaitGroup
	for range 4 {
		starting.Go(func() {
			for left.Add(-1) >= 0 {
				plugin := launch.New(launch.Command{Path: path, Name: "test", Digest: digest}, launch.Options{})
				_, err := plugin.Describe(t.Context())
				switch said := fmt.Sprint(err); {
				case strings.Contains(said, "ended before it was ready: exit status 0"):
					started.Add(1)
				case strings.Contains(said, "has changed since it was looked at"):
					refused.Add(1)
				default:
					t.Errorf("got %s", said)
				}
				_ = plugin.Close()
			}
		})
	}
	starting.Wait()
	close(stop)
	swapping.Wait()
	t.Logf("counts: %d tries, %d started, %d refused", tries, started.Load(), refused.Load())
	if started.Load() < tries/20 || refused.Load() < tries/20 {
		t.Errorf("%d started and %d refused of %d: the swaps hardly met the starts", started.Load(), refused.Load(), tries)
	}
}
