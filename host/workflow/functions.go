package workflow

import (
	"maps"

	"go.starlark.net/starlark"

	"github.com/rekey-host/rekey/host/journal"
	"github.com/rekey-host/rekey/host/report"
	"github.com/rekey-host/rekey/host/workflow/lang"
	"github.com/rekey-host/rekey/host/workflow/vet"
)

// functions are what the names of the table do, but for workflow, which is its
// declaration's.
func functions() map[string]function {
	all := map[string]function{
		"backend":           evalBackend,
		"BACKEND.accounts":  evalAccounts,
		"BACKEND.can":       evalCan,
		"wave_rule":         evalWaveRule,
		"param.string":      evalParamString,
		"param.int":         evalParamInt,
		"param.bool":        evalParamBool,
		"param.path":        evalParamPath,
		"param.duration":    evalParamDuration,
		"param.date":        evalParamDate,
		"days_ago":          evalDaysAgo,
		"param.choice":      evalParamChoice,
		"param.list":        evalParamList,
		"param.json":        evalParamJSON,
		"secret.env":        evalSecretEnv,
		"secret.file":       evalSecretFile,
		"secret.prompt":     evalSecretPrompt,
		"secret.command":    evalSecretCommand,
		"secret.credential": evalSecretCredential,
		"policy":            evalPolicy,
		"policy.pin":        evalPin,
		"policy.words":      evalWords,
		"policy.parse":      evalParse,
		"report.summary":    evalReportSummary,
		"struct":            evalStruct,
		"json.encode":       evalJSONEncode,
		"json.decode":       evalJSONDecode,
		"json.indent":       evalJSONIndent,
		"re.match":          evalReMatch,
		"re.search":         evalReSearch,
		"re.findall":        evalReFindall,
		"re.sub":            evalReSub,
		"re.split":          evalReSplit,
		"skip":              evalSkip,
		"done":              evalDone,
		"failed":            evalFailed,
	}
	// A try_ twin is the same function, which asks its entry what to give.
	all["step.generate"], all["step.try_generate"] = evalStepGenerate, evalStepGenerate
	for _, verb := range journal.StepVerbs() {
		all["step."+verb], all["step.try_"+verb] = evalStep, evalStep
	}
	for _, format := range report.Formats() {
		all["report."+format.Name] = evalReport
	}
	all["report.csv"] = evalReportCSV
	maps.Copy(all, sourceFunctions())
	return all
}

// evalStruct is struct().
func evalStruct(args *arguments) (starlark.Value, error) {
	fields := map[string]starlark.Value{}
	for _, kw := range args.more {
		fields[textOf(kw[0])] = kw[1]
	}
	return newStruct(fields), nil
}

// standIn is a value to go on with after a problem has been noted; nil where
// none can be made.
func standIn(kind lang.Kind, method func(string, starlark.Value) starlark.Value) starlark.Value {
	switch kind {
	case lang.KindNone:
		return starlark.None
	case lang.KindSource:
		return &sourceValue{unknown: true}
	case lang.KindBackend:
		return &backendValue{Backend: &vet.Backend{}, method: method}
	case lang.KindPolicy:
		return &policyValue{}
	case lang.KindWave:
		return &waveValue{}
	case lang.KindReport:
		return &reportValue{}
	case lang.KindRef:
		return &refValue{}
	case lang.KindDate:
		return noDay()
	case lang.KindText, lang.KindDuration:
		return starlark.String("")
	case lang.KindInt:
		return starlark.MakeInt(0)
	case lang.KindBool:
		return starlark.False
	case lang.KindTexts:
		return starlark.NewList(nil)
	}
	return nil
}
