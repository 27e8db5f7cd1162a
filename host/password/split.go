package password

import (
	"math/bits"
	"slices"
)

// Part is one of the values that a contradiction can be solved with.
type Part struct {
	Owners  []string   // that can share it
	Clashes [][]string // for each owner that cannot share the first value: the rules that keep it from it
}

// mostSplit is how many owners are split into the fewest values; of more, each
// joins the first value that it can.
const mostSplit = 8

// split returns the fewest values that meet the script's rules and together
// those of all owners; nil if the rules of one owner alone contradict it, or if
// there is one owner only.
func split(spec *Spec, demands []Demand) []Part {
	var owners []string
	rules := map[string][]rule{}
	for _, demand := range demands {
		if _, known := rules[demand.Owner]; !known {
			owners = append(owners, demand.Owner)
		}
		rules[demand.Owner] = append(rules[demand.Owner], rulesOf(demand.Owner, demand.Policy)...)
	}
	base := rulesOfSpec(spec)
	script := len(base)
	base = append(base, ownRules()...)
	all := func(group []string) []rule { // in the order of the demands, as the contradiction has them
		var list []rule
		for _, owner := range owners {
			if slices.Contains(group, owner) {
				list = append(list, rules[owner]...)
			}
		}
		return slices.Concat(base[:script], list, base[script:])
	}
	fits := func(group []string) bool {
		list := all(group)
		if !possible(list) {
			return false
		}
		_, ok := build(spec, list, wishes{})
		return ok
	}
	if len(owners) < 2 || slices.ContainsFunc(owners, func(owner string) bool { return !fits([]string{owner}) }) {
		return nil
	}
	groups := fewest(owners, fits)
	parts := []Part{{Owners: groups[0]}}
	for _, group := range groups[1:] {
		part := Part{Owners: group}
		for _, owner := range group {
			if both := all(append(slices.Clone(groups[0]), owner)); !possible(both) {
				part.Clashes = append(part.Clashes, coreOf(both, possible))
			}
		}
		parts = append(parts, part)
	}
	return parts
}

// fewest divides owners into the fewest groups that fit.
func fewest(owners []string, fits func([]string) bool) [][]string {
	if len(owners) > mostSplit {
		return firstFit(owners, fits)
	}
	chosen := func(set int) []string {
		var group []string
		for i, owner := range owners {
			if set&(1<<i) != 0 {
				group = append(group, owner)
			}
		}
		return group
	}
	full := 1<<len(owners) - 1
	parts := make([]int, full+1) // of a set: how many groups it takes
	last := make([]int, full+1)  // of a set: the group with its first owner
	for set := 1; set <= full; set++ {
		parts[set] = len(owners) + 1
		first := set & -set
		for group := set; group > 0; group = (group - 1) & set {
			if group&first == 0 || parts[set&^group]+1 > parts[set] || parts[set&^group]+1 == parts[set] && bits.OnesCount(uint(group)) <= bits.OnesCount(uint(last[set])) {
				continue
			}
			if fits(chosen(group)) {
				parts[set], last[set] = parts[set&^group]+1, group
			}
		}
	}
	var groups [][]string
	for set := full; set > 0; set &^= last[set] {
		groups = append(groups, chosen(last[set]))
	}
	return groups
}

// firstFit puts each owner into the first group that it fits.
func firstFit(owners []string, fits func([]string) bool) [][]string {
	var groups [][]string
	for _, owner := range owners {
		at := slices.IndexFunc(groups, func(group []string) bool { return fits(append(slices.Clone(group), owner)) })
		if at < 0 {
			groups = append(groups, []string{owner})
			continue
		}
		groups[at] = append(groups[at], owner)
	}
	return groups
}
