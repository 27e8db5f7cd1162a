package workflow

import (
	"fmt"
	"slices"
	"strings"

	"go.starlark.net/starlark"

	"github.com/rekey-host/rekey/host/journal"
	"github.com/rekey-host/rekey/host/report"
	"github.com/rekey-host/rekey/host/workflow/lang"
	"github.com/rekey-host/rekey/sdk/secret"
)

// selected is what a select says of its user.
func selected(value starlark.Value) (due bool, reason string, err error) {
	switch v := value.(type) {
	case starlark.Bool:
		return bool(v), "", nil
	case *verdictValue:
		if v.kind == journal.SaidSkip {
			return false, v.reason, nil
		}
	}
	return false, "", lang.Mistake("it returned "+value.Type(), "return True, False or skip(reason)")
}

// waveOf is the wave that a wave hook names.
func waveOf(value starlark.Value, waves []journal.WaveRule) (string, error) {
	text, isText := value.(starlark.String)
	name := string(text)
	switch {
	case !isText:
		return "", lang.Mistake("it returned "+value.Type(), "return the name of a wave")
	case isGarbled(name):
		return "", lang.Mistake(fmt.Sprintf("the name of the wave, %q, has half a letter in it", name), halfLetter)
	case !slices.ContainsFunc(waves, func(rule journal.WaveRule) bool { return rule.Name == name }):
		return "", lang.NoWave(name, waveNames(waves))
	}
	return name, nil
}

// returned is the verdict of a rotate that came to its end.
func returned(value starlark.Value) (journal.Verdict, error) {
	switch v := value.(type) {
	case starlark.NoneType, *secretValue, *resultValue, *structValue: // what steps give: it has been recorded
		return journal.Verdict{}, nil
	case *verdictValue:
		return journal.Verdict{Kind: v.kind, Reason: v.reason}, nil
	}
	return journal.Verdict{}, lang.Mistake("rotate returned "+value.Type(), "return nothing, skip(reason), done() or failed(reason)")
}

// rowOf is the row that a row function returns; nil: it leaves the user out.
func rowOf(value starlark.Value, result *report.Result, scriptSays func() bool) (report.Row, error) {
	if value == starlark.None {
		return nil, nil
	}
	dict, isDict := value.(*starlark.Dict)
	if !isDict {
		return nil, lang.Mistake("it returned "+value.Type(), "return a dict, or None to leave the user out")
	}
	row, err := fieldsOf(dict)
	if err != nil {
		return nil, err
	}
	return row, written(row, result, scriptSays)
}

// written finds a secret put into a text, of which a report would tell
// only that it is one. What a target said may have been scrubbed, and a script
// may mean the word.
func written(row report.Row, result *report.Result, scriptSays func() bool) error {
	for _, field := range row {
		if (holdsRedacted(field.Name) || holdsRedacted(field.Value)) && !saysRedacted(result) && !scriptSays() {
			return lang.Mistake(fmt.Sprintf("column %q would read %q: a secret was put into a text", field.Name, secret.Redacted), "give the secret itself to a column of its own")
		}
	}
	return nil
}

// holdsRedacted reports whether a text in a value has the word, however deep.
func holdsRedacted(value any) bool {
	switch v := value.(type) {
	case string:
		return strings.Contains(v, secret.Redacted)
	case []any:
		return slices.ContainsFunc(v, holdsRedacted)
	case map[string]any:
		for name, value := range v {
			if holdsRedacted(name) || holdsRedacted(value) {
				return true
			}
		}
	}
	return false
}

// saysRedacted reports whether the word stands in what a user came to.
func saysRedacted(result *report.Result) bool {
	return holdsRedacted(result.Message) || holdsRedacted(result.Native) || holdsRedacted(result.Wave) || holdsRedacted(result.Row.Key) || slices.ContainsFunc(result.Row.Cells, holdsRedacted)
}

// fieldsOf turns a dict into a row, in the dict's order.
func fieldsOf(dict *starlark.Dict) (report.Row, error) {
	row := make(report.Row, 0, dict.Len())
	for key, value := range dict.Entries() {
		name, ok := starlark.AsString(key)
		if !ok {
			return nil, lang.Mistake(fmt.Sprintf("a column is named by %s, want string", key.Type()), "")
		}
		item, err := goValue(value, true)
		if err != nil {
			return nil, lang.Mistake(fmt.Sprintf("column %q: %s", name, err), "")
		}
		row = append(row, report.Field{Name: name, Value: item})
	}
	return row, nil
}
