package scripttest

import (
	"maps"
	"slices"
	"strings"

	"go.starlark.net/starlark"

	"github.com/rekey-host/rekey/host"
	"github.com/rekey-host/rekey/host/report"
	"github.com/rekey-host/rekey/sdk/secret"
)

// result is a run as a test sees it.
func result(made *played, known *values) starlark.Value {
	failed := ""
	code := made.out.ExitCode
	if made.err != nil {
		failed, code = made.err.Error(), host.ExitUsage
	}
	users := starlark.NewDict(len(made.users))
	for _, user := range made.users {
		_ = users.SetKey(starlark.String(user.Key), userResult(user, made, known))
	}
	calls := callList(made, known) // before texts: it numbers the values
	backends := dictOf(made.world.labels(), made.world.accounts, func(accounts map[string]map[string]secret.Value) starlark.Value {
		return accountDict(accounts, known)
	})
	return structOf(starlark.StringDict{
		"exit_code": starlark.MakeInt(code), "status": starlark.String(made.out.Status), "error": starlark.String(known.hidden(failed)),
		"reason": starlark.String(known.hidden(made.out.Reason)), "counts": countsOf(made.out.Counts), "users": users, "calls": calls, "backends": backends,
		"reports": dictOf(slices.Sorted(maps.Keys(made.reports)), func(name string) string { return made.reports[name] }, func(text string) starlark.Value {
			return starlark.String(known.hidden(text))
		}),
		"output": linesOf(known.hidden(made.printed)), "elapsed": starlark.MakeInt64(int64(made.took.Seconds())),
	})
}

func countsOf(counts host.Counts) starlark.Value {
	return structOf(starlark.StringDict{
		"total": starlark.MakeInt64(counts.Total), "done": starlark.MakeInt64(counts.Done), "failed": starlark.MakeInt64(counts.Failed), "skipped": starlark.MakeInt64(counts.Skipped),
		"partial": starlark.MakeInt64(counts.Partial), "unknown": starlark.MakeInt64(counts.Unknown), "pending": starlark.MakeInt64(counts.Pending), "held": starlark.MakeInt64(counts.Held),
	})
}

func linesOf(text string) starlark.Value {
	var list []starlark.Value
	for line := range strings.Lines(text) {
		if line = strings.TrimSuffix(line, "\n"); line != "" {
			list = append(list, starlark.String(line))
		}
	}
	return starlark.NewList(list)
}

// userResult is what one user came to. Its passwords are the applied values by label, or
// label/kind.
func userResult(user report.Line, made *played, known *values) starlark.Value {
	passwords := starlark.NewDict(1)
	for _, revealed := range made.values {
		name := revealed.Backend
		if revealed.Kind != "" {
			name += "/" + revealed.Kind
		}
		if _, taken, _ := passwords.Get(starlark.String(name)); !taken && revealed.Key == user.Key && revealed.State == "applied" {
			_ = passwords.SetKey(starlark.String(name), known.of(secret.New(revealed.Password)))
		}
	}
	return structOf(starlark.StringDict{"key": starlark.String(user.Key), "status": starlark.String(user.Status), "code": starlark.String(user.Code),
		"message": starlark.String(known.hidden(user.Message)), "wave": starlark.String(user.Wave), "passwords": passwords})
}

// callList is every call that reached a system, in their order.
func callList(made *played, known *values) starlark.Value {
	list := make([]starlark.Value, 0, len(made.world.calls))
	for _, call := range made.world.calls {
		list = append(list, structOf(starlark.StringDict{"backend": starlark.String(call.label), "verb": starlark.String(call.verb), "account": starlark.String(call.account),
			"kind": starlark.String(call.kind), "outcome": starlark.String(call.outcome), "code": starlark.String(call.code), "value": known.of(call.value), "host": starlark.MakeInt(call.life)}))
	}
	return starlark.NewList(list)
}

// accountDict is the accounts of a label: the value of one with a single credential,
// else a dict by kind.
func accountDict(accounts map[string]map[string]secret.Value, known *values) starlark.Value {
	return dictOf(slices.Sorted(maps.Keys(accounts)), func(name string) map[string]secret.Value { return accounts[name] }, func(values map[string]secret.Value) starlark.Value {
		if single, is := values[""]; is && len(values) == 1 {
			return known.of(single)
		}
		if len(values) == 0 {
			return starlark.None
		}
		return dictOf(slices.Sorted(maps.Keys(values)), func(kind string) secret.Value { return values[kind] }, known.of)
	})
}

// planResult is a plan as a test sees it.
func planResult(made *played) starlark.Value {
	failed := ""
	if made.err != nil {
		failed = made.err.Error()
	}
	order := []starlark.Value{}
	waves, skipped := starlark.NewDict(1), starlark.NewDict(1)
	for _, user := range made.plan {
		if user.Wave == "" {
			_ = skipped.SetKey(starlark.String(user.Key), starlark.String(user.Reason))
			continue
		}
		order = append(order, starlark.String(user.Key))
		list, known, _ := waves.Get(starlark.String(user.Wave))
		if !known {
			list = starlark.NewList(nil)
			_ = waves.SetKey(starlark.String(user.Wave), list)
		}
		_ = list.(*starlark.List).Append(starlark.String(user.Key))
	}
	return structOf(starlark.StringDict{"error": starlark.String(failed), "order": starlark.NewList(order), "waves": waves, "skipped": skipped, "output": linesOf(made.printed)})
}
