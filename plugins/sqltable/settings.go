package sqltable

import (
	"strings"
	"unicode/utf8"

	"github.com/rekey-host/rekey/plugins/internal/reach"
	"github.com/rekey-host/rekey/sdk"
	"github.com/rekey-host/rekey/sdk/secret"
)

// How the time of a change is written.
const (
	asTimestamp = "timestamp"
	asUnix      = "unix"
	asMillis    = "milliseconds"
)

// settings of one instance, checked.
type settings struct {
	reach.Place
	engine
	path     string
	database string
	user     string
	password secret.Value
	layout
	hasher
	sessions        string // the statement that ends those of an account; "": none is given
	accounts        int    // how often the account stands in it
	replaceUnusable bool
	concurrency     int
}

// layout is what the table looks like.
type layout struct {
	schema, table, key, column, data string
	where                            string
	mustChange                       string
	mustChangeValues                 []string
	updated, updatedAs               string
	extra                            []assignment
}

type assignment struct{ column, value string }

func newSettings(config sdk.Config) (settings, error) {
	made := settings{path: config.Text("path"), database: config.Text("database"), user: config.Text("user"), password: config.Secret("password"),
		replaceUnusable: config.Bool("replace_unusable"), concurrency: max(config.Concurrency, 1)}
	var err error
	if made.engine, err = engineOf(config.Text("engine")); err != nil {
		return settings{}, err
	}
	if made.Place, err = made.engine.place(config); err != nil {
		return settings{}, err
	}
	if made.layout, err = newLayout(config); err != nil {
		return settings{}, err
	}
	if made.sessions, made.accounts, err = sessionsOf(config, made.engine); err != nil {
		return settings{}, err
	}
	made.hasher, err = newHasher(config)
	if err == nil && (made.hasher.format == keycloak) != (made.data != "") {
		err = sdk.Errorf(sdk.InvalidConfig, "data_column: %s has two columns, and it alone", keycloak)
	}
	return made, err
}

func newLayout(config sdk.Config) (layout, error) {
	made := layout{schema: config.Text("schema"), table: config.Text("table"), key: config.Text("key"), column: config.Text("column"), data: config.Text("data_column"),
		where: config.Text("where"), mustChange: config.Text("must_change_column"), mustChangeValues: config.List("must_change_values"),
		updated: config.Text("updated_column"), updatedAs: config.Text("updated_as")}
	for _, text := range config.List("set") {
		column, value, ok := strings.Cut(text, "=")
		if !ok {
			return layout{}, sdk.Errorf(sdk.InvalidConfig, `set: %q is not "COLUMN=VALUE"`, text)
		}
		made.extra = append(made.extra, assignment{strings.TrimSpace(column), value})
	}
	if made.mustChangeValues == nil {
		made.mustChangeValues = []string{"1", "0"}
	}
	if len(made.mustChangeValues) != 2 {
		return layout{}, sdk.Errorf(sdk.InvalidConfig, "must_change_values: want two, for yes and for no")
	}
	return made, made.check()
}

// check refuses names that are none, and columns that are written twice.
func (l layout) check() error {
	required := map[string]string{"table": l.table, "key": l.key, "column": l.column}
	given := map[string]string{"schema": l.schema, "table": l.table, "key": l.key, "column": l.column, "data_column": l.data, "must_change_column": l.mustChange, "updated_column": l.updated}
	for setting, name := range given {
		switch _, must := required[setting]; {
		case must && name == "":
			return sdk.Errorf(sdk.InvalidConfig, "%s: missing", setting)
		case !utf8.ValidString(name) || strings.ContainsRune(name, 0):
			return sdk.Errorf(sdk.InvalidConfig, "%s: %q is no name", setting, name)
		}
	}
	written := map[string]bool{l.key: true}
	for _, name := range append([]string{l.column, l.data, l.mustChange, l.updated}, l.extraColumns()...) {
		if name != "" && written[name] {
			return sdk.Errorf(sdk.InvalidConfig, "column %q: it is the key, or written twice", name)
		}
		written[name] = true
	}
	return nil
}

func (l layout) extraColumns() []string {
	var names []string
	for _, assignment := range l.extra {
		names = append(names, assignment.column)
	}
	return names
}
