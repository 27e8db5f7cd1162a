package workflow

import (
	"errors"
	"slices"
	"strings"
	"unicode/utf8"

	"go.starlark.net/starlark"

	"github.com/rekey-host/rekey/host/diag"
	"github.com/rekey-host/rekey/host/source"
	"github.com/rekey-host/rekey/host/workflow/lang"
)

// sourceValue is a source of users in a script. Scripts cannot iterate it: the
// host does.
type sourceValue struct {
	source  source.Source
	unknown bool // nothing can be said of its columns: it depends on a parameter without a value
	stdin   bool // looking at its columns would read standard input
}

func (s *sourceValue) String() string {
	if s.source == nil {
		return "source"
	}
	return "source of " + s.source.Name()
}

func (s *sourceValue) Type() string          { return "source" }
func (s *sourceValue) Freeze()               {}
func (s *sourceValue) Truth() starlark.Bool  { return true }
func (s *sourceValue) Hash() (uint32, error) { return 0, errors.New("a source is no key") }

// sourceFunctions are what the names of sources do.
func sourceFunctions() map[string]function {
	return map[string]function{
		"csv":    evalCSV,
		"jsonl":  evalJSONL,
		"xlsx":   evalXLSX,
		"rows":   evalRows,
		"concat": evalConcat,
	}
}

func evalCSV(args *arguments) (starlark.Value, error) {
	csvOptions := source.CSVOptions{Path: args.path("path"), Key: args.text("key"), Columns: args.texts("columns"), Delimiter: args.text("delimiter"),
		Types: columnTypes(args), Secrets: args.texts("secrets"), Optional: args.texts("optional"), MayLack: args.texts("may_lack"), AnyCase: args.value("any_case") == starlark.True, Encoding: args.text("encoding"), Others: otherKinds(args), Files: args.in.sourceFiles(),
		SkipLines: args.number("skip_lines", 0), Detect: args.value("delimiter") == starlark.None, Forms: formsOf(args)}
	if args.value("quote") != starlark.None {
		letter, size := utf8.DecodeRuneInString(args.text("quote"))
		if size != len(args.text("quote")) || size == 0 {
			args.badValue("quote", "write one character, or None", "quote = %q is not one character", args.text("quote"))
		}
		csvOptions.Quote = &letter
	}
	if csvOptions.Delimiter == "" && !csvOptions.Detect {
		args.badValue("delimiter", `write one character, such as ";" or "\t"`, `delimiter = "" is not one character`)
	}
	if args.has("columns") && len(csvOptions.Columns) == 0 {
		args.badValue("columns", "", "columns is empty")
	}
	if rows := args.in.opts.Rows; rows != nil {
		csvOptions.Files.Text = csvText(rows, csvOptions)
	}
	src, err := source.CSV(csvOptions)
	return sourceOf(args, dedupe(args, src), err)
}

// formsOf reads how a file writes days and truth values.
func formsOf(args *arguments) source.Forms {
	return source.Forms{Date: args.text("date_format"), True: args.texts("true"), False: args.texts("false")}
}

// dedupe reads which row of a key is kept.
func dedupe(args *arguments, users source.Source) source.Source {
	if !args.has("dedupe") {
		return users
	}
	return source.Dedupe(users, source.Keep(args.choice("dedupe", string(source.First), string(source.Last))))
}

// types reads types = {"enabled": "bool"}.
func columnTypes(args *arguments) map[string]source.Type {
	dict, ok := args.value("types").(*starlark.Dict)
	if !ok {
		return nil
	}
	known := []string{"string", "int", "bool", "date"}
	types := map[string]source.Type{}
	for _, item := range dict.Items() {
		column, text := textOf(item[0]), textOf(item[1])
		if !slices.Contains(known, text) {
			fix := diag.DidYouMean(text, known)
			if fix == "" {
				fix = "write " + lang.Listed(lang.Quoted(known))
			}
			args.badValue("types", fix, "types: %q of column %q is no type", text, column)
			continue
		}
		types[column] = source.Type(text)
	}
	return types
}

// others are the files of other kinds that csv() was told of.
func otherKinds(args *arguments) (kinds []source.OtherKind) {
	dict, ok := args.value("others").(*starlark.Dict)
	if !ok {
		return nil
	}
	for _, item := range dict.Items() {
		kinds = append(kinds, source.OtherKind{Column: textOf(item[0]), Fix: textOf(item[1])})
	}
	return kinds
}

