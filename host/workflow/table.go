package workflow

import (
	"slices"
	"strings"

	"go.starlark.net/starlark"
)

// phase is where in a script's life a name may be used.
type phase uint8

// The phases. The evaluation of the top level comes first, and is over when a
// hook is called.
const (
	atTop phase = 1 << iota
	inSelect
	inWave
	inRotate
	inRow

	inHooks  = inSelect | inWave | inRotate
	anywhere = atTop | inHooks | inRow
)

// String says where, as the documentation does.
func (p phase) String() string {
	switch p {
	case atTop:
		return "top level"
	case inHooks:
		return "hooks"
	case inRotate:
		return "rotate"
	case inRow:
		return "row functions"
	case anywhere:
		return "anywhere"
	}
	var names []string
	for _, one := range []struct {
		phase phase
		name  string
	}{{atTop, "top level"}, {inSelect, "select"}, {inWave, "wave"}, {inRotate, "rotate"}, {inRow, "row functions"}} {
		if p&one.phase != 0 {
			names = append(names, one.name)
		}
	}
	return strings.Join(names, ", ")
}

// unset is the default of a parameter that is simply absent without it.
const unset = "unset"

// param is one parameter of a builtin.
type param struct {
	name string
	kind kind
	def  string // as it is written in Starlark; "": it is required
	doc  string
}

func (p param) required() bool { return p.def == "" }

// help says what the parameter is.
func (p param) help() string { return p.name + ": " + p.doc }

// entry is one name of the language. A dotted name is an attribute: of a
// namespace (param.int), of a builtin (policy.pin) or of a kind of value
// (BACKEND.accounts, r.status).
type entry struct {
	name    string
	at      phase
	params  []param
	many    string // name of a *parameter; "": there is none
	more    string // name of a **parameter
	gives   kind
	later   string // it comes later; what to use until then
	rename  string // what to call a variable of one's own instead
	doc     string // the first sentence stands alone
	example string // a script, or a part of one, that loads

	call func(*call) (starlark.Value, error) // nil: it is not called
}

// signature is how the entry is called: csv(path, key, delimiter = ",").
func (e *entry) signature() string {
	if e.call == nil && e.later == "" && len(e.params) == 0 {
		return e.name
	}
	var parts []string
	for _, p := range e.params {
		switch p.def {
		case "", unset:
			parts = append(parts, p.name)
		default:
			parts = append(parts, p.name+" = "+p.def)
		}
	}
	if e.many != "" {
		parts = append(parts, "*"+e.many)
	}
	if e.more != "" {
		parts = append(parts, "**"+e.more)
	}
	return e.name + "(" + strings.Join(parts, ", ") + ")"
}

func (e *entry) paramNames() []string {
	names := make([]string, len(e.params))
	for i, p := range e.params {
		names[i] = p.name
	}
	return names
}

// table is every name of the language: arguments are unpacked by it, and the
// documentation, the stubs for editors and all suggestions come from it.
func table() []entry {
	return slices.Concat(topLevel(), paramEntries(), secretEntries(), policyEntries(), reportEntries(), sourceEntries(),
		valueEntries(), hookEntries(), verdictEntries(), stepEntries(), rowEntries())
}

