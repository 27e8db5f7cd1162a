package host

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode"

	"github.com/rekey-host/rekey/host/journal"
	"github.com/rekey-host/rekey/host/ledger"
)

// Event is one line of rekey log: something that was done to a run, or that happened
// to it. It holds no value, and of users no more than reveal was asked for.
type Event struct {
	Run          string            `json:"run"`
	Record       int64             `json:"record"` // its place in the run's hash log
	At           string            `json:"at"`     // UTC
	Event        string            `json:"event"`  // opened, planned, started, held, approved, stopped, ended, revealed, reported, accepted, forgot, cancelled, settled, pruning, pruned
	OSUser       string            `json:"os_user,omitempty"`
	Host         string            `json:"host,omitempty"`
	PID          int               `json:"pid,omitempty"`
	Requestor    string            `json:"requestor,omitempty"`
	SourceSystem string            `json:"source_system,omitempty"`
	Command      string            `json:"command,omitempty"` // of started: run, resume, retry
	Script       string            `json:"script,omitempty"`  // of opened, with what follows
	ScriptSHA256 string            `json:"script_sha256,omitempty"`
	Params       map[string]string `json:"params,omitempty"`
	Rekey        string            `json:"rekey_version,omitempty"`
	Backends     []BackendLine     `json:"backends,omitempty"` // of opened, and accepted since
	Counts       map[string]int64  `json:"counts,omitempty"`   // of planned
	Wave         string            `json:"wave,omitempty"`
	State        journal.State     `json:"state,omitempty"`   // of ended
	Message      string            `json:"message,omitempty"` // why, or what
	Facts        map[string]string `json:"facts,omitempty"`
	Happened     []string          `json:"happened,omitempty"` // of ended: what happened to backends
}

// eventOf is the event that a record about the run tells of.
func eventOf(head ledger.Header, record journal.Record) Event {
	detail := record.Detail
	event := Event{Run: head.ID, Record: record.Index, At: record.At.UTC().Format("2006-01-02T15:04:05.000000Z"), Event: record.Kind.String(),
		OSUser: detail.OSUser, Host: detail.Host, PID: detail.PID, Requestor: detail.Requestor, SourceSystem: detail.SourceSystem,
		Command: detail.Command, Counts: detail.Counts, Wave: detail.Wave, State: detail.State, Message: detail.Message, Facts: detail.Facts, Happened: detail.Events}
	if len(detail.Backends) > 0 {
		event.Backends = backendLines(detail.Backends)
	}
	if record.Kind == journal.Opened || record.Kind == journal.Planned {
		event.OSUser, event.Host, event.Requestor, event.SourceSystem = head.OSUser, head.Host, head.Requestor, head.SourceSystem
	}
	if record.Kind == journal.Opened {
		event.Script, event.ScriptSHA256, event.Params, event.Rekey = head.Script, fmt.Sprintf("%x", sha256.Sum256(head.ScriptText)), head.Params, head.Version
		event.Backends = backendLines(head.Backends)
	}
	return event
}

// Text is what was done, in words, without who did it.
func (e Event) Text() string {
	var parts []string
	add := func(format string, args ...any) { parts = append(parts, fmt.Sprintf(format, args...)) }
	switch {
	case e.Script != "":
		add("%s", e.Script)
		if e.ScriptSHA256 != "" {
			add("SHA-256 %.12s", e.ScriptSHA256)
		}
	case e.Command != "":
		add("%s, process %d", e.Command, e.PID)
	case e.Wave != "":
		add("wave %s", e.Wave)
	case e.State != "":
		add("%s", e.State)
	}
	for _, name := range slices.Sorted(maps.Keys(e.Params)) {
		add("%s=%s", name, e.Params[name])
	}
	for _, name := range slices.Sorted(maps.Keys(e.Counts)) {
		add("%s: %d", name, e.Counts[name])
	}
	for _, name := range slices.Sorted(maps.Keys(e.Facts)) {
		switch value := e.Facts[name]; {
		case value == "" || e.Script != "": // those of a script are its plugins, and its key
		case name == "sha256":
			add("SHA-256 %.12s", value)
		default:
			add("%s %s", strings.ReplaceAll(name, "_", " "), value)
		}
	}
	switch {
	case e.Message != "" && e.OSUser != "" && e.State == "": // somebody's
		add("reason: %s", e.Message)
	case e.Message != "":
		add("%s", e.Message)
	}
	if e.SourceSystem != "" {
		add("from %s", e.SourceSystem)
	}
	return onOneLine(strings.Join(parts, ", "))
}

// Who is who did it, and on whose behalf.
func (e Event) Who() string {
	who := e.OSUser
	if e.Host != "" {
		who += "@" + e.Host
	}
	if e.Requestor != "" {
		who += " for " + e.Requestor
	}
	return onOneLine(who)
}

// onOneLine leaves no sign in a text that would make another line, or another column, of it.
func onOneLine(text string) string {
	return strings.Map(func(letter rune) rune {
		if unicode.IsControl(letter) || letter == '\u2028' || letter == '\u2029' {
			return '\uFFFD'
		}
		return letter
	}, text)
}

// Events calls event for what was done to a run and what happened to it, in the order of
// its log. With "" it does so for every run of the state directory, the oldest first.
func (h *Host) Events(name string, event func(Event) error) error {
	if name != "" {
		return h.eventsOf(name, event)
	}
	list, err := h.store.Runs()
	if err != nil {
		return err
	}
	if err := h.prunedEvents(event); err != nil {
		return err
	}
	for _, run := range slices.Backward(list) {
		if run.Err != nil {
			h.notices.warn("run %s cannot be read: %s", run.Header.ID, run.Err)
			continue
		}
		if err := h.eventsOf(run.Header.ID, event); err != nil {
			return err
		}
	}
	return nil
}

func (h *Host) eventsOf(name string, event func(Event) error) error {
	run, err := h.runs().rest(name)
	if err != nil {
		return err
	}
	defer run.Close()
	acts, err := run.Acts()
	if err != nil {
		return whatIsLost(run, err)
	}
	for _, record := range acts {
		if err := event(eventOf(run.Header(), record)); err != nil {
			return err
		}
	}
	return whatIsLost(run, nil)
}

// prunedEvents tells of the runs that have no log any more.
func (h *Host) prunedEvents(event func(Event) error) error {
	return h.store.Pruned(func(line []byte) error {
		var pruned Pruned
		if err := json.Unmarshal(line, &pruned); err != nil {
			return nil // half a line, of a process that was killed
		}
		name := "pruning"
		if pruned.Gone {
			name = "pruned"
		}
		return event(Event{Run: pruned.Run, At: pruned.PrunedAt, Event: name, OSUser: pruned.PrunedBy, Requestor: pruned.Requestor, Script: pruned.Script,
			Message: pruned.Reason, Facts: map[string]string{"head": pruned.Audit.Head, "last": pruned.Last}})
	})
}
