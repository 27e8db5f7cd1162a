package lang

import "slices"

func topLevel() []Entry {
	return []Entry{
		{Name: "workflow", At: AtTop, Gives: KindNone, Rename: "flow", Use: Function, Params: []Param{
			{"users", KindSource, "", "the users to treat"},
			{"backend", KindBackend, "None", "where a workflow without rotate sets passwords"},
			{"rotate", KindHook, "None", "what happens to one user"},
			{"select", KindHook, "None", "decides who is due; default: everyone"},
			{"order_by", KindTexts, "[]", `columns to sort by, "-hired" the greatest first, an empty cell last; default: the order of the source`},
			{"wave", KindHook, "None", "the name of a user's wave"},
			{"waves", KindWaves, "{}", "the waves in their order; default: one wave, all"},
			{"policy", KindPolicy, "None", "what step.generate() makes; every backend's own rules hold too"},
			{"concurrency", KindInt, "None", "most operations at once inside one backend; default: the plugin's limit"},
			{"on_failure", KindText, `"keep"`, `"keep" what is applied when a user fails, or "revert" it where the value before is known: the old one of a change, or one that this state directory set; what a step with options wrote is kept`},
			{"reports", KindReports, "[report.summary()]", "what to write at the end"},
		}, Doc: "What to do, called once. One of backend and rotate is required. Without rotate a user is: generate, set on backend (the account is the key), " +
			"and verify where the backend can without a logon attempt. Without waves twenty failures of one code in a row stop the run, but for codes that are " +
			"about one account (AccountNotFound, UserNotFound, Ambiguous, AccountStatus, Protected, NoCredential, DuplicateAccount, ScriptFailed).",
			Example: `workflow(users = csv("users.csv", key = "login"), backend = backend("memory"))`},
		{Name: "backend", At: AtTop, Gives: KindBackend, Rename: "target", Use: Function, Params: []Param{
			{"name", KindText, "", "which plugin; rekey backends lists them"},
			{"label", KindText, "None", "name in reports and messages; default: the plugin's name"},
			{"rate", KindRate, "None", "most operations per second, minute or hour: N/s, N/m, N/h"},
			{"concurrency", KindInt, "None", "most operations at once; can only lower the plugin's limit"},
			{"timeout", KindDuration, `"30s"`, "deadline of one operation"},
			{"attempts", KindInt, "5", "attempts for transient failures"},
			{"patience", KindDuration, `"10m"`, "how long to wait for an unreachable backend"},
		}, More: "config", Doc: "A system that holds credentials. The other arguments are the plugin's own settings: rekey backends NAME lists them. " +
			"Two backends of one plugin need different labels.",
			Example: `directory = backend("memory", label = "directory", rate = "40/s", create = True)`},
		{Name: "BACKEND.accounts", At: AtTop, Gives: KindSource, Use: Function, Params: []Param{
			{"filter", KindText, `""`, "in the target's own syntax; default: all accounts"},
			{"attributes", KindTexts, "[]", "what else to read; each is a column, a list where an account has several values"},
			{"secrets", KindTexts, "[]", "those of the attributes that are secret"},
			{"key", KindText, `"login"`, "the column that tells users apart"},
		}, Doc: "The accounts of a backend as users, with the columns id, login, name, mail and status and the attributes asked for.",
			Example: "directory = backend(\"memory\")\nworkflow(users = directory.accounts(), backend = directory)"},
		{Name: "BACKEND.can", At: Anywhere, Gives: KindBool, Use: Function, Params: []Param{
			{"step", KindText, "", `the name of a step, such as "revoke"`},
		}, Doc: "Whether the backend's plugin can do a step. With its settings an instance may lack what its plugin can.",
			Example: "target = backend(\"memory\")\nprint(target.can(\"revoke\"))"},
		{Name: "wave_rule", At: AtTop, Gives: KindWave, Rename: "canary", Use: Function, Params: []Param{
			{"size", KindInt, "None", "users per batch; default: all"},
			{"take", KindInt, "None", "users that the wave takes if there is no wave hook; the last wave takes the rest"},
			{"pause", KindDuration, "None", "how long to wait after each batch"},
			{"hold", KindText, "None", `"approval": after this wave the run waits for rekey approve`},
			{"max_failures", KindFailures, "None", "stop when more than so many users of the wave, or so many percent, are failed, partial or unknown; a resume counts on, without --over-threshold"},
			{"tolerate", KindTexts, "[]", "codes that do not count as failures"},
		}, Doc: "How one wave is treated.",
			Example: `canary = wave_rule(take = 50, hold = "approval", max_failures = "1%", tolerate = ["AccountNotFound"])`},
	}
}