func topLevel() []entry {
	return []entry{
		{name: "workflow", at: atTop, gives: kindNone, rename: "flow", call: (*call).workflow, params: []param{
			{"users", kindSource, "", "whom it is about"},
			{"backend", kindBackend, "None", "where a workflow without rotate sets passwords"},
			{"rotate", kindHook, "None", "what happens to one user"},
			{"select", kindHook, "None", "who is due; all, without it"},
			{"order_by", kindTexts, "[]", "columns to sort by; the order of the source, without them"},
			{"wave", kindHook, "None", "the name of a user's wave"},
			{"waves", kindWaves, "{}", "the waves in their order; one, all, without them"},
			{"policy", kindPolicy, "None", "what step.generate() makes; every backend's own rules hold too"},
			{"concurrency", kindInt, "None", "the most operations inside one backend at once; the plugin's limit, without it"},
			{"on_failure", kindText, `"keep"`, `"keep" what is applied when a user fails, or "revert" it where the value before is known: the old one of a change, or one that this state directory set`},
			{"reports", kindReports, "[report.summary()]", "what is written at the end"},
		}, doc: "What to do, called once. One of backend and rotate is required. Without rotate a user is: generate, set on backend (the account is the key), " +
			"and verify where the backend can without a logon attempt. Without waves twenty failures of one code in a row stop the run, but for codes that are " +
			"about one account (AccountNotFound, UserNotFound, Ambiguous, AccountStatus, Protected, NoCredential, DuplicateAccount, ScriptFailed).",
			example: `workflow(users = csv("users.csv", key = "login"), backend = backend("memory"))`},
		{name: "backend", at: atTop, gives: kindBackend, rename: "target", call: (*call).backend, params: []param{
			{"name", kindText, "", "which plugin; rekey backends lists them"},
			{"label", kindText, "None", "how reports and messages call it; the plugin's name, without it"},
			{"rate", kindRate, "None", "the most operations a second, minute or hour: N/s, N/m, N/h"},
			{"concurrency", kindInt, "None", "the most operations at once; may only lower the plugin's limit"},
			{"timeout", kindDuration, `"30s"`, "the deadline of one operation"},
			{"attempts", kindInt, "5", "how often an operation is tried that a moment may mend"},
			{"patience", kindDuration, `"10m"`, "how long an unreachable backend is waited for"},
		}, more: "config", doc: "A system that holds credentials. The other arguments are the plugin's own settings: rekey backends NAME lists them. " +
			"Two backends of one plugin need different labels.",
			example: `directory = backend("memory", label = "directory", rate = "40/s", create = True)`},
		{name: "BACKEND.accounts", at: atTop, gives: kindSource, call: (*call).accounts, params: []param{
			{"filter", kindText, `""`, "in the target's own syntax; all accounts, without it"},
			{"attributes", kindTexts, "[]", "what else to read; each is a column, a list where an account has several values"},
			{"secrets", kindTexts, "[]", "which of the attributes are secret"},
			{"key", kindText, `"login"`, "the column that tells users apart"},
		}, doc: "The accounts of a backend as users, with the columns id, login, name, mail and status and the attributes asked for.",
			example: "directory = backend(\"memory\")\nworkflow(users = directory.accounts(), backend = directory)"},
		{name: "wave_rule", at: atTop, gives: kindWave, rename: "canary", call: (*call).waveRule, params: []param{
			{"size", kindInt, "None", "how many users a batch has; all, without it"},
			{"take", kindInt, "None", "how many users the wave takes where there is no wave hook; the last takes the rest"},
			{"pause", kindDuration, "None", "how long to wait after each batch"},
			{"hold", kindText, "None", `"approval": after this wave the run waits for rekey approve`},
			{"max_failures", kindFailures, "None", "stop when more than so many users of the wave, or so many percent, are failed, partial or unknown; a resume counts on, without --over-threshold"},
			{"tolerate", kindTexts, "[]", "codes that do not count as failures"},
		}, doc: "How one wave is treated.",
			example: `canary = wave_rule(take = 50, hold = "approval", max_failures = "1%", tolerate = ["AccountNotFound"])`},
	}
}

