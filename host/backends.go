package host

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/rekey-host/rekey/host/diag"
	"github.com/rekey-host/rekey/host/engine"
	"github.com/rekey-host/rekey/host/journal"
	"github.com/rekey-host/rekey/host/launch"
	"github.com/rekey-host/rekey/host/workflow"
	"github.com/rekey-host/rekey/sdk"
)

// defaultConcurrency limits an instance whose plugin names no limit.
const defaultConcurrency = 16

// backends are the configured instances of one workflow.
type backends struct {
	list []engine.Backend
	open []StandIn // in the order of list
	pins []journal.BackendPin

	loose []string // of plugins that are not confined although nobody said so
}

// close ends the instances. Their processes end with the catalog, whatever an
// instance answers.
func (b *backends) close() {
	for _, instance := range b.open {
		_ = instance.Close()
	}
}

// lister returns what reads the accounts of a backend.
func (b *backends) lister(label string) workflow.Lister {
	for i, one := range b.list {
		if one.Label == label {
			return b.open[i]
		}
	}
	return nil
}

// breaches says of each plugin what it did that it should not, once.
func (b *backends) breaches() []string {
	var list []string
	said, flooded := map[string]bool{}, map[*launch.Plugin]bool{}
	for _, opened := range b.open {
		instance := launched(opened)
		if instance == nil {
			continue
		}
		name := instance.Description().Name
		if found := instance.Breaches(); len(found) > 0 && !said[name] {
			said[name] = true
			list = append(list, fmt.Sprintf("plugin %s broke the contract: %s; report it to its author", name, strings.Join(found, ", ")))
		}
		if dropped := instance.Plugin().Dropped(); dropped > 0 && !flooded[instance.Plugin()] {
			flooded[instance.Plugin()] = true
			list = append(list, fmt.Sprintf("plugin %s wrote more to standard error than can be kept: %d lines dropped", name, dropped))
		}
	}
	return list
}

// events says what is worth keeping of how the plugins did and of what was waited
// for: a line each.
func (b *backends) events(waits []engine.Wait) []string {
	list := b.breaches()
	seen := map[*launch.Plugin]bool{}
	for _, opened := range b.open {
		instance := launched(opened)
		if instance == nil {
			continue
		}
		plugin := instance.Plugin()
		if count, last := plugin.Restarts(); count > 0 && !seen[plugin] {
			list = append(list, fmt.Sprintf("%s died %s; the last time: %s", plugin, times(count), last))
		}
		seen[plugin] = true
	}
	for _, wait := range waits {
		list = append(list, fmt.Sprintf("backend %s was waited for %s, %s in all; the last time: %s", wait.Backend, times(wait.Times), wait.Total.Round(time.Second), wait.Why))
	}
	return list
}

func times(count int) string {
	if count == 1 {
		return "once"
	}
	return fmt.Sprintf("%d times", count)
}

// mostFindings is how many warnings of one backend are told.
const mostFindings = 20

// check asks each backend whether it can do its job. The warnings are for the
// operator; a bad finding is a *diag.Problems.
func (b *backends) check(ctx context.Context, lookupEnv func(string) (string, bool)) (warnings []string, err error) {
	var problems diag.Problems
	warnings = slices.Clone(b.loose)
	for i, one := range b.list {
		if !one.Can(sdk.CanCheck) {
			continue
		}
		var told []string
		for _, finding := range findings(ctx, one) {
			finding = unproxied(lookupEnv, one.Description, valuesOf(b.open[i]), finding)
			text := fmt.Sprintf("backend %q: %s", one.Label, finding.Message)
			switch finding.Severity {
			case sdk.Bad:
				problems.Add(diag.Problem{Message: text, Fix: finding.Fix})
			case sdk.Warning:
				told = append(told, text)
			}
		}
		warnings = append(warnings, few(told, one.Label)...)
	}
	return warnings, problems.Err()
}

// few returns as many warnings as are told.
func few(warnings []string, label string) []string {
	if more := len(warnings) - mostFindings; more > 0 {
		return append(warnings[:mostFindings], fmt.Sprintf("backend %q: and %d warnings more", label, more))
	}
	return warnings
}

func findings(ctx context.Context, backend engine.Backend) []sdk.Finding {
	ctx, cancel := context.WithTimeout(ctx, max(backend.Timeout, time.Second))
	defer cancel()
	return backend.Instance.Check(ctx)
}

// concurrencyOf returns the least that the plugin, the workflow and the backend
// allow.
func concurrencyOf(description sdk.Description, flow, backend int) int {
	most := defaultConcurrency
	if description.Limits.Concurrency > 0 {
		most = description.Limits.Concurrency
	}
	for _, limit := range []int{flow, backend} {
		if limit > 0 && (limit < most || description.Limits.Concurrency == 0) {
			most = limit
		}
	}
	return most
}

func rateOf(description sdk.Description, spec workflow.BackendSpec) float64 {
	if spec.Rate == 0 || description.Limits.PerSecond > 0 && description.Limits.PerSecond < spec.Rate {
		return description.Limits.PerSecond
	}
	return spec.Rate
}
