package launch_test

import (
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/rekey-host/rekey/host/launch"
	"github.com/rekey-host/rekey/sdk"
	"github.com/rekey-host/rekey/sdk/secret"
)

// TestAPluginOfTheFirstContractRuns: what was installed when version 1 of the contract
// began is never built again, and runs on every later host that speaks version 1.
func TestAPluginOfTheFirstContractRuns(t *testing.T) {
	t.Parallel()
	if out, err := exec.CommandContext(t.Context(), "/usr/bin/python3", "-c", "import grpc, google.protobuf").CombinedOutput(); err != nil {
		t.Fatalf("apt-get install python3-grpcio openssl: %v\n%s", err, out)
	}
	path, err := filepath.Abs("testdata/contract1/rekey-backend-frozen")
	if err != nil {
		t.Fatal(err)
	}
	plugin := plug(t, launch.Command{Path: path, Name: "frozen"}, launch.Options{StartTimeout: time.Minute})
	instance := plugin.open(t, sdk.Config{Label: "frozen", Concurrency: 4, Timeout: 20 * time.Second,
		Values: map[string]any{"greeting": "hello"}, Secrets: map[string]secret.Value{"token": secret.New("t0p-secret")}})
	description := instance.Description()
	if description.Name != "frozen" || !description.Does(sdk.Set) || !description.CanReplay(sdk.Set) || description.Can(sdk.CanPolicy) {
		t.Errorf("it says of itself %+v", description)
	}
	value := secret.New("Corr3ct-horse-battery")
	set := sdk.Operation{ID: "1", Attempt: 1, Verb: sdk.Set, Account: "ann", Value: value}
	if receipt := all(t, instance, []sdk.Operation{set})[0]; receipt.Outcome != sdk.Applied || receipt.Ref != "hello" {
		t.Errorf("set: %+v", receipt)
	}
	set.Attempt = 2
	if receipt := all(t, instance, []sdk.Operation{set})[0]; receipt.Outcome != sdk.AlreadyApplied {
		t.Errorf("the same again: %+v", receipt)
	}
	if receipt := one(t, instance, sdk.Operation{ID: "2", Attempt: 1, Verb: sdk.Set, Account: "nobody", Value: value}); receipt.Outcome != sdk.Refused || receipt.Err.Code != sdk.AccountNotFound {
		t.Errorf("a missing account: %+v", receipt)
	}
	if verdict, err := instance.Verify(t.Context(), "ann", "", value); verdict != sdk.Accepted || err != nil {
		t.Errorf("verify: %v, %v", verdict, err)
	}
	if account, err := instance.Find(t.Context(), "ann"); account.Status != sdk.StatusActive || err != nil {
		t.Errorf("find: %+v, %v", account, err)
	}
	var listed []string
	err = instance.Accounts(t.Context(), "", nil, nil, func(account sdk.Account) error {
		listed = append(listed, account.Account)
		return nil
	})
	if err != nil || len(listed) != 2 {
		t.Errorf("list: %q, %v", listed, err)
	}
	if findings := instance.Check(t.Context()); len(findings) != 1 || findings[0].Severity != sdk.Warning || findings[0].Message != "hello" {
		t.Errorf("check: %+v", findings)
	}
	if breaches := instance.Breaches(); len(breaches) > 0 {
		t.Errorf("it breaks the contract: %q", breaches)
	}
}
