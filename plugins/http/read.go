package http

import (
	"context"

	"github.com/rekey-host/rekey/plugins/internal/definition"
	"github.com/rekey-host/rekey/sdk"
	"github.com/rekey-host/rekey/sdk/rest"
	"github.com/rekey-host/rekey/sdk/secret"
)

// Find returns the account of a name.
func (i *Instance) Find(ctx context.Context, account string) (sdk.Account, error) {
	if failure := i.target(account, "", false); failure != nil {
		return sdk.Account{}, failure
	}
	got, failure := i.do(ctx, "find", definition.Given{"account": account})
	if failure != nil {
		return sdk.Account{}, failure.AsError()
	}
	found, ok := got.(sdk.Account)
	if !ok {
		return sdk.Account{}, i.wrong("find", "found(name, …) or refused(\"AccountNotFound\")")
	}
	return found, nil
}

// List calls yield for every account, page by page. A page whose next one is itself is
// an error: the list would be endless, or cut.
func (i *Instance) List(ctx context.Context, filter string, attributes []string, yield func(sdk.Account) error) error {
	page, failure := i.page(i.do(ctx, "list", definition.Given{"filter": filter}))
	for before := (*definition.Request)(nil); failure == nil; {
		for _, account := range page.Accounts {
			account.Attributes = chosen(account.Attributes, attributes)
			if err := yield(account); err != nil {
				return err
			}
		}
		next := page.Next
		if next == nil {
			return nil
		}
		if next.Same(before) {
			return sdk.Errorf(sdk.TargetError, "%s: list: the next page is the one that was read: the list cannot be trusted to be whole", i.definition.File)
		}
		before = next
		page, failure = i.page(i.within(ctx, func(login secret.Value) (any, *rest.Failure) {
			return (&call{Instance: i, verb: "list", login: login}).follow(ctx, next)
		}))
	}
	return failure.AsError()
}

// page is a part of a list, if it is one.
func (i *Instance) page(got any, failure *rest.Failure) (*definition.Page, *rest.Failure) {
	page, ok := got.(*definition.Page)
	if failure == nil && !ok {
		failure = rest.Refusal(i.wrong("list", "page([found(name), …], next = request)"))
	}
	return page, failure
}

// chosen are the attributes that were asked for.
func chosen(all map[string]string, asked []string) map[string]string {
	out := map[string]string{}
	for _, name := range asked {
		if text, ok := all[name]; ok {
			out[name] = text
		}
	}
	if len(out) == 0 {
		return nil
	}
	return out
}

// Policy returns the rules that the definition knows, or asks for.
func (i *Instance) Policy(ctx context.Context, account, kind string) (sdk.Policy, error) {
	if account != "" {
		if failure := i.target(account, kind, false); failure != nil {
			return sdk.Policy{}, failure
		}
	}
	got, failure := i.attempt(ctx, "policy", definition.Given{"settings": i.settings, "account": account})
	if failure != nil {
		return sdk.Policy{}, failure.AsError()
	}
	rules, ok := got.(sdk.Policy)
	if !ok {
		return sdk.Policy{}, i.wrong("policy", "rules(min_length = …)")
	}
	return rules, nil
}

// Check asks whether the target is there and lets rekey in, and adds what its answers
// show of its clock and its certificate.
func (i *Instance) Check(ctx context.Context) []sdk.Finding {
	return append([]sdk.Finding{i.look(ctx)}, i.main.Findings()...)
}

// look is what the definition finds.
func (i *Instance) look(ctx context.Context) sdk.Finding {
	got, failure := i.do(ctx, "check", definition.Given{})
	if failure != nil {
		return sdk.Finding{Severity: sdk.Bad, Code: checked(failure.Err.Code), Message: failure.Err.Message, Fix: "check url and the login, and that the system is up"}
	}
	if found, ok := got.(sdk.Finding); ok {
		return found
	}
	return sdk.Finding{Severity: sdk.Bad, Code: sdk.InvalidConfig, Message: i.wrong("check", "finding(\"info\", …)").Message}
}

// checked is the code of a check: a login that is refused is a wrong setting.
func checked(code sdk.Code) sdk.Code {
	if code == sdk.LoginExpired {
		return sdk.InvalidConfig
	}
	return code
}
