package journal

import (
	"testing"
	"time"

	"github.com/rekey-host/rekey/sdk"
)

// TestStatusesAreNamedAsInLedgersAndReports, and count as failures or not.
func TestStatusesAreNamedAsInLedgersAndReports(t *testing.T) {
	for _, c := range []struct {
		status  Status
		name    string
		failure bool
	}{
		{Pending, "pending", false},
		{Done, "done", false},
		{Failed, "failed", true},
		{Skipped, "skipped", false},
		{Partial, "partial", true},
		{Unresolved, "unknown", true},
		{HeldPending, "held", false},
		{"", "", false},
	} {
		if string(c.status) != c.name || c.status.Failure() != c.failure {
			t.Errorf("%q: named %q, failure %v; want %v", c.name, c.status, c.status.Failure(), c.failure)
		}
	}
	for state, name := range map[State]string{StatePlanned: "planned", StateRunning: "running", StateFinished: "finished", StateUnsettled: "unsettled",
		StateStopped: "stopped", StateHeld: "held", StateInterrupted: "interrupted"} {
		if string(state) != name {
			t.Errorf("state %q, want %q", state, name)
		}
	}
}

func TestAWaveHasTheLimitOfItsRule(t *testing.T) {
	for _, c := range []struct {
		failures int
		percent  float64
		planned  int64
		want     int64
	}{
		{-1, -1, 100, -1},
		{0, -1, 100, 0},
		{7, -1, 100, 7},
		{-1, 0, 100, 0},
		{-1, 5, 100, 5},
		{-1, 5, 19, 0}, // a part of a user is no user
		{-1, 5, 39, 1},
		{-1, 0.5, 1000, 5},
		{-1, 100, 42, 42},
		{7, 5, 1000, 50}, // a share goes before a number
		{7, 0, 1000, 0},
	} {
		rule := WaveRule{MaxFailures: c.failures, MaxPercent: c.percent}
		if got := rule.Limit(c.planned); got != c.want {
			t.Errorf("max_failures %d, %g%% of %d: %d, want %d", c.failures, c.percent, c.planned, got, c.want)
		}
	}
}

func TestAToleratedCodeDoesNotCountAgainstAWave(t *testing.T) {
	rule := WaveRule{Tolerate: []sdk.Code{sdk.AccountNotFound, sdk.NoCredential}}
	for _, c := range []struct {
		status Status
		code   sdk.Code
		want   bool
	}{
		{Failed, sdk.PermissionDenied, true},
		{Partial, sdk.PermissionDenied, true},
		{Unresolved, sdk.Timeout, true},
		{Failed, "", true},
		{Failed, sdk.AccountNotFound, false},
		{Partial, sdk.NoCredential, false},
		{Done, sdk.PermissionDenied, false},
		{Skipped, "", false},
		{Pending, "", false},
	} {
		if got := rule.Fails(c.status, c.code); got != c.want {
			t.Errorf("%s %s: %v, want %v", c.status, c.code, got, c.want)
		}
	}
}

func TestAWaveThatFailedTooOftenSaysHowOften(t *testing.T) {
	if got, want := Over("pilot", 4, 3), `wave "pilot": 4 users failed, more than max_failures allows (3)`; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if InARow != 20 || (WaveRule{Pause: time.Second}).InARow != 0 {
		t.Error("what a run without waves does has changed")
	}
}

func TestAFaultSaysItsCodeAndItsMessage(t *testing.T) {
	if got := (&Fault{Code: ScriptError, Message: "no user.mail"}).Error(); got != "ScriptError: no user.mail" {
		t.Error(got)
	}
}

// TestOnlyARaisedFaultPostponesAUser.
func TestOnlyARaisedFaultPostponesAUser(t *testing.T) {
	later := &Fault{Code: sdk.ConnectionLost, Postponed: true}
	for _, c := range []struct {
		name    string
		verdict Verdict
		want    bool
	}{
		{"postponed", Verdict{Kind: Raised, Fault: later}, true},
		{"another fault", Verdict{Kind: Raised, Fault: &Fault{Code: ScriptError}}, false},
		{"a step that was refused", Verdict{Kind: Raised, Refused: &Result{}}, false},
		{"done", Verdict{Kind: SaidDone, Fault: later}, false},
	} {
		got := (&History{}).Conclude(c.verdict).Detail.Status == Unresolved
		if got != c.want {
			t.Errorf("%s: postponed %v, want %v", c.name, got, c.want)
		}
	}
}