func paramEntries() []entry {
	common := func(k kind, doc string) []param {
		return []param{
			{"name", kindText, "", "NAME of NAME=VALUE on the command line"},
			{"default", k, unset, doc},
			{"help", kindText, `""`, "one line for rekey run --help"},
		}
	}
	const without = "the value if none is given; without it, one has to be"
	limits := func(k kind) []param {
		return []param{{"min", k, "None", "the least"}, {"max", k, "None", "the most"}}
	}
	choice := common(kindText, without)
	choice = slices.Insert(choice, 1, param{"choices", kindTexts, "", "the values that it may have"})
	choice = append(choice, param{"aliases", kindTypes, "{}", "other spellings: {alias: choice}"})
	return []entry{
		{name: "param", at: atTop, rename: "setting", doc: "What the command line gives a script, as NAME=VALUE. rekey check and rekey docs go on without values: with the default, else with an empty one."},
		{name: "param.string", at: atTop, gives: kindText, params: common(kindText, without), call: (*call).paramString, doc: "Text.",
			example: `url = param.string("url", default = "https://localhost", help = "where the service is")`},
		{name: "param.int", at: atTop, gives: kindInt, params: append(common(kindInt, without), limits(kindInt)...), call: (*call).paramInt, doc: "A whole number.",
			example: `batch = param.int("batch", default = 500, min = 1, max = 10000)`},
		{name: "param.bool", at: atTop, gives: kindBool, params: common(kindBool, without), call: (*call).paramBool, doc: "true, false, yes, no, 1 or 0.",
			example: `strict = param.bool("strict", default = True)`},
		{name: "param.path", at: atTop, gives: kindText, params: common(kindText, without), call: (*call).paramPath, doc: "The name of a file, relative to the working directory.",
			example: `accounts = param.path("accounts", default = "users.csv")`},
		{name: "param.duration", at: atTop, gives: kindDuration, params: append(common(kindDuration, without), limits(kindDuration)...), call: (*call).paramDuration, doc: `Text such as "90s", "10m" or "1h30m".`,
			example: `pause = param.duration("pause", default = "10m", max = "1h")`},
		{name: "param.choice", at: atTop, gives: kindText, params: choice, call: (*call).paramChoice, doc: "One of several words. Case is ignored; the value is the word as it is listed.",
			example: `mode = param.choice("mode", ["fast", "careful"], default = "careful", aliases = {"slow": "careful"})`},
		{name: "param.list", at: atTop, gives: kindTexts, params: common(kindTexts, without), call: (*call).paramList, doc: "Words between commas; spaces around them are trimmed, and empty text is the empty list.",
			example: `logins = param.list("logins", default = [])`},
		{name: "param.json", at: atTop, gives: kindAny, params: common(kindAny, without), call: (*call).paramJSON, doc: "Any value, written in JSON.",
			example: `config = param.json("config", default = {})`},
	}
}

func secretEntries() []entry {
	return []entry{
		{name: "secret", at: atTop, rename: "password", doc: "References to secrets that a backend needs. They are read when the backend is configured, again at a resume, and never stored."},
		{name: "secret.env", at: atTop, gives: kindRef, call: (*call).secretEnv, params: []param{{"name", kindText, "", "of the environment variable"}},
			doc: "The value of an environment variable.", example: `admin = secret.env("CLOUD_PASSWORD")`},
		{name: "secret.file", at: atTop, gives: kindRef, call: (*call).secretFile, params: []param{{"path", kindText, "", "relative to the working directory"}},
			doc: "The content of a file without the line end at its end.", example: `admin = secret.file("ldap.pw")`},
		{name: "secret.prompt", at: atTop, gives: kindRef, call: (*call).secretPrompt, params: []param{{"label", kindText, "", "what the terminal asks for"}},
			doc: "What is typed on the terminal.", example: `admin = secret.prompt("password of cn=admin")`},
	}
}

func policyEntries() []entry {
	return []entry{
		{name: "policy", at: atTop, gives: kindPolicy, rename: "password_policy", call: (*call).policy, params: []param{
			{"length", kindInt, "None", "how many characters"},
			{"min_length", kindInt, "None", "at least so many"},
			{"max_length", kindInt, "None", "at most so many"},
			{"lower", kindInt, "None", "at least so many lower-case letters"},
			{"upper", kindInt, "None", "at least so many upper-case letters"},
			{"digits", kindInt, "None", "at least so many digits"},
			{"symbols", kindInt, "None", "at least so many that are neither letters nor digits"},
			{"allowed_symbols", kindText, "None", "of the symbols only these"},
			{"forbid", kindText, "None", "none of these characters"},
			{"max_repeat", kindInt, "None", "no run of one character longer than this"},
			{"no_account_name", kindBool, "None", "must not contain the account's name"},
			{"blocklist", kindBool, "None", "must not contain a common password"},
		}, doc: "Rules for generated passwords. What is written is a demand; the rest are wishes that give way to a backend's rules: length 20, one of each class, no account name, no common password.",
			example: `password_policy = policy(length = 24, symbols = 2, forbid = "\"'")`},
		{name: "policy.pin", at: atTop, gives: kindPolicy, call: (*call).pin, params: []param{{"length", kindInt, "6", "how many digits"}},
			doc: "Digits only.", example: `voicemail = policy.pin(length = 8)`},
		{name: "policy.words", at: atTop, gives: kindPolicy, later: "policy()", params: []param{
			{"count", kindInt, "6", "how many words"}, {"separator", kindText, `"-"`, "what is between them"}}, doc: "Words of a list."},
		{name: "policy.parse", at: atTop, gives: kindPolicy, later: "policy()", params: []param{{"text", kindText, "", "of passwordrules"}},
			doc: "The passwordrules grammar of browsers and password managers."},
	}
}

