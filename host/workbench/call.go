// Package workbench is what the author of a plugin does by hand: one operation,
// looked at, without a script, a ledger or a lock file. It knows processes by
// host/launch; it refuses to know runs and users.
package workbench

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/rekey-host/rekey/host/launch"
	"github.com/rekey-host/rekey/sdk"
	"github.com/rekey-host/rekey/sdk/secret"
)

// Request is one operation, or one question.
type Request struct {
	Program string // absolute
	Verb    string // one of Verbs
	Account string // "" for check, list and policy
	Kind    string
	Value   secret.Value // of set, change, handover and verify
	Old     secret.Value // of change
	Values  map[string]any
	Secrets map[string]secret.Value
	Timeout time.Duration // of the operation; 0: 30 seconds
}

// Answer is what the plugin made of it, in the form of its JSON.
type Answer struct {
	Outcome    string     `json:"outcome,omitempty"` // of an operation
	Verdict    string     `json:"verdict,omitempty"` // of verify
	Code       sdk.Code   `json:"code,omitempty"`
	Message    string     `json:"message,omitempty"`
	Native     string     `json:"native,omitempty"`
	Status     sdk.Status `json:"account_status,omitempty"`
	Violations any        `json:"violations,omitempty"`
	RetryAfter string     `json:"retry_after,omitempty"`
	Ref        string     `json:"ref,omitempty"`
	Stamp      string     `json:"stamp,omitempty"`
	Account    any        `json:"account,omitempty"`
	Accounts   any        `json:"accounts,omitempty"`
	Policy     any        `json:"policy,omitempty"`
	Findings   any        `json:"findings,omitempty"`
	Ready      *bool      `json:"ready,omitempty"`    // of check: no finding is bad
	Breaches   []string   `json:"breaches,omitempty"` // of the contract
}

// Verbs are what Call takes: not a reset, whose value nothing would keep.
func Verbs() []string {
	list := []string{"set", "change", "handover", "verify", "find", "list", "policy", "check"}
	for _, verb := range sdk.AskedVerbs() {
		if verb != sdk.Reset {
			list = append(list, string(verb))
		}
	}
	return list
}

// Wants returns how many values a verb takes: two of a change, the old one first.
func Wants(verb string) int {
	switch verb {
	case "set", "handover", "verify":
		return 1
	case "change":
		return 2
	}
	return 0
}

// Sound refuses what makes no sense, before anything is started.
func (r Request) Sound() error {
	switch {
	case r.Verb == string(sdk.Reset):
		return errors.New("a reset is not done by hand: it gives the account a new value, which nothing would keep; `rekey plugin test` tries it")
	case !slices.Contains(Verbs(), r.Verb):
		return fmt.Errorf("%q is no verb; use one of %s", r.Verb, strings.Join(Verbs(), ", "))
	case r.Account == "" && !slices.Contains([]string{"check", "list", "policy"}, r.Verb):
		return fmt.Errorf("%s needs an account", r.Verb)
	case r.Value.Empty() && Wants(r.Verb) > 0:
		return fmt.Errorf("%s needs a value", r.Verb)
	}
	return nil
}

// Call starts the program, opens an instance, does the one thing and ends all of it.
// The error is of the start, or of the settings; what the plugin answers is an Answer.
func Call(ctx context.Context, request Request, options launch.Options) (Answer, error) {
	if err := request.Sound(); err != nil {
		return Answer{}, err
	}
	name := strings.TrimPrefix(filepath.Base(request.Program), "rekey-backend-")
	plugin := launch.New(launch.Command{Path: request.Program, Name: name}, options)
	defer func() { _ = plugin.Close() }()
	description, err := plugin.Describe(ctx)
	if err != nil {
		return Answer{}, err
	}
	config, err := request.config(description)
	if err != nil {
		return Answer{}, err
	}
	instance, err := plugin.Open(ctx, config)
	if err != nil {
		return Answer{}, err
	}
	answer := request.ask(ctx, instance)
	answer.Breaches = plugin.Breaches()
	return answer, nil
}

// config are the settings, as the description wants them.
func (r Request) config(description sdk.Description) (sdk.Config, error) {
	given := map[string]any{}
	for name, value := range r.Values {
		given[name] = value
	}
	for name, value := range r.Secrets {
		given[name] = value
	}
	values, problems := sdk.Fill(description.Config, given)
	if len(problems) > 0 {
		return sdk.Config{}, fmt.Errorf("settings: %w", problems[0])
	}
	config := sdk.Config{Label: description.Name, Values: map[string]any{}, Secrets: map[string]secret.Value{}, Concurrency: 1,
		Timeout: cmp.Or(r.Timeout, description.Limits.Timeout, 30*time.Second)}
	for name, value := range values {
		if hidden, ok := value.(secret.Value); ok {
			config.Secrets[name] = hidden
			continue
		}
		config.Values[name] = value
	}
	return config, nil
}

func (r Request) ask(ctx context.Context, instance *launch.Instance) Answer {
	switch r.Verb {
	case "find":
		account, err := instance.Find(ctx, r.Account)
		return answered(err, Answer{Account: plain(account)})
	case "list":
		list := []sdk.Account{}
		err := instance.Accounts(ctx, r.Account, nil, nil, func(account sdk.Account) error {
			list = append(list, account)
			return nil
		})
		answer := answered(err, Answer{})
		answer.Accounts = plain(list)
		return answer
	case "policy":
		policy, err := instance.Policy(ctx, r.Account, r.Kind)
		return answered(err, Answer{Policy: plain(policy)})
	case "check":
		return checked(instance.Check(ctx))
	case "verify":
		verdict, err := instance.Verify(ctx, r.Account, r.Kind, r.Value)
		return answered(err, Answer{Verdict: verdict.String()})
	}
	return told(r.operate(ctx, instance))
}

