package vet

import "github.com/rekey-host/rekey/host/workflow/lang"

// Check follows users, steps and results through the hooks of a script and the
// functions that they are given to.
func Check(script Script) Findings {
	c := &checker{Script: script, columns: newColumns(script.Schema), seen: map[visit]bool{}, builtin: checkCall}
	for _, h := range script.Hooks {
		c.hook(h)
	}
	for _, h := range script.Hooks {
		if h.Phase == lang.InRotate {
			warnIdle(c, h)
		}
	}
	if c.columns != nil {
		checkOrder(c)
	}
	return c.found
}
