package main

import (
	"bufio"
	"encoding/xml"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/rekey-host/rekey/host"
	"github.com/rekey-host/rekey/host/launch"
	"github.com/rekey-host/rekey/plugins/kept"
	"github.com/rekey-host/rekey/sdk"
	"github.com/rekey-host/rekey/sdk/backendtest"
	"github.com/rekey-host/rekey/sdk/backendtest/targetfile"
	"github.com/rekey-host/rekey/sdk/define"
)

// kitCommand is the word by which rekey starts itself as the kit: that is a
// test, which ends its process.
const kitCommand = "kit"

// kit checks a plugin's program against the target of a file, and does not
// return. Its output is that of a test in Go which tells of each check when it ends.
func kit(args []string) {
	if len(args) != 4 {
		fmt.Fprintln(os.Stderr, "rekey: kit is started by rekey plugin test")
		os.Exit(host.ExitUsage)
	}
	program, only := args[0], args[2]
	file, err := targetfile.Read(args[1])
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(host.ExitUsage)
	}
	program, words, err := started(program, file)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(host.ExitUsage)
	}
	options := backendtest.Options{Target: file.Target, Report: untried(only)}
	if args[3] == kitConfined {
		if options.Confine, err = confiner(words); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(host.ExitUsage)
		}
	}
	os.Args = []string{os.Args[0], "-test.v=test2json", "-test.timeout=0", "-test.run=" + pattern(only)}
	testing.Main(regexp.MatchString, []testing.InternalTest{{Name: "contract", F: func(t *testing.T) {
		backendtest.RunExecutable(t, options, program, words...)
	}}}, nil, nil)
}

// untried prints the promises that do not apply, of those that match: a test tells of
// none that it does not run.
func untried(only string) func(backendtest.Promise) {
	return func(came backendtest.Promise) {
		if came.Why != "" && matches(only, came.Name) {
			fmt.Printf("    --- NONE: contract/%s: %s\n", came.Name, came.Why)
		}
	}
}

// matches reports whether go test would run a promise for a pattern: of PATTERN/PATTERN
// each matches a part of the name.
func matches(only, name string) bool {
	parts := strings.Split(strings.ReplaceAll(name, " ", "_"), "/")
	return slices.ContainsFunc(strings.Split(strings.ReplaceAll(only, " ", "_"), "|"), func(one string) bool {
		for i, pattern := range strings.Split(one, "/") {
			if found, err := regexp.MatchString(pattern, parts[min(i, len(parts)-1)]); err != nil || !found {
				return false
			}
		}
		return true
	})
}

// kitConfined is the kit's word for a plugin that is confined, kitFree for another.
const (
	kitConfined = "confined"
	kitFree     = "free"
)

// confiner confines plugins as a run does, by rekey itself. words are those that it is
// started with: a definition, by which it describes itself, is the last of them.
func confiner(words []string) (func(sdk.Description, sdk.Config) (backendtest.Confinement, error), error) {
	self, err := os.Executable()
	return func(description sdk.Description, config sdk.Config) (backendtest.Confinement, error) {
		grants, err := launch.GrantsOf(description, config, nil)
		if len(words) > 0 && description.Name == "" {
			grants.Read = append(grants.Read, words[len(words)-1])
		}
		return backendtest.Confinement{Grants: grants.List(), Line: func(scratch string, program []string) []string {
			return append([]string{self, "confine"}, launch.Confined(grants, scratch, program)...)
		}}, err
	}, err
}

// started is how a program is started; a definition by rekey itself, and it is the
// target's setting of that name.
func started(program string, file *targetfile.File) (path string, args []string, err error) {
	if !strings.HasSuffix(program, definitionSuffix) {
		return program, nil, nil
	}
	name, err := definedBy(bundled(), program)
	if err != nil {
		return "", nil, err
	}
	if program, err = filepath.Abs(program); err == nil {
		path, err = os.Executable()
	}
	if file.Config == nil {
		file.Config = map[string]any{}
	}
	file.Config[define.Setting] = program
	return path, []string{serveBackend, name, program}, err
}

// definitionSuffix is what the names of definitions end in.
const definitionSuffix = ".star"

// definedBy returns the backend whose definition a file is: it declares itself by a call
// of that name.
func definedBy(backends map[string]sdk.Backend, path string) (string, error) {
	var names []string
	for name, backend := range backends {
		defines, ok := backend.(define.Backend)
		if !ok {
			continue
		}
		file, err := define.Read(defines, path)
		if err != nil {
			return "", err
		}
		if strings.Contains("\n"+file.Text, "\n"+name+"(") {
			return name, nil
		}
		names = append(names, name+"(summary = …)")
	}
	slices.Sort(names)
	return "", fmt.Errorf("%s: it does not say what it is; write one of %s", path, strings.Join(names, ", "))
}

