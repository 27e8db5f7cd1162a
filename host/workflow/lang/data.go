package lang

func reportEntries() []Entry {
	columns := func() []Param {
		return []Param{
			{"path", KindText, "", `relative to the working directory; "-" is standard output; {run} is the run's id, {date} the day it was planned, in UTC`},
			{"row", KindHook, "None", "makes the row of one user: a dict, or None to leave the user out"},
			{"order", KindText, `"source"`, `"source", or "apply": the order in which users were planned to be applied`},
			{"encrypt_to", KindTexts, "[]", "age recipients; the file is sealed as it is written, and its name ends in .age"},
		}
	}
	split := Param{"split_by", KindText, "None", "a column of the users; one file for each of its values, whose name has that before its end"}
	csvParams := []Param{
		{"delimiter", KindText, `","`, "one character between values"},
		{"encoding", KindText, `"utf-8"`, `"utf-8", or "utf-8-sig", with the mark by which Excel knows it`},
		{"text", KindTexts, "[]", `columns written as ="…", which spreadsheets take for text and other readers do not know; report.xlsx needs no such thing`},
	}
	const rows = " One row a planned user, with the columns key, status, code, message and wave, or with those that row gives: the same in every row."
	return []Entry{
		{Name: "report", At: AtTop, Use: Namespace, Rename: "passwords_report", Doc: "What is written at the end of a run, resume or retry."},
		{Name: "report.summary", At: AtTop, Gives: KindReport, Use: Function, Params: []Param{
			{"path", KindText, `"-"`, "as of the other reports"},
			{"by", KindTexts, "[]", "columns of the users; counts for each of their values"}}, Doc: "Counts, and what to do next, on standard output or in a file.",
			Example: `summary = report.summary("summary-{date}.txt", by = ["team"])`},
		{Name: "report.json", At: AtTop, Gives: KindReport, Use: Function, Params: append(columns(), split), Doc: "One JSON array." + rows,
			Example: `sip = report.json("sip.json", row = lambda r: {"user": r.user.login, "password": r.password})`},
		{Name: "report.jsonl", At: AtTop, Gives: KindReport, Use: Function, Params: append(columns(), split), Doc: "One JSON object a line." + rows,
			Example: `log = report.jsonl("result.jsonl", order = "apply")`},
		{Name: "report.csv", At: AtTop, Gives: KindReport, Use: Function, Params: append(append(columns(), csvParams...), split), Doc: "A CSV file with a header line." + rows,
			Example: `passwords = report.csv("passwords.csv", row = lambda r: {"login": r.user.login, "password": r.password})`},
		{Name: "report.html", At: AtTop, Gives: KindReport, Use: Function, Params: append(columns(), split), Doc: "A page for a browser; it shows no secret." + rows,
			Example: `page = report.html("report.html")`},
		{Name: "report.xlsx", At: AtTop, Gives: KindReport, Use: Function, Params: append(columns(), split), Doc: "A workbook for spreadsheets, whose values are text: no zero is lost, nothing is a formula." + rows,
			Example: `book = report.xlsx("passwords-{run}.xlsx", row = lambda r: {"login": r.user.login, "password": r.password}, split_by = "team")`},
		{Name: "report.letters", At: AtTop, Gives: KindReport, Use: Function, Later: "report.csv() and a mail merge", Params: append(columns(), split), Doc: "A letter a user."},
	}
}

