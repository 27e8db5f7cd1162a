// Package file is the backend of configuration files that hold a password which
// a program reads: the value at one place is replaced, and nothing else.
//
// It knows the formats, and how to replace a file so that a crash leaves the old
// one or the new. It knows nothing of the programs that read it, beyond how they
// are told.
package file

import (
	"context"
	"path/filepath"
	"syscall"

	"github.com/rekey-host/rekey/plugins/internal/run"
	"github.com/rekey-host/rekey/sdk"
)

// Backend makes instances, one file each. The zero Backend is ready for use and is
// what New returns.
type Backend struct{}

// New returns a Backend.
func New() *Backend { return &Backend{} }

const doc = `An account is a place in the file, which exists already:

format      account                     how a value is written
env         DB_PASSWORD                 as it is, in the quotes that are there
ini         database/password           as it is, in the quotes that are there; outside
                                        of sections: password
json        /database/password          a JSON string (the place is an RFC 6901 pointer)
yaml        /database/password          in quotes, so that 0123 or no stays a text
properties  spring.datasource.password  with the escapes of Java's Properties
pgpass      db:5432:*:app               with \: and \\ ; the place is the first four fields
template    value                       the file is made anew from template, which has
                                        {value} once

Programs do not agree how .env and INI files are to be read, so env, ini and template
take letters, digits and . _ - + / : @ , = only. Another value is refused
(PolicyViolation) before anything is written, and generated ones are made to fit. A
place that is there twice is Ambiguous. What cannot be told for sure is no place: values
of several lines, behind which a comment stands, with escapes (env, ini), with an
anchor, a tag or no text (yaml). Write a plain text in one line there first.

Everything else stays byte for byte: order, comments, blanks, line ends. The file is
locked (flock on its directory), read again under the lock, written beside itself (0600
from the first byte), synced and renamed into place; mode, owner and access lists are
kept, a symbolic link keeps leading there. A file with hard links is refused: the others
would keep the old value.

What goes with a value, such as the name of its account, is written with it, in the same
replacement of the file (a place with a = in its name cannot be meant):

    step.set(env, "DB_PASSWORD", value, options = {"also": ["DB_USER=app_b"]})

Which account the file has now, step.find tells of the places that names has, which
says that they are no secret: each by its exact name, none that is called like a password,
and a set or change of one is refused. What find tells stands in the ledger in clear:

    env = backend("file", path = "/srv/app/.env", format = "env", names = ["DB_USER"])
    step.find(env, "DB_USER").id    # "app_a"

A change replaces the old value and no other: a file that holds something else is not
what the script takes it for (WrongCurrentPassword).

Then the program is told: reload is a command, by its absolute path and without a shell
(its file may be written by nobody but root and the user of rekey); or signal is sent to
the process whose number is in pid_file. It is told again where the value is there
already. If that fails the value is in the file all the same, and the outcome is unknown:
the next attempt tells the program again, and until then verify cannot tell. That holds
too where rekey or its plugin was killed in between: a mark beside the file (.NAME.untold-…,
with the place in it) is there from before the value is written until the program was
told; check and plan name those that are left, and resume sets the value again, which
tells the program. What reload leaves running in its process
group is ended with it: start a program by its service manager, or with setsid.

With --sandbox neither reload nor pid_file can be used.

WHAT SUCCESS PROVES: that a parser of the format reads the value at the place, and that
reload ended with exit 0 or the signal was sent. verify reads the file, too. That the
program logs in with it is for a step on the backend whose password it is.

accounts() lists the places; the filter is a shell pattern of them.

Example:

    backend("file", path = "/srv/app/.env", format = "env", reload = ["/bin/systemctl", "reload", "app"])`

// The formats, by their names.
const (
	formatEnv        = "env"
	formatINI        = "ini"
	formatJSON       = "json"
	formatYAML       = "yaml"
	formatProperties = "properties"
	formatPgpass     = "pgpass"
	formatTemplate   = "template"
)

// signals are those that programs take for a reload, by their names.
var signals = map[string]syscall.Signal{"HUP": syscall.SIGHUP, "INT": syscall.SIGINT, "TERM": syscall.SIGTERM, "USR1": syscall.SIGUSR1, "USR2": syscall.SIGUSR2}

