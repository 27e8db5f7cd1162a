package lang

import (
	"fmt"
	"slices"
	"strings"
)

// TypeName is a type that scripts may write: def wave(user: User) -> str.
type TypeName struct {
	Name   string   `json:"name"`             // as scripts write it
	Value  string   `json:"value,omitempty"`  // what the interpreter calls it; "": any value
	Of     []string `json:"of,omitempty"`     // what stands in its brackets, if anything does
	Fields []Field  `json:"fields,omitempty"` // its attributes, beside those that the table has as members
	Member string   `json:"member,omitempty"` // whose members of the table are its attributes; "": none are
	Doc    string   `json:"doc"`
}

// Field is an attribute of a type.
type Field struct {
	Name string `json:"name"`
	Type string `json:"type"` // as a script writes it
}

// TypeNames are the types that scripts may write, in the order of the
// documentation.
func TypeNames() []TypeName {
	text := func(names ...string) []Field { return fields("str", names...) }
	return []TypeName{
		{Name: "str", Value: "string", Doc: "A text."},
		{Name: "int", Value: "int", Doc: "A whole number."},
		{Name: "float", Value: "float", Doc: "A number with a fraction; an int is taken too."},
		{Name: "bool", Value: "bool", Doc: "True or False."},
		{Name: "None", Value: "NoneType", Doc: "None. str | None is a text, or None."},
		{Name: "bytes", Value: "bytes", Doc: `Bytes, as in b"\x00".`},
		{Name: "list", Value: "list", Of: []string{"element"}, Doc: "A list; list[str] is one of texts."},
		{Name: "tuple", Value: "tuple", Doc: "A tuple."},
		{Name: "dict", Value: "dict", Of: []string{"key", "value"}, Doc: "A dict; dict[str, int] has texts as keys and numbers as values."},
		{Name: "set", Value: "set", Of: []string{"element"}, Doc: "A set."},
		{Name: "Function", Value: "function", Doc: "A def or a lambda."},
		{Name: "Any", Doc: "Any value; nothing is checked of it."},
		{Name: "User", Value: "user", Doc: "One row of the source. Its columns have the types that the source gives them: str, or what types = says. A cell of another type than str may be empty, and is None then."},
		{Name: "Step", Value: "step", Member: "step", Doc: "What rotate may do."},
		{Name: "Row", Value: "result of a user", Member: "r", Doc: "What one user came to, as row functions of reports get it."},
		{Name: "Verdict", Value: "verdict", Doc: "What skip(), done() and failed() give."},
		{Name: "Secret", Value: "secret", Doc: "A password: a column of secrets, or what step.generate() gives. It can be asked whether it is empty, and be given to a step."},
		{Name: "Result", Value: "result", Doc: "What a step with try_ gives.",
			Fields: slices.Concat(fields("bool", "ok"), text("outcome", "code", "message", "native"), fields("Any", "value"))},
		{Name: "Account", Value: "struct", Doc: "What step.find() gives.",
			Fields: slices.Concat(text("account", "id", "status"), fields("Any", "must_change", "changed_at"), fields("list", "kinds"))},
		{Name: "Struct", Value: "struct", Doc: "What struct() makes."},
		{Name: "Match", Value: "match", Doc: "What re.match() and re.search() find.", Fields: append(fields("tuple", "groups"), fields("int", "start", "end")...)},
		{Name: "Date", Value: "date", Doc: "A day: a column of the type date, or what param.date() gives. Days compare with days.", Fields: fields("int", "year", "month", "day")},
		{Name: "Backend", Value: "backend", Member: "BACKEND", Doc: "What backend() makes.", Fields: text("name", "label")},
		{Name: "Source", Value: "source", Doc: "What csv() and its like make."},
		{Name: "Policy", Value: "policy", Doc: "What policy() and its like make."},
		{Name: "WaveRule", Value: "wave rule", Doc: "What wave_rule() makes."},
		{Name: "Report", Value: "report", Doc: "What report.csv() and its like make."},
		{Name: "SecretRef", Value: "secret reference", Doc: "What secret.env() and its like make."},
	}
}

func fields(kind string, names ...string) []Field {
	all := make([]Field, len(names))
	for i, name := range names {
		all[i] = Field{name, kind}
	}
	return all
}

// Written is the type of the values of a kind, as a script writes it.
func (k Kind) Written() string {
	switch k {
	case KindText, KindDuration, KindRate:
		return "str"
	case KindInt, KindBool, KindList, KindDict, KindNone:
		return string(k)
	case KindTexts:
		return "list[str]"
	case KindTypes:
		return "dict[str, str]"
	case KindHook:
		return "Function"
	case KindBackend:
		return "Backend"
	case KindBackends:
		return "list[Backend]"
	case KindSource:
		return "Source"
	case KindPolicy:
		return "Policy"
	case KindBlocked:
		return "bool | str"
	case KindValue:
		return "Secret | str"
	case KindRef:
		return "SecretRef"
	case KindFailures:
		return "int | str"
	case KindWave:
		return "WaveRule"
	case KindWaves:
		return "dict[str, WaveRule]"
	case KindReport:
		return "Report"
	case KindReports:
		return "list[Report]"
	case KindVerdict:
		return "Verdict"
	case KindResult:
		return "Result"
	case KindUser:
		return "User"
	case KindDate:
		return "Date"
	case KindMatch:
		return "Match"
	case KindSecret:
		return "Secret"
	}
	return "Any"
}

// TypesPage explains types to people.
func TypesPage() string {
	var out strings.Builder
	out.WriteString(`Types are optional. Write them where they help a reader, or where rekey check is to hold calls against them:

    def label(user: User, size: int = 3) -> str:
    names: list[str] = []
    def first(text: str | None) -> Match | None:

rekey check finds what is certainly wrong: a call with a value of a wrong type, an attribute that a type lacks, None where a
value is needed, a comparison of values that are never equal or have no order, a loop over a text, a hook that returns
nothing on one of its paths. What has no type may be anything, and nothing is said of it. Inside of a function types follow
from what is written: user.login is str because the source says so, step.try_set() gives a Result, "a" + "b" is str.

A run knows no types: they are taken out before it reads the script. A type stands on one line, after the name of a
parameter, after -> at the end of a def, or after the name of a variable that gets its value there.

`)
	for _, one := range TypeNames() {
		name := one.Name
		if one.Of != nil {
			name += "[" + strings.Join(one.Of, ", ") + "]"
		}
		doc := one.Doc
		if len(one.Fields) > 0 {
			names := make([]string, len(one.Fields))
			for i, field := range one.Fields {
				names[i] = "." + field.Name
			}
			doc += " It has " + strings.Join(names, " ") + "."
		}
		fmt.Fprintf(&out, "%-18s %s\n", name, doc)
	}
	return out.String()
}
