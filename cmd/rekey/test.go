package main

import (
	"encoding/xml"
	"fmt"
	"os"
	"regexp"
	"strings"

	"github.com/rekey-host/rekey/host"
	"github.com/rekey-host/rekey/host/scripttest"
	"github.com/rekey-host/rekey/host/workflow"
)

type testCmd struct {
	Path     string   `arg:"" optional:"" default:"." help:"A file *_test.star, or a directory of such; @rekey/ for those of the scripts that ship with rekey."`
	Pattern  string   `name:"run" help:"Only tests whose names match this regular expression." placeholder:"PATTERN"`
	Parallel int      `help:"How many tests run at once; 0: one a processor." placeholder:"N"`
	Update   bool     `help:"Write the files of t.golden anew."`
	JUnit    string   `help:"Write the results to this file too, as JUnit does." name:"junit" type:"path" placeholder:"FILE"`
	Coverage pathFlag `help:"Tell which lines of the scripts were executed, and which ways their conditions went; =FILE.html writes a page too." placeholder:"FILE"`
	Verbose  bool     `help:"Name the tests that pass too, and what they print." short:"v"`
}

// Help is the longer help of the command.
func (testCmd) Help() string {
	return `A test is a function test_NAME(t) in a file NAME_test.star beside the script. It runs the script through the real host, engine
and ledger against backends in memory, with a clock that does not wait; nothing is reached and nothing is kept:

  def test_rotation(t):
      run = t.run("rotate.star", users = ["ann"], params = {"url": "ldap://x"}, backends = {"ldap": {"ann": "old"}}, crash_after = "every")
      t.eq(run.users["ann"].status, "done")
      t.eq(run.backends["ldap"]["ann"], run.users["ann"].passwords["ldap"])

t.run(SCRIPT, users, params, backends, fail, approve, files, crash_after) returns exit_code, status, counts, users, backends, calls, reports,
output, elapsed and error; t.plan(…) returns order, waves, skipped and error. crash_after = N kills the host when N records are durable and
resumes; "every" does so at each record and each operation, and loses each answer. t.eq ne true contains fails golden value compare.`
}

// Run runs the tests.
func (c *testCmd) Run(app *app) error {
	config, err := app.config()
	if err != nil && config.Self == "" {
		return err
	}
	options := scripttest.Options{Path: c.Path, Parallel: c.Parallel, Update: c.Update, Config: config}
	if c.Pattern != "" {
		if options.Run, err = regexp.Compile(c.Pattern); err != nil {
			return &host.UsageError{Message: "--run: " + err.Error(), Fix: "write a regular expression, as test_rotate"}
		}
	}
	if c.Coverage.on {
		options.Config.Coverage = &workflow.Coverage{}
	}
	if !app.cli.JSON {
		options.Told = func(result scripttest.Result) { c.tell(app, result) }
	}
	_, stop := app.signals()
	results, err := scripttest.Run(stop, options)
	if err != nil {
		return err
	}
	return c.conclude(app, results, options.Config.Coverage)
}

// tell shows the result of one test.
func (c *testCmd) tell(app *app, result scripttest.Result) {
	if result.Failure == "" && !c.Verbose {
		return
	}
	word := "ok  "
	if result.Failure != "" {
		word = "FAIL"
	}
	fmt.Fprintf(app.process.stdout, "%s %s %s (%.2fs)\n", word, result.File, result.Test, result.Took.Seconds())
	for _, text := range []string{result.Printed, result.Failure} {
		for line := range strings.Lines(text) {
			fmt.Fprintf(app.process.stdout, "     %s\n", strings.TrimSuffix(line, "\n"))
		}
	}
}

// testOutcome is what --json prints.
type testOutcome struct {
	Tests    []testLine     `json:"tests"`
	Passed   int            `json:"passed"`
	Failed   int            `json:"failed"`
	Coverage []coverageLine `json:"coverage,omitempty"`
	ExitCode int            `json:"exit_code"`
}