func sourceEntries() []Entry {
	marks := []Param{
		{"secrets", KindTexts, "[]", "columns whose cells are secret"},
		{"optional", KindTexts, "[]", "secret columns whose cells may be empty"},
	}
	return []Entry{
		{Name: "csv", At: AtTop, Gives: KindSource, Rename: "accounts", Use: Function, Params: append([]Param{
			{"path", KindText, "", `relative to the working directory; "-" is standard input`},
			{"key", KindText, "", "the column that tells users apart"},
			{"columns", KindTexts, "None", "names of the columns of a file without a header line"},
			{"delimiter", KindText, `","`, "separator of values; None: that of the first line, which the plan says"},
			{"quote", KindText, `"\""`, "character around values; None: values are taken as they are"},
			{"types", KindTypes, "{}", `types of columns: "string", "int", "bool" or "date"`},
			marks[0], marks[1]},
			Param{"encoding", KindText, `"utf-8"`, "of the file"},
			Param{"may_lack", KindTexts, "[]", "columns that the file may lack, their cells are empty then; with columns, its last ones"},
			Param{"any_case", KindBool, "False", "the header line spells the columns in any case"},
			Param{"others", KindTypes, "{}", "columns that only another kind of file has, and how to read that"},
			Param{"skip_lines", KindInt, "0", "lines before the header, such as a title"},
			Param{"dedupe", KindText, "None", "\"first\" or \"last\": which row of a key is kept; None: a second one is refused"},
			Param{"date_format", KindText, `"YYYY-MM-DD"`, "how dates are written, of YYYY, MM or M, DD or D"},
			Param{"true", KindTexts, "[]", "words of the file that mean true, beside true, yes and 1"},
			Param{"false", KindTexts, "[]", "words that mean false, beside false, no and 0; \"\" is an empty cell"}),
			Doc:     "Users from a file of values between delimiters, as RFC 4180 has it: a quoted value may go over several lines. An empty cell of a column with a type other than string is None.",
			Example: `users = csv("users.csv", key = "login", delimiter = ";", types = {"enabled": "bool"}, secrets = ["temporary"])`},
		{Name: "jsonl", At: AtTop, Gives: KindSource, Rename: "accounts", Use: Function, Params: append([]Param{
			{"path", KindText, "", `relative to the working directory; "-" is standard input`},
			{"key", KindText, "", "the name whose value tells users apart"}}, marks...),
			Doc: "Users from a file with one JSON object a line.", Example: `users = jsonl("users.jsonl", key = "login")`},
		{Name: "rows", At: AtTop, Gives: KindSource, Rename: "accounts", Use: Function, Params: append([]Param{
			{"list", KindList, "", "of strings, the keys, or of dicts"},
			{"key", KindText, "", "the column that tells users apart"}}, marks...),
			Doc: "Users that stand in the script.", Example: `users = rows([{"login": "ann", "team": "it-ops"}, {"login": "bob", "team": "sales"}], key = "login")`},
		{Name: "concat", At: AtTop, Gives: KindSource, Rename: "everybody", Many: "sources", Use: Function,
			Doc: "Several sources, one after the other; all have the same columns.", Example: `users = concat(rows(["ann"], key = "login"), rows(["bob"], key = "login"))`},
		{Name: "xlsx", At: AtTop, Gives: KindSource, Rename: "accounts", Use: Function, Params: append([]Param{
			{"path", KindText, "", "of the workbook, relative to the working directory"},
			{"key", KindText, "", "the column that tells users apart"},
			{"sheet", KindText, "None", "its name; None: the first that is not hidden"},
			{"types", KindTypes, "{}", `types of columns: "string", "int", "bool" or "date"`}},
			append(marks[:2:2],
				Param{"may_lack", KindTexts, "[]", "columns that the sheet may lack, their cells are empty then"},
				Param{"any_case", KindBool, "False", "the header row spells the columns in any case"},
				Param{"skip_lines", KindInt, "0", "rows before the header, such as a title"},
				Param{"dedupe", KindText, "None", "\"first\" or \"last\": which row of a key is kept; None: a second one is refused"},
				Param{"date_format", KindText, `"YYYY-MM-DD"`, "how dates in cells of text are written, of YYYY, MM or M, DD or D"},
				Param{"true", KindTexts, "[]", "words of the sheet that mean true, beside true, yes and 1"},
				Param{"false", KindTexts, "[]", "words that mean false, beside false, no and 0; \"\" is an empty cell"})...),
			Doc:     "Users from a sheet of a workbook (xlsx). Texts stay as they are, numbers and dates are what types say; a problem has the place of its cell.",
			Example: `users = xlsx("users.xlsx", key = "login", sheet = "Staff", types = {"hired": "date"}, secrets = ["temporary"])`},
	}
}