func reportEntries() []entry {
	columns := func() []param {
		return []param{
			{"path", kindText, "", `relative to the working directory; "-" is standard output`},
			{"row", kindHook, "None", "makes the row of one user: a dict, or None to leave the user out"},
			{"order", kindText, `"source"`, `"source", or "apply": the order in which users were planned to be applied`},
			{"encrypt_to", kindTexts, "[]", "age recipients; the file is sealed as it is written, and its name ends in .age"},
		}
	}
	csvParams := []param{
		{"delimiter", kindText, `","`, "one character between values"},
		{"encoding", kindText, `"utf-8"`, `"utf-8", or "utf-8-sig", with the mark by which Excel knows it`},
	}
	const rows = " One row a planned user, with the columns key, status, code, message and wave, or with those that row gives: the same in every row."
	return []entry{
		{name: "report", at: atTop, rename: "passwords_report", doc: "What is written at the end of a run, resume or retry."},
		{name: "report.summary", at: atTop, gives: kindReport, call: (*call).reportSummary, doc: "Counts, and what to do next, on standard output.",
			example: `summary = report.summary()`},
		{name: "report.json", at: atTop, gives: kindReport, call: (*call).reportJSON, params: columns(), doc: "One JSON array." + rows,
			example: `sip = report.json("sip.json", row = lambda r: {"user": r.user.login, "password": r.password})`},
		{name: "report.jsonl", at: atTop, gives: kindReport, call: (*call).reportJSONL, params: columns(), doc: "One JSON object a line." + rows,
			example: `log = report.jsonl("result.jsonl", order = "apply")`},
		{name: "report.csv", at: atTop, gives: kindReport, call: (*call).reportCSV, params: append(columns(), csvParams...), doc: "A CSV file with a header line." + rows,
			example: `passwords = report.csv("passwords.csv", row = lambda r: {"login": r.user.login, "password": r.password})`},
		{name: "report.html", at: atTop, gives: kindReport, call: (*call).reportHTML, params: columns(), doc: "A page for a browser; it shows no secret." + rows,
			example: `page = report.html("report.html")`},
		{name: "report.xlsx", at: atTop, gives: kindReport, later: "report.csv()", params: columns(), doc: "A workbook." + rows},
		{name: "report.letters", at: atTop, gives: kindReport, later: "report.csv() and a mail merge", params: columns(), doc: "A letter a user."},
	}
}

func sourceEntries() []entry {
	marks := []param{
		{"secrets", kindTexts, "[]", "columns whose cells are secret"},
		{"optional", kindTexts, "[]", "secret columns whose cells may be empty"},
	}
	return []entry{
		{name: "csv", at: atTop, gives: kindSource, rename: "accounts", call: (*call).csv, params: append([]param{
			{"path", kindText, "", `relative to the working directory; "-" is standard input`},
			{"key", kindText, "", "the column that tells users apart"},
			{"columns", kindTexts, "None", "names of the columns of a file without a header line"},
			{"delimiter", kindText, `","`, "what is between values"},
			{"quote", kindText, `"\""`, "what is around values; None takes them as they are"},
			{"types", kindTypes, "{}", `types of columns: "string", "int", "bool" or "date"`},
			marks[0], marks[1]},
			param{"encoding", kindText, `"utf-8"`, "of the file"},
			param{"may_lack", kindTexts, "[]", "columns that the file may lack, their cells are empty then; with columns, its last ones"},
			param{"any_case", kindBool, "False", "the header line spells the columns in any case"},
			param{"others", kindTypes, "{}", "columns that only another kind of file has, and how to read that"}),
			doc:     "Users from a file of values between delimiters. An empty cell of a column with a type other than string is None.",
			example: `users = csv("users.csv", key = "login", delimiter = ";", types = {"enabled": "bool"}, secrets = ["temporary"])`},
		{name: "jsonl", at: atTop, gives: kindSource, rename: "accounts", call: (*call).jsonl, params: append([]param{
			{"path", kindText, "", `relative to the working directory; "-" is standard input`},
			{"key", kindText, "", "the name whose value tells users apart"}}, marks...),
			doc: "Users from a file with one JSON object a line.", example: `users = jsonl("users.jsonl", key = "login")`},
		{name: "rows", at: atTop, gives: kindSource, rename: "accounts", call: (*call).rows, params: append([]param{
			{"list", kindList, "", "of strings, the keys, or of dicts"},
			{"key", kindText, "", "the column that tells users apart"}}, marks...),
			doc: "Users that stand in the script.", example: `users = rows([{"login": "ann", "team": "it-ops"}, {"login": "bob", "team": "sales"}], key = "login")`},
		{name: "concat", at: atTop, gives: kindSource, rename: "everybody", many: "sources", call: (*call).concat,
			doc: "Several sources, one after the other; all have the same columns.", example: `users = concat(rows(["ann"], key = "login"), rows(["bob"], key = "login"))`},
		{name: "xlsx", at: atTop, gives: kindSource, rename: "accounts", later: "csv()", params: []param{
			{"path", kindText, "", "of the workbook"}, {"key", kindText, "", "the column that tells users apart"}}, doc: "Users from a workbook."},
	}
}

