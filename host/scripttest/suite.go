package scripttest

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"go.starlark.net/starlark"
	"go.starlark.net/syntax"

	"github.com/rekey-host/rekey/host"
	"github.com/rekey-host/rekey/host/ledger"
)

// Options say which tests run, and how.
type Options struct {
	Path     string         // a file *_test.star, or a directory with such; "@rekey/…": one that ships with rekey, or all
	Run      *regexp.Regexp // of the names of the tests that run; nil: all do
	Parallel int            // how many at once; 0: one a processor
	Update   bool           // goldens are written and not compared

	// Config is what the hosts of the tests use of the machine; each has directories,
	// a clock, randomness and backends of its own.
	Config host.Config
	// Told is called after each test, one at a time; may be nil.
	Told func(Result)
}

// Result is what one test came to.
type Result struct {
	File    string
	Line    int // of the function
	Test    string
	Failure string // what failed, with its place; "": nothing did
	Printed string
	Took    time.Duration
}

// suffix is that of the names of test files.
const suffix = "_test.star"

// Run runs the tests of a path and returns their results, in the order of the files
// and of the tests in them. What keeps any test from running is an error.
func Run(ctx context.Context, options Options) ([]Result, error) {
	names, err := filesOf(options)
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp(scratch(), "rekey-test-")
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	machine := &machine{config: options.Config, key: filepath.Join(dir, "identity.txt"), fatal: options.Config.Fatal}
	if _, err := ledger.CreateIdentity(machine.key); err != nil {
		return nil, err
	}
	made := &suite{options: options, machine: machine}
	for _, name := range names {
		if err := made.load(ctx, name); err != nil {
			return nil, err
		}
	}
	return made.run(ctx), nil
}

// filesOf are the test files of a path.
func filesOf(options Options) ([]string, error) {
	if rest, embedded := strings.CutPrefix(options.Path, embeddedPrefix); embedded {
		if rest != "" && rest != "." {
			return []string{options.Path}, nil
		}
		list, err := fs.Glob(options.Config.Embedded, "*"+suffix)
		for i := range list {
			list[i] = embeddedPrefix + list[i]
		}
		return list, cmp.Or(err, none(list, options.Path))
	}
	info, err := os.Stat(options.Path)
	if err != nil {
		return nil, &host.UsageError{Message: fmt.Sprintf("%s: %s", options.Path, reason(err))}
	}
	if !info.IsDir() && !strings.HasSuffix(options.Path, suffix) {
		return nil, &host.UsageError{Message: fmt.Sprintf("%s is no file of tests: its name does not end in %s", options.Path, suffix), Fix: "name the one beside the script"}
	}
	if !info.IsDir() {
		return []string{options.Path}, nil
	}
	var list []string
	err = filepath.WalkDir(options.Path, func(path string, entry fs.DirEntry, err error) error {
		if err == nil && !entry.IsDir() && strings.HasSuffix(path, suffix) {
			list = append(list, path)
		}
		return err
	})
	return list, cmp.Or(err, none(list, options.Path))
}

// embeddedPrefix is the prefix of the names of files that ship with rekey.
const embeddedPrefix = "@rekey/"

func none(list []string, where string) error {
	if len(list) > 0 {
		return nil
	}
	return &host.UsageError{Message: fmt.Sprintf("%s: there is no file *%s", where, suffix), Fix: "write one beside the script: def test_…(t): …"}
}

func reason(err error) string {
	var at *fs.PathError
	if errors.As(err, &at) {
		return at.Err.Error()
	}
	return err.Error()
}

// suite is the tests of all files.
type suite struct {
	options Options
	machine *machine
	tests   []test
}

// test is one function of a file.
type test struct {
	file, name string
	dir        string
	call       *starlark.Function
}

