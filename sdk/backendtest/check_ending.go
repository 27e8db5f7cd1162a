package backendtest

import (
	"context"
	"fmt"
	"time"

	"github.com/rekey-host/rekey/sdk"
	"github.com/rekey-host/rekey/sdk/secret"
)

// noLeaks provokes every refusal with values that can be recognised, and looks
// for them, and for the settings' secrets, in all texts shown.
func noLeaks(probe *probe) {
	subject, text, ctx := probe.open(), probe.target.Accounts[0], probe.t.Context()
	was := known(probe, subject, text)
	secrets := []string{canary, canary + "-old", was}
	if len(probe.target.Weak) >= 6 {
		secrets = append(secrets, probe.target.Weak)
	}
	for _, value := range probe.target.Config.Secrets {
		secrets = append(secrets, value.Reveal())
	}
	look := func(what string, receipt sdk.Receipt) {
		wantClean(probe, "the answer to "+what, texts(receipt), secrets...)
	}
	look("a set of a weak value", subject.apply(ctx, anyOp(probe, text, probe.target.Weak)))
	for what, edit := range provocations(probe) {
		op := anyOp(probe, text, canary)
		edit(&op)
		look(what, subject.apply(ctx, op))
	}
	late, stop := context.WithTimeout(ctx, time.Microsecond)
	defer stop()
	look("an operation that is too late", subject.apply(late, anyOp(probe, text, canary)))
	look("a set of an awkward value", subject.apply(ctx, anyOp(probe, text, canary)))
	if probe.can(sdk.CanVerify) {
		_, err := subject.verify(ctx, probe.target.Missing, probe.kind(), secret.New(canary))
		wantClean(probe, "the answer to a verify", fmt.Sprint(err), secrets...)
	}
	wantClean(probe, "the log", probe.log.String(), secrets...)
	wantClean(probe, "what the plugin printed", probe.plugin.logged(), secrets...)
}

func closeIsClean(probe *probe) {
	before := goroutines(probe)
	for range 3 {
		subject, err := probe.configure(probe.target.Config)
		if err != nil {
			probe.stop("Configure: %v", err)
		}
		probe.give(subject, probe.target.Accounts[0], probe.value())
		if err := subject.close(); err != nil {
			probe.fail("Close: %v", err)
		}
		if !probe.d.Does(sdk.Set) {
			break
		}
	}
	if left := settled(probe, before); left > before {
		probe.fail("Close: %d goroutines before the instances were opened, %d after they were closed", before, left)
	}
}
