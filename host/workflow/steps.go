package workflow

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"go.starlark.net/starlark"

	"github.com/rekey-host/rekey/host/diag"
	"github.com/rekey-host/rekey/host/engine"
	"github.com/rekey-host/rekey/host/journal"
	"github.com/rekey-host/rekey/host/workflow/lang"
	"github.com/rekey-host/rekey/sdk"
	"github.com/rekey-host/rekey/sdk/secret"
)

// resultValue is what a try_ step returns: what the backend said.
type resultValue struct {
	step   string
	result journal.Result
	value  starlark.Value
}

var _ starlark.HasAttrs = (*resultValue)(nil)

func (r *resultValue) String() string {
	return fmt.Sprintf("result(ok = %v, outcome = %q, code = %q, message = %q)", starlark.Bool(r.result.OK()), r.outcome(), r.result.Code, r.result.Message)
}
func (r *resultValue) Type() string          { return "result" }
func (r *resultValue) Freeze()               {}
func (r *resultValue) Truth() starlark.Bool  { return starlark.Bool(r.result.OK()) }
func (r *resultValue) Hash() (uint32, error) { return 0, errors.New("a result is no key") }
func (r *resultValue) AttrNames() []string   { return resultNames() }

func resultNames() []string {
	return []string{"code", "message", "native", "ok", "outcome", "value"}
}

// outcome is applied, refused or unknown.
func (r *resultValue) outcome() string {
	if r.result.OK() {
		return sdk.Applied.String()
	}
	return r.result.Outcome.String()
}

// Attr returns what the backend said.
func (r *resultValue) Attr(name string) (starlark.Value, error) {
	switch name {
	case "ok":
		return starlark.Bool(r.result.OK()), nil
	case "outcome":
		return starlark.String(r.outcome()), nil
	case "code":
		return starlark.String(r.result.Code), nil
	case "message":
		return starlark.String(r.result.Message), nil
	case "native":
		return starlark.String(r.result.Native), nil
	case "value":
		return r.value, nil
	}
	return nil, lang.Mistake(fmt.Sprintf("the result of a step has no %q", name), diag.DidYouMean(name, resultNames()))
}

// refusal is the error of a step without try_ that the backend did not do.
type refusal struct {
	step    string
	backend string
	account string
	result  journal.Result
}

// Error says who refused what.
func (r *refusal) Error() string {
	text := fmt.Sprintf("%s(%s, %q): %s", r.step, r.backend, r.account, r.result.Outcome)
	if r.result.Code != "" {
		text += ", " + string(r.result.Code)
	}
	if r.result.Message != "" {
		text += ": " + r.result.Message
	}
	return text
}

// tries reports whether the call is of a try_ twin.
func isTry(args *arguments) bool { return strings.HasPrefix(args.entry.Name, "step.try_") }

// evalStep takes a step that reaches a backend; its entry names the verb.
func evalStep(args *arguments) (starlark.Value, error) {
	verb := strings.TrimPrefix(strings.TrimPrefix(args.entry.Name, "step."), "try_")
	target := args.value("backend").(*backendValue)
	step := journal.Step{Verb: verb, Backend: target.Label, Account: args.text("account")}
	if isGarbled(step.Account) {
		args.bad("account", halfLetter, "account %q has half a letter in it, or one that was lost", step.Account)
	}
	readCredential(args, &step, target)
	readOptions(args, &step, target)
	if other := args.in.entersAs(target, step); other != "" {
		args.bad("backend", "give one of the two a login of its own", "backend %q logs in as the same account, and would not be told its new password", other)
	}
	if len(args.problems) > 0 {
		return nil, nil
	}
	state := args.state
	state.watch.pause()
	result, err := state.steps.Do(state.ctx, step)
	state.watch.resume()
	if err != nil {
		state.raised = err
		return nil, err
	}
	value := valueOf(result)
	switch {
	case isTry(args):
		return &resultValue{step: args.entry.Name, result: result, value: value}, nil
	case !result.OK():
		state.raised = &refusal{args.entry.Name, step.Backend, step.Account, result}
		return nil, state.raised
	}
	return value, nil
}

// readCredential reads the arguments that say which password becomes which, and checks
// what the backend has.
func readCredential(args *arguments, step *journal.Step, to *backendValue) {
	if args.entry.Index("kind") >= 0 {
		step.Kind = args.text("kind")
		args.misused("kind", to.NoKind(step.Kind))
	}
	if args.entry.Index("must_change") >= 0 {
		step.MustChange = optionalBool(args, "must_change")
		if step.MustChange != nil && *step.MustChange {
			args.misused("must_change", to.NoMustChange())
		}
	}
	step.Old = passwordArgument(args, "old")
	if step.Value = passwordArgument(args, "value"); step.Value == nil {
		step.Value = passwordArgument(args, "new")
	}
}

