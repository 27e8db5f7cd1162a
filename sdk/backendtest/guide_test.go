package backendtest

import (
	"os"
	"strings"
	"testing"

	"github.com/rekey-host/rekey/sdk"
	pb "github.com/rekey-host/rekey/sdk/internal/backendpb"
)

// The page for authors in other languages is half of the contract: it names
// all that stands in strings, and every call.
func TestTheGuideNamesEverything(t *testing.T) {
	page, err := os.ReadFile("../proto/backend/v1/README.md")
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, c := range sdk.Codes() {
		names = append(names, string(c))
	}
	for _, r := range rules {
		names = append(names, string(r))
	}
	for _, f := range fieldTypes {
		names = append(names, string(f))
	}
	for _, a := range []sdk.Ability{sdk.CanFind, sdk.CanList, sdk.CanPolicy, sdk.CanVerify, sdk.CanCheck, sdk.CanGenerate, sdk.CanReset, sdk.CanUnlock, sdk.CanRevoke} {
		names = append(names, string(a))
	}
	for _, s := range []sdk.Status{sdk.StatusActive, sdk.StatusDisabled, sdk.StatusSuspended, sdk.StatusLocked, sdk.StatusExpired, sdk.StatusPending, sdk.StatusDeleted, sdk.StatusFederated} {
		names = append(names, string(s))
	}
	for n := range pb.Outcome_name {
		names = append(names, strings.TrimPrefix(pb.Outcome(n).String(), "OUTCOME_"))
	}
	names = append(names, string(sdk.Set), string(sdk.Change), string(sdk.SetThenChange), "REKEY_PLUGIN", "rekey-backend-v1",
		"PLUGIN_PROTOCOL_VERSIONS", "PLUGIN_CLIENT_CERT", "PLUGIN_UNIX_SOCKET_DIR", "PLUGIN_LIVENESS_FD")
	for _, name := range names {
		if !strings.Contains(string(page), "`"+name+"`") {
			t.Errorf("README.md does not name `%s`", name)
		}
	}
	methods := pb.File_backend_proto.Services().ByName("Backend").Methods()
	for n := range methods.Len() {
		if call := string(methods.Get(n).Name()); !strings.Contains(string(page), call) {
			t.Errorf("README.md does not speak of the call %s", call)
		}
	}
}
