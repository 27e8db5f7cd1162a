package host

import (
	"context"

	"github.com/rekey-host/rekey/host/catalog"
	"github.com/rekey-host/rekey/host/engine"
	"github.com/rekey-host/rekey/host/launch"
	"github.com/rekey-host/rekey/host/workflow"
	"github.com/rekey-host/rekey/sdk"
	"github.com/rekey-host/rekey/sdk/secret"
)

// StandIn is one configured backend: a plugin's, or what stands in its place while a
// script is tested. One with the ability sdk.CanResolve is an sdk.Resolver too.
type StandIn interface {
	engine.Instance
	workflow.Lister
	Abilities() []sdk.Ability
	Close() error
}

// Paced is a StandIn that keeps a rate by itself, on a clock that is not the machine's.
type Paced interface {
	Pace(perSecond float64)
}

// paceOf returns the rate that the engine keeps; 0: the instance does.
func paceOf(instance StandIn, perSecond float64) float64 {
	if paced, ok := instance.(Paced); ok {
		paced.Pace(perSecond)
		return 0
	}
	return perSecond
}

// launched is the plugin's instance behind it; nil: it stands in for one.
func launched(instance StandIn) *launch.Instance {
	made, _ := instance.(*launch.Instance)
	return made
}

// breachesOf lists what the instance's plugin did against the contract so far.
func breachesOf(instance StandIn) []string {
	if made := launched(instance); made != nil {
		return made.Breaches()
	}
	return nil
}

// valuesOf returns the settings of an instance that may be shown.
func valuesOf(instance StandIn) map[string]any {
	if made := launched(instance); made != nil {
		return made.Values()
	}
	return nil
}

// instance opens a backend: a plugin's instance, or what stands in its place.
func (p plugins) instance(ctx context.Context, name string, description sdk.Description, config sdk.Config) (StandIn, catalog.Program, error) {
	if p.standIn == nil {
		return p.catalog.Open(ctx, name, config)
	}
	instance, err := p.standIn(description, config)
	if err != nil {
		return nil, catalog.Program{}, err
	}
	program, err := p.catalog.Program(ctx, name, config)
	return instance, program, err
}

// placeholders are the secrets of a backend that a stand-in does not need.
func placeholders(config sdk.Config, names []string) sdk.Config {
	for _, name := range names {
		config.Secrets[name] = secret.New("simulated")
	}
	return config
}