func valueEntries() []Entry {
	text := Param{"text", KindText, "", "the text to search"}
	pattern := Param{"pattern", KindText, "", "in the syntax of RE2"}
	return []Entry{
		{Name: "struct", At: Anywhere, Gives: KindStruct, Rename: "record", More: "fields", Use: Function, Doc: "A value with named fields that do not change.",
			Example: `team = struct(name = "it-ops", size = 4)`},
		{Name: "days_ago", At: Anywhere, Gives: KindDate, Rename: "limit", Use: Function, Params: []Param{
			{"date", KindDate, "", "the day to count from"}, {"days", KindInt, "", "how many days before it; below zero: after it"}},
			Doc:     "The day so many days before a date.",
			Example: "today = param.date(\"today\", default = \"2026-01-31\")\nlimit = days_ago(today, 90)"},
		{Name: "json", At: Anywhere, Use: Namespace, Rename: "data", Doc: "JSON texts. A secret is refused."},
		{Name: "json.encode", At: Anywhere, Gives: KindText, Use: Function, Params: []Param{{"value", KindAny, "", "what becomes JSON"}},
			Doc: "The JSON text of a value; names are sorted.", Example: `text = json.encode({"team": "it-ops", "size": 4})`},
		{Name: "json.decode", At: Anywhere, Gives: KindAny, Use: Function, Params: []Param{
			{"text", KindText, "", "in JSON"}, {"default", KindAny, Unset, "returned for text that is not JSON; without it such text is an error"}},
			Doc: "The value of a JSON text.", Example: `teams = json.decode("[\"it-ops\", \"sales\"]")`},
		{Name: "json.indent", At: Anywhere, Gives: KindText, Use: Function, Params: []Param{
			{"text", KindText, "", "in JSON"}, {"prefix", KindText, `""`, "before each line"}, {"indent", KindText, `"\t"`, "for each level"}},
			Doc: "A JSON text on several lines.", Example: `text = json.indent("{\"a\": [1, 2]}", indent = "  ")`},
		{Name: "re", At: Anywhere, Use: Namespace, Rename: "pattern", Doc: "Regular expressions in the syntax of RE2, whose time grows with the text only."},
		{Name: "re.match", At: Anywhere, Gives: KindMatch, Use: Function, Params: []Param{pattern, text},
			Doc: "A match at the start of the text, or None. m[0] is what matched, m[1] a group, m[\"name\"] a named one; m.groups has all, m.start and m.end say where.", Example: `first = re.match("([a-z]+)-", "it-ops")[1]`},
		{Name: "re.search", At: Anywhere, Gives: KindMatch, Use: Function, Params: []Param{pattern, text},
			Doc: "The first match anywhere in the text, or None.", Example: `digits = re.search("[0-9]+", "room 17")[0]`},
		{Name: "re.findall", At: Anywhere, Gives: KindList, Use: Function, Params: []Param{pattern, text},
			Doc: "Every match: its text, or its only group, or a tuple of its groups.", Example: `words = re.findall("[a-z]+", "it-ops, sales")`},
		{Name: "re.sub", At: Anywhere, Gives: KindText, Use: Function, Params: []Param{pattern,
			{"replacement", KindText, "", `\1 and \g<name> stand for groups`}, text, {"count", KindInt, "0", "maximum number of replacements; 0: all"}},
			Doc: "The text with its matches replaced.", Example: `login = re.sub("[^a-z0-9]", "", "it-ops 7")`},
		{Name: "re.split", At: Anywhere, Gives: KindTexts, Use: Function, Params: []Param{pattern, text, {"maxsplit", KindInt, "0", "maximum number of splits; 0: all"}},
			Doc: "The text between the matches.", Example: `parts = re.split("[;,] *", "ann; bob, eve")`},
	}
}