// pattern is what go test -run takes for the promises that match.
func pattern(only string) string {
	var list []string
	for _, one := range strings.Split(strings.ReplaceAll(only, " ", "_"), "|") {
		list = append(list, "^contract$/"+one)
	}
	return strings.Join(list, "|")
}

type pluginTestCmd struct {
	Program string `arg:"" name:"PROGRAM" help:"The plugin's program, in any language, or a definition, NAME.star." type:"path"`
	Target  string `required:"" help:"What it works on, in JSON: how to start it, its accounts, how to look." type:"path" placeholder:"FILE"`
	Only    string `help:"The promises whose names match, as set or refuse/a|leaks." placeholder:"PATTERN"`
	Faults  bool   `help:"Refuse a target file of which the kit cannot cut the plugin off: it has to say which setting names the server."`
	JUnit   string `name:"junit" help:"Write the results there too, for CI." type:"path" placeholder:"FILE"`
}

// promise is one check of the kit.
type promise struct {
	Name     string   `json:"name"`
	Kept     bool     `json:"kept"`
	Seconds  float64  `json:"seconds"`
	Problems []string `json:"problems,omitempty"`
}

// tested is what rekey plugin test --json prints.
type tested struct {
	Program  string         `json:"program"`
	Promises []promise      `json:"promises"`
	LeftOut  []kept.LeftOut `json:"left_out,omitempty"`
	Kept     int            `json:"kept"`
	Broken   int            `json:"broken"`
}

// sound refuses what the kit could not begin with.
func (c *pluginTestCmd) sound() error {
	file, err := targetfile.Read(c.Target)
	if err != nil {
		return &host.UsageError{Message: "--target: " + err.Error()}
	}
	if c.Faults && file.Setting == "" {
		return &host.UsageError{Message: "--faults: " + c.Target + " does not say where the server is", Fix: `write "setting": NAME, the field of config that says it`}
	}
	if info, err := os.Stat(c.Program); err != nil || !info.Mode().IsRegular() {
		return &host.UsageError{Message: c.Program + ": no program", Fix: "give the file rekey-backend-NAME"}
	}
	for _, one := range strings.FieldsFunc(c.Only, func(letter rune) bool { return letter == '|' || letter == '/' }) {
		if _, err := regexp.Compile(one); err != nil {
			return &host.UsageError{Message: "--only: " + err.Error()}
		}
	}
	return nil
}

// Run holds a plugin to the contract.
func (c *pluginTestCmd) Run(app *app) error {
	if err := c.sound(); err != nil {
		return err
	}
	if _, err := launch.Confinable(); err != nil && app.cli.Sandbox {
		return &host.UsageError{Message: "--sandbox: a plugin " + err.Error()}
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	held := kitFree
	if app.cli.Sandbox {
		held = kitConfined
	}
	cmd := exec.Command(self, kitCommand, c.Program, c.Target, c.Only, held)
	cmd.Stderr = app.process.stderr
	stdout, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		return err
	}
	reader := kitReader{
		show:    func(promise promise) { c.show(app, promise) },
		showOut: func(one kept.LeftOut) { c.print(app, fmt.Sprintf("-       %s: %s", one.Name, one.Why)) },
	}
	reader.read(stdout)
	waited := cmd.Wait()
	result := tested{Program: c.Program, Promises: reader.promises, LeftOut: reader.leftOut}
	for _, promise := range result.Promises {
		if promise.Kept {
			result.Kept++
		} else {
			result.Broken++
		}
	}
	return c.ended(app, result, reader.rest, waited)
}

// show prints the line of a promise, and what is wrong with it.
func (c *pluginTestCmd) show(app *app, promise promise) {
	word := "kept"
	if !promise.Kept {
		word = "BROKEN"
	}
	c.print(app, fmt.Sprintf("%-6s  %s", word, promise.Name))
	for _, problem := range promise.Problems {
		c.print(app, "        "+problem)
	}
}

// print prints a line for people.
func (c *pluginTestCmd) print(app *app, line string) {
	if !app.cli.JSON {
		fmt.Fprintln(app.process.stdout, line)
	}
}

func (c *pluginTestCmd) ended(app *app, result tested, rest []string, waited error) error {
	switch {
	case len(result.Promises) == 0 && len(result.LeftOut) > 0 && waited == nil:
		return &host.UsageError{Message: "--only: " + result.LeftOut[0].Name + " does not apply: " + result.LeftOut[0].Why, Fix: "leave it away to see what does"}
	case len(result.Promises) == 0 && c.Only != "" && waited == nil:
		return &host.UsageError{Message: fmt.Sprintf("--only: no promise matches %q", c.Only), Fix: "leave it away to see them all"}
	case len(result.Promises) == 0:
		return &host.UsageError{Message: "nothing was checked: " + strings.Join(rest, "; "), Fix: "see whether the program starts"}
	}
	if c.JUnit != "" {
		if err := os.WriteFile(c.JUnit, junitOf(result), 0o644); err != nil {
			return &host.UsageError{Message: "--junit: " + err.Error()}
		}
	}
	if app.cli.JSON {
		printJSON(app.process.stdout, result)
	} else {
		fmt.Fprintf(app.process.stdout, "%s kept, %d broken%s\n", counted(int64(result.Kept), "promise"), result.Broken, others(len(result.LeftOut)))
	}
	if result.Broken > 0 || waited != nil {
		return errExit(host.ExitFailures)
	}
	return nil
}

