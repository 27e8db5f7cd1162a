package workflow

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"io/fs"
	"slices"
	"time"

	"github.com/rekey-host/rekey/host/diag"
	"github.com/rekey-host/rekey/host/journal"
	"github.com/rekey-host/rekey/host/password"
	"github.com/rekey-host/rekey/host/source"
	"github.com/rekey-host/rekey/host/workflow/tree"
	"github.com/rekey-host/rekey/sdk"
	"github.com/rekey-host/rekey/sdk/secret"
)

// Options say which script to load, and how much of the world it may see.
type Options struct {
	Path     string // of the script; relative to WorkDir, or "@rekey/…", an embedded one
	Embedded fs.FS  // what ships with rekey; nil: nothing does
	// Kept is a script and its modules as a ledger has them, in the order of
	// Workflow.Files; nil: they are read from Path. The sources of a kept
	// script are not looked at.
	Kept []File

	Blind bool // nor are the sources of this one

	Params map[string]string // the text of each NAME=VALUE
	// Placeholders evaluates with stand-ins for parameters without a value,
	// as rekey check and rekey docs do: what depends on one is checked for its
	// type only, and a source file may be missing.
	Placeholders bool
	// Library takes a script that does not call workflow() for a file that others
	// load. Check alone looks at such.
	Library bool
	// above is how many directories above that of a library the one is that modules
	// are named relative to: that of the script which loads it.
	above int

	// Rows stand for the rows of each source that the script opens: texts are keys,
	// else map[string]any by column. nil: sources are read.
	Rows []any
	// Coverage counts what is executed of the script; nil: nothing does.
	Coverage *Coverage

	WorkDir string    // that sources are relative to; "": the process's
	Home    string    // that "~/" at the start of a path stands for; "": none
	Stdin   io.Reader // users of csv("-"); nil: none

	// Describe returns what a backend says of itself; BackendNames are those
	// that there are, for suggestions.
	Describe     func(name, definition string) (sdk.Description, error) // definition: the setting of that name; "": it is not given
	BackendNames []string

	Print  io.Writer // gets SCRIPT:LINE: text of print(); nil: dropped
	Lister func(label string) Lister
	Limits Limits

	// Fatal is required. It is called, at most once a hook call, with the line
	// about a hook that does not end although it was cancelled, and has to end
	// the process: nothing else stops that hook.
	Fatal func(line string)
	Run   func() string // being applied, which that line says how to go on with; "" or nil: none
}

// File is one script or module as it was loaded.
type File struct {
	Name   string // Options.Path of the script; what load() calls a module
	Text   []byte
	SHA256 string // in hex
}

// exported is a file as a ledger keeps it.
func exported(file *tree.File) File {
	sum := sha256.Sum256(file.Text)
	return File{Name: file.Name, Text: file.Text, SHA256: hex.EncodeToString(sum[:])}
}

// Spec is what a script says of its workflow.
type Spec struct {
	Name string // Options.Path
	Doc  string // the text at the top of the script
	// Users is nil, and so is what follows, if Options.Placeholders and the
	// script cannot be evaluated to its end without values.
	Users       source.Source
	Backends    []BackendSpec // in the order of their backend() calls
	Default     string        // label of workflow(backend =); "": none
	OrderBy     []string
	Waves       []journal.WaveRule // one, "all", if the script has none
	HasSelect   bool
	HasWave     bool
	HasRotate   bool
	Policy      *password.Spec // nil: wishes only
	Concurrency int            // 0: the plugin's
	Revert      bool           // on_failure = "revert"
	Reports     []ReportSpec
	Params      []Param // in the order of their declaration
	Files       []File  // the script first
	Warnings    []diag.Problem
	Given       []string          // columns whose values users get, as far as can be seen
	Used        []string          // columns whose values are given to steps as passwords, old ones too
	Forms       map[string]string // of the columns of them that hold hashes, the form
}

// BackendSpec is one backend(): checked against its Description, defaults
// filled in. Secrets are not read yet.
type BackendSpec struct {
	Name, Label string
	Rate        float64 // operations a second; 0: the plugin's
	Concurrency int     // 0: the plugin's
	Timeout     time.Duration
	Attempts    int
	Patience    time.Duration
	Values      map[string]any // as in sdk.Config; paths as written
	Secrets     map[string]SecretRef
}

// SecretRef says where a secret is to be read, when a plugin that needs it is
// configured.
type SecretRef struct {
	Kind  string       // env, file, prompt, command, credential or literal
	Name  string       // of the variable, the file as written, the prompt's label, the command's words, the credential
	Argv  []string     // of a command
	Value secret.Value // of a literal
}

// sameSource reports whether two secrets are read at one place.
func (r SecretRef) sameSource(other SecretRef) bool {
	return r.Kind == other.Kind && r.Name == other.Name && slices.Equal(r.Argv, other.Argv)
}

// ReportSpec is one report.
type ReportSpec struct {
	Kind      string // summary, or the name of a format
	Path      string // as written, .age appended if it is encrypted; "" of a summary on standard output
	Order     string // source or apply
	EncryptTo []string
	HasRow    bool     // ReportRow makes its rows
	Columns   []string // of its rows, where the text of the row function tells; nil: it does not

	Delimiter string   // of csv; "": a comma
	Mark      bool     // of csv: it begins with the byte order mark of UTF-8
	Text      []string // of csv: columns that spreadsheets take for text

	SplitBy string   // a column of the users: one file for each of its values; "": one file
	By      []string // of a summary: columns whose values it counts
}

// Param is one declared parameter.
type Param struct {
	Name    string
	Type    string  // string, int, bool, path, duration, date, choice, list or json
	Default *string // as it would be given; nil: one has to be
	Choices []string
	Help    string
	Given   bool
}

// Lister lists the accounts of one backend: *launch.Instance. Of the attributes
// the secrets arrive as the target has them, all else scrubbed.
type Lister interface {
	Accounts(ctx context.Context, filter string, attributes, secrets []string, yield func(sdk.Account) error) error
}
