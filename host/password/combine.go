package password

import (
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"
)

const (
	wishLength = 20
	pinLength  = 6
	pinRun     = 2 // of a PIN: equal digits, or digits up or down, in a row
)

// Contradiction says that no value meets all rules. Rules are some of them
// that contradict each other, each with its owner; without any one of them the
// others can be met.
type Contradiction struct {
	Rules []string
	Split []Part // values that meet the rules of all owners together; nil: the rules of one alone contradict each other
}

// Error returns the rules, and which owners can share a value.
func (c *Contradiction) Error() string {
	text := "no password meets all rules: " + strings.Join(c.Rules, ", ")
	if c.Split != nil {
		text += "; " + c.splitText()
	}
	return text
}

// splitText says which values solve a contradiction, rule by rule where they
// differ from those named already.
func (c *Contradiction) splitText() string {
	var list []string
	for _, part := range c.Split {
		text := "one for " + strings.Join(part.Owners, " and ")
		var others []string
		for _, clash := range part.Clashes {
			if !slices.Equal(clash, c.Rules) {
				others = append(others, strings.Join(clash, ", "))
			}
		}
		if others != nil {
			text += " (" + strings.Join(others, "; ") + ")"
		}
		list = append(list, text)
	}
	return fmt.Sprintf("%d values do: %s; make each with step.generate(targets = [...])", len(c.Split), strings.Join(list, ", "))
}

// Combine returns a recipe for values that meet what the script's policy (nil:
// only wishes) and the backends demand. Wishes that contradict a demand are
// dropped. Demands that contradict each other are a *Contradiction.
func Combine(spec *Spec, demands []Demand) (*Recipe, error) {
	if spec == nil {
		spec = &Spec{}
	}
	rules := rulesOfSpec(spec)
	for _, demand := range demands {
		rules = append(rules, rulesOf(demand.Owner, demand.Policy)...)
	}
	rules = append(rules, ownRules()...)
	if !possible(rules) {
		return nil, &Contradiction{coreOf(rules, possible), split(spec, demands)}
	}
	recipe, ok := granted(spec, rules)
	if !ok {
		likely := func(some []rule) bool { _, ok := build(spec, some, wishes{}); return ok }
		return nil, &Contradiction{append(coreOf(rules, likely), "which hardly any value meets"), split(spec, demands)}
	}
	recipe.check = checkOf(spec, demands, recipe)
	for _, rule := range rules {
		recipe.rules = append(recipe.rules, RuleText{rule.owner, rule.words})
	}
	return recipe, nil
}

// wishes are those that can leave hardly any value.
type wishes struct{ noRuns, noCommon bool }

// granted makes a recipe with as many of the wishes as leave values; ok says
// whether there are values at all.
func granted(spec *Spec, rules []rule) (*Recipe, bool) {
	all := wishes{noRuns: spec.Pin, noCommon: spec.Blocklist == nil}
	for _, w := range []wishes{all, {noRuns: all.noRuns}, {noCommon: all.noCommon}, {}} {
		recipe, ok := build(spec, rules, w)
		if !ok {
			continue
		}
		if w.noRuns != all.noRuns {
			recipe.dropped = append(recipe.dropped, "no trivial runs: nearly every value has one")
		}
		if w.noCommon != all.noCommon {
			recipe.dropped = append(recipe.dropped, "no common password: nearly every value is one")
		}
		return recipe, true
	}
	return nil, false
}

// build makes a recipe of rules that can be met; ok says whether values can be
// found in reasonable time.
func build(spec *Spec, rules []rule, wishes wishes) (*Recipe, bool) {
	made := &builder{spec: spec, rules: rules, limits: limitsOf(rules)}
	return made.recipe(wishes)
}

// coreOf returns rules that cannot be met together, though the others can be
// met without any one of them.
func coreOf(rules []rule, possible func([]rule) bool) []string {
	core := slices.Clone(rules)
	for i := 0; i < len(core); {
		without := slices.Delete(slices.Clone(core), i, i+1)
		if possible(without) {
			i++
		} else {
			core = without
		}
	}
	words := make([]string, len(core))
	for i, rule := range core {
		words[i] = rule.text()
	}
	return words
}

// possible reports whether there can be a value that meets the rules: it
// counts characters, and leaves runs and words to sampling.
func possible(rules []rule) bool {
	limits := limitsOf(rules)
	sets := limits.sets()
	if !slices.ContainsFunc(join(sets), func(letter rune) bool { return !strings.ContainsRune(limits.first, letter) }) {
		return false
	}
	if slices.ContainsFunc(limits.oneOf, func(set string) bool { return !strings.ContainsAny(set, string(join(sets))) }) {
		return false
	}
	need, ok := limits.needs(sets)
	if !ok {
		return false
	}
	most := limits.most(sets)
	return most < 0 || most > 0 && limits.min <= most && need.total() <= most
}

func join(sets [classCount][]rune) []rune {
	return slices.Concat(sets[:]...)
}

// needs is how many characters of each class, and of two of them together, a
// value has at least.
type needs struct {
	of         [classCount]int
	letters    int
	nonLetters int
}

func (n needs) total() int {
	return max(n.of[lower]+n.of[upper], n.letters) + max(n.of[digit]+n.of[symbol], n.nonLetters)
}

// classes counts those of which there is one.
func (n needs) classes() int {
	count := 0
	for _, of := range n.of {
		if of > 0 {
			count++
		}
	}
	return count
}

