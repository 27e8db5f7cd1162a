package lang

import "slices"

// Kind is what an argument may be, in the words of the documentation.
type Kind string

// The kinds of arguments, and of what builtins give.
const (
	KindAny      Kind = "any value"
	KindNone     Kind = "None"
	KindText     Kind = "string"
	KindInt      Kind = "int"
	KindBool     Kind = "bool"
	KindTexts    Kind = "list of strings"
	KindList     Kind = "list"
	KindDict     Kind = "dict"
	KindTypes    Kind = "dict of strings"
	KindHook     Kind = "function"
	KindBackend  Kind = "backend"
	KindBackends Kind = "list of backends"
	KindSource   Kind = "source"
	KindPolicy   Kind = "policy"
	KindBlocked  Kind = "bool or string"
	KindValue    Kind = "secret or string"
	KindRef      Kind = "secret reference"
	KindDuration Kind = "duration"
	KindRate     Kind = "rate"
	KindFailures Kind = "int or percentage"
	KindWave     Kind = "wave rule"
	KindWaves    Kind = "dict of wave rules"
	KindReport   Kind = "report"
	KindReports  Kind = "list of reports"
	KindStruct   Kind = "struct"
	KindVerdict  Kind = "verdict"
	KindResult   Kind = "result"
	KindUser     Kind = "user"
	KindMatch    Kind = "match"
	KindDate     Kind = "date"
	KindSecret   Kind = "secret"
)

// Wanted is how a message asks for a value of the kind.
func (k Kind) Wanted() string {
	switch k {
	case KindDuration:
		return `a duration such as "10m"`
	case KindRate:
		return `a rate such as "40/s"`
	case KindFailures:
		return `a number such as 5 or a percentage such as "1%"`
	case KindBlocked:
		return `True, False or "hibp:FILE"`
	case KindSource:
		return "a source of users such as csv()"
	case KindPolicy:
		return "what policy() makes"
	case KindDate:
		return "a date, as of a column of that type, or param.date()"
	case KindBackend:
		return "what backend() makes"
	case KindWave:
		return "what wave_rule() makes"
	case KindReport:
		return "a report such as report.csv()"
	}
	return string(k)
}

// Types returns the types of values that the kind accepts, as the interpreter
// names them; nil: the kind is KindAny, or nothing is accepted for it.
func (k Kind) Types() []string {
	switch k {
	case KindText, KindDuration, KindRate:
		return []string{"string"}
	case KindInt, KindBool, KindHook, KindBackend, KindSource, KindPolicy, KindWave, KindReport, KindDate:
		return []string{string(k)}
	case KindFailures:
		return []string{"int", "string"}
	case KindBlocked:
		return []string{"bool", "string"}
	case KindValue:
		return []string{"secret", "string"}
	case KindList, KindTexts, KindBackends, KindReports:
		return []string{"list", "tuple"}
	case KindDict, KindTypes, KindWaves:
		return []string{"dict"}
	}
	return nil
}

// Takes reports whether a value of the type may be of the kind; the elements of
// containers have to be asked for by themselves.
func (k Kind) Takes(valueType string) bool {
	return k == KindAny || slices.Contains(k.Types(), valueType)
}

// Element is the kind of a container's elements; "" if any will do.
func (k Kind) Element() Kind {
	switch k {
	case KindTexts, KindTypes:
		return KindText
	case KindBackends:
		return KindBackend
	case KindReports:
		return KindReport
	case KindWaves:
		return KindWave
	}
	return ""
}

// Mismatch says why a value of the type is not of the kind. It names types,
// never values: a value may be secret.
func (k Kind) Mismatch(valueType string) string {
	return "want " + k.Wanted() + ", got " + valueType
}
