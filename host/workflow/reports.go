package workflow

import (
	"errors"
	"path/filepath"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"

	"go.starlark.net/starlark"

	"github.com/rekey-host/rekey/host/workflow/lang"
)

// reportValue is what report.csv() and its like make.
type reportValue struct {
	spec ReportSpec
	row  *hook // nil: the default columns
}

func (r *reportValue) String() string        { return "report." + r.spec.Kind }
func (r *reportValue) Type() string          { return "report" }
func (r *reportValue) Freeze()               {}
func (r *reportValue) Truth() starlark.Bool  { return true }
func (r *reportValue) Hash() (uint32, error) { return 0, errors.New("a report is no key") }

func evalReportSummary(args *arguments) (starlark.Value, error) {
	made := &reportValue{spec: ReportSpec{Kind: "summary", Path: args.path("path"), Order: "source", By: args.texts("by")}}
	if made.spec.Path == "-" {
		made.spec.Path = ""
	} else {
		checkPath(args)
	}
	return made, nil
}

// placeholder is what a path may have in braces.
var placeholder = regexp.MustCompile(`\{[A-Za-z_]*\}`)

// checkPath notes what is wrong with the path of a report.
func checkPath(args *arguments) {
	path := args.path("path")
	if path == "" {
		args.badValue("path", "", "the path is empty")
	}
	for _, name := range placeholder.FindAllString(path, -1) {
		if name != "{run}" && name != "{date}" {
			args.badValue("path", "write {run} or {date}; split_by= makes one file for each value of a column", "path: there is no %s", name)
		}
	}
}

// evalReportCSV is report.csv(), which has arguments of its own.
func evalReportCSV(args *arguments) (starlark.Value, error) {
	value, err := evalReport(args)
	r, ok := value.(*reportValue)
	if err != nil || !ok {
		return value, err
	}
	r.spec.Mark = args.choice("encoding", "utf-8", "utf-8-sig") == "utf-8-sig"
	r.spec.Text = args.texts("text")
	delimiter := args.text("delimiter")
	if delimiter != "," {
		r.spec.Delimiter = delimiter
	}
	if letter, size := utf8.DecodeRuneInString(delimiter); size != len(delimiter) || letter == utf8.RuneError || letter == '"' || args.value("delimiter") == starlark.None || letter != '\t' && unicode.IsControl(letter) {
		args.badValue("delimiter", `write one character, such as ";" or "\t"`, "delimiter = %q is not one character that can stand between values", delimiter)
	}
	return r, nil
}

// evalReport is a report to a file; its entry names the format.
func evalReport(args *arguments) (starlark.Value, error) {
	kind := strings.TrimPrefix(args.entry.Name, "report.")
	made := &reportValue{spec: ReportSpec{Kind: kind, Path: args.path("path"), Order: args.choice("order", "source", "apply"), EncryptTo: args.texts("encrypt_to")}}
	checkPath(args)
	if made.spec.SplitBy = args.text("split_by"); made.spec.SplitBy != "" && made.spec.Path == "-" {
		args.badValue("split_by", "give it a path", "split_by makes several files, and standard output is one")
	}
	for _, to := range made.spec.EncryptTo {
		if !strings.HasPrefix(to, "age1") {
			fix := "a recipient begins with age1; rekey keygen makes one"
			if strings.HasPrefix(to, "ssh-") || strings.HasPrefix(to, "ecdsa-") {
				fix = "SSH keys are not supported: " + fix
			}
			args.badValue("encrypt_to", fix, "encrypt_to: %q is no age recipient", to)
		}
	}
	if len(made.spec.EncryptTo) > 0 && made.spec.Path != "-" && !strings.HasSuffix(made.spec.Path, ".age") && made.spec.Path != "" {
		made.spec.Path += ".age"
	}
	if args.has("row") {
		made.row = hookArgument(args, "row", lang.InRow, "r")
		if made.spec.HasRow = made.row != nil; made.spec.HasRow && args.in.opts.Coverage == nil { // a projection executes nothing
			made.row.projection = projectionOf(args.in.files, made.row.fn)
		}
	}
	return made, nil
}

// reports reads reports = [report.csv(…)].
func readReports(args *arguments) []*reportValue {
	all, given := elements(args.value("reports"))
	if !given {
		return []*reportValue{{spec: ReportSpec{Kind: "summary", Order: "source"}}}
	}
	var list []*reportValue
	taken := map[string]bool{}
	for _, value := range all {
		r := value.(*reportValue)
		path := filepath.Clean(r.spec.Path)
		if r.spec.Path != "" && taken[path] {
			args.badValue("reports", "give each a path of its own", "two reports are written to %q", r.spec.Path)
		}
		taken[path] = true
		list = append(list, r)
	}
	return list
}
