package launch_test

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/rekey-host/rekey/host/launch"
	"github.com/rekey-host/rekey/sdk"
)

// reapers are what a program that ends all below it may come to. Each is a process
// of its own: a Brood is of a whole process.
var reapers = map[string]func(testing.TB){
	"of another user":   reapsNoOtherUser,
	"that have ended":   buriesTheEnded,
	"that others await": stealsNoEnd,
	"of the program":    sparesItsOwn,
}

// TestBrood runs the reapers.
func TestBrood(t *testing.T) {
	for name := range reapers {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
			defer cancel()
			cmd := exec.CommandContext(ctx, os.Args[0], "-test.run=^TestReaper$")
			cmd.Env = append(os.Environ(), "REAPER="+name)
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Errorf("%v, %v\n%s", err, ctx.Err(), out)
			}
		})
	}
}

// TestReaper is such a program, when TestBrood starts it.
func TestReaper(t *testing.T) {
	if act := reapers[os.Getenv("REAPER")]; act != nil {
		act(t)
	}
}

// reapsNoOtherUser leaves a process that it may not end, at once.
func reapsNoOtherUser(t testing.TB) {
	brood := launch.NewBrood()
	theirs := exec.Command("sleep", "5")
	theirs.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := theirs.Start(); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Setuid(65534); err != nil {
		t.Fatal(err)
	}
	begun := time.Now()
	brood.Close()
	if took := time.Since(begun); took > 3*time.Second {
		t.Errorf("it took %s to leave a process alone", took)
	}
	if err := syscall.Kill(theirs.Process.Pid, 0); !errors.Is(err, syscall.EPERM) {
		t.Errorf("the process of another user: %v", err)
	}
}

// buriesTheEnded reaps what came to it and ended by itself.
func buriesTheEnded(t testing.TB) {
	brood := launch.NewBrood()
	defer brood.Close()
	if out, err := exec.Command("sh", "-c", "setsid -f true; setsid -f true").CombinedOutput(); err != nil {
		t.Fatalf("%v %s", err, out)
	}
	for deadline := time.Now().Add(10 * time.Second); len(launch.ChildrenHere()) > 0; time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%v are there still", launch.ChildrenHere())
		}
	}
}

// stealsNoEnd reaps all the time, and yet each plugin and each program that is
// waited for tells how it ended.
func stealsNoEnd(t testing.TB) {
	brood := launch.NewBrood()
	defer brood.Close()
	stop := make(chan struct{})
	var reaping, awaiting sync.WaitGroup
	reaping.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
				brood.BuryNow()
			}
		}
	})
	for range 12 {
		awaiting.Go(func() {
			for range 4 {
				plugin := launch.New(launch.Command{Path: "/bin/false", Name: "test"}, launch.Options{Brood: brood})
				_, err := plugin.Describe(t.Context())
				if err == nil || !strings.Contains(err.Error(), "exit status 1") {
					t.Errorf("a plugin ended as %v", err)
				}
				_ = plugin.Close()
				var exit *exec.ExitError
				if err := exec.Command("sh", "-c", "exit 7").Run(); !errors.As(err, &exit) || exit.ExitCode() != 7 {
					t.Errorf("a program ended as %v", err)
				}
			}
		})
	}
	awaiting.Wait()
	close(stop)
	reaping.Wait()
}

// sparesItsOwn leaves what a bundled plugin started, and ends what one of others did,
// in whatever order they end.
func sparesItsOwn(t testing.TB) {
	brood := launch.NewBrood()
	daemons := map[bool]int{}
	for _, bundled := range []bool{true, false} {
		c := command(t, "good")
		c.Bundled = bundled
		plugin := plug(t, c, launch.Options{Brood: brood})
		receipt := one(t, plugin.open(t, sdk.Config{}), sdk.Operation{Account: "child daemon"})
		pid, err := strconv.Atoi(receipt.Ref)
		if err != nil {
			t.Fatalf("%v %v", receipt.Outcome, receipt.Err)
		}
		daemons[bundled] = pid
		_ = plugin.Close()
	}
	brood.Close()
	if err := syscall.Kill(daemons[false], 0); !errors.Is(err, syscall.ESRCH) {
		t.Errorf("what a plugin of others left: %v", err)
	}
	if err := syscall.Kill(daemons[true], syscall.SIGKILL); err != nil {
		t.Errorf("what a bundled plugin left: %v", err)
	}
}
