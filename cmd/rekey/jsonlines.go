package main

import (
	"bytes"
	"io"
	"slices"
	"strings"

	"github.com/hashicorp/go-hclog"
)

// jsonLines turns the lines that people read into those of the log, so that with
// --log-format json whoever reads standard error reads one JSON object a line:
// the log's own, which pass as they are, and rekey's messages, whatever the
// level of REKEY_LOG is; their name tells them apart: rekey.messages.
type jsonLines struct {
	to   io.Writer
	log  hclog.Logger
	rest []byte // of an unfinished line
	open bool   // pass what does not end its line: a question at a terminal
}

func newJSONLines(to io.Writer, terminal bool) *jsonLines {
	return &jsonLines{to: to, open: terminal, log: hclog.New(&hclog.LoggerOptions{Name: "rekey.messages", Level: hclog.Trace, Output: to, JSONFormat: true})}
}

// Write writes the lines that have ended.
func (j *jsonLines) Write(data []byte) (int, error) {
	j.rest = append(j.rest, data...)
	for {
		line, rest, ended := bytes.Cut(j.rest, []byte("\n"))
		if !ended {
			break
		}
		j.line(string(line))
		j.rest = rest
	}
	if j.open && len(j.rest) > 0 {
		_, err := j.to.Write(j.rest)
		j.rest = nil
		return len(data), err
	}
	return len(data), nil
}

func (j *jsonLines) line(text string) {
	if strings.HasPrefix(text, `{"@`) {
		_, _ = io.WriteString(j.to, text+"\n")
		return
	}
	text = strings.TrimPrefix(text, "rekey: ")
	level := hclog.Info
	for prefix, is := range map[string]hclog.Level{"warning: ": hclog.Warn, complaint: hclog.Error} {
		if rest, found := strings.CutPrefix(text, prefix); found {
			text, level = rest, is
		}
	}
	if text != "" {
		j.log.Log(level, text)
	}
}

// complaint marks a line that says why a command fails; it is not shown.
const complaint = "\x00"

// asJSONLine is a message as a line of the log.
func asJSONLine(text []byte) []byte {
	var line bytes.Buffer
	_, _ = newJSONLines(&line, false).Write(text)
	return line.Bytes()
}

// wantsJSONLog is what --log-format says in a wrong command line.
func wantsJSONLog(args []string) bool {
	at := slices.Index(args, "--log-format")
	return slices.Contains(args, "--log-format=json") || at >= 0 && at+1 < len(args) && args[at+1] == "json"
}