func paramEntries() []Entry {
	common := func(kind Kind, doc string) []Param {
		return []Param{
			{"name", KindText, "", "NAME of NAME=VALUE on the command line"},
			{"default", kind, Unset, doc},
			{"help", KindText, `""`, "one line for rekey run --help"},
		}
	}
	const without = "default value; required if omitted"
	limits := func(of Kind) []Param {
		return []Param{{"min", of, "None", "minimum"}, {"max", of, "None", "maximum"}}
	}
	choice := common(KindText, without)
	choice = slices.Insert(choice, 1, Param{"choices", KindTexts, "", "the allowed values"})
	choice = append(choice, Param{"aliases", KindTypes, "{}", "other spellings: {alias: choice}"})
	return []Entry{
		{Name: "param", At: AtTop, Use: Namespace, Rename: "setting", Doc: "What the command line gives a script, as NAME=VALUE. rekey check and rekey docs go on without values: with the default, else with an empty one."},
		{Name: "param.string", At: AtTop, Gives: KindText, Params: common(KindText, without), Use: Function, Doc: "Text.",
			Example: `url = param.string("url", default = "https://localhost", help = "where the service is")`},
		{Name: "param.int", At: AtTop, Gives: KindInt, Params: append(common(KindInt, without), limits(KindInt)...), Use: Function, Doc: "A whole number.",
			Example: `batch = param.int("batch", default = 500, min = 1, max = 10000)`},
		{Name: "param.bool", At: AtTop, Gives: KindBool, Params: common(KindBool, without), Use: Function, Doc: "true, false, yes, no, 1 or 0.",
			Example: `strict = param.bool("strict", default = True)`},
		{Name: "param.path", At: AtTop, Gives: KindText, Params: common(KindText, without), Use: Function, Doc: "The name of a file, relative to the working directory.",
			Example: `accounts = param.path("accounts", default = "users.csv")`},
		{Name: "param.duration", At: AtTop, Gives: KindDuration, Params: append(common(KindDuration, without), limits(KindDuration)...), Use: Function, Doc: `Text such as "90s", "10m" or "1h30m".`,
			Example: `pause = param.duration("pause", default = "10m", max = "1h")`},
		{Name: "param.date", At: AtTop, Gives: KindDate, Params: common(KindText, without), Use: Function, Doc: "A day, written YYYY-MM-DD, to compare with columns of the type date. A script has no clock: a run that needs the day is given it, as in today=$(date -I).",
			Example: `today = param.date("today", default = "2026-01-31", help = "the day of the run")`},
		{Name: "param.choice", At: AtTop, Gives: KindText, Params: choice, Use: Function, Doc: "One of several words. Case is ignored; the value is the word as it is listed.",
			Example: `mode = param.choice("mode", ["fast", "careful"], default = "careful", aliases = {"slow": "careful"})`},
		{Name: "param.list", At: AtTop, Gives: KindTexts, Params: common(KindTexts, without), Use: Function, Doc: "Words between commas; spaces around them are trimmed, and empty text is the empty list.",
			Example: `logins = param.list("logins", default = [])`},
		{Name: "param.json", At: AtTop, Gives: KindAny, Params: common(KindAny, without), Use: Function, Doc: "Any value, written in JSON.",
			Example: `config = param.json("config", default = {})`},
	}
}