// Describe returns what an instance can do.
func (*Backend) Describe() sdk.Description {
	return sdk.Description{
		Name:       "file",
		Version:    "1.0.0",
		Summary:    "configuration files that hold a password: .env, INI, JSON, YAML, properties, pgpass, templates",
		Doc:        doc,
		Config:     fields(),
		Options:    []sdk.Field{{Name: "also", Type: sdk.List, Doc: "further places that are written with the value: \"PLACE=TEXT\""}},
		Verbs:      []sdk.Verb{sdk.Set, sdk.Change},
		ReplaySafe: []sdk.Verb{sdk.Set, sdk.Change},
		Abilities:  sdk.AbilitiesOf((*Instance)(nil)),
		MustChange: new(false),
		Limits:     sdk.Limits{Concurrency: 8},
		Paths:      []string{"write {path}", "{template}", "{pid_file}", "run {reload}"},
		Target:     []string{"path", "format"},
	}
}

func fields() []sdk.Field {
	return []sdk.Field{
		{Name: "path", Type: sdk.Path, Required: true, Doc: "the file"},
		{Name: "format", Type: sdk.Choice, Required: true, Choices: []string{formatEnv, formatINI, formatJSON, formatYAML, formatProperties, formatPgpass, formatTemplate}, Doc: "how it is written"},
		{Name: "template", Type: sdk.Path, Doc: "format template: the file that has {value} once"},
		{Name: "reload", Type: sdk.List, Doc: "a program to run after the file was written, by its absolute path, and its arguments", Conflicts: []string{"pid_file"}},
		{Name: "pid_file", Type: sdk.Path, Doc: "a file with the number of the process that gets signal after the file was written"},
		{Name: "signal", Type: sdk.Choice, Default: "HUP", Choices: []string{"HUP", "INT", "TERM", "USR1", "USR2"}, Doc: "what it gets"},
		{Name: "names", Type: sdk.List, Doc: "places that hold the name of an account, and no secret, by their exact names: find tells as id what is there"},
		{Name: "min_length", Type: sdk.Int, Default: 1, Doc: "the fewest characters of a value"},
	}
}

// Configure opens an instance. The file is met by Check and by the operations.
func (*Backend) Configure(_ context.Context, config sdk.Config) (sdk.Instance, error) {
	made := &Instance{path: config.Text("path"), minLength: config.Int("min_length"), names: config.List("names"), pidFile: config.Text("pid_file"), signal: signals[config.Text("signal")]}
	made.format = map[string]format{formatEnv: envFormat, formatINI: iniFormat, formatJSON: jsonFormat{}, formatYAML: yamlFormat{},
		formatProperties: properties{}, formatPgpass: pgpass{}, formatTemplate: template{config.Text("template")}}[config.Text("format")]
	reload := config.List("reload")
	switch {
	case made.path == "":
		return nil, sdk.Errorf(sdk.InvalidConfig, "path: missing")
	case made.format == nil:
		return nil, sdk.Errorf(sdk.InvalidConfig, "format: %q is none", config.Text("format"))
	case (config.Text("format") == formatTemplate) != (config.Text("template") != ""):
		return nil, sdk.Errorf(sdk.InvalidConfig, "template: belongs to format template, which needs it")
	case made.signal == 0:
		return nil, sdk.Errorf(sdk.InvalidConfig, "signal: %q is none of HUP, INT, TERM, USR1, USR2", config.Text("signal"))
	case len(reload) > 0 && !filepath.IsAbs(reload[0]):
		return nil, sdk.Errorf(sdk.InvalidConfig, "reload: %q is no absolute path", reload[0])
	case made.minLength < 0:
		return nil, sdk.Errorf(sdk.InvalidConfig, "min_length: %d is below 0", made.minLength)
	}
	if failure := refuseNames(made.names, config.Text("format")); failure != nil {
		return nil, failure
	}
	if len(reload) > 0 {
		made.reload = &run.Program{Name: "reload", Path: reload[0], Args: reload[1:], Env: run.Environment(), Most: 64 << 10}
	}
	return made, nil
}
