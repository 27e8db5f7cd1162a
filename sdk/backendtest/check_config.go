package backendtest

import (
	"context"
	"strings"

	"github.com/rekey-host/rekey/sdk"
)

func wrongSettingsAreNamed(probe *probe) {
	for _, wrong := range probe.target.Wrong {
		config := filled(probe.target.Config, probe.d)
		if wrong.Value == nil {
			delete(config.Values, wrong.Field)
		} else {
			config.Values[wrong.Field] = wrong.Value
		}
		var s subject
		var err error
		probe.patiently("Configure", func(ctx context.Context) { s, err = probe.plugin.configure(ctx, config) })
		if err == nil {
			_ = s.close()
			probe.fail("Configure with %s = %v: no error", wrong.Field, wrong.Value)
			continue
		}
		failure := sdk.AsError(err, sdk.InvalidConfig)
		if failure.Code != sdk.InvalidConfig && failure.Code != sdk.InsecureTransport || !strings.Contains(failure.Message, wrong.Field) {
			probe.fail("Configure with %s = %v: %v, want InvalidConfig and the field's name", wrong.Field, wrong.Value, failure)
		}
	}
}

func instancesAreApart(p *probe) {
	other := p.o.Target(p.t)
	other.Config.Label += "-other"
	mine := p.open()
	subject, err := p.configure(other.Config)
	if err != nil {
		p.stop("Configure of a second instance: %v", err)
	}
	p.opened = append(p.opened, subject)
	second := &probe{t: p.t, o: p.o, plugin: p.plugin, log: p.log, scene: scene{d: p.d, target: other, near: p.near}}
	text, first, later := p.target.Accounts[0], p.value(), p.value()
	p.give(mine, text, first)
	second.values = p.values
	second.give(subject, other.Accounts[0], later)
	p.wantHolds(text, first, "after a set through another instance")
	second.wantHolds(other.Accounts[0], later, "a set through the second instance")
	if text == other.Accounts[0] && p.holds(text, p.kind(), later) {
		p.fail("a set through one instance changed the target of another")
	}
	p.opened = append(p.opened, second.opened...)
	p.problems = append(p.problems, second.problems...)
}
