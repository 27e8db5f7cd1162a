package wire

import (
	"strings"
	"testing"

	"github.com/rekey-host/rekey/sdk"
	"github.com/rekey-host/rekey/sdk/secret"
)

const canary = `c"a\n%y é`

func TestErrorsReceiptsAndFindingsAreScrubbed(t *testing.T) {
	var r Redactor
	r.Note(secret.New(canary))
	e := &sdk.Error{Code: sdk.TargetError, Message: "m " + canary, Native: canary, Violations: []sdk.Violation{{Rule: "r", Native: canary, Message: canary}}}
	got := r.Receipt(sdk.Receipt{Err: e, Ref: canary, Stamp: canary})
	f := r.Finding(sdk.Finding{Message: canary, Fix: canary})
	for _, text := range []string{got.Err.Message, got.Err.Native, got.Err.Violations[0].Native, got.Err.Violations[0].Message, got.Ref, got.Stamp, f.Message, f.Fix} {
		if strings.Contains(text, canary) || !strings.Contains(text, secret.Redacted) {
			t.Errorf("%q", text)
		}
	}
	if e.Message != "m "+canary || e.Violations[0].Native != canary {
		t.Error("the error of the caller was changed")
	}
	if r.Error(nil) != nil {
		t.Error("no error became one")
	}
}
