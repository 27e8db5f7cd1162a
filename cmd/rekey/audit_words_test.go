package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rekey-host/rekey/host/hashlog"
)

// TestAuditSaysWhatItDidNotCompare, with an unsigned tail too.
func TestAuditSaysWhatItDidNotCompare(t *testing.T) {
	for _, c := range []struct {
		name   string
		result auditResult
		warns  bool
	}{
		{"signed", auditResult{OK: true, Complete: true, ConsistencyOnly: true}, true},
		{"a process that was killed", auditResult{OK: true, Complete: true, ConsistencyOnly: true, Unsigned: 2, tail: hashlog.TailKilled}, true},
		{"a process that applies", auditResult{OK: true, Complete: true, ConsistencyOnly: true, Unsigned: 2, tail: hashlog.TailRunning}, true},
		{"with a checkpoint", auditResult{OK: true, Complete: true}, false},
		{"with a checkpoint and a tail", auditResult{OK: true, Complete: true, Unsigned: 2, tail: hashlog.TailKilled}, false},
		{"a part", auditResult{OK: true}, false},
		{"broken", auditResult{Complete: true, ConsistencyOnly: true}, false},
	} {
		f, err := os.Create(filepath.Join(t.TempDir(), "out"))
		if err != nil {
			t.Fatal(err)
		}
		_ = showAudit(&app{cli: &cli{}, process: process{stdout: results(f)}}, c.result)
		text, err := os.ReadFile(f.Name())
		_ = f.Close()
		if warned := strings.Contains(string(text), "nothing kept elsewhere was compared"); err != nil || warned != c.warns {
			t.Errorf("%s: warned %v, want %v:\n%s", c.name, warned, c.warns, text)
		}
	}
}