func valueEntries() []entry {
	text := param{"text", kindText, "", "what is searched"}
	pattern := param{"pattern", kindText, "", "in the syntax of RE2"}
	return []entry{
		{name: "struct", at: anywhere, gives: kindStruct, rename: "record", more: "fields", call: (*call).structOf, doc: "A value with named fields that do not change.",
			example: `team = struct(name = "it-ops", size = 4)`},
		{name: "json", at: anywhere, rename: "data", doc: "JSON texts. A secret is refused."},
		{name: "json.encode", at: anywhere, gives: kindText, call: (*call).jsonEncode, params: []param{{"value", kindAny, "", "what becomes JSON"}},
			doc: "The JSON text of a value; names are sorted.", example: `text = json.encode({"team": "it-ops", "size": 4})`},
		{name: "json.decode", at: anywhere, gives: kindAny, call: (*call).jsonDecode, params: []param{
			{"text", kindText, "", "in JSON"}, {"default", kindAny, unset, "what is returned for text that is not JSON; without it that is an error"}},
			doc: "The value of a JSON text.", example: `teams = json.decode("[\"it-ops\", \"sales\"]")`},
		{name: "json.indent", at: anywhere, gives: kindText, call: (*call).jsonIndent, params: []param{
			{"text", kindText, "", "in JSON"}, {"prefix", kindText, `""`, "before each line"}, {"indent", kindText, `"\t"`, "for each level"}},
			doc: "A JSON text on several lines.", example: `text = json.indent("{\"a\": [1, 2]}", indent = "  ")`},
		{name: "re", at: anywhere, rename: "pattern", doc: "Regular expressions in the syntax of RE2, whose time grows with the text only."},
		{name: "re.match", at: anywhere, gives: kindMatch, call: (*call).reMatch, params: []param{pattern, text},
			doc: "A match at the start of the text, or None. m[0] is what matched, m[1] a group, m[\"name\"] a named one; m.groups has all, m.start and m.end say where.", example: `first = re.match("([a-z]+)-", "it-ops")[1]`},
		{name: "re.search", at: anywhere, gives: kindMatch, call: (*call).reSearch, params: []param{pattern, text},
			doc: "The first match anywhere in the text, or None.", example: `digits = re.search("[0-9]+", "room 17")[0]`},
		{name: "re.findall", at: anywhere, gives: kindList, call: (*call).reFindall, params: []param{pattern, text},
			doc: "Every match: its text, or its only group, or a tuple of its groups.", example: `words = re.findall("[a-z]+", "it-ops, sales")`},
		{name: "re.sub", at: anywhere, gives: kindText, call: (*call).reSub, params: []param{pattern,
			{"replacement", kindText, "", `\1 and \g<name> stand for groups`}, text, {"count", kindInt, "0", "at most so many; 0: all"}},
			doc: "The text with its matches replaced.", example: `login = re.sub("[^a-z0-9]", "", "it-ops 7")`},
		{name: "re.split", at: anywhere, gives: kindTexts, call: (*call).reSplit, params: []param{pattern, text, {"maxsplit", kindInt, "0", "at most so many times; 0: at all"}},
			doc: "What is between the matches.", example: `parts = re.split("[;,] *", "ann; bob, eve")`},
	}
}