// operate does what may change the target.
func (r Request) operate(ctx context.Context, instance *launch.Instance) sdk.Receipt {
	op := sdk.Operation{ID: fmt.Sprintf("by-hand-%d", time.Now().UnixNano()), Attempt: 1, Verb: sdk.Verb(r.Verb), Account: r.Account,
		Kind: r.Kind, Value: r.Value, Old: r.Old, Requestor: "rekey plugin call"}
	if slices.Contains(sdk.AskedVerbs(), op.Verb) {
		return instance.Ask(ctx, op)
	}
	got := make(chan sdk.Receipt, 1)
	instance.Submit([]sdk.Operation{op}, func(_ int, receipt sdk.Receipt) { got <- receipt })
	select {
	case receipt := <-got:
		return receipt
	case <-ctx.Done():
		return sdk.Lost(sdk.Errorf(sdk.Cancelled, "given up after it was sent"))
	}
}

// answered is a question's answer, or why there is none.
func answered(err error, answer Answer) Answer {
	if err == nil {
		return answer
	}
	return failed(sdk.AsError(err, sdk.Internal))
}

func failed(failure *sdk.Error) Answer {
	answer := Answer{Code: failure.Code, Message: failure.Message, Native: failure.Native, Status: failure.AccountStatus}
	if len(failure.Violations) > 0 {
		answer.Violations = plain(failure.Violations)
	}
	if failure.RetryAfter > 0 {
		answer.RetryAfter = failure.RetryAfter.String()
	}
	return answer
}

// checked are the findings of a check, with words for how bad each is.
func checked(findings []sdk.Finding) Answer {
	ready, list := true, []map[string]any{}
	for _, finding := range findings {
		ready = ready && finding.Severity != sdk.Bad
		list = append(list, map[string]any{"severity": finding.Severity.String(), "code": finding.Code, "message": finding.Message, "fix": finding.Fix})
	}
	return Answer{Findings: plain(list), Ready: &ready}
}

// plain is a value of package sdk as JSON has it: names in the form of the protocol,
// without what is empty.
func plain(value any) any {
	text, err := json.Marshal(value)
	if err != nil {
		return nil
	}
	var made any
	if json.Unmarshal(text, &made) != nil {
		return nil
	}
	return named(made)
}

// named gives the members of objects their names.
func named(value any) any {
	switch value := value.(type) {
	case map[string]any:
		made := map[string]any{}
		for name, one := range value {
			switch one {
			case nil, "", 0.0, false, "0001-01-01T00:00:00Z":
			default:
				made[underscored(name)] = named(one)
			}
		}
		return made
	case []any:
		for i, one := range value {
			value[i] = named(one)
		}
	}
	return value
}

// underscored is MustChange as must_change, and ID as id.
func underscored(name string) string {
	var made strings.Builder
	for i, letter := range name {
		if unicode.IsUpper(letter) && i > 0 && !unicode.IsUpper(rune(name[i-1])) {
			made.WriteByte('_')
		}
		made.WriteRune(unicode.ToLower(letter))
	}
	return made.String()
}

func told(receipt sdk.Receipt) Answer {
	answer := Answer{}
	if receipt.Err != nil {
		answer = failed(receipt.Err)
	}
	answer.Outcome, answer.Ref, answer.Stamp = receipt.Outcome.String(), receipt.Ref, receipt.Stamp
	return answer
}

// Settings reads a file with the settings of an instance: {"config": {…}, "secrets": {…}}.
// Further members are left alone, so that a target file of the kit will do. A secret is
// a text, or {"$secret": "env:NAME"}, or {"$secret": "file:PATH"}, which read resolves.
func Settings(text []byte, read func(reference string) (string, error)) (values map[string]any, secrets map[string]secret.Value, err error) {
	var file struct {
		Config  map[string]any `json:"config"`
		Secrets map[string]any `json:"secrets"`
	}
	dec := json.NewDecoder(strings.NewReader(string(text)))
	dec.UseNumber()
	if err := dec.Decode(&file); err != nil {
		return nil, nil, errors.New("want a JSON object with config and secrets") // the decoder's text may quote a secret
	}
	values, secrets = map[string]any{}, map[string]secret.Value{}
	for name, value := range file.Config {
		if number, ok := value.(json.Number); ok {
			count, err := number.Int64()
			if err != nil {
				return nil, nil, fmt.Errorf("config: %s: want a whole number", name)
			}
			value = count
		}
		values[name] = value
	}
	for name, value := range file.Secrets {
		hidden, err := resolved(value, read)
		if err != nil {
			return nil, nil, fmt.Errorf("secrets: %s: %w", name, err)
		}
		secrets[name] = secret.New(hidden)
	}
	return values, secrets, nil
}

func resolved(value any, read func(string) (string, error)) (string, error) {
	switch value := value.(type) {
	case string:
		return value, nil
	case map[string]any:
		if reference, ok := value["$secret"].(string); ok && len(value) == 1 {
			return read(reference)
		}
	}
	return "", errors.New(`want a text, or {"$secret": "env:NAME"}`)
}
