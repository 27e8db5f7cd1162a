package definition

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"go.starlark.net/starlark"

	"github.com/rekey-host/rekey/sdk"
)

// Page is a part of a list.
type Page struct {
	Accounts []sdk.Account
	Next     *Request // nil: it was the last
}

// builtin is what a name of the language does.
type builtin = func(*starlark.Thread, *starlark.Builtin, starlark.Tuple, []starlark.Tuple) (starlark.Value, error)

// words are the names by which a function says what an answer means, and puts a
// request together.
var words = map[string]builtin{
	"json": jsonBody, "form": formBody,
	"basic": basicLogin, "bearer": bearerLogin, "authorization": otherLogin,

	"applied": applied, "refused": answeredWith(sdk.Refused), "unknown": answeredWith(sdk.Unknown),
	"accepted": verdict(sdk.Accepted), "accepted_must_change": verdict(sdk.AcceptedMustChange),
	"rejected": verdict(sdk.Rejected), "blocked": verdict(sdk.Blocked), "cannot_tell": verdict(sdk.CannotTell),

	"found": found, "page": page, "rules": rules, "finding": finding,
}

// applied is applied(ref = "", stamp = "", value = None).
func applied(_ *starlark.Thread, fn *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	receipt := sdk.OK()
	var value *opaque
	if err := starlark.UnpackArgs(fn.Name(), args, kwargs, "ref?", &receipt.Ref, "stamp?", &receipt.Stamp, "value?", &value); err != nil {
		return nil, err
	}
	if value != nil {
		receipt.Value = value.value
	}
	return &made{"applied", receipt}, nil
}

// answeredWith is refused(CODE, message, native, rules, status, retry_after), and unknown.
func answeredWith(outcome sdk.Outcome) builtin {
	return func(_ *starlark.Thread, fn *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
		var code, status string
		var rules *starlark.List
		var seconds int
		failure := &sdk.Error{}
		if err := starlark.UnpackArgs(fn.Name(), args, kwargs, "code", &code, "message?", &failure.Message, "native?", &failure.Native,
			"rules?", &rules, "status?", &status, "retry_after?", &seconds); err != nil {
			return nil, err
		}
		failure.RetryAfter = min(max(time.Duration(seconds)*time.Second, 0), time.Hour)
		var err error
		if failure.Code, err = oneOf("code", sdk.Code(code), sdk.Codes()); err != nil {
			return nil, err
		}
		if failure.AccountStatus, err = oneOf("status", sdk.Status(status), append(sdk.Statuses(), "")); err != nil {
			return nil, err
		}
		failure.Violations, err = violations(rules, failure.Native)
		return &made{fn.Name(), sdk.Receipt{Outcome: outcome, Err: failure}}, err
	}
}

// oneOf refuses a name that is none of a list.
func oneOf[T ~string](what string, given T, all []T) (T, error) {
	if slices.Contains(all, given) {
		return given, nil
	}
	var names []string
	for _, name := range all {
		names = append(names, string(name))
	}
	return given, fmt.Errorf("%s: there is no %q; there is %s", what, given, strings.Trim(strings.Join(names, ", "), ", "))
}

func violations(list *starlark.List, native string) ([]sdk.Violation, error) {
	names, err := texts(list)
	if err != nil {
		return nil, err
	}
	var all []sdk.Violation
	for _, name := range names {
		rule, err := oneOf("rules", sdk.Rule(name), sdk.Rules())
		if err != nil {
			return nil, err
		}
		all = append(all, sdk.Violation{Rule: rule, Native: native})
	}
	return all, nil
}

func verdict(verdict sdk.Verdict) builtin {
	return func(_ *starlark.Thread, fn *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
		return &made{fn.Name(), verdict}, starlark.UnpackArgs(fn.Name(), args, kwargs)
	}
}

// found is found(name, id, login, full_name, mail, status, must_change, changed_at,
// stamp, attributes).
func found(_ *starlark.Thread, fn *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	var seen sdk.Account
	var status string
	var attributes *starlark.Dict
	var changed, must starlark.Value = starlark.None, starlark.None
	if err := starlark.UnpackArgs(fn.Name(), args, kwargs, "name", &seen.Account, "id??", &seen.ID, "login??", &seen.Login, "full_name??", &seen.Name,
		"mail??", &seen.Mail, "status??", &status, "must_change??", &must, "changed_at??", &changed, "stamp??", &seen.Stamp, "attributes??", &attributes); err != nil {
		return nil, err
	}
	var err error
	if seen.Status, err = oneOf("status", sdk.Status(status), append(sdk.Statuses(), "")); err != nil {
		return nil, err
	}
	if flag, ok := must.(starlark.Bool); ok {
		given := bool(flag)
		seen.MustChange = &given
	}
	if seen.ChangedAt, err = instant(changed); err != nil {
		return nil, err
	}
	seen.Attributes = attributesOf(attributes)
	return &made{"account", seen}, nil
}