func hookEntries() []entry {
	return []entry{
		{name: "select", at: atTop, gives: kindBool, params: []param{{"user", kindUser, "", "one row of the source"}},
			doc:     "A hook: who is due. It returns True, False or skip(reason). Hooks get the parameters that they name; a lambda of one takes any name.",
			example: "def select(user):\n    if user.login == \"root\":\n        return skip(\"not by this workflow\")\n    return True"},
		{name: "wave", at: atTop, gives: kindText, params: []param{{"user", kindUser, "", "one row of the source"}},
			doc: "A hook: the name of a user's wave.", example: "def wave(user):\n    return \"canary\" if user.login == \"ann\" else \"all\""},
		{name: "rotate", at: atTop, gives: kindVerdict, params: []param{{"user", kindUser, "", "one row of the source"}, {"step", kindAny, "", "what may be done"}},
			doc:     "A hook: what happens to one user. It returns nothing, skip(reason), done() or failed(reason). A user of whom it asks nothing but generate and find ends skipped.",
			example: "target = backend(\"memory\")\ndef rotate(user, step):\n    password = step.generate()\n    step.set(target, user.login, password)"},
		{name: "row", at: atTop, gives: kindDict, params: []param{{"r", kindAny, "", "what one user came to"}},
			doc:     "A function of a report: the row of one user, a dict with the same keys for all, or None to leave the user out.",
			example: "def row(r):\n    if r.status == \"skipped\":\n        return None\n    return {\"login\": r.user.login, \"password\": r.password}\npage = report.csv(\"passwords.csv\", row = row)"},
		{name: "user", at: inHooks | inRow, gives: kindUser, doc: "One row of the source: user.column, or user[\"any column\"]. A secret column's cell can only be asked whether it is empty, and given to a step. Strings are bytes: the first letter of a name is list(user.name.codepoints())[0], and user.name[0] may be half of it."},
	}
}

func verdictEntries() []entry {
	reason := []param{{"reason", kindText, "", "for reports"}}
	return []entry{
		{name: "skip", at: inSelect | inRotate, gives: kindVerdict, rename: "skipped", params: reason, call: (*call).skip,
			doc:     "What select and rotate return for a user that is left alone; in rotate only before the first set, change or reset.",
			example: "def select(user):\n    return skip(\"frozen\") if user.login == \"root\" else True"},
		{name: "done", at: inRotate, gives: kindVerdict, rename: "finished", call: (*call).done,
			doc:     "What rotate returns for a user that counts as done although a step was refused.",
			example: "target = backend(\"memory\")\ndef rotate(user, step):\n    set = step.try_set(target, user.login, step.generate())\n    if set.code == \"AccountNotFound\":\n        return done()"},
		{name: "failed", at: inRotate, gives: kindVerdict, rename: "failure", params: reason, call: (*call).failed,
			doc:     "What rotate returns for a user that failed.",
			example: "target = backend(\"memory\")\ndef rotate(user, step):\n    set = step.try_set(target, user.login, step.generate())\n    if not set.ok:\n        return failed(\"refused: \" + set.message)"},
	}
}

