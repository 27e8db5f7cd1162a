package ssh

import (
	"context"
	"fmt"
	"sync"

	"github.com/rekey-host/rekey/sdk"
)

// Check tells whether the key and known_hosts can be used, and whether hosts can
// be reached, logged in to, and read. A host of several that is not there is a
// warning.
func (i *Instance) Check(ctx context.Context) []sdk.Finding {
	if _, failure := i.auth(); failure != nil {
		return []sdk.Finding{bad(failure)}
	}
	if _, failure := readKnown(i.knownHosts); failure != nil {
		return []sdk.Finding{bad(failure)}
	}
	failures := i.visit(ctx)
	away := 0
	for _, failure := range failures {
		if failure != nil && failure.Code.Away() {
			away++
		}
	}
	var found []sdk.Finding
	for _, failure := range failures {
		switch {
		case failure == nil:
		case failure.Code.Away() && away < len(failures):
			found = append(found, sdk.Finding{Severity: sdk.Warning, Code: failure.Code, Message: failure.Message})
		default:
			found = append(found, bad(failure))
		}
	}
	if len(i.hosts) == 0 {
		found = append(found, sdk.Finding{Severity: sdk.Info, Message: fmt.Sprintf("hosts are met as %s when their accounts are; name them in hosts to have them looked at before", i.user)})
	}
	return found
}

func bad(failure *sdk.Error) sdk.Finding {
	return sdk.Finding{Severity: sdk.Bad, Code: failure.Code, Message: failure.Message}
}

// visit reads a line on every host, several at once.
func (i *Instance) visit(ctx context.Context) []*sdk.Error {
	failures := make([]*sdk.Error, len(i.hosts))
	var visits sync.WaitGroup
	for index, where := range i.hosts {
		visits.Go(func() {
			on := i.fleet.borrow(account{i.user, where})
			defer i.fleet.giveBack(on)
			_, failures[index] = i.fleet.entryOf(ctx, on, "root")
		})
	}
	visits.Wait()
	return failures
}
