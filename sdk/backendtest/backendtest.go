// Package backendtest is the conformance kit of backends: it finds out whether
// one keeps the contract of package sdk, as it stands and over the wire, and
// names the broken promise.
//
// An author writes one function, which makes a target with a few accounts, and
// one test:
//
//	func TestConformance(t *testing.T) {
//		backendtest.Run(t, backendtest.Options{Backend: New(), Target: target})
//	}
//
//	func target(t testing.TB) backendtest.Target {
//		server := startServer(t, "ann", "bob", "cy") // ended by t.Cleanup
//		return backendtest.Target{
//			Config:   sdk.Config{Values: map[string]any{"url": server.URL}},
//			Accounts: []string{"ann", "bob", "cy"},
//			Holds:    func(account, _, value string) bool { return server.Logon(account, value) },
//			Missing:  "missing",
//			Refusing: map[string]sdk.Code{"lou": sdk.AccountStatus},
//			Weak:     "short",
//			Down:     server.Close,
//			Server:   server.Address, Setting: "url", // the kit cuts what goes there
//		}
//	}
//
// A plugin's program, in Go or in any other language, is tested as it
// will run:
//
//	backendtest.RunExecutable(t, backendtest.Options{Target: target}, "./rekey-backend-example")
//	backendtest.RunExecutable(t, backendtest.Options{Target: target}, backendtest.Build(t, "./cmd/rekey-backend-example"))
//
// sdk/examples has a whole backend of a hundred lines with its test, once in Go
// and once in Python.
//
// What the backend's Description and the Target say decides which checks there
// are; each is a subtest that depends on no other, on a target of its own. They
// are about:
//
//	describe      the same at every call, complete, secrets typed as such
//	abilities     those declared, and no others
//	config        wrong settings are named; instances share nothing
//	set, change,  the target has the value, all of it, and only that account's
//	reset, unlock,
//	revoke
//	refuse        missing, locked and protected accounts, weak and remembered
//	              values, nonsense and hostile names: by their codes, and the
//	              value from before is still there
//	replay        a second attempt does not do it twice, nor undo it
//	concurrency,  many at once; late and cancelled ones tell the truth
//	deadline,
//	batch
//	verify, find, reading agrees with the target; a list is never cut
//	list, policy, in silence
//	generate,
//	check, down,  a target that is gone, or that is cut off at any moment of an
//	faults        operation, is told as such, and what was refused is done when
//	              it is asked again
//	leaks         no secret in an answer, a log line, on standard error, in an
//	              argument, the environment or a file left behind, in any of
//	              eleven forms, and no six characters of one
//	close         what runs is waited for, and nothing is left behind
//	wire          strangers are refused, each operation is answered once, in time
//	process       the handshake, standard output, the end of the host
//
// The kit believes answers only if the target agrees: it asks Target.Holds or,
// without it, the backend's own Verify through another instance. It knows
// nothing of any particular target.
package backendtest

import (
	"path/filepath"
	"testing"
	"time"

	"github.com/rekey-host/rekey/sdk"
)

// Options is what the kit has to know.
type Options struct {
	// Backend is the one under test; not used by RunExecutable.
	Backend sdk.Backend
	// Target makes a fresh target. It is called at least once a check and
	// cleans up by t.Cleanup. Two targets are independent of each other.
	Target func(t testing.TB) Target
	// Patience is how long one call may take before it counts as hanging.
	// 0: 30 seconds.
	Patience time.Duration
	// Confine is how the process of RunExecutable is confined to what its description
	// asks for with the settings of one instance; an error where that cannot be. It is
	// asked with neither first: of a process that only describes itself. Nil: nothing
	// confines it.
	Confine func(description sdk.Description, config sdk.Config) (Confinement, error)
	// Report is told what came of each promise, in order and one at a time, but for those
	// that go test -run leaves out; by Run twice, of the backend as it stands and over the
	// wire.
	Report func(Promise)
}

// Promise is what came of one promise of the contract.
type Promise struct {
	Name     string   // as set/takes effect
	Kept     bool     // it was tried, and nothing was wrong
	Problems []string // what was
	Why      string   // it was not tried: why it does not apply
}

// Confinement starts a program so that it can use its grants and no more.
type Confinement struct {
	// Grants are what it may use, as people read them. The instances with the same ones
	// share a process.
	Grants []string
	// Line is the command line that starts the program, given as its own, with a
	// directory that it may write to.
	Line func(scratch string, program []string) []string
}

