package sdk_test

import (
	"testing"

	"github.com/rekey-host/rekey/sdk"
	"github.com/rekey-host/rekey/sdk/secret"
)

func TestAHandoverOfTheValueInForceIsDone(t *testing.T) {
	t.Parallel()
	present := secret.New("present")
	for _, x := range []struct {
		attempt int
		value   string
		want    sdk.Outcome
		already bool
	}{{1, "present", sdk.Applied, true}, {2, "present", sdk.AlreadyApplied, true}, {1, "another", sdk.Unknown, false}, {2, "another", sdk.Unknown, false}} {
		receipt, already := sdk.Operation{Attempt: x.attempt, Value: secret.New(x.value)}.InForce(present)
		if receipt.Outcome != x.want || already != x.already {
			t.Errorf("attempt %d of %s: %v %v", x.attempt, x.value, receipt.Outcome, already)
		}
	}
}