// instant reads RFC 3339, or milliseconds since 1970.
func instant(given starlark.Value) (time.Time, error) {
	switch value := given.(type) {
	case starlark.String:
		at, err := time.Parse(time.RFC3339, string(value))
		if err != nil {
			return time.Time{}, fmt.Errorf("changed_at: %q is no time as RFC 3339 has it", string(value))
		}
		return at.UTC(), nil
	case starlark.Int:
		if count, ok := value.Int64(); ok {
			return time.UnixMilli(count).UTC(), nil
		}
	}
	return time.Time{}, nil
}

// attributesOf returns the texts, numbers and flags of a dict as texts.
func attributesOf(dict *starlark.Dict) map[string]string {
	if dict == nil {
		return nil
	}
	all := map[string]string{}
	for _, item := range dict.Items() {
		name, _ := starlark.AsString(item[0])
		if text, err := plain(item[1]); err == nil {
			all[name] = text
		}
	}
	return all
}

// page is page(accounts, next = None).
func page(_ *starlark.Thread, fn *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	var accounts *starlark.List
	var next starlark.Value = starlark.None
	if err := starlark.UnpackArgs(fn.Name(), args, kwargs, "accounts", &accounts, "next??", &next); err != nil {
		return nil, err
	}
	part := &Page{}
	for value := range accounts.Elements() {
		one, ok := value.(*made)
		if !ok {
			return nil, fmt.Errorf("page: want found(…), got a %s", value.Type())
		}
		listed, ok := one.value.(sdk.Account)
		if !ok {
			return nil, fmt.Errorf("page: want found(…), got %s", one)
		}
		part.Accounts = append(part.Accounts, listed)
	}
	if one, ok := next.(*made); ok {
		part.Next, _ = one.value.(*Request)
	}
	if next != starlark.None && part.Next == nil {
		return nil, fmt.Errorf("page: next: want a request such as get(…), got a %s", next.Type())
	}
	return &made{"page", part}, nil
}

// rules is rules(…) with the rules of sdk.Policy by their names.
func rules(_ *starlark.Thread, fn *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	var policy sdk.Policy
	var words *starlark.List
	if err := starlark.UnpackArgs(fn.Name(), args, kwargs, "min_length?", &policy.MinLength, "max_length?", &policy.MaxLength, "max_bytes?", &policy.MaxBytes,
		"letters?", &policy.Letters, "lower?", &policy.Lower, "upper?", &policy.Upper, "digits?", &policy.Digits, "symbols?", &policy.Symbols,
		"non_letters?", &policy.NonLetters, "classes?", &policy.Classes, "alphabet?", &policy.Alphabet, "allowed_symbols?", &policy.AllowedSymbols,
		"forbid?", &policy.Forbid, "forbid_first?", &policy.ForbidFirst, "max_repeat?", &policy.MaxRepeat, "max_sequence?", &policy.MaxSequence,
		"no_account_name?", &policy.NoAccountName, "forbid_words?", &words, "history?", &policy.History, "note?", &policy.Note); err != nil {
		return nil, err
	}
	var err error
	policy.ForbidWords, err = texts(words)
	return &made{"policy", policy}, err
}

// finding is finding(SEVERITY, message, fix = "", code = "").
func finding(_ *starlark.Thread, fn *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	var severity, code string
	var words []string
	for _, one := range sdk.Severities() {
		words = append(words, one.String())
	}
	var found sdk.Finding
	if err := starlark.UnpackArgs(fn.Name(), args, kwargs, "severity", &severity, "message", &found.Message, "fix?", &found.Fix, "code?", &code); err != nil {
		return nil, err
	}
	grade, err := oneOf("severity", severity, words)
	if err != nil {
		return nil, err
	}
	found.Severity = sdk.Severities()[slices.Index(words, grade)]
	if found.Code = sdk.Code(code); found.Severity == sdk.Bad && code == "" {
		found.Code = sdk.InvalidConfig
	}
	return &made{"finding", found}, nil
}
