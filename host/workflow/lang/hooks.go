package lang

import (
	"slices"
	"strings"
)

func hookEntries() []Entry {
	return []Entry{
		{Name: "select", At: AtTop, Use: Hook, Gives: KindBool, Params: []Param{{"user", KindUser, "", "one row of the source"}},
			Doc:     "A hook: who is due. It returns True, False or skip(reason). Hooks get the parameters that they name; a lambda of one takes any name.",
			Example: "def select(user):\n    if user.login == \"root\":\n        return skip(\"not by this workflow\")\n    return True"},
		{Name: "wave", At: AtTop, Use: Hook, Gives: KindText, Params: []Param{{"user", KindUser, "", "one row of the source"}},
			Doc: "A hook: the name of a user's wave.", Example: "def wave(user):\n    return \"canary\" if user.login == \"ann\" else \"all\""},
		{Name: "rotate", At: AtTop, Use: Hook, Gives: KindVerdict, Params: []Param{{"user", KindUser, "", "one row of the source"}, {"step", KindAny, "", "what may be done"}},
			Doc:     "A hook: what happens to one user. It returns nothing, skip(reason), done() or failed(reason). A user of whom it asks nothing but generate and find ends skipped.",
			Example: "target = backend(\"memory\")\ndef rotate(user, step):\n    password = step.generate()\n    step.set(target, user.login, password)"},
		{Name: "row", At: AtTop, Use: Hook, Gives: KindDict, Params: []Param{{"r", KindAny, "", "what one user came to"}},
			Doc:     "A function of a report: the row of one user, a dict with the same keys for all, or None to leave the user out.",
			Example: "def row(r):\n    if r.status == \"skipped\":\n        return None\n    return {\"login\": r.user.login, \"password\": r.password}\npage = report.csv(\"passwords.csv\", row = row)"},
		{Name: "user", At: InHooks | InRow, Gives: KindUser, Doc: "One row of the source: user.column, or user[\"any column\"]. A secret column's cell can only be asked whether it is empty, and given to a step. Strings are bytes: the first letter of a name is list(user.name.codepoints())[0], and user.name[0] may be half of it."},
	}
}

func verdictEntries() []Entry {
	reason := []Param{{"reason", KindText, "", "for reports"}}
	return []Entry{
		{Name: "skip", At: InSelect | InRotate, Gives: KindVerdict, Rename: "skipped", Params: reason, Use: Function,
			Doc:     "What select and rotate return for a user that is left alone; in rotate only before the first set, change, reset, unlock or revoke.",
			Example: "def select(user):\n    return skip(\"frozen\") if user.login == \"root\" else True"},
		{Name: "done", At: InRotate, Gives: KindVerdict, Rename: "finished", Use: Function,
			Doc:     "What rotate returns for a user that counts as done although a step was refused.",
			Example: "target = backend(\"memory\")\ndef rotate(user, step):\n    set = step.try_set(target, user.login, step.generate())\n    if set.code == \"AccountNotFound\":\n        return done()"},
		{Name: "failed", At: InRotate, Gives: KindVerdict, Rename: "failure", Params: reason, Use: Function,
			Doc:     "What rotate returns for a user that failed.",
			Example: "target = backend(\"memory\")\ndef rotate(user, step):\n    set = step.try_set(target, user.login, step.generate())\n    if not set.ok:\n        return failed(\"refused: \" + set.message)"},
	}
}

