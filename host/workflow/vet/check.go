package vet

import "github.com/rekey-host/rekey/host/workflow/lang"

// Check follows users, steps and results through the hooks of a script and the
// functions that they are given to.
func Check(script Script) Findings {
	made := &checker{Script: script, columns: newColumns(script.Schema), seen: map[visit]bool{}, builtin: checkCall}
	for _, hook := range script.Hooks {
		made.hook(hook)
	}
	for _, hook := range script.Hooks {
		if hook.Phase == lang.InRotate {
			warnIdle(made, hook)
		}
	}
	if made.columns != nil {
		checkOrder(made)
	}
	return made.found
}
