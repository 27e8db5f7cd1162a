package engine

import (
	"context"
	"fmt"
	"syscall"
	"testing"
	"time"

	"github.com/rekey-host/rekey/host/journal"
	"github.com/rekey-host/rekey/host/source"
	"github.com/rekey-host/rekey/sdk"
)

// TestManyBackendsCostAsMuchAsTheyAre: a user with five times the backends costs
// five times as much, and not twenty-five times, in a batch and by himself. Between
// them lies room for a machine that has other work.
func TestManyBackendsCostAsMuchAsTheyAre(t *testing.T) {
	const few, many, most = 100, 500, 12
	for _, alone := range []bool{false, true} {
		ratio, cheap, dear := 0.0, time.Hour, time.Hour
		for range 10 { // another process may have had the caches, or a collection came in between
			cheap, dear = min(cheap, costOf(t, few, alone)), min(dear, costOf(t, many, alone))
			if ratio = float64(dear) / float64(cheap); ratio <= most {
				break
			}
		}
		t.Logf("alone: %v: %d backends cost a user %.1f times what %d do", alone, many, ratio, few)
		if ratio > most {
			t.Errorf("alone: %v: %d backends cost a user %.1f times what %d do, want %d at most", alone, many, ratio, few, most)
		}
	}
}

// costOf is the processor's time for a user whose hook sets a value on so many
// backends. The steps of all users are as many each time, and what a backend costs
// a run without users does not count.
func costOf(t *testing.T, backends int, alone bool) time.Duration {
	users := 10_000 / backends
	more := runOf(t, backends, 1+users, alone)
	return (more - min(more, runOf(t, backends, 1, alone))) / time.Duration(users)
}

func runOf(t *testing.T, backends, users int, alone bool) time.Duration {
	b := newBook(users)
	var list []Backend
	for i := range backends {
		be := (&target{}).backend(fmt.Sprint("b", i))
		be.Instance, be.Concurrency = &quiet{}, 64
		list = append(list, be)
	}
	if alone { // whoever is refused goes on by himself
		list[0].Instance = &refusing{}
	}
	hooks := script(func(ctx context.Context, row source.Row, s *Steps) journal.Verdict {
		for i := range list {
			v, err := s.Generate(ctx, GenerateStep{Targets: []string{list[0].Label}})
			if err != nil {
				return *must(journal.Result{}, err)
			}
			result, err := s.Do(ctx, journal.Step{Verb: journal.Set, Backend: list[i].Label, Account: row.Key, Value: v})
			if bad := must(result, err); bad != nil && (i > 0 || err != nil) {
				return *bad
			}
		}
		return journal.Verdict{}
	})
	began := spent(t)
	apply(t, jobOf(b, hooks, list...))
	return spent(t) - began
}

// refusing refuses everything at once.
type refusing struct{ target }

func (*refusing) Submit(ops []sdk.Operation, answer func(int, sdk.Receipt)) {
	for n := range ops {
		answer(n, sdk.Refuse(sdk.Errorf(sdk.AccountNotFound, "no such account")))
	}
}

func spent(t *testing.T) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		t.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