// another requires a character of one more class, of one that makes the value
// no longer if there is one.
func (n *needs) another(sets [classCount][]rune) bool {
	best, cost := none, 2
	for _, class := range classes() {
		if n.of[class] > 0 || len(sets[class]) == 0 {
			continue
		}
		with := *n
		with.of[class] = 1
		if more := with.total() - n.total(); more < cost {
			best, cost = class, more
		}
	}
	if best == none {
		return false
	}
	n.of[best] = 1
	return true
}

// builder makes a recipe of rules that can be met.
type builder struct {
	spec    *Spec
	rules   []rule
	limits  *limits
	dropped []string
}

func (b *builder) drop(wish, reason string) {
	b.dropped = append(b.dropped, wish+": "+reason)
}

// recipe grants the wishes that there is room for.
func (b *builder) recipe(wishes wishes) (*Recipe, bool) {
	limits := b.limits
	if limits.phrase != nil {
		return b.ofWords(wishes)
	}
	sets := limits.sets()
	needs, ok := limits.needs(sets)
	if !ok {
		return nil, false
	}
	b.wishClasses(&needs, sets)
	length := b.length(needs, sets)
	recipe := &Recipe{length: length, first: limits.first, repeat: limits.repeat, sequence: limits.sequence, words: limits.words, oneOf: limits.oneOf, breached: b.spec.Breached,
		noNames: limits.noNames || b.spec.NoAccountName == nil, dropped: b.dropped, noRuns: wishes.noRuns}
	recipe.common = limits.noCommon || wishes.noCommon
	if wishes.noRuns {
		recipe.repeat, recipe.sequence = least(recipe.repeat, pinRun), least(recipe.sequence, pinRun)
	}
	for index := range sets {
		recipe.sets[index] = b.prefer(class(index), sets)
	}
	if length < needs.total() {
		return nil, false
	}
	recipe.counts = newCounts(recipe.sizes(), needs, length)
	return recipe, recipe.calibrate()
}

// ofWords makes a recipe for values of words.
func (b *builder) ofWords(wishes wishes) (*Recipe, bool) {
	phrase, ok := phraseOf(b.limits)
	if !ok {
		return nil, false
	}
	recipe := &Recipe{phrase: phrase, noNames: b.limits.noNames || b.spec.NoAccountName == nil, breached: b.spec.Breached,
		common: b.limits.noCommon || wishes.noCommon}
	return recipe, recipe.calibrate()
}

// wishClasses asks for one of each class, where there is one and room for it.
func (b *builder) wishClasses(needs *needs, sets [classCount][]rune) {
	if b.spec.Pin {
		return
	}
	most := b.limits.most(sets)
	for _, class := range classes() {
		with := *needs
		with.of[class] = max(1, needs.of[class])
		switch {
		case len(sets[class]) == 0:
			if why := b.whyEmpty(class); why != "" {
				b.drop(class.many(1), why)
			}
		case most >= 0 && with.total() > most:
			b.drop(class.many(1), "there is no room for it in "+counted(most, "character"))
		default:
			*needs = with
		}
	}
}

// whyEmpty names the rules that leave a class no character; "" if it is the
// script that says so.
func (b *builder) whyEmpty(class class) string {
	var ofClass []rule
	for _, rule := range b.rules {
		var l limits
		if rule.apply(&l); l.char[class] != nil {
			ofClass = append(ofClass, rule)
		}
	}
	empty := func(rules []rule) bool { return len(limitsOf(rules).sets()[class]) > 0 }
	why := coreOf(ofClass, empty)
	if len(why) == 1 && strings.HasPrefix(why[0], ownerScript+" ") {
		return ""
	}
	return strings.Join(why, ", ")
}

// length is what the script says, else as near to the wish as the rules allow.
func (b *builder) length(needs needs, sets [classCount][]rune) int {
	wish := wishLength
	if b.spec.Pin {
		wish = pinLength
	}
	length := max(wish, b.limits.min, needs.total())
	if most := b.limits.most(sets); most >= 0 && most < length {
		length = most
	}
	if length < wish {
		if why := b.whyShort(length); !strings.HasPrefix(why, ownerScript+" ") {
			b.drop(counted(wish, "character"), why)
		}
	}
	return length
}

// whyShort names the rule that allows so many characters at most.
func (b *builder) whyShort(length int) string {
	for _, rule := range b.rules {
		var l limits
		if rule.apply(&l); l.max == length || l.bytes > 0 && l.bytes <= length*utf8.UTFMax {
			return rule.text()
		}
	}
	return "the remaining characters allow no more than " + counted(length, "character")
}

// prefer returns the characters of a class that values are made of: those that
// are easy to read and safe to paste, or all if the set lacks these.
func (b *builder) prefer(class class, sets [classCount][]rune) []rune {
	all := sets[class]
	told := func(letter rune) bool { return slices.Contains(b.limits.told, letter) }
	wanted := func(letter rune) bool {
		return slices.ContainsFunc(b.limits.oneOf, func(set string) bool { return strings.ContainsRune(set, letter) })
	}
	if class == symbol && slices.ContainsFunc(all, told) || slices.ContainsFunc(all, wanted) {
		return all
	}
	if class == symbol {
		if nice := slices.DeleteFunc(slices.Clone(all), func(letter rune) bool { return !strings.ContainsRune(friendly, letter) }); len(nice) > 0 {
			all = nice
		}
	}
	if nice := withoutLookAlikes(join(sets), all); len(nice) > 0 {
		return nice
	}
	return all
}
