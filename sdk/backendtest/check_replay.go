package backendtest

import (
	"github.com/rekey-host/rekey/sdk"
)

// replay sends one operation twice. Only a verb that is declared safe has to
// succeed again; any other has to tell the truth.
func replay(p *probe) {
	s, a := p.open(), p.target.Accounts[0]
	was := p.start(s, a)
	v := p.value()
	op := p.anyOp(a, v)
	if r := s.apply(p.t.Context(), op); !ok(r) {
		p.stop("%s: %s, want applied", op.Verb, said(r))
	}
	op.Attempt = 2
	r := s.apply(p.t.Context(), op)
	if p.d.CanReplay(op.Verb) && !ok(r) {
		p.fail("the same %s at a second attempt: %s, want applied or already-applied", op.Verb, said(r))
	}
	p.wantHolds(a, v, "a replay")
	if p.holds(a, p.kind(), was) {
		p.fail("after a replay the value from before is accepted again")
	}
}

func replayOfAChange(p *probe) {
	s, a := p.open(), p.target.Accounts[0]
	op := p.change(a, p.start(s, a), p.value())
	for attempt := range 2 {
		op.Attempt = attempt + 1
		if r := s.apply(p.t.Context(), op); !ok(r) {
			p.fail("change, attempt %d: %s, want applied or already-applied", op.Attempt, said(r))
		}
	}
	p.wantHolds(a, op.Value.Reveal(), "a replay of a change")
}

func replayConcurrently(p *probe) {
	s, a := p.open(), p.target.Accounts[0]
	op := p.set(a, p.value())
	op.Attempt = 2 // a first attempt may be refused by the history that another one made
	p.parallel(8, func(int) {
		r := s.apply(p.t.Context(), op)
		// In a process, the sdk joins them before they reach the backend.
		if !ok(r) && (r.Err == nil || r.Err.Code != sdk.Conflict && (!p.near || !remembered(r))) {
			p.fail("the same set eight times at once: %s, want applied, already-applied or Conflict", said(r))
		}
	})
	p.wantHolds(a, op.Value.Reveal(), "the same set eight times at once")
}

func replayAfterReopening(p *probe) {
	a := p.target.Accounts[0]
	op := p.set(a, p.value())
	s, err := p.configure(p.target.Config)
	if err != nil {
		p.stop("Configure: %v", err)
	}
	r := s.apply(p.t.Context(), op)
	if err := s.close(); err != nil || !ok(r) {
		p.stop("set: %s, want applied; Close: %v", said(r), err)
	}
	if err := p.plugin.restart(); err != nil {
		p.stop("restart of the plugin: %v", err)
	}
	op.Attempt = 2
	if r := p.open().apply(p.t.Context(), op); !ok(r) {
		p.fail("the same set after the instance was opened again: %s, want applied or already-applied", said(r))
	}
	p.wantHolds(a, op.Value.Reveal(), "a replay after the instance was opened again")
}
