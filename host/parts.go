package host

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"time"
	"unicode"

	"github.com/rekey-host/rekey/host/diag"
	"github.com/rekey-host/rekey/host/ledger"
	"github.com/rekey-host/rekey/host/report"
	"github.com/rekey-host/rekey/host/source"
	"github.com/rekey-host/rekey/host/workflow"
)

// maxParts is how many files a report may be split into: each is open until the
// last user.
const maxParts = 500

// parts are the files of a report that is split by a column.
type parts struct {
	column int
	by     map[string]*sheet // by value
	names  map[string]bool   // of files, folded
	order  []*sheet
}

// columnAt finds a column that users are told apart by in files for people.
func columnAt(schema source.Schema, argument, name string) (int, error) {
	at := schema.Index(name)
	switch {
	case at < 0:
		var names []string
		for _, column := range schema.Columns {
			names = append(names, column.Name)
		}
		fix := cmp.Or(diag.DidYouMean(name, names), "name one of "+strings.Join(names, ", "))
		return 0, errors.New(diag.Problem{Message: fmt.Sprintf("report: %s: the users have no column %q", argument, name), Fix: fix}.Text())
	case schema.Columns[at].Secret:
		return 0, fmt.Errorf("%s: column %q is secret", argument, name)
	}
	return at, nil
}

// pathFor is the path of a report of a run. A run to be has no id yet.
func pathFor(path string, head ledger.Header) string {
	if head.ID != "" {
		path = strings.ReplaceAll(path, "{run}", head.ID)
	}
	return strings.ReplaceAll(path, "{date}", head.Created.UTC().Format(time.DateOnly))
}

func (p *reporter) pathOf(spec workflow.ReportSpec) string {
	return pathFor(spec.Path, p.session.run.Header())
}

// beginParts begins a report that is split.
func (p *reporter) beginParts(i int, spec workflow.ReportSpec) *sheet {
	made := &sheet{index: i, spec: spec, to: p.pathOf(spec), parts: &parts{by: map[string]*sheet{}, names: map[string]bool{}}}
	made.parts.column, made.err = columnAt(p.builder.Schema, "split_by", spec.SplitBy)
	return made
}

// part returns the file of a user's value.
func (p *reporter) part(whole *sheet, result *report.Result) *sheet {
	value := ""
	if cell := result.Row.Cells[whole.parts.column]; cell != nil {
		value = fmt.Sprint(cell)
	}
	known := whole.parts.by[value]
	switch {
	case known != nil:
		return known
	case len(whole.parts.order) == maxParts:
		return &sheet{err: fmt.Errorf("split_by: column %q has more than %d values", whole.spec.SplitBy, maxParts)}
	}
	made := p.begin(whole.index, whole.spec, partPath(whole.to, whole.parts.name(value)))
	whole.parts.by[value] = made
	whole.parts.order = append(whole.parts.order, made)
	return made
}

// endParts puts the files of a report in their places; without one that is sound
// it puts none.
func (p *reporter) endParts(whole *sheet) {
	if whole.err != nil {
		p.errs = append(p.errs, fmt.Errorf("report %s is not written: %w", whole.to, whole.err))
	}
	for _, part := range whole.parts.order {
		if whole.err == nil {
			p.end(part)
		} else if part.file != nil {
			part.file.Abort()
		}
	}
}

// partPath puts a name before the end of a path: list.csv.age is list-name.csv.age.
func partPath(path, name string) string {
	rest, sealed := strings.CutSuffix(path, ".age")
	end := filepath.Ext(rest)
	path = strings.TrimSuffix(rest, end) + "-" + name + end
	if sealed {
		path += ".age"
	}
	return path
}

// name is a file's name for a value, which no other value has: where it is not
// the value itself, it ends in a digest of that.
func (p *parts) name(value string) string {
	const longest = 80
	name := strings.Map(func(letter rune) rune {
		if unicode.IsLetter(letter) || unicode.IsDigit(letter) || strings.ContainsRune("._-", letter) {
			return letter
		}
		return '-'
	}, value)
	if runes := []rune(name); len(runes) > longest {
		name = string(runes[:longest])
	}
	if value == "" {
		name = "empty"
	}
	if name != value || p.names[diag.Fold(name)] {
		sum := sha256.Sum256([]byte(value))
		name += "-" + hex.EncodeToString(sum[:4])
	}
	p.names[diag.Fold(name)] = true
	return name
}
