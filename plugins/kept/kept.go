// Package kept is what the conformance kit finds of the bundled backends: the promises
// of the contract that each keeps, and those that do not apply to it. The tests of the
// backends write the files (go test ./plugins/... -run Contract -update) and fail when
// they find anything else.
package kept

import (
	"embed"
	"encoding/json"
	"errors"
	"io/fs"
)

//go:embed *.json
var files embed.FS

// Report is what the kit finds of one backend.
type Report struct {
	Kept    []string  `json:"kept"`
	Broken  []string  `json:"broken,omitempty"`
	LeftOut []LeftOut `json:"left_out,omitempty"`
}

// LeftOut is a promise that was not tried, and why it does not apply.
type LeftOut struct {
	Name string `json:"name"`
	Why  string `json:"why"`
}

// Of returns the report of a bundled backend, nil if it has none.
func Of(name string) (*Report, error) {
	text, err := files.ReadFile(name + ".json")
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	report := new(Report)
	return report, json.Unmarshal(text, report)
}