func stepEntries() []entry {
	account := []param{{"backend", kindBackend, "", "where"}, {"account", kindText, "", "which account"}}
	with := func(more ...param) []param { return slices.Concat(account, more) }
	value := param{"value", kindValue, "", "the password"}
	credential := param{"kind", kindText, `""`, "which credential of the account"}
	options := param{"options", kindDict, "{}", "the plugin's own"}
	steps := []entry{
		{name: "step.generate", gives: kindSecret, call: (*call).stepGenerate, params: []param{
			{"policy", kindPolicy, "None", "the workflow's, without it"},
			credential,
			{"generator", kindBackend, "None", "a backend whose own generator is asked"},
			{"targets", kindBackends, "None", "the backends that it has to satisfy; all of the workflow, without them"}},
			doc:     "A new password that satisfies every target.",
			example: "password = step.generate()"},
		{name: "step.set", gives: kindNone, call: (*call).stepSet, params: with(value, credential,
			param{"must_change", kindBool, "None", "whether its owner has to change it at the next logon; the backend's default, without it"},
			param{"hash_format", kindText, `""`, "what kind of hash the value is; a plain value, without it"}, options),
			doc: "Gives an account this password, as an administrator.", example: "step.set(target, user.login, step.generate())"},
		{name: "step.change", gives: kindNone, call: (*call).stepChange, params: with(
			param{"old", kindValue, "", "the present password"}, param{"new", kindValue, "", "the new one"}, credential, options),
			doc: "Changes a password as its owner would.", example: "step.change(target, user.login, old = user.temporary, new = step.generate())"},
		{name: "step.reset", gives: kindSecret, call: (*call).stepReset, params: with(credential, options),
			doc: "Lets the backend pick a password; None if it does not tell which.", example: "step.reset(target, user.login)"},
		{name: "step.verify", gives: kindNone, call: (*call).stepVerify, params: with(value, credential),
			doc: "Asks the backend whether a password works; most count that as a logon attempt.", example: "password = step.generate()\nstep.set(target, user.login, password)\nstep.verify(target, user.login, password)"},
		{name: "step.find", gives: kindStruct, call: (*call).stepFind, params: with(),
			doc:     "Looks an account up: struct(account, id, status, must_change, changed_at, kinds); status is active, disabled, suspended, locked, expired, pending, deleted, federated or unknown.",
			example: "found = step.find(target, user.login)\nif found.status != \"active\":\n    return skip(found.status)"},
		{name: "step.unlock", gives: kindNone, call: (*call).stepUnlock, params: with(),
			doc: "Lifts a lock without touching the password.", example: "step.unlock(target, user.login)"},
	}
	all := []entry{{name: "step", at: inRotate, doc: "What rotate may do to the user's accounts. Every step is journalled. step.X fails the user if the backend refuses; " +
		"its twin step.try_X returns what the backend said instead: .ok .outcome .code .message .native .value, where value is what step.X gives."}}
	for _, s := range steps {
		s.at = inRotate
		all = append(all, s, twin(s))
	}
	return all
}

// twin is the entry of a step's try_ form.
func twin(s entry) entry {
	args := strings.Join(map[bool][]string{true: {"target", "user.login"}}[len(s.params) > 0 && s.params[0].kind == kindBackend], ", ")
	for _, p := range s.params {
		if p.required() && p.kind == kindValue {
			args += ", user.temporary"
		}
	}
	t := s
	t.name, t.gives = "step.try_"+strings.TrimPrefix(s.name, "step."), kindResult
	t.doc = "Like " + s.name + "(), but returns what the backend said: .ok .outcome .code .message .native .value."
	t.example = "result = " + t.name + "(" + args + ")\nif not result.ok:\n    return failed(result.message)"
	return t
}

func rowEntries() []entry {
	all := []entry{{name: "r", at: inRow, doc: "What one user came to, as a row function gets it."}}
	for _, a := range []struct {
		name string
		kind kind
		doc  string
	}{
		{"user", kindUser, "The user's row of the source."},
		{"status", kindText, "done, failed, skipped, partial, unknown, pending or held."},
		{"code", kindText, "Why, as a word for programs; empty where there is nothing to say."},
		{"native", kindText, "The target's own code."},
		{"message", kindText, "Why, for people."},
		{"wave", kindText, "The user's wave; empty for one that the plan skipped."},
		{"password", kindSecret, "The present password of the user's only account and kind; None if it has several, or if it is not certain."},
		{"passwords", kindDict, "The present passwords by label, or label/kind; None for what is not certain."},
		{"candidates", kindDict, "Every password that may be the present one, newest first, by the same names."},
		{"attempts", kindInt, "How often an operation was sent."},
		{"at", kindText, "When the status was decided, in UTC as RFC 3339 has it; None before."},
	} {
		all = append(all, entry{name: "r." + a.name, at: inRow, gives: a.kind, doc: a.doc,
			example: "page = report.json(\"page.json\", row = lambda r: {\"" + a.name + "\": " + rowExample(a.name) + "})"})
	}
	return all
}

func rowExample(name string) string {
	if name == "user" {
		return "r.user.login"
	}
	return "r." + name
}