type testLine struct {
	File    string  `json:"file"`
	Line    int     `json:"line"`
	Test    string  `json:"test"`
	Failure string  `json:"failure,omitempty"`
	Printed string  `json:"printed,omitempty"`
	Seconds float64 `json:"seconds"`
}

type coverageLine struct {
	File     string  `json:"file"`
	Lines    float64 `json:"lines"`    // percent
	Branches float64 `json:"branches"` // percent
	Missed   string  `json:"missed"`
}

// conclude says what all tests came to: 3 if some failed.
func (c *testCmd) conclude(app *app, results []scripttest.Result, coverage *workflow.Coverage) error {
	out := testOutcome{Tests: []testLine{}}
	for _, result := range results {
		out.Tests = append(out.Tests, testLine{result.File, result.Line, result.Test, result.Failure, result.Printed, result.Took.Seconds()})
		if result.Failure == "" {
			out.Passed++
		} else {
			out.Failed++
		}
	}
	if out.Failed > 0 {
		out.ExitCode = host.ExitFailures
	}
	var err error
	if c.JUnit != "" {
		err = os.WriteFile(c.JUnit, junit(results), 0o644)
	}
	if coverage != nil && err == nil {
		err = c.covered(app, coverage, &out)
	}
	if err != nil {
		return &host.UsageError{Message: err.Error()}
	}
	if app.cli.JSON {
		printJSON(app.process.stdout, out)
	} else {
		fmt.Fprintf(app.process.stdout, "%s passed, %d failed\n", counted(int64(out.Passed), "test"), out.Failed)
	}
	return errExit(out.ExitCode)
}

// covered shows what was executed of the scripts.
func (c *testCmd) covered(app *app, coverage *workflow.Coverage, out *testOutcome) error {
	files := coverage.Files()
	for _, file := range files {
		lines, branches := file.Share()
		out.Coverage = append(out.Coverage, coverageLine{file.Name, lines, branches, file.Missed()})
		if app.cli.JSON {
			continue
		}
		fmt.Fprintf(app.process.stdout, "%5.1f %% of lines, %5.1f %% of branches  %s", lines, branches, file.Name)
		if missed := file.Missed(); missed != "" {
			fmt.Fprintf(app.process.stdout, "  (not executed: %s)", missed)
		}
		fmt.Fprintln(app.process.stdout)
	}
	if c.Coverage.path == "" {
		return nil
	}
	return os.WriteFile(c.Coverage.path, []byte(scripttest.Page(files)), 0o644)
}

// junit is the results as JUnit's reports have them.
func junit(results []scripttest.Result) []byte {
	type failure struct {
		Message string `xml:"message,attr"`
		Text    string `xml:",chardata"`
	}
	type testCase struct {
		Class   string   `xml:"classname,attr"`
		Name    string   `xml:"name,attr"`
		Time    string   `xml:"time,attr"`
		Failure *failure `xml:"failure,omitempty"`
		Output  string   `xml:"system-out,omitempty"`
	}
	type testSuite struct {
		XMLName  xml.Name   `xml:"testsuite"`
		Name     string     `xml:"name,attr"`
		Tests    int        `xml:"tests,attr"`
		Failures int        `xml:"failures,attr"`
		Cases    []testCase `xml:"testcase"`
	}
	suite := testSuite{Name: "rekey", Tests: len(results)}
	for _, result := range results {
		made := testCase{Class: result.File, Name: result.Test, Time: fmt.Sprintf("%.3f", result.Took.Seconds()), Output: result.Printed}
		if result.Failure != "" {
			suite.Failures++
			first, _, _ := strings.Cut(result.Failure, "\n")
			made.Failure = &failure{first, result.Failure}
		}
		suite.Cases = append(suite.Cases, made)
	}
	text, _ := xml.MarshalIndent(suite, "", "  ") // no type in it can fail
	return append([]byte(xml.Header), append(text, '\n')...)
}
