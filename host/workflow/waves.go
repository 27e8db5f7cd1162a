package workflow

import (
	"errors"
	"math"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"go.starlark.net/starlark"

	"github.com/rekey-host/rekey/host/diag"
	"github.com/rekey-host/rekey/host/journal"
	"github.com/rekey-host/rekey/sdk"
)

// waveValue is what wave_rule() makes. Its name is its key in waves.
type waveValue struct{ rule journal.WaveRule }

func (w *waveValue) String() string        { return "wave_rule" }
func (w *waveValue) Type() string          { return "wave rule" }
func (w *waveValue) Freeze()               {}
func (w *waveValue) Truth() starlark.Bool  { return true }
func (w *waveValue) Hash() (uint32, error) { return 0, errors.New("a wave rule is no key") }

// onlyWave is the wave of a workflow without waves.
const onlyWave = "all"

// unlimited is a wave that nothing stops.
func unlimited(name string) journal.WaveRule {
	return journal.WaveRule{Name: name, MaxFailures: -1, MaxPercent: -1}
}

// KnownCode reports whether there is such a code, and suggests another if not.
func KnownCode(code string) (fix string, known bool) {
	if all := codes(); !slices.Contains(all, code) {
		return diag.DidYouMean(code, all), false
	}
	return "", true
}

func evalWaveRule(args *arguments) (starlark.Value, error) {
	rule := unlimited("")
	rule.Size, rule.Take, rule.Pause = args.number("size", 1), args.number("take", 1), args.duration("pause")
	if args.has("hold") {
		rule.Hold = args.choice("hold", "approval") != ""
	}
	if args.has("max_failures") {
		readMaxFailures(args, &rule)
	}
	for _, code := range args.texts("tolerate") {
		if fix, known := KnownCode(code); !known {
			args.badValue("tolerate", fix, "tolerate: there is no code %q", code)
		}
		rule.Tolerate = append(rule.Tolerate, sdk.Code(code))
	}
	return &waveValue{rule}, nil
}

// codes are all that a user can fail with.
func codes() []string {
	all := append(sdk.Codes(), journal.HostCodes()...)
	names := make([]string, len(all))
	for i, code := range all {
		names[i] = string(code)
	}
	return names
}

// maxFailures reads 5 or "1%".
func readMaxFailures(args *arguments, rule *journal.WaveRule) {
	value := args.value("max_failures")
	if is[starlark.Int](value) {
		rule.MaxFailures = args.number("max_failures", 0)
		return
	}
	text := textOf(value)
	number, isPercent := strings.CutSuffix(strings.TrimSpace(text), "%")
	amount, err := strconv.ParseFloat(number, 64)
	if err != nil || !isPercent || !(amount >= 0 && amount <= 100) || math.IsNaN(amount) {
		args.badValue("max_failures", `write a number, or a percentage such as "1%"`, "max_failures = %q is neither", text)
		return
	}
	rule.MaxPercent = amount
}

// waves reads waves = {"canary": wave_rule(…)}.
func readWaves(args *arguments, hasHook bool) []journal.WaveRule {
	dict, _ := args.value("waves").(*starlark.Dict)
	if dict == nil || dict.Len() == 0 {
		only := unlimited(onlyWave)
		only.InARow = journal.InARow
		return []journal.WaveRule{only}
	}
	var rules []journal.WaveRule
	for i, item := range dict.Items() {
		rule := item[1].(*waveValue).rule
		rule.Name = textOf(item[0])
		switch {
		case strings.TrimSpace(rule.Name) == "":
			args.badValue("waves", "", "the name of a wave is empty")
		case strings.ContainsFunc(rule.Name, unicode.IsControl):
			args.badValue("waves", "", "the name of wave %q has a control character", rule.Name)
		case hasHook && rule.Take > 0:
			args.badValue("waves", "leave one of them out", "wave %q: take is for workflows without a wave hook", rule.Name)
		case !hasHook && rule.Take == 0 && i+1 < dict.Len():
			args.badValue("waves", "give it take =, or write a wave hook", "wave %q takes every user, and no user is left for the later ones", rule.Name)
		}
		rules = append(rules, rule)
	}
	return rules
}

func waveNames(rules []journal.WaveRule) []string {
	names := make([]string, len(rules))
	for i, rule := range rules {
		names[i] = rule.Name
	}
	return names
}