func evalXLSX(args *arguments) (starlark.Value, error) {
	src, err := source.XLSX(source.XLSXOptions{Path: args.path("path"), Sheet: args.text("sheet"), Key: args.text("key"), Types: columnTypes(args), Secrets: args.texts("secrets"), Optional: args.texts("optional"),
		MayLack: args.texts("may_lack"), AnyCase: args.value("any_case") == starlark.True, SkipLines: args.number("skip_lines", 0), Forms: formsOf(args), Files: args.in.sourceFiles()})
	return sourceOf(args, dedupe(args, src), err)
}

func evalJSONL(args *arguments) (starlark.Value, error) {
	files := args.in.sourceFiles()
	if rows := args.in.opts.Rows; rows != nil {
		files.Text = jsonlText(rows, args.text("key"))
	}
	src, err := source.JSONL(source.JSONLOptions{Path: args.path("path"), Key: args.text("key"), Secrets: args.texts("secrets"),
		Optional: args.texts("optional"), Files: files})
	return sourceOf(args, src, err)
}

func evalRows(args *arguments) (starlark.Value, error) {
	all, _ := elements(args.value("list"))
	items := make([]any, len(all))
	if rows := args.in.opts.Rows; rows != nil {
		items, all = rows, nil
	}
	for i, value := range all {
		item, err := goValue(value, true)
		if err != nil {
			args.bad("list", "", "element %d: %s", i+1, err)
			return &sourceValue{unknown: true}, nil
		}
		items[i] = item
	}
	if !isStringsOrDicts(items) {
		args.bad("list", "", "list: want strings or dicts")
		return &sourceValue{unknown: true}, nil
	}
	src, err := source.List(source.ListOptions{Items: items, Key: args.text("key"), Secrets: args.texts("secrets"), Optional: args.texts("optional")})
	return sourceOf(args, src, err)
}

func isStringsOrDicts(items []any) bool {
	for _, value := range items {
		switch value.(type) {
		case string, map[string]any:
		default:
			return false
		}
	}
	return true
}

func evalConcat(args *arguments) (starlark.Value, error) {
	made := &sourceValue{}
	var parts []source.Source
	for i, value := range args.many {
		s, ok := value.(*sourceValue)
		if !ok {
			args.bad("", "", "argument %d: %s", i+1, mismatch(lang.KindSource, value))
			continue
		}
		made.unknown, made.stdin = made.unknown || s.unknown, made.stdin || s.stdin
		if s.source != nil {
			parts = append(parts, s.source)
		}
	}
	if len(args.problems) > 0 {
		return &sourceValue{unknown: true}, nil
	}
	if len(parts) < len(args.many) {
		return made, nil
	}
	src, err := source.Concat(parts...)
	noteSource(args, err)
	made.source = src
	return made, nil
}

// source notes mistakes in a source's options.
func sourceOf(args *arguments, users source.Source, err error) (starlark.Value, error) {
	loose := args.unresolved("")
	if !loose {
		noteSource(args, err)
	}
	made := &sourceValue{source: users, unknown: err != nil}
	if i := args.entry.Index("path"); i >= 0 {
		named := args.entry.Index("columns") >= 0 && args.has("columns")
		made.stdin = args.text("path") == "-" && !named
		made.unknown = made.unknown || loose && isPlaceholder(args, "path") || args.text("path") == ""
	}
	if i := args.entry.Index("list"); i >= 0 {
		made.unknown = made.unknown || args.unresolved("list")
	}
	return made, nil
}

// isPlaceholder reports whether an argument depends on a parameter not yet
// even a default.
func isPlaceholder(args *arguments, arg string) bool {
	return args.unresolved(arg) && args.text(arg) == ""
}

// sourceProblems notes what a constructor says, at the call.
func noteSource(args *arguments, err error) {
	var list *diag.Problems
	switch {
	case err == nil:
	case errors.As(err, &list):
		for _, problem := range list.List {
			message := problem.Message
			if problem.File != "" {
				message = diag.Problem{File: problem.File, Line: problem.Line, Message: message}.String()
			}
			args.bad("", problem.Fix, "%s", strings.TrimPrefix(message, args.entry.Name+": "))
		}
	default:
		args.bad("", "", "%s", err)
	}
}