func stepEntries() []Entry {
	account := []Param{{"backend", KindBackend, "", "where"}, {"account", KindText, "", "which account"}}
	with := func(more ...Param) []Param { return slices.Concat(account, more) }
	value := Param{"value", KindValue, "", "the password"}
	credential := Param{"kind", KindText, `""`, "which credential of the account"}
	options := Param{"options", KindDict, "{}", "the plugin's own"}
	steps := []Entry{
		{Name: "step.generate", Gives: KindSecret, Use: Function, Params: []Param{
			{"policy", KindPolicy, "None", "default: the workflow's"},
			credential,
			{"generator", KindBackend, "None", "a backend whose own generator is asked"},
			{"targets", KindBackends, "None", "backends whose rules it must satisfy; default: all of the workflow"}},
			Doc:     "A new password that satisfies every target.",
			Example: "password = step.generate()"},
		{Name: "step.set", Gives: KindNone, Use: Function, Params: with(value, credential,
			Param{"must_change", KindBool, "None", "whether the owner must change it at the next logon; default: the backend's"},
			Param{"hash_format", KindText, `""`, "form of the hash, if the value is one; default: a plain value"}, options),
			Doc: "Gives an account this password, as an administrator.", Example: "step.set(target, user.login, step.generate())"},
		{Name: "step.change", Gives: KindNone, Use: Function, Params: with(
			Param{"old", KindValue, "", "the present password"}, Param{"new", KindValue, "", "the new one"}, credential, options),
			Doc: "Changes a password as its owner would.", Example: "step.change(target, user.login, old = user.temporary, new = step.generate())"},
		{Name: "step.reset", Gives: KindSecret, Use: Function, Params: with(credential, options),
			Doc: "Lets the backend pick a password; None if it does not tell which.", Example: "step.reset(target, user.login)"},
		{Name: "step.verify", Gives: KindNone, Use: Function, Params: with(value, credential),
			Doc: "Asks the backend whether a password works; most count that as a logon attempt.", Example: "password = step.generate()\nstep.set(target, user.login, password)\nstep.verify(target, user.login, password)"},
		{Name: "step.find", Gives: KindStruct, Use: Function, Params: with(),
			Doc:     "Looks an account up: struct(account, id, status, must_change, changed_at, kinds); status is active, disabled, suspended, locked, expired, pending, deleted, federated or unknown.",
			Example: "found = step.find(target, user.login)\nif found.status != \"active\":\n    return skip(found.status)"},
		{Name: "step.unlock", Gives: KindNone, Use: Function, Params: with(),
			Doc: "Lifts a lock without touching the password.", Example: "step.unlock(target, user.login)"},
		{Name: "step.revoke", Gives: KindNone, Use: Function, Params: with(),
			Doc:     "Ends the sessions that an account has open: who is logged in has to log in again. The password stays. Ask BACKEND.can(\"revoke\") first where the backend may be any.",
			Example: "step.revoke(target, user.login)"},
		{Name: "step.handover", Gives: KindNone, Use: Function, Params: with(value, credential),
			Doc:     "Gives the account that the backend itself logs in as this password, and goes on with it: a second session has logged in with the new one before the first is closed, and a resumed run logs in with whichever works.",
			Example: "step.handover(target, user.login, step.generate())"},
	}
	all := []Entry{{Name: "step", At: InRotate, Use: Namespace, Doc: "What rotate may do to the user's accounts. Every step is journalled. step.X fails the user if the backend refuses; " +
		"its twin step.try_X returns what the backend said instead: .ok .outcome .code .message .native .value, where value is what step.X gives."}}
	for _, entry := range steps {
		entry.At = InRotate
		all = append(all, entry, twin(entry))
	}
	return all
}

// twin is the entry of a step's try_ form.
func twin(step Entry) Entry {
	args := strings.Join(map[bool][]string{true: {"target", "user.login"}}[len(step.Params) > 0 && step.Params[0].Kind == KindBackend], ", ")
	for _, param := range step.Params {
		if param.Required() && param.Kind == KindValue {
			args += ", user.temporary"
		}
	}
	entry := step
	entry.Name, entry.Gives = "step.try_"+strings.TrimPrefix(step.Name, "step."), KindResult
	entry.Doc = "Like " + step.Name + "(), but returns what the backend said: .ok .outcome .code .message .native .value."
	entry.Example = "result = " + entry.Name + "(" + args + ")\nif not result.ok:\n    return failed(result.message)"
	return entry
}

func rowEntries() []Entry {
	all := []Entry{{Name: "r", At: InRow, Doc: "What one user came to, as a row function gets it."}}
	for _, a := range []struct {
		name string
		kind Kind
		doc  string
	}{
		{"user", KindUser, "The user's row of the source."},
		{"status", KindText, "done, failed, skipped, partial, unknown, pending or held."},
		{"code", KindText, "Why, as a word for programs; empty where there is nothing to say."},
		{"native", KindText, "The target's own code."},
		{"message", KindText, "Why, for people."},
		{"wave", KindText, "The user's wave; empty for one that the plan skipped."},
		{"password", KindSecret, "The present password of the user's only account and kind; None if it has several, or if it is not certain."},
		{"passwords", KindDict, "The present passwords by label, or label/kind; None for what is not certain."},
		{"candidates", KindDict, "Every password that may be the present one, newest first, by the same names."},
		{"attempts", KindInt, "Number of operations sent."},
		{"at", KindText, "When the status was decided, in UTC as RFC 3339 has it; None before."},
		{"run", KindText, "The id of the run."},
		{"ended", KindText, "When the run was applied last, in UTC as RFC 3339 has it; None before."},
		{"requestor", KindText, "On whose behalf the last thing happened to the user, as --requestor says; empty if it is not said."},
	} {
		all = append(all, Entry{Name: "r." + a.name, At: InRow, Gives: a.kind, Doc: a.doc,
			Example: "page = report.json(\"page.json\", row = lambda r: {\"" + a.name + "\": " + rowExample(a.name) + "})"})
	}
	return all
}

func rowExample(name string) string {
	if name == "user" {
		return "r.user.login"
	}
	return "r." + name
}
