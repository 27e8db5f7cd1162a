package host

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"net/url"
	"path/filepath"
	"slices"
	"strings"

	"github.com/rekey-host/rekey/host/journal"
	"github.com/rekey-host/rekey/host/ledger"
)

// change is how a backend differs from what a run has on record.
type change struct {
	label string
	moved bool // to another target
	what  string
	undo  string // how to go on without it
}

// changes compares the backends of a run with those that it would go on with.
// A new label that no user has used yet counts as unchanged.
func changes(was, now []journal.BackendPin) []change {
	var list []change
	for _, old := range was {
		i := slices.IndexFunc(now, func(pin journal.BackendPin) bool { return pin.Label == old.Label })
		if i < 0 {
			list = append(list, change{old.Label, true, fmt.Sprintf("backend %q was %s, and the script has none now", old.Label, target(old)), "restore it"})
			continue
		}
		list = append(list, changesOf(old, now[i])...)
	}
	return list
}

func changesOf(old, now journal.BackendPin) []change {
	var list []change
	add := func(moved bool, undo, format string, args ...any) {
		list = append(list, change{old.Label, moved, fmt.Sprintf(format, args...), undo})
	}
	if !old.SameTarget(now) {
		add(true, "restore it", "backend %q was %s, and is %s now", old.Label, target(old), target(now))
	}
	switch {
	case old.Name != now.Name:
	case old.Version != now.Version:
		add(false, "use that version", "it was planned with %s %s, this is %s", now.Name, old.Version, now.Version)
	case old.Served != now.Served:
		add(false, "use that one", "it was planned with %s %s, %s; this is %s", now.Name, old.Version, served(old), served(now))
	case old.Digest != now.Digest:
		add(false, "use that version", "it was planned with %s %s %s, this is %s", now.Name, now.Version, program(old), program(now))
	case old.Definition != now.Definition:
		add(false, "restore it", "the definition of backend %q has changed: it was %s, and is %s now", old.Label, definitionOf(old), definitionOf(now))
	}
	if wider := widened(old, now); len(wider) > 0 {
		add(false, "undo that", "the plugin of backend %q may now use more: %s", old.Label, strings.Join(wider, ", "))
	}
	return list
}

// served is where a plugin runs, as messages tell it.
func served(pin journal.BackendPin) string { return cmp.Or(pin.Served, "started by rekey") }

// program is an executable as messages tell it from another of its version.
func program(pin journal.BackendPin) string {
	if pin.Digest == "" {
		return "of no SHA-256 on record"
	}
	return "of SHA-256 " + pin.Digest[:min(16, len(pin.Digest))] + "…"
}

// definitionOf is a definition as messages tell it from another.
func definitionOf(pin journal.BackendPin) string {
	if pin.Definition == "" {
		return "none"
	}
	return "SHA-256 " + pin.Definition[:min(16, len(pin.Definition))] + "…"
}

// target is what a backend reaches, as messages show it.
func target(pin journal.BackendPin) string {
	var values map[string]any
	if json.Unmarshal([]byte(pin.Target()[len(pin.Name)+1:]), &values) != nil || len(values) == 0 {
		return pin.Name
	}
	var parts []string
	for _, name := range slices.Sorted(maps.Keys(values)) {
		parts = append(parts, fmt.Sprintf("%s = %s", name, shownSetting(values[name])))
	}
	return pin.Name + "(" + strings.Join(parts, ", ") + ")"
}

// shownSetting is a setting without the password that a URL may hold.
func shownSetting(value any) string {
	text, isText := value.(string)
	if !isText {
		return fmt.Sprint(value)
	}
	if address, err := url.Parse(text); err == nil && address.User != nil {
		text = address.Redacted()
	}
	return fmt.Sprintf("%q", text)
}

// widened lists what a plugin may use now and might not before. One that was
// not confined might use everything.
func widened(old, now journal.BackendPin) []string {
	if !old.Confined {
		return nil
	}
	if !now.Confined {
		return []string{"everything, without --sandbox"}
	}
	return slices.DeleteFunc(slices.Clone(now.Grants), func(text string) bool {
		return slices.ContainsFunc(old.Grants, func(had string) bool { return covers(had, text) })
	})
}

// covers reports whether a grant includes another.
func covers(had, grant string) bool {
	kind, what, _ := strings.Cut(grant, " ")
	hadKind, hadWhat, _ := strings.Cut(had, " ")
	switch {
	case had == grant:
		return true
	case kind == "connect" || hadKind == "connect" || kind == "write" && hadKind == "read":
		return false
	}
	rel, err := filepath.Rel(hadWhat, what)
	return err == nil && filepath.IsLocal(rel)
}

