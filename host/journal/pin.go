package journal

import (
	"cmp"
	"encoding/json"
	"maps"
	"reflect"
	"slices"
)

// BackendPin is one configured backend.
type BackendPin struct {
	Name       string `json:"name"` // of the plugin
	Label      string `json:"label"`
	Version    string `json:"version,omitempty"`
	Digest     string `json:"digest,omitempty"`     // SHA-256 of the executable in hex; "" of a backend in rekey itself
	Config     string `json:"config,omitempty"`     // JSON without secrets
	Definition string `json:"definition,omitempty"` // SHA-256 of the file that defines the backend, in hex; "": none does
	Reaches    string `json:"reaches,omitempty"`    // what of Config says which accounts it reaches, as JSON

	There  []string `json:"there,omitempty"`  // of the paths in Reaches, those that led to something
	Absent []string `json:"absent,omitempty"` // and those that did not

	Confined bool     `json:"confined,omitempty"` // to the grants
	Served   string   `json:"served,omitempty"`   // where the plugin runs, if rekey does not start it
	Grants   []string `json:"grants,omitempty"`   // "connect 636", "read /etc/x", "write /srv/y"
}

// Target tells systems apart over runs: two pins with the same plugin and the
// same settings reach the same accounts, whatever they are labelled.
func (p BackendPin) Target() string { return p.Name + " " + cmp.Or(p.Reaches, p.Config) }

// SameTarget reports whether both reach the same accounts. Equal settings
// do where their plugins differ in which of them say so.
func (p BackendPin) SameTarget(backendPin BackendPin) bool {
	return p.Target() == backendPin.Target() || p.Name == backendPin.Name && p.Config == backendPin.Config && !slices.Equal(p.reached(), backendPin.reached())
}

// reached are the names of the settings that say what the backend reaches.
func (p BackendPin) reached() []string {
	var values map[string]json.RawMessage
	if json.Unmarshal([]byte(p.Reaches), &values) != nil {
		return nil
	}
	return slices.Sorted(maps.Keys(values))
}

// Equal reports whether both are the same in every respect.
func (p BackendPin) Equal(backendPin BackendPin) bool {
	same := slices.Equal(p.Grants, backendPin.Grants) && slices.Equal(p.There, backendPin.There) && slices.Equal(p.Absent, backendPin.Absent)
	p.Grants, backendPin.Grants, p.There, backendPin.There, p.Absent, backendPin.Absent = nil, nil, nil, nil, nil, nil
	return same && reflect.DeepEqual(p, backendPin)
}
