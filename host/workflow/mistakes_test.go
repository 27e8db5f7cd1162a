package workflow

import (
	"strings"
	"testing"
)

// head is the start of most scripts below; they go on in line 4.
const head = `users = csv("people.csv", key = "login", types = {"age": "int"}, secrets = ["temporary"])
target = backend("memory")

`

const people = "login,temporary,team,age\nann,s3cret,it-ops,41\nbob,s3cret,sales,\n"

func TestMistakesAreNamedWithTheirPlaceAndFix(t *testing.T) {
	for _, tt := range []struct {
		name, text string // in line 4 and after
		want       string
	}{
		{"nothing is wrong", `workflow(users = users, backend = target)`, ""},

		// names
		{"unknown builtin", `workflow(users = users, backend = target, policy = polici(length = 3))`,
			`w.star:4:52: undefined: polici; did you mean "policy"?`},
		{"unknown builtin, all at once", "a = backnd(\"memory\")\nb = cvs(\"x\")\nworkflow(users = users, backend = target)",
			"w.star:4:5: undefined: backnd; did you mean \"backend\"?\nw.star:5:5: undefined: cvs; did you mean \"csv\"?"},
		{"unknown name like one of the script", "batch = 3\nb = btach\nworkflow(users = users, backend = target)",
			`w.star:5:5: undefined: btach; did you mean "batch"?`},
		{"one letter is like no other", "b = a\nworkflow(users = users, backend = target)", `w.star:4:5: undefined: a; give it a value above, or load() it`},
		{"unknown member", `p = param.sting("x")`, `w.star:4:11: param has no "sting"; did you mean "string"?`},
		{"unknown member of a builtin", `p = policy.pni()`, `w.star:4:12: policy has no "pni"; did you mean "pin"?`},
		{"unknown member of a backend", `p = target.acounts()`, `w.star:4:12: a backend has no "acounts"; did you mean "accounts"?`},
		{"unknown member in a hook", "def select(user):\n    return jason.encode(user) == \"\" or json.encod(1) == \"\"\nworkflow(users = users, backend = target, select = select)",
			`w.star:5:12: undefined: jason; did you mean "json"?`},
		{"unknown member of json in a hook", "def select(user):\n    return json.encod(1) == \"\"\nworkflow(users = users, backend = target, select = select)",
			`w.star:5:17: json has no "encod"; did you mean "encode"?`},
		{"step at top level", "x = step.generate()\nworkflow(users = users, backend = target)", "w.star:4:5: undefined: step; a hook gets step if it names it as a parameter"},
		{"a backend without a name", "workflow(users = users, rotate = lambda step: step.set(ldap, \"a\", \"b\"))", `w.star:4:56: undefined: ldap; write ldap = backend("ldap", …) above`},
		{"no clock", "x = time.now()\nworkflow(users = users, backend = target)",
			"w.star:4:5: undefined: time; scripts know no clock and no chance, so that a resume does the same; step.generate() makes passwords"},
		{"no I/O", "x = open(\"f\")\nworkflow(users = users, backend = target)", "w.star:4:5: undefined: open; scripts do no I/O: the host reads users and calls backends"},
		{"a namespace is not called", "x = param(\"a\")", "w.star:4:5: param is not called by itself; use param.string, param.int, param.bool, param.path, param.duration, param.date, param.choice, param.list or param.json"},

		// syntax
		{"import", "import os", `w.star:4:1: there is no import; scripts use load("lib/file.star", "name")`},
		{"try", "def rotate(step):\n    try:\n        pass", `w.star:5:5: there are no exceptions; use step.try_set() and its like, fail(), or return failed(reason)`},
		{"f-string", "x = f\"{users}\"", `w.star:4:6: there are no f-strings; use "{}".format(x) or "%s" % x`},
		{"class", "class A:\n    pass", `w.star:4:1: there are no classes; use struct() or a dict`},
		{"loop at top level", "for x in []:\n    pass", "w.star:4:1: for loop not within a function; put it into a def and call that, or write a comprehension: [f(x) for x in xs]"},
		{"if at top level", "if True:\n    x = 1", "w.star:4:1: if statement not within a function; put it into a def and call that, or write a conditional: a if b else c"},
		{"while", "def select(user):\n    while True:\n        pass", "w.star:5:5: there are no while loops; use for x in range(n), which ends"},
		{"quotes of a word processor", "x = csv(“people.csv”)", `w.star:4:9: “ is no character of scripts; type " on the keyboard: a word processor or a mail program has put another one there`},
		{"a dash of a word processor", "x = 3 – 1", `w.star:4:7: – is no character of scripts; type - on the keyboard: a word processor or a mail program has put another one there`},
		{"not as in C", "def select(user):\n    return !user.team", `w.star:5:12: ! stands for nothing; write not x, or x != y`},
		{"no indentation", "def select(user):\nreturn True", "w.star:5:7: what stands under the line with the colon is not indented; indent it by four spaces"},
		{"too much indentation", "x = 1\n    y = 2", "w.star:5:5: the line is indented, and the one above does not end in a colon; begin it where the one above begins"},
		{"an open parenthesis", "workflow(users = users,\n    backend = target\n", "w.star:4:9: the ( is never closed; close it with )"},
		{"an open parenthesis above", "x = policy(length = 3\n\nworkflow(users = users)", "w.star:4:11: the ( is never closed; close it with ), before line 6"},
		{"an open bracket", "x = [\"a\", \"(\",  # ]\n    \"b\"\ny = 3", "w.star:4:5: the [ is never closed; close it with ], before line 6"},
		{"null", "x = null\ny = nil", `w.star:4:5: undefined: null; did you mean "None"?` + "\n" + `w.star:5:5: undefined: nil; did you mean "None"?`},
		{"a day and a text", "def select(user):\n    return user.hired < \"2020-01-01\"\nworkflow(users = csv(\"d.csv\", key = \"login\", types = {\"hired\": \"date\"}), backend = target, select = select)",
			`w.star:5:12: column "hired" is a date, and is compared with a text; write str(user.hired), which is 2006-01-02, or use its .year, .month and .day`},
		{"a day and an equal text", "def select(user):\n    return \"2020-01-01\" == user[\"hired\"]\nworkflow(users = csv(\"d.csv\", key = \"login\", types = {\"hired\": \"date\"}), backend = target, select = select)",
			`w.star:5:12: column "hired" is a date, and is compared with a text; write str(user["hired"]), which is 2006-01-02, or use its .year, .month and .day`},
		{"a day in words", "def select(user):\n    return str(user.hired) < \"2020-01-01\"\nworkflow(users = csv(\"d.csv\", key = \"login\", types = {\"hired\": \"date\"}), backend = target, select = select)", ""},
		{"second binding", "a = 1\na = 2", "w.star:5:1: cannot reassign global a declared at w.star:4:1; give each value a name of its own"},
		{"columns count bytes", "x = \"é\" + undefinedname\nworkflow(users = users, backend = target)", `w.star:4:12: undefined: undefinedname; give it a value above, or load() it`},

		// a builtin's name is taken
		{"policy = policy()", "policy = policy(length = 20)\nworkflow(users = users, backend = target, policy = policy)",
			`w.star:4:1: policy is a builtin; call yours password_policy`},
		{"csv = csv()", "csv = csv(\"a.csv\", key = \"a\")", `w.star:4:1: csv is a builtin; call yours accounts`},
		{"a tuple", "report, x = 1, 2\ny = report.csv(\"a\")\nworkflow(users = users, backend = target)", `w.star:4:1: report is a builtin; call yours passwords_report`},
		{"done = done()", "done = done()", `w.star:4:1: done is a builtin; call yours finished`},
		{"in a function", "def select(user):\n    json = json.encode([user.login])\n    return json != \"\"\nworkflow(users = users, backend = target, select = select)",
			`w.star:5:5: json is a builtin; call yours data`},
		{"in a function, bound before", "def select(re):\n    re = re + 1\n    csv = 1\n    csv = csv + 1\n    return csv\nx = select(1)\nworkflow(users = users, backend = target)", ""},
		{"of one's own without a clash", "def struct(a):\n    return a\nx = struct(1)\nworkflow(users = users, backend = target)", ""},

		// arguments
		{"unknown parameter", `workflow(users = users, bakend = target)`,
			`w.star:4:25: workflow: there is no argument "bakend"; did you mean "backend"?`},
		{"missing parameter", `workflow(backend = target)`, `w.star:4:1: workflow: users is missing; users: the users to treat`},
		{"too many", `workflow(users, target, None, None, [], None, {}, None, None, "keep", [], 1)`, "w.star:4:1: workflow: 12 arguments, want at most 11"},
		{"given twice", `workflow(users, users = users, backend = target)`, "w.star:4:10: workflow: users is given twice; give it once"},
		{"wrong type", `workflow(users = "users.csv", backend = target)`, `w.star:4:10: workflow: users: want a source of users such as csv(), got string`},
		{"wrong type of a backend", `workflow(users = users, backend = "memory")`, `w.star:4:25: workflow: backend: want what backend() makes, got string`},
		{"wrong type of an element", `workflow(users = users, backend = target, order_by = ["login", 3])`, `w.star:4:43: workflow: order_by: element 2: want string, got int`},
		{"wrong type of a wave", `workflow(users = users, backend = target, waves = {"all": 3})`, `w.star:4:43: workflow: waves: value of "all": want what wave_rule() makes, got int`},
		{"wrong type of a key", `workflow(users = users, backend = target, waves = {1: wave_rule()})`, `w.star:4:43: workflow: waves: a key is int, want string`},
		{"wrong type of a hook", `workflow(users = users, backend = target, select = True)`, `w.star:4:43: workflow: select: want function, got bool`},
		{"not an int", `workflow(users = users, backend = target, concurrency = "32")`, `w.star:4:43: workflow: concurrency: want int, got string`},
		{"too small", `workflow(users = users, backend = target, concurrency = 0)`, `w.star:4:43: workflow: concurrency = 0: want at least 1`},
		{"too large", `workflow(users = users, backend = target, concurrency = 99999999999)`, `w.star:4:43: workflow: concurrency = 99999999999 is too large`},
		{"one of a few words", `workflow(users = users, backend = target, on_failure = "revrt")`, `w.star:4:43: workflow: on_failure = "revrt": want "keep" or "revert"; did you mean "revert"?`},
		{"several at once", `workflow(users = users, backend = target, concurrency = -1, on_failure = "x", order_by = ["login", "login"])`,
			"w.star:4:43: workflow: concurrency = -1: want at least 1\nw.star:4:61: workflow: on_failure = \"x\": want \"keep\" or \"revert\"\nw.star:4:79: workflow: order_by names \"login\" twice"},

		// workflow
		{"no workflow", ``, `w.star: the script does not call workflow(); end it with workflow(users = …, backend = …)`},
		{"second workflow", "workflow(users = users, backend = target)\nworkflow(users = users, backend = target)",
			`w.star:5:1: workflow: workflow() is called twice; merge them, or make two scripts`},
		{"neither backend nor rotate", `workflow(users = users)`, `w.star:4:1: workflow: one of backend and rotate is required; give it backend = backend("…"), or a rotate hook`},
		{"backend that cannot set", `workflow(users = users, backend = backend("mailer"))`, `w.star:4:25: workflow: backend "mailer" cannot set passwords; write a rotate hook`},
		{"backend of several kinds", `workflow(users = users, backend = backend("phones"))`,
			`w.star:4:25: workflow: backend "phones" has credentials of several kinds: sip, voicemail; write a rotate hook that names one`},

		// columns
		{"order_by of no column", `workflow(users = users, backend = target, order_by = ["taem"])`, `w.star:4:43: order_by: the users have no column "taem"; did you mean "team"?`},
		{"order_by of a secret", `workflow(users = users, backend = target, order_by = ["temporary"])`, `w.star:4:43: order_by: column "temporary" is secret; order by another column`},
		{"no such column in a hook", "def select(user):\n    return user.taem == \"it-ops\"\nworkflow(users = users, backend = target, select = select)",
			`w.star:5:17: the users have no column "taem"; did you mean "team"?`},
		{"no such column by name", "def select(user):\n    return user[\"e mail\"] != \"\"\nworkflow(users = users, backend = target, select = select)",
			`w.star:5:17: the users have no column "e mail"; it has login, temporary, team, age`},
		{"no such column in a lambda", `workflow(users = users, backend = target, select = lambda u: u.agee > 3)`, `w.star:4:64: the users have no column "agee"; did you mean "age"?`},
		{"no such column in a row", `workflow(users = users, backend = target, reports = [report.csv("p.csv", row = lambda r: {"l": r.user.logn})])`,
			`w.star:4:103: the users have no column "logn"; did you mean "login"?`},
		{"no such column in a function called", "def is_ops(u):\n    return u.taem == \"it-ops\"\ndef select(user):\n    return is_ops(user)\nworkflow(users = users, backend = target, select = select)",
			`w.star:5:14: the users have no column "taem"; did you mean "team"?`},
		{"no such column by an alias", "def select(user):\n    u = user\n    return u.taem\nworkflow(users = users, backend = target, select = select)",
			`w.star:6:14: the users have no column "taem"; did you mean "team"?`},

		// secrets
		{"a secret compared", "def select(user):\n    return user.temporary == \"x\"\nworkflow(users = users, backend = target, select = select)",
			`w.star:5:12: a secret cannot be compared; ask only whether it is empty: if user.temporary: …`},
		{"a secret looked for", "def select(user):\n    return user[\"temporary\"] in [\"x\"]\nworkflow(users = users, backend = target, select = select)",
			`w.star:5:12: a secret cannot be compared; ask only whether it is empty: if password: …`},
		{"a new password compared", "def rotate(user, step):\n    p = step.generate()\n    if p == \"\":\n        return failed(\"empty\")\nworkflow(users = users, rotate = rotate)",
			`w.star:6:8: a secret cannot be compared; ask only whether it is empty: if p: …`},
		{"a reset compared with None", "def rotate(user, step):\n    p = step.reset(target, user.login)\n    if p == None:\n        return failed(\"none\")\nworkflow(users = users, rotate = rotate)", ""},

		// discarded results
		{"failed() without return", "def rotate(user, step):\n    failed(\"no\")\nworkflow(users = users, rotate = rotate)",
			`w.star:5:5: the result of failed() is thrown away, so it says nothing; write return failed(…)`},
		{"skip() without return", "def select(user):\n    if user.team == \"x\":\n        skip(\"frozen\")\n    return True\nworkflow(users = users, backend = target, select = select)",
			`w.star:6:9: the result of skip() is thrown away, so it says nothing; write return skip(…)`},
		{"done() in an expression", "def rotate(user, step):\n    user.team == \"x\" and done()\nworkflow(users = users, rotate = rotate)",
			`w.star:5:26: the result of done() is thrown away, so it says nothing; write return done(…)`},
		{"done() in a conditional", "def rotate(user, step):\n    done() if user.team else None\nworkflow(users = users, rotate = rotate)",
			`w.star:5:5: the result of done() is thrown away, so it says nothing; write return done(…)`},
		{"try_set() unlooked at", "def rotate(user, step):\n    step.try_set(target, user.login, step.generate())\nworkflow(users = users, rotate = rotate)",
			`w.star:5:5: the result of step.try_set() is thrown away; look at its .ok, or use step.set(), which fails the user`},
		{"try_set() in a list", "def rotate(user, step):\n    [step.try_set(target, u, \"x\") for u in [user.login]]\nworkflow(users = users, rotate = rotate)",
			`w.star:5:6: the result of step.try_set() is thrown away; look at its .ok, or use step.set(), which fails the user`},
		{"a function that fails", "def give_up(why):\n    return failed(\"gave up: \" + why)\ndef rotate(user, step):\n    give_up(\"x\")\nworkflow(users = users, rotate = rotate)",
			`w.star:7:5: the result of give_up() is thrown away, and it may be that of failed(); write return give_up(…), or look at what it returns`},
		{"a function that may fail", "def check(r):\n    return None if r.ok else failed(r.message)\ndef rotate(user, step):\n    r = step.try_set(target, user.login, \"x\")\n    check(r)\nworkflow(users = users, rotate = rotate)",
			`w.star:8:5: the result of check() is thrown away, and it may be that of failed(); write return check(…), or look at what it returns`},
		{"a lambda that fails", "give_up = lambda why: failed(why)\ndef rotate(user, step):\n    give_up(\"x\")\nworkflow(users = users, rotate = rotate)",
			`w.star:6:5: the result of give_up() is thrown away, and it may be that of failed(); write return give_up(…), or look at what it returns`},
		{"by way of another", "def a():\n    return failed(\"x\")\ndef b():\n    return a()\ndef rotate(user, step):\n    b()\nworkflow(users = users, rotate = rotate)",
			`w.star:9:5: the result of b() is thrown away, and it may be that of failed(); write return b(…), or look at what it returns`},
		{"functions that call each other", "def a(x):\n    return b(x)\ndef b(x):\n    return a(x)\ndef rotate(user, step):\n    b(1)\nworkflow(users = users, rotate = rotate)", ""},
		{"a helper that gives nothing", "def note(text):\n    print(text)\ndef rotate(user, step):\n    note(\"x\")\nworkflow(users = users, rotate = rotate)", ""},
		{"a result looked at", "def rotate(user, step):\n    r = step.try_set(target, user.login, step.generate())\n    if not r.ok:\n        return failed(r.message)\nworkflow(users = users, rotate = rotate)", ""},

		// hooks
		{"a hook's unknown parameter", "def rotate(usr, step):\n    pass\nworkflow(users = users, rotate = rotate)", `w.star:4:12: workflow: rotate does not get "usr"; did you mean "user"?`},
		{"a hook's strange parameter", "def select(x):\n    return True\nworkflow(users = users, backend = target, select = select)", `w.star:4:12: workflow: select does not get "x"; it takes user`},
		{"a hook with *args", "def select(*args):\n    return True\nworkflow(users = users, backend = target, select = select)",
			`w.star:6:43: workflow: select: select has * parameters; a hook gets the parameters that it names; it takes user`},
		{"a hook with keywords only", "def select(*, user):\n    return True\nworkflow(users = users, backend = target, select = select)",
			`w.star:6:43: workflow: select: select has * parameters; a hook gets the parameters that it names; it takes user`},
		{"a default before", "def rotate(x = 1, user = None):\n    pass\nworkflow(users = users, rotate = rotate)", `w.star:4:19: workflow: rotate: parameter "user" stands after one that a hook does not get; put user first`},
		{"step where there is none", "def select(user, step):\n    return True\nworkflow(users = users, backend = target, select = select)", `w.star:4:18: workflow: select does not get "step"; it takes user`},
		{"failed() in select", "def select(user):\n    return failed(\"no\")\nworkflow(users = users, backend = target, select = select)",
			`w.star:5:12: failed cannot be used in select; use it in rotate`},
		{"backend() in a hook", "def rotate(user, step):\n    step.set(backend(\"memory\"), user.login, \"x\")\nworkflow(users = users, rotate = rotate)",
			`w.star:5:14: backend cannot be used in rotate; make it at top level and give it a name`},
		{"unknown step", "def rotate(user, step):\n    step.sett(target, user.login, \"x\")\nworkflow(users = users, rotate = rotate)",
			`w.star:5:10: step has no "sett"; did you mean "set"?`},
		{"unknown argument of a step", "def rotate(user, step):\n    step.set(target, user.login, \"x\", must_chnge = True)\nworkflow(users = users, rotate = rotate)",
			`w.star:5:39: step.set: there is no argument "must_chnge"; did you mean "must_change"?`},
		{"missing argument of a step", "def rotate(user, step):\n    step.change(target, user.login, new = \"x\")\nworkflow(users = users, rotate = rotate)",
			`w.star:5:5: step.change: old is missing; old: the present password`},
		{"looking at what a step gives", "def rotate(user, step):\n    if not step.set(target, user.login, \"x\").ok:\n        return failed(\"no\")\nworkflow(users = users, rotate = rotate)",
			`w.star:5:46: the step gives None: if it is not applied, that fails the user; use its twin with try_ to look at .ok`},
		{"asking whether it is true", "def rotate(user, step):\n    if not step.set(target, user.login, \"x\"):\n        return failed(\"no\")\nworkflow(users = users, rotate = rotate)",
			`w.star:5:12: the step gives None: if it is not applied, that fails the user; use its twin with try_ to look at .ok`},
		{"looking at it later", "def rotate(user, step):\n    r = step.verify(target, user.login, \"x\")\n    return failed(r.message)\nworkflow(users = users, rotate = rotate)",
			`w.star:6:21: the step gives None: if it is not applied, that fails the user; use its twin with try_ to look at .message`},
		{"arguments and hooks at once", "def rotate(user, step):\n    step.sett(target, user.login, \"x\")\nworkflow(users = users, rotate = rotate, reports = report.csv(\"x\"), polcy = 1)",
			"w.star:5:10: step has no \"sett\"; did you mean \"set\"?\nw.star:6:42: workflow: reports: want list of reports, got report\nw.star:6:69: workflow: there is no argument \"polcy\"; did you mean \"policy\"?"},
		{"a literal of another type", "def rotate(user, step):\n    step.set(\"memory\", user.login, 7, must_change = \"yes\")\nworkflow(users = users, rotate = rotate)",
			"w.star:5:14: step.set: backend: want what backend() makes, got string\nw.star:5:36: step.set: value: want secret or string, got int\nw.star:5:53: step.set: must_change: want bool, got string"},
		{"a reason of another type", "def select(user):\n    return skip(None)\nworkflow(users = users, backend = target, select = select)", `w.star:5:17: skip: reason: want string, got NoneType`},
		{"a step that the backend lacks", "mail = backend(\"mailer\")\ndef rotate(user, step):\n    if user.team == \"rare\":\n        r = step.try_set(mail, user.login, \"x\")\n        return failed(r.code)\n    step.reset(mail, user.login)\nworkflow(users = users, rotate = rotate)",
			`w.star:7:13: step.try_set: backend "mailer" (mailer) cannot set`},
		{"a step of a backend that a parameter names", "name = param.string(\"name\", default = \"mailer\")\nmail = backend(name)\ndef rotate(user, step):\n    if mail.name != \"mailer\":\n        step.set(mail, user.login, \"x\")\nworkflow(users = users, rotate = rotate)", ""},
		{"a kind", "phone = backend(\"phones\")\ndef rotate(user, step):\n    step.set(phone, user.login, \"x\", kind = \"voicemai\")\n    step.set(phone, user.login, \"x\")\n    step.set(target, user.login, \"x\", kind = \"sip\")\n    step.set(phone, user.login, \"x\", kind = \"web\")\nworkflow(users = users, rotate = rotate)",
			lines(`w.star:6:45: step.set: backend "phones" has no credential of kind "voicemai"; did you mean "voicemail"?`,
				`w.star:7:5: step.set: backend "phones" has no credential of kind ""; it has sip, voicemail`,
				`w.star:8:46: step.set: backend "memory" has no credential of kind "sip"; it has only one, without a kind`,
				`w.star:9:45: step.set: backend "phones" has no credential of kind "web"; it has sip, voicemail`)},
		{"a hash and an option", "ds = backend(\"ldap\", url = \"ldaps://x\")\ndef rotate(user, step):\n    step.set(ds, user.login, \"x\", hash_format = \"md5\", options = {\"plian\": True, \"wait\": \"1s\"})\nworkflow(users = users, rotate = rotate)",
			lines(`w.star:6:49: step.set: backend "ldap" takes no hash of the form "md5"; it takes "sha512-base64"`, `w.star:6:67: step.set: backend "ldap" has no option "plian"; did you mean "plain"?`)},
		{"unknown attribute of r", `workflow(users = users, backend = target, reports = [report.csv("p.csv", row = lambda r: {"l": r.pasword})])`,
			`w.star:4:98: r has no "pasword"; did you mean "password"?`},

		// waves
		{"a wave that is not there", "def wave(user):\n    return \"canray\" if user.team == \"it-ops\" else \"all\"\nworkflow(users = users, backend = target, wave = wave, waves = {\"canary\": wave_rule(), \"all\": wave_rule()})",
			`w.star:5:12: there is no wave "canray"; did you mean "canary"?`},
		{"a wave of none", "workflow(users = users, backend = target, wave = lambda u: \"canary\")", `w.star:4:60: there is no wave "canary"; it has "all"`},
		{"take and a hook", "workflow(users = users, backend = target, wave = lambda u: \"a\", waves = {\"a\": wave_rule(take = 3)})",
			`w.star:4:65: workflow: wave "a": take is for workflows without a wave hook; leave one of them out`},
		{"nobody left", "workflow(users = users, backend = target, waves = {\"a\": wave_rule(), \"b\": wave_rule()})",
			`w.star:4:43: workflow: wave "a" takes every user, and no user is left for the later ones; give it take =, or write a wave hook`},
		{"an empty name", "workflow(users = users, backend = target, waves = {\"\": wave_rule()})", `w.star:4:43: workflow: the name of a wave is empty`},
		{"a control character", "workflow(users = users, backend = target, waves = {\"a\\n\": wave_rule()})", `w.star:4:43: workflow: the name of wave "a\n" has a control character`},
		{"max_failures", "x = wave_rule(max_failures = \"many\")", `w.star:4:15: wave_rule: max_failures = "many" is neither; write a number, or a percentage such as "1%"`},
		{"max_failures above all", "x = wave_rule(max_failures = \"101%\")", `w.star:4:15: wave_rule: max_failures = "101%" is neither; write a number, or a percentage such as "1%"`},
		{"tolerate", "x = wave_rule(tolerate = [\"AccountNotfound\", \"Bad\"])",
			"w.star:4:15: wave_rule: tolerate: there is no code \"AccountNotfound\"; did you mean \"AccountNotFound\"?\nw.star:4:15: wave_rule: tolerate: there is no code \"Bad\""},
		{"hold", "x = wave_rule(hold = True)", `w.star:4:15: wave_rule: hold: want string, got bool`},
		{"hold for what", "x = wave_rule(hold = \"approvl\")", `w.star:4:15: wave_rule: hold = "approvl": want "approval"; did you mean "approval"?`},
		{"pause", "x = wave_rule(pause = \"10 minutes\")", `w.star:4:15: wave_rule: pause: "10 minutes" is not a duration; write a number and a unit: "500ms", "90s", "10m", "1h30m"`},
		{"size", "x = wave_rule(size = 0)", `w.star:4:15: wave_rule: size = 0: want at least 1`},

		// policies
		{"contradiction", "x = policy(length = 4, digits = 5)", `w.star:4:5: policy: no password meets all rules: the script wants exactly 4 characters, the script requires 5 digits`},
		{"absurd", "x = policy(length = 100000)", `w.star:4:12: policy: length = 100000: want at most 1024`},
		{"pin", "x = policy.pin(length = 0)", `w.star:4:16: policy.pin: length = 0: want at least 1`},

		// reports
		{"no path", `x = report.csv("")`, `w.star:4:16: report.csv: the path is empty`},
		{"order", `x = report.csv("a.csv", order = "aply")`, `w.star:4:25: report.csv: order = "aply": want "source" or "apply"; did you mean "apply"?`},
		{"recipient", `x = report.csv("a.csv", encrypt_to = ["ops@acme.example"])`,
			`w.star:4:25: report.csv: encrypt_to: "ops@acme.example" is no age recipient; a recipient begins with age1; rekey keygen makes one`},
		{"the same file twice", `workflow(users = users, backend = target, reports = [report.csv("a/../a.csv"), report.json("a.csv")])`,
			`w.star:4:43: workflow: two reports are written to "a.csv"; give each a path of its own`},

		// what comes later
		{"letters", `x = report.letters("a")`, `w.star:4:5: report.letters comes later; until then use report.csv() and a mail merge`},
		{"letters", `x = report.letters("a.pdf")`, `w.star:4:5: report.letters comes later; until then use report.csv() and a mail merge`},
		{"later, in a hook", "def rotate(user, step):\n    step.generate(policy = report.letters(\"a\"))\nworkflow(users = users, rotate = rotate)",
			`w.star:5:28: report.letters comes later; until then use report.csv() and a mail merge`},

		// the language
		{"an error of the interpreter", "def f(x):\n    return 1 // x\ny = f(0)", `w.star:5:14: floored division by zero (called from w.star:6)`},
		{"fail()", "def f(x):\n    fail(\"no \" + x)\ny = f(\"way\")", `w.star:5:5: fail: no way (called from w.star:6)`},
		{"recursion", "def f(x):\n    return f(x)\ny = f(1)", `w.star:5:12: function f called recursively (called from w.star:5, from w.star:6)`},
		{"a key that is not there", `x = {"a": 1}["b"]`, `w.star:4:13: key "b" not in dict; add it to the dict, or write .get(…, what to take instead)`},
		{"a key that is not in a dict with a name", "d = {\"a\": 1}\nx = d[\"b\"]\nworkflow(users = users, backend = target)", `w.star:5:6: key "b" not in dict; add it to d, or write d.get(…, what to take instead)`},
		{"a misspelt field", "x = struct(name = 1)\ny = x.namme", `w.star:5:7: the struct has no "namme"; did you mean "name"?`},
		{"a misspelt method", "x = [].apend(1)", `w.star:4:8: list has no .apend field or method; did you mean "append"?`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			text := head + tt.text + "\n"
			if strings.HasPrefix(tt.text, "x = ") && !strings.Contains(tt.text, "workflow") {
				text += "workflow(users = users, backend = target)\n"
			}
			got := problems(t, script(t, text, "people.csv", people, "d.csv", "login,hired\nann,2019-01-01\n"))
			if got != tt.want {
				t.Errorf("%s\n got %s\nwant %s", tt.text, strings.ReplaceAll(got, "\n", "\n     "), strings.ReplaceAll(tt.want, "\n", "\n     "))
			}
		})
	}
}