// notMadeAnew refuses to go on where a file that a backend works on was there
// and is not now: that of a password list would be made anew, and who is not of
// this run would be missing in it.
func notMadeAnew(run *ledger.Run, was, now []journal.BackendPin) error {
	if !slices.ContainsFunc(now, func(pin journal.BackendPin) bool { return len(pin.Absent) > 0 }) {
		return nil
	}
	given, err := byBackend(run, ledger.Given)
	if err != nil {
		return err
	}
	for _, pin := range now {
		for _, path := range pin.Absent {
			seen := slices.ContainsFunc(was, func(old journal.BackendPin) bool { return slices.Contains(old.There, path) })
			switch count := given[pin.Label]; {
			case count > 0:
				return goneFile(run, pin, path, countedUsers(count)+" got a value there")
			case seen:
				return goneFile(run, pin, path, "it was there when the run was planned")
			}
		}
	}
	return nil
}

func goneFile(run *ledger.Run, pin journal.BackendPin, path, why string) error {
	return &UsageError{Message: fmt.Sprintf("run %s: backend %q: %s is gone, and %s", run.ID(), pin.Label, path, why),
		Fix: "put the file back, then rekey resume " + run.ID()}
}

// samePins refuses changed backends, or returns what of the change has to be
// recorded because it is accepted. Where a user's values are, or may be, a label
// keeps its target: another system would get them, and the report and a revert
// would speak of the wrong one.
func samePins(run *ledger.Run, now []journal.BackendPin, runOptions RunOptions) (accepted []string, err error) {
	was, err := run.Backends()
	if err != nil {
		return nil, err
	}
	list := changes(was, now)
	if err := unmoved(run, list); err != nil {
		return nil, err
	}
	if err := notMadeAnew(run, was, now); err != nil {
		return nil, err
	}
	for _, change := range list {
		accepted = append(accepted, change.what)
	}
	if len(list) > 0 && !runOptions.AcceptChange {
		return nil, &UsageError{Message: fmt.Sprintf("run %s: %s", run.ID(), strings.Join(accepted, "; and ")), Fix: undo(list) + ", or give --accept-change"}
	}
	return accepted, nil
}

// undo is how to go on without the changes: whoever accepts accepts them all.
func undo(list []change) string {
	for _, change := range list[1:] {
		if change.undo != list[0].undo {
			return "undo that"
		}
	}
	return list[0].undo
}

// unmoved refuses another target for a label in use.
func unmoved(run *ledger.Run, list []change) error {
	if !slices.ContainsFunc(list, func(c change) bool { return c.moved }) {
		return nil
	}
	used, err := byBackend(run, ledger.Used)
	if err != nil {
		return err
	}
	for _, change := range list {
		if count := used[change.label]; change.moved && count > 0 {
			return &UsageError{Message: fmt.Sprintf("run %s: %s; %s got a value there, or may have", run.ID(), change.what, countedUsers(count)),
				Fix: "leave the label its target and use another for the new one, or start a new run with --new"}
		}
	}
	return nil
}

func countedUsers(count int64) string {
	if count == 1 {
		return "1 user"
	}
	return fmt.Sprintf("%d users", count)
}

// byBackend counts users by the labels that labels finds in their histories.
func byBackend(run *ledger.Run, labels func([]journal.Record) []string) (map[string]int64, error) {
	count := map[string]int64{}
	err := run.Each(ledger.Filter{}, ledger.OrderApply, func(user ledger.User) error {
		for _, label := range labels(user.History) {
			count[label]++
		}
		return nil
	})
	return count, err
}

// BackendLine is one backend of a run, as --json prints it.
type BackendLine struct {
	Label    string          `json:"label"`
	Name     string          `json:"name"` // of the plugin
	Version  string          `json:"version"`
	SHA256   string          `json:"sha256,omitempty"`            // of its file; none for a backend in rekey itself
	Defined  string          `json:"definition_sha256,omitempty"` // of the file that defines the backend
	Target   json.RawMessage `json:"target"`                      // the settings that name its target
	Confined bool            `json:"confined"`                    // to the grants
	Served   string          `json:"served,omitempty"`            // where the plugin runs, if rekey does not start it
	Grants   []string        `json:"grants,omitempty"`
}

// backendLines are pins as they are shown.
func backendLines(pins []journal.BackendPin) []BackendLine {
	lines := make([]BackendLine, 0, len(pins))
	for _, pin := range pins {
		reaches := json.RawMessage(pin.Target()[len(pin.Name)+1:])
		if !json.Valid(reaches) {
			reaches = json.RawMessage("{}")
		}
		lines = append(lines, BackendLine{pin.Label, pin.Name, pin.Version, pin.Digest, pin.Definition, reaches, pin.Confined, pin.Served, pin.Grants})
	}
	return lines
}
