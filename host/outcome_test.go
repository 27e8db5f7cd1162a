package host

import (
	"testing"

	"github.com/rekey-host/rekey/host/engine"
	"github.com/rekey-host/rekey/host/journal"
	"github.com/rekey-host/rekey/host/ledger"
)

func TestHowAProcessLeavesARun(t *testing.T) {
	for _, c := range []struct {
		name   string
		ending engine.Ending
		counts Counts
		state  journal.State
		exit   int
	}{
		{"all done", engine.Ending{}, Counts{Total: 2, Done: 2}, journal.StateFinished, ExitDone},
		{"one failed", engine.Ending{}, Counts{Total: 2, Done: 1, Failed: 1}, journal.StateFinished, ExitFailures},
		{"one partial", engine.Ending{}, Counts{Total: 2, Done: 1, Partial: 1}, journal.StateFinished, ExitFailures},
		{"one skipped", engine.Ending{}, Counts{Total: 2, Done: 1, Skipped: 1}, journal.StateFinished, ExitDone},
		{"one unknown", engine.Ending{}, Counts{Total: 2, Failed: 1, Unknown: 1}, journal.StateUnsettled, ExitUnknown},
		{"stopped early", engine.Ending{Stopped: "over"}, Counts{Total: 2, Failed: 1, Pending: 1}, journal.StateStopped, ExitStopped},
		{"stopped early with an unknown", engine.Ending{Stopped: "over"}, Counts{Total: 2, Unknown: 1, Pending: 1}, journal.StateStopped, ExitUnknown},
		{"over the limit with the last user", engine.Ending{Stopped: "over"}, Counts{Total: 2, Failed: 2}, journal.StateFinished, ExitFailures},
		{"held", engine.Ending{Held: "canary"}, Counts{Total: 2, Done: 1, Held: 1}, journal.StateHeld, ExitHeld},
		{"interrupted", engine.Ending{Interrupted: true}, Counts{Total: 2, Done: 1, Pending: 1}, journal.StateInterrupted, ExitInterrupted},
		{"cancelled on the way", engine.Ending{Interrupted: true}, Counts{Total: 2, Done: 1, Unknown: 1}, journal.StateInterrupted, ExitInterrupted},
		{"interrupted with the last user", engine.Ending{Interrupted: true}, Counts{Total: 2, Done: 2}, journal.StateFinished, ExitDone},
	} {
		state := ended(c.ending, c.counts)
		if exit := exitCode(state, c.counts); state != c.state || exit != c.exit {
			t.Errorf("%s: %s, exit %d; want %s, exit %d", c.name, state, exit, c.state, c.exit)
		}
	}
}

// TestAnErrorIsTheExitCodeOfTheOutcome: what --json says is what the process
// ends with, whatever the users came to.
func TestAnErrorIsTheExitCodeOfTheOutcome(t *testing.T) {
	for _, code := range []int{ExitDone, ExitFailures, ExitStopped, ExitUnknown, ExitHeld, ExitReport, ExitInterrupted} {
		unread := &ledger.Run{} // nothing can be read back of it
		out, err := (&Session{run: unread}).whole(Outcome{ExitCode: code}, nil)
		if err == nil || out.ExitCode != ExitUnexpected {
			t.Errorf("exit code %d and a failed reading back: %d, %v", code, out.ExitCode, err)
		}
	}
}
