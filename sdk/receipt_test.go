package sdk_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/rekey-host/rekey/sdk"
)

// TestWhatNobodyFilledInClaimsNothing: zero values are the modest ones.
func TestWhatNobodyFilledInClaimsNothing(t *testing.T) {
	var r sdk.Receipt
	if r.Outcome != sdk.Unknown || r.Verdict != sdk.CannotTell || sdk.StatusUnknown.String() != "unknown" {
		t.Errorf("got %v %v %v", r.Outcome, r.Verdict, sdk.StatusUnknown)
	}
}

func TestErrorsAreKnownByTheirCode(t *testing.T) {
	e := sdk.Errorf(sdk.Conflict, "%s changes it", "ann")
	wrapped := fmt.Errorf("wrapped: %w", e)
	if e.Error() != "Conflict: ann changes it" || (&sdk.Error{Code: sdk.Conflict}).Error() != "Conflict" {
		t.Errorf("got %q", e.Error())
	}
	if !errors.Is(wrapped, &sdk.Error{Code: sdk.Conflict}) || errors.Is(wrapped, &sdk.Error{Code: sdk.Timeout}) {
		t.Error("an error is not known by its code")
	}
	if got := sdk.AsError(wrapped, sdk.Internal); got != e {
		t.Errorf("AsError = %v, want the one in the chain", got)
	}
	if got := sdk.AsError(errors.New("oh"), sdk.TargetError); got.Code != sdk.TargetError || got.Message != "oh" {
		t.Errorf("AsError = %v", got)
	}
	if sdk.AsError(nil, sdk.Internal) != nil {
		t.Error("AsError of nil is an error")
	}
}

func TestTimeAndCountsAreMendedByNoOtherValue(t *testing.T) {
	for _, rule := range sdk.Rules() {
		want := rule != sdk.RuleMinAge && rule != sdk.RuleChangeCount
		if got := (sdk.Violation{Rule: rule}).AnotherValueHelps(); got != want {
			t.Errorf("%s: %v, want %v", rule, got, want)
		}
	}
}