// Target is one system with accounts. Only Config and Accounts are required;
// what else is filled in adds checks.
type Target struct {
	// Config is what Configure gets. Label, Concurrency, Timeout, Log and the
	// defaults of the Description are filled in if they are missing.
	Config sdk.Config
	// Accounts are at least three accounts that may be set.
	Accounts []string
	// Present is the value that they have now. Required where the backend can
	// change but not set.
	Present string
	// Kind is the credential that the checks are about. "": the first that the
	// Description declares.
	Kind string
	// Value returns the nth good value, from 0; all are different. Nil: 20
	// characters with letters of either case, a digit and a symbol, no two
	// alike beside each other.
	Value func(n int) string
	// Values are those of kinds whose values have to look otherwise, such as
	// the digits of a PIN.
	Values map[string]func(n int) string
	// Holds looks at the target, past the backend, whether it accepts the
	// value for the account. Nil: the backend's Verify is asked.
	Holds func(account, kind, value string) bool

	// Missing is an account that does not exist and is not made by a set.
	Missing string
	// Refusing are accounts that must not be set, and the code of the refusal:
	// AccountStatus, Protected, NoCredential, …
	Refusing map[string]sdk.Code
	// Aliases are further names of accounts: by the name, the account's own.
	Aliases map[string]string
	// Locked is an account that an Unlock makes usable.
	Locked string
	// Session logs an account in with its value, past the backend, and returns
	// what asks that session whether it is still open. Nil: a Revoke is tried
	// without one.
	Session func(account, value string) (open func() bool)
	// Own is the account that Config logs in as, and OwnValue its password: a
	// Handover gives it another one, and this one back.
	Own, OwnValue string
	// Weak is a value that the target's policy refuses.
	Weak string
	// History says that the target refuses values that an account had before.
	History bool
	// Hashed are values by hash format: their hash, and the verdict of a verify.
	Hashed map[string]Hashed
	// Options are given to every set, by the name of the option.
	Options map[string]any
	// Wrong are settings that Configure has to refuse.
	Wrong []Wrong
	// Down takes the target away, for good.
	Down func()
	// Away takes the target away, and returns what brings it back as it was. Nil: the
	// kit does so where it has Server.
	Away func() (back func())
	// Server is the address of the target's server on this machine, such as
	// "127.0.0.1:5432", and Setting the field of Config that holds it, as a URL, an
	// address, a list of them, or the port as a number. The kit then stands between
	// the two, and cuts, holds and drops what they say.
	Server, Setting string
	// Unverifiable says that Verify works for another Kind than this one, and
	// has to say so: CannotTell, or Unsupported. Holds is needed then.
	Unverifiable bool
	// Lacks are declared abilities that an instance with this Config has not.
	Lacks []sdk.Ability
}

// Hashed is one value given as a hash.
type Hashed struct{ Hash, Value string }

// Wrong is a setting that makes no sense: the error has to be InvalidConfig, or
// InsecureTransport, and to name the field.
type Wrong struct {
	Field string
	Value any // replaces the field of Config.Values; nil removes it
}

// Run checks a backend as it stands ("direct") and over the wire, served by a
// child process ("wire"). The child is this test binary: it calls the test
// again, up to Run, so that what the test does before is done there too.
func Run(t *testing.T, options Options) {
	t.Helper()
	serveIfChild(t, options)
	t.Run("direct", func(t *testing.T) { runAll(t, options, &direct{backend: options.Backend}) })
	t.Run("wire", func(t *testing.T) { runWire(t, options, self(t)) })
}

// RunExecutable checks a plugin of any language over the wire. path is its
// executable, args its arguments. The process gets what a host would give it:
// no standard input, the root as its working directory, an environment of PATH,
// HOME, TMPDIR and LANG, a directory for its socket.
func RunExecutable(t *testing.T, options Options, path string, args ...string) {
	t.Helper()
	path, err := filepath.Abs(path)
	if err != nil {
		t.Fatal(err)
	}
	c := command{path: path, args: args}
	if options.Confine != nil {
		if c.confinement, err = options.Confine(sdk.Description{}, sdk.Config{}); err != nil {
			t.Fatal(err)
		}
	}
	runWire(t, options, c)
}

// runWire runs every check over the wire, and those of the process itself.
func runWire(t *testing.T, options Options, c command) {
	t.Helper()
	plugin := startWired(t, c)
	plugin.confine = options.Confine
	runAll(t, options, plugin)
	for _, check := range []struct {
		name string
		look func(command) []string
	}{
		{"process/ends with its host", withoutHost},
		{"process/says what it is if started by hand", byHand},
		{"process/leaves an interrupt to its host", interrupted},
	} {
		options.try(t, check.name, func(testing.TB) []string { return check.look(c) })
	}
}

// runAll runs every check that applies as a subtest.
func runAll(t *testing.T, options Options, plugin plugin) {
	t.Helper()
	if options.Patience == 0 {
		options.Patience = 30 * time.Second
	}
	description, err := describe(options, plugin)
	if err != nil {
		t.Fatalf("Describe: %v\n%s", err, plugin.logged())
	}
	stage := sceneOf(options, plugin, description, options.Target(t))
	for _, check := range checks() {
		if lacks := check.lacks(stage); lacks != "" {
			options.tell(Promise{Name: check.name, Why: lacks})
			continue
		}
		options.try(t, check.name, func(t testing.TB) []string { return check.try(t, options, plugin, description) })
	}
}

// try runs one check as a subtest, and reports what came of it.
func (o Options) try(t *testing.T, name string, look func(t testing.TB) []string) {
	t.Helper()
	came, asked := Promise{Name: name}, false
	t.Run(name, func(t *testing.T) {
		asked = true
		defer func() { came.Kept = !t.Failed() }()
		came.Problems = look(t)
		for _, problem := range came.Problems {
			t.Error(problem)
		}
	})
	if asked {
		o.tell(came)
	}
}

func (o Options) tell(came Promise) {
	if o.Report != nil {
		o.Report(came)
	}
}