func secretEntries() []Entry {
	return []Entry{
		{Name: "secret", At: AtTop, Use: Namespace, Rename: "password", Doc: "References to secrets that a backend needs. They are read when the backend is configured, again at a resume, and never stored."},
		{Name: "secret.env", At: AtTop, Gives: KindRef, Use: Function, Params: []Param{{"name", KindText, "", "of the environment variable"}},
			Doc: "The value of an environment variable.", Example: `admin = secret.env("CLOUD_PASSWORD")`},
		{Name: "secret.file", At: AtTop, Gives: KindRef, Use: Function, Params: []Param{{"path", KindText, "", "relative to the working directory"}},
			Doc: "The content of a file without the line end at its end.", Example: `admin = secret.file("ldap.pw")`},
		{Name: "secret.prompt", At: AtTop, Gives: KindRef, Use: Function, Params: []Param{{"label", KindText, "", "what the terminal asks for"}},
			Doc: "What is typed on the terminal.", Example: `admin = secret.prompt("password of cn=admin")`},
		{Name: "secret.command", At: AtTop, Gives: KindRef, Use: Function, Params: []Param{{"argv", KindTexts, "", "the program and its arguments, without a shell"}},
			Doc: "What a program prints, without the line end at its end. It runs in the working directory, with rekey's environment, and has two minutes.", Example: `admin = secret.command(["pass", "show", "ldap/admin"])`},
		{Name: "secret.credential", At: AtTop, Gives: KindRef, Use: Function, Params: []Param{{"name", KindText, "", "of the credential"}},
			Doc: "A credential of the systemd service that rekey runs in: a file in $CREDENTIALS_DIRECTORY.", Example: `admin = secret.credential("ldap-admin")`},
	}
}

func policyEntries() []Entry {
	return []Entry{
		{Name: "policy", At: AtTop, Gives: KindPolicy, Rename: "password_policy", Use: Function, Params: []Param{
			{"length", KindInt, "None", "number of characters"},
			{"min_length", KindInt, "None", "minimum number of characters"},
			{"max_length", KindInt, "None", "maximum number of characters"},
			{"lower", KindInt, "None", "minimum number of lower-case letters"},
			{"upper", KindInt, "None", "minimum number of upper-case letters"},
			{"digits", KindInt, "None", "minimum number of digits"},
			{"symbols", KindInt, "None", "minimum number of characters that are neither letters nor digits"},
			{"allowed_symbols", KindText, "None", "the only symbols to use"},
			{"forbid", KindText, "None", "characters that must not occur"},
			{"max_repeat", KindInt, "None", "longest run of one character"},
			{"no_account_name", KindBool, "None", "must not contain the account's name"},
			{"blocklist", KindBlocked, "None", "must not be a common password; \"hibp:FILE\": nor one of a file of breached ones"},
		}, Doc: "Rules for generated passwords. What is written is a demand; the rest are wishes that give way to a backend's rules: length 20, one of each class, no account name, no common password. " +
			"A file of breached passwords is the sorted download of Pwned Passwords, one SHA1:COUNT a line; it is searched where it lies. " +
			"At plan, values that users are given are held against the blocklist of the workflow's policy, and warned of.",
			Example: `password_policy = policy(length = 24, symbols = 2, forbid = "\"'")`},
		{Name: "policy.pin", At: AtTop, Gives: KindPolicy, Use: Function, Params: []Param{{"length", KindInt, "6", "number of digits"}},
			Doc: "Digits only.", Example: `voicemail = policy.pin(length = 8)`},
		{Name: "policy.words", At: AtTop, Gives: KindPolicy, Use: Function, Params: []Param{
			{"count", KindInt, "6", "number of words"}, {"separator", KindText, `"-"`, "text between words"}},
			Doc:     "Words of the EFF's large list, 12.9 bits each. Where a backend requires capitals, digits or symbols, words get capitals and the end the others.",
			Example: `passphrase = policy.words(count = 5, separator = ".")`},
		{Name: "policy.parse", At: AtTop, Gives: KindPolicy, Use: Function, Params: []Param{{"text", KindText, "", "rules, with semicolons between them"}},
			Doc: "The passwordrules of browsers and password managers: minlength, maxlength, max-consecutive, required and allowed with lower, upper, digit, special, " +
				"ascii-printable, unicode or [characters].",
			Example: `portal = policy.parse("minlength: 20; required: lower; required: digit, [-_.]; max-consecutive: 2")`},
	}
}
