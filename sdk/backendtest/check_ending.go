package backendtest

import (
	"context"
	"fmt"
	"time"

	"github.com/rekey-host/rekey/sdk"
	"github.com/rekey-host/rekey/sdk/secret"
)

// noLeaks provokes every refusal with values that can be recognised, and looks
// for them, and for the settings' secrets, in all that is shown.
func noLeaks(p *probe) {
	s, a, ctx := p.open(), p.target.Accounts[0], p.t.Context()
	was := p.start(s, a)
	secrets := []string{canary, canary + "-old", was}
	if len(p.target.Weak) >= 6 {
		secrets = append(secrets, p.target.Weak)
	}
	for _, v := range p.target.Config.Secrets {
		secrets = append(secrets, v.Reveal())
	}
	look := func(what string, r sdk.Receipt) { p.wantClean("the answer to "+what, texts(r), secrets...) }
	look("a set of a weak value", s.apply(ctx, p.anyOp(a, p.target.Weak)))
	for what, edit := range provocations(p) {
		op := p.anyOp(a, canary)
		edit(&op)
		look(what, s.apply(ctx, op))
	}
	late, stop := context.WithTimeout(ctx, time.Microsecond)
	defer stop()
	look("an operation that is too late", s.apply(late, p.anyOp(a, canary)))
	look("a set of an awkward value", s.apply(ctx, p.anyOp(a, canary)))
	if p.can(sdk.CanVerify) {
		_, err := s.verify(ctx, p.target.Missing, p.kind(), secret.New(canary))
		p.wantClean("the answer to a verify", fmt.Sprint(err), secrets...)
	}
	p.wantClean("the log", p.log.String(), secrets...)
	p.wantClean("what the plugin printed", p.plugin.logged(), secrets...)
}

func closeIsClean(p *probe) {
	before := goroutines(p)
	for range 3 {
		s, err := p.configure(p.target.Config)
		if err != nil {
			p.stop("Configure: %v", err)
		}
		p.give(s, p.target.Accounts[0], p.value())
		if err := s.close(); err != nil {
			p.fail("Close: %v", err)
		}
		if !p.d.Does(sdk.Set) {
			break
		}
	}
	if left := settled(p, before); left > before {
		p.fail("Close: %d goroutines before the instances were opened, %d after they were closed", before, left)
	}
}
