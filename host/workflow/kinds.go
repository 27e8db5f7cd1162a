package workflow

import (
	"fmt"

	"go.starlark.net/starlark"
)

// kind is what an argument may be, in the words of the documentation.
type kind string

// The kinds of arguments, and of what builtins give.
const (
	kindAny      kind = "any value"
	kindNone     kind = "None"
	kindText     kind = "string"
	kindInt      kind = "int"
	kindBool     kind = "bool"
	kindTexts    kind = "list of strings"
	kindList     kind = "list"
	kindDict     kind = "dict"
	kindTypes    kind = "dict of strings"
	kindHook     kind = "function"
	kindBackend  kind = "backend"
	kindBackends kind = "list of backends"
	kindSource   kind = "source"
	kindPolicy   kind = "policy"
	kindValue    kind = "secret or string"
	kindRef      kind = "secret reference"
	kindDuration kind = "duration"
	kindRate     kind = "rate"
	kindFailures kind = "int or percentage"
	kindWave     kind = "wave rule"
	kindWaves    kind = "dict of wave rules"
	kindReport   kind = "report"
	kindReports  kind = "list of reports"
	kindStruct   kind = "struct"
	kindVerdict  kind = "verdict"
	kindResult   kind = "result"
	kindUser     kind = "user"
	kindMatch    kind = "match"
	kindSecret   kind = "secret"
)

// wanted is how a message asks for a value of the kind.
func (k kind) wanted() string {
	switch k {
	case kindDuration:
		return `a duration such as "10m"`
	case kindRate:
		return `a rate such as "40/s"`
	case kindFailures:
		return `a number such as 5 or a percentage such as "1%"`
	case kindSource:
		return "a source of users such as csv()"
	case kindPolicy:
		return "what policy() makes"
	case kindBackend:
		return "what backend() makes"
	case kindWave:
		return "what wave_rule() makes"
	case kindReport:
		return "a report such as report.csv()"
	}
	return string(k)
}

// element is the kind of a container's elements; "" if any will do.
func (k kind) element() kind {
	switch k {
	case kindTexts, kindTypes:
		return kindText
	case kindBackends:
		return kindBackend
	case kindReports:
		return kindReport
	case kindWaves:
		return kindWave
	}
	return ""
}

// accepts reports whether v is of the kind; what it says is not looked at.
func (k kind) accepts(v starlark.Value) bool {
	switch k {
	case kindAny:
		return true
	case kindText, kindDuration, kindRate:
		return is[starlark.String](v)
	case kindInt:
		return is[starlark.Int](v)
	case kindBool:
		return is[starlark.Bool](v)
	case kindFailures:
		return is[starlark.Int](v) || is[starlark.String](v)
	case kindHook:
		return is[*starlark.Function](v)
	case kindValue:
		return is[*secretValue](v) || is[starlark.String](v)
	case kindList, kindTexts, kindBackends, kindReports:
		all, ok := elements(v)
		return ok && k.misfit(all) < 0
	case kindDict, kindTypes, kindWaves:
		d, ok := v.(*starlark.Dict)
		return ok && k.misfit(values(d)) < 0 && kindTexts.misfit(d.Keys()) < 0
	default:
		return k.acceptsOwn(v)
	}
}

// acceptsOwn is accepts for this package's own types.
func (k kind) acceptsOwn(v starlark.Value) bool {
	switch k {
	case kindBackend:
		return is[*backendValue](v)
	case kindSource:
		return is[*sourceValue](v)
	case kindPolicy:
		return is[*policyValue](v)
	case kindWave:
		return is[*waveValue](v)
	case kindReport:
		return is[*reportValue](v)
	}
	return false
}

// misfit returns the index of the first element that is not of the kind that
// the container wants, or -1.
func (k kind) misfit(all []starlark.Value) int {
	want := k.element()
	for i, e := range all {
		if want != "" && !want.accepts(e) {
			return i
		}
	}
	return -1
}

// mismatch says why v is not of the kind. It names types, never values: a
// value may be what nobody should read in a log.
func (k kind) mismatch(v starlark.Value) string {
	if all, ok := elements(v); ok {
		if i := k.misfit(all); i >= 0 {
			return fmt.Sprintf("element %d: want %s, got %s", i+1, k.element().wanted(), all[i].Type())
		}
	}
	if d, ok := v.(*starlark.Dict); ok && (k == kindDict || k == kindTypes || k == kindWaves) {
		for _, item := range d.Items() {
			if !is[starlark.String](item[0]) {
				return fmt.Sprintf("a key is %s, want string", item[0].Type())
			}
			if k.element() != "" && !k.element().accepts(item[1]) {
				return fmt.Sprintf("value of %s: want %s, got %s", item[0], k.element().wanted(), item[1].Type())
			}
		}
	}
	return fmt.Sprintf("want %s, got %s", k.wanted(), v.Type())
}

func is[T any](v starlark.Value) bool { _, ok := v.(T); return ok }

// elements returns the elements of a list or tuple.
func elements(v starlark.Value) ([]starlark.Value, bool) {
	switch v := v.(type) {
	case starlark.Tuple:
		return v, true
	case *starlark.List:
		all := make([]starlark.Value, v.Len())
		for i := range all {
			all[i] = v.Index(i)
		}
		return all, true
	}
	return nil, false
}

func values(d *starlark.Dict) []starlark.Value {
	items := d.Items()
	all := make([]starlark.Value, len(items))
	for i, item := range items {
		all[i] = item[1]
	}
	return all
}
