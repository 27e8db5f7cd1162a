package ledger

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/rekey-host/rekey/host/hashlog"
	"github.com/rekey-host/rekey/host/journal"
)

// Header is what a run was planned from. It never changes; its digest stands
// in the run's first record.
type Header struct {
	ID         string               `json:"id"`
	Script     string               `json:"script"`
	ScriptText []byte               `json:"script_text,omitempty"`
	Modules    []Module             `json:"modules,omitempty"`
	Params     map[string]string    `json:"params,omitempty"`
	Backends   []journal.BackendPin `json:"backends,omitempty"`
	Sources    []SourcePin          `json:"sources,omitempty"`
	Schema     []byte               `json:"schema,omitempty"`   // of the source, opaque here
	Waves      []byte               `json:"waves,omitempty"`    // the rules of the waves, opaque here
	Settings   []byte               `json:"settings,omitempty"` // opaque here

	Requestor    string    `json:"requestor,omitempty"`
	SourceSystem string    `json:"source_system,omitempty"`
	OSUser       string    `json:"os_user,omitempty"`
	Host         string    `json:"host,omitempty"`
	Version      string    `json:"version,omitempty"` // of rekey
	Created      time.Time `json:"created"`           // UTC; set by Draft if zero
	Recipients   []string  `json:"recipients,omitempty"`
}

// Module is one loaded file of a script.
type Module struct {
	Name   string `json:"name"`
	Text   []byte `json:"text,omitempty"`
	SHA256 string `json:"sha256,omitempty"`
}

// SourcePin is one file of users.
type SourcePin struct {
	Name   string `json:"name"`
	SHA256 string `json:"sha256,omitempty"`
	Stdin  bool   `json:"stdin,omitempty"`
}

// encode returns the header's JSON and the digest of it.
func (h *Header) encode() (text []byte, digest string, err error) {
	text, err = json.Marshal(h)
	return text, digestOf(text), err
}

func digestOf(text []byte) string {
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:])
}

func decodeHeader(text []byte) (Header, error) {
	var h Header
	if err := json.Unmarshal(text, &h); err != nil {
		return h, hashlog.NotAsWritten("header: %w", err)
	}
	return h, nil
}

// ofRun names the run in an error.
func ofRun(id string, err error) error {
	var held *LockedError
	if errors.As(err, &held) {
		return &LockedError{Run: id, PID: held.PID}
	}
	if strings.HasPrefix(err.Error(), "run "+id+": ") { // it is named already
		return err
	}
	return fmt.Errorf("run %s: %w", id, err)
}