// others are the promises that do not apply, after the two counts.
func others(count int) string {
	switch count {
	case 0:
		return ""
	case 1:
		return "; 1 does not apply"
	}
	return fmt.Sprintf("; %d do not apply", count)
}

// kitReader reads what the kit prints.
type kitReader struct {
	show     func(promise)
	showOut  func(kept.LeftOut)
	promises []promise
	leftOut  []kept.LeftOut
	problems []string // of the promise that is under way
	rest     []string // what belongs to none
	running  bool
}

// ending is the line that ends a promise.
var ending = regexp.MustCompile(`^\s*--- (PASS|FAIL): contract(?:/(.*))? \(([0-9.]+)s\)$`)

// none is the line of a promise that does not apply.
var none = regexp.MustCompile(`^    --- NONE: contract/(.*?): (.*)$`)

// placed is where in the kit a problem was found, which tells an author nothing.
var placed = regexp.MustCompile(`^    [a-z0-9_]+\.go:[0-9]+: `)

func (r *kitReader) read(from io.Reader) {
	lines := bufio.NewScanner(from)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		r.line(lines.Text())
	}
	if err := lines.Err(); err != nil {
		r.rest = append(r.rest, err.Error())
	}
	_, _ = io.Copy(io.Discard, from)
}

func (r *kitReader) line(text string) {
	text = strings.TrimLeft(text, "\x16") // which marks what is not a check's own
	found, untried := ending.FindStringSubmatch(text), none.FindStringSubmatch(text)
	switch {
	case untried != nil:
		one := kept.LeftOut{Name: untried[1], Why: untried[2]}
		r.leftOut = append(r.leftOut, one)
		r.showOut(one)
	case strings.HasPrefix(text, "=== RUN"):
		r.running = true
	case found != nil && found[2] != "":
		seconds, _ := strconv.ParseFloat(found[3], 64)
		made := promise{Name: strings.ReplaceAll(found[2], "_", " "), Kept: found[1] == "PASS", Seconds: seconds, Problems: r.problems}
		if made.Kept {
			made.Problems = nil
		}
		r.promises, r.problems = append(r.promises, made), nil
		r.show(made)
	case found != nil, strings.HasPrefix(text, "=== "), text == "PASS", text == "FAIL", strings.TrimSpace(text) == "":
	case placed.MatchString(text):
		r.note(placed.ReplaceAllString(text, ""))
	default:
		r.note(strings.TrimSpace(text))
	}
}

// note keeps a line for the promise that is under way.
func (r *kitReader) note(text string) {
	if r.running {
		r.problems = append(r.problems, text)
	}
	r.rest = append(r.rest, text)
}

// junitOf is a result as CI systems read it.
func junitOf(result tested) []byte {
	type failure struct {
		Message string `xml:"message,attr"`
		Text    string `xml:",chardata"`
	}
	type skipped struct {
		Message string `xml:"message,attr"`
	}
	type testcase struct {
		Name    string   `xml:"name,attr"`
		Class   string   `xml:"classname,attr"`
		Time    float64  `xml:"time,attr"`
		Failure *failure `xml:"failure"`
		Skipped *skipped `xml:"skipped"`
	}
	type suite struct {
		XMLName  xml.Name   `xml:"testsuite"`
		Name     string     `xml:"name,attr"`
		Tests    int        `xml:"tests,attr"`
		Failures int        `xml:"failures,attr"`
		Skipped  int        `xml:"skipped,attr"`
		Cases    []testcase `xml:"testcase"`
	}
	made := suite{Name: result.Program, Tests: len(result.Promises) + len(result.LeftOut), Failures: result.Broken, Skipped: len(result.LeftOut)}
	for _, promise := range result.Promises {
		one := testcase{Name: promise.Name, Class: "contract", Time: promise.Seconds}
		if !promise.Kept {
			one.Failure = &failure{"the promise is broken", strings.Join(promise.Problems, "\n")}
		}
		made.Cases = append(made.Cases, one)
	}
	for _, one := range result.LeftOut {
		made.Cases = append(made.Cases, testcase{Name: one.Name, Class: "contract", Skipped: &skipped{one.Why}})
	}
	text, err := xml.MarshalIndent(made, "", "  ")
	if err != nil {
		return []byte(err.Error())
	}
	return append([]byte(xml.Header), append(text, '\n')...)
}