// password returns a secret or string argument; nil if the step
// has none of that name.
func passwordArgument(args *arguments, name string) *journal.Value {
	i := args.entry.Index(name)
	if i < 0 {
		return nil
	}
	switch v := args.args[i].(type) {
	case *secretValue:
		return v.v
	case starlark.String:
		return journal.Given(secret.New(string(v)))
	}
	return nil
}

// readOptions checks the options of an operation, and the form of a hash.
func readOptions(args *arguments, step *journal.Step, to *backendValue) {
	if args.entry.Index("hash_format") >= 0 {
		step.HashFormat = args.text("hash_format")
		args.misused("hash_format", to.NoHashFormat(step.HashFormat))
	}
	if args.entry.Index("options") < 0 || !args.has("options") {
		return
	}
	step.Options = map[string]any{}
	for _, item := range args.value("options").(*starlark.Dict).Items() {
		readOption(args, step, to, textOf(item[0]), item[1])
	}
}

func readOption(args *arguments, step *journal.Step, to *backendValue, name string, value starlark.Value) {
	if misuse := to.NoOption(name); misuse != nil {
		args.misused("options", misuse)
		return
	}
	i := slices.IndexFunc(to.Desc.Options, func(field sdk.Field) bool { return field.Name == name })
	if value == starlark.None {
		return
	}
	item, bad := fieldValue(to.Desc.Options[i], value, true)
	if bad != nil {
		fix := bad.Fix
		if fix == ofType {
			fix = ""
		}
		args.bad("options", fix, "option %s: %s", name, bad.Message)
		return
	}
	step.Options[name] = item
}

// valueOf is the value of a reset, or what a find found.
func valueOf(result journal.Result) starlark.Value {
	switch {
	case result.Value != nil && result.Value.Secret().Present():
		return &secretValue{result.Value}
	case result.Account != nil:
		return accountOf(*result.Account)
	}
	return starlark.None
}

func accountOf(account sdk.Account) starlark.Value {
	var must, changed starlark.Value = starlark.None, starlark.None
	if account.MustChange != nil {
		must = starlark.Bool(*account.MustChange)
	}
	if !account.ChangedAt.IsZero() {
		changed = starlark.String(account.ChangedAt.UTC().Format(time.RFC3339))
	}
	kinds := make([]starlark.Value, len(account.Kinds))
	for i, key := range account.Kinds {
		kinds[i] = starlark.String(key)
	}
	return newStruct(map[string]starlark.Value{
		"account": starlark.String(account.Account), "id": starlark.String(account.ID), "status": starlark.String(account.Status.String()),
		"must_change": must, "changed_at": changed, "kinds": starlark.NewList(kinds),
	})
}

func evalStepGenerate(args *arguments) (starlark.Value, error) {
	generateStep := engine.GenerateStep{Kind: args.text("kind")}
	if p, ok := args.value("policy").(*policyValue); ok {
		generateStep.Policy = p.spec
	}
	if target, ok := args.value("generator").(*backendValue); ok {
		generateStep.Generator = target.Label
	}
	if all, ok := elements(args.value("targets")); ok {
		generateStep.Targets = []string{}
		for _, value := range all {
			generateStep.Targets = append(generateStep.Targets, value.(*backendValue).spec.Label)
		}
	}
	state := args.state
	state.watch.pause()
	v, err := state.steps.Generate(state.ctx, generateStep)
	state.watch.resume()
	if err != nil {
		return notGenerated(args, generateStep, err)
	}
	if !isTry(args) {
		return &secretValue{v}, nil
	}
	return &resultValue{step: args.entry.Name, result: journal.Result{Outcome: sdk.Applied}, value: &secretValue{v}}, nil
}

// notGenerated turns what a backend's own generator said into a result of
// try_generate; everything else raises.
func notGenerated(args *arguments, step engine.GenerateStep, err error) (starlark.Value, error) {
	var fault *journal.Fault
	if isTry(args) && step.Generator != "" && errors.As(err, &fault) && !raises(fault.Code) {
		result := journal.Result{Outcome: sdk.Refused, Code: fault.Code, Message: fault.Message}
		return &resultValue{step: args.entry.Name, result: result, value: starlark.None}, nil
	}
	args.state.raised = err
	return nil, err
}

// raises reports whether a code is never an answer of a backend.
func raises(code sdk.Code) bool {
	return code.Definite() || code == sdk.Cancelled || code == journal.ScriptError || code == journal.Diverged
}