// load evaluates a test file and takes its tests.
func (s *suite) load(ctx context.Context, name string) error {
	text, dir, err := s.read(name)
	if err != nil {
		return &host.UsageError{Message: fmt.Sprintf("%s: %s", name, reason(err))}
	}
	var printed lines
	globals, err := starlark.ExecFileOptions(&syntax.FileOptions{Set: true}, s.thread(ctx, &printed), name, text, nil)
	if err != nil {
		return &host.UsageError{Message: failureText(err)}
	}
	globals.Freeze()
	var found []test
	for name, value := range globals {
		call, ok := value.(*starlark.Function)
		if !ok || !strings.HasPrefix(name, "test_") {
			continue
		}
		if call.NumParams() != 1 {
			return &host.UsageError{Message: fmt.Sprintf("%s: %s has %d parameters", call.Position(), name, call.NumParams()), Fix: "write def " + name + "(t):"}
		}
		if s.options.Run == nil || s.options.Run.MatchString(name) {
			found = append(found, test{call.Position().Filename(), name, dir, call})
		}
	}
	slices.SortFunc(found, func(a, b test) int { return int(a.call.Position().Line) - int(b.call.Position().Line) })
	s.tests = append(s.tests, found...)
	return nil
}

// read returns the text of a test file, and where its scripts are.
func (s *suite) read(name string) (text []byte, dir string, err error) {
	if rest, embedded := strings.CutPrefix(name, embeddedPrefix); embedded {
		text, err = fs.ReadFile(s.options.Config.Embedded, rest)
		return text, path.Dir(name), err
	}
	if dir, err = filepath.Abs(filepath.Dir(name)); err != nil {
		return nil, "", err
	}
	text, err = os.ReadFile(name)
	return text, dir, err
}

// mostSteps is how many steps of the interpreter one test may take.
const mostSteps = 10_000_000

func (s *suite) thread(ctx context.Context, printed *lines) *starlark.Thread {
	thread := &starlark.Thread{Print: func(thread *starlark.Thread, text string) {
		at := thread.CallFrame(1).Pos
		_, _ = fmt.Fprintf(printed, "%s:%d: %s\n", at.Filename(), at.Line, text)
	}}
	thread.Load = func(*starlark.Thread, string) (starlark.StringDict, error) {
		return nil, errors.New("a test loads no file: it runs scripts, and its helpers stand in it")
	}
	thread.SetMaxExecutionSteps(mostSteps)
	context.AfterFunc(ctx, func() { thread.Cancel("interrupted") })
	return thread
}

// run runs the tests, several at once.
func (s *suite) run(ctx context.Context) []Result {
	results := make([]Result, len(s.tests))
	next := make(chan int)
	var all sync.WaitGroup
	var telling sync.Mutex
	for range min(cmp.Or(s.options.Parallel, runtime.GOMAXPROCS(0)), max(1, len(s.tests))) {
		all.Go(func() {
			for i := range next {
				results[i] = s.one(ctx, s.tests[i])
				if s.options.Told != nil {
					telling.Lock()
					s.options.Told(results[i])
					telling.Unlock()
				}
			}
		})
	}
	for i := range s.tests {
		next <- i
	}
	close(next)
	all.Wait()
	return results
}

// one runs one test.
func (s *suite) one(ctx context.Context, test test) Result {
	began := time.Now()
	var printed lines
	t := &tester{ctx: ctx, machine: s.machine, dir: test.dir, name: test.name, update: s.options.Update, known: &values{}}
	_, err := starlark.Call(s.thread(ctx, &printed), test.call, starlark.Tuple{t.methods()}, nil)
	made := Result{File: test.file, Line: int(test.call.Position().Line), Test: test.name, Printed: t.known.hidden(printed.String()), Took: time.Since(began)}
	if err != nil {
		made.Failure = t.known.hidden(failureText(err))
	}
	return made
}

// failureText is an error with the place in the test from which it comes.
func failureText(err error) string {
	var failed *starlark.EvalError
	if !errors.As(err, &failed) {
		return err.Error()
	}
	for i := range failed.CallStack {
		if at := failed.CallStack.At(i).Pos; at.Filename() != "<builtin>" {
			return fmt.Sprintf("%s:%d: %s", at.Filename(), at.Line, failed.Msg)
		}
	}
	return failed.Msg
}
