package backendtest

import (
	"context"
	"strings"

	"github.com/rekey-host/rekey/sdk"
)

func wrongSettingsAreNamed(p *probe) {
	for _, w := range p.target.Wrong {
		c := filled(p.target.Config, p.d)
		if w.Value == nil {
			delete(c.Values, w.Field)
		} else {
			c.Values[w.Field] = w.Value
		}
		var s subject
		var err error
		p.patiently("Configure", func(ctx context.Context) { s, err = p.plugin.configure(ctx, c) })
		if err == nil {
			_ = s.close()
			p.fail("Configure with %s = %v: no error", w.Field, w.Value)
			continue
		}
		e := sdk.AsError(err, sdk.InvalidConfig)
		if e.Code != sdk.InvalidConfig && e.Code != sdk.InsecureTransport || !strings.Contains(e.Message, w.Field) {
			p.fail("Configure with %s = %v: %v, want InvalidConfig and the field's name", w.Field, w.Value, e)
		}
	}
}

func instancesAreApart(p *probe) {
	other := p.o.Target(p.t)
	other.Config.Label += "-other"
	mine := p.open()
	s, err := p.configure(other.Config)
	if err != nil {
		p.stop("Configure of a second instance: %v", err)
	}
	p.opened = append(p.opened, s)
	second := &probe{t: p.t, o: p.o, plugin: p.plugin, log: p.log, scene: scene{d: p.d, target: other, near: p.near}}
	a, first, later := p.target.Accounts[0], p.value(), p.value()
	p.give(mine, a, first)
	second.values = p.values
	second.give(s, other.Accounts[0], later)
	p.wantHolds(a, first, "after a set through another instance")
	second.wantHolds(other.Accounts[0], later, "a set through the second instance")
	if a == other.Accounts[0] && p.holds(a, p.kind(), later) {
		p.fail("a set through one instance changed the target of another")
	}
	p.opened = append(p.opened, second.opened...)
	p.problems = append(p.problems, second.problems...)
}
