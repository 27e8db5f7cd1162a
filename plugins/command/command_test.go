package command_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rekey-host/rekey/plugins/command"
	"github.com/rekey-host/rekey/sdk"
	"github.com/rekey-host/rekey/sdk/secret"
)

const canary = `c"a\n%y é'$(id)`

// tool is a program that sh runs.
func tool(t testing.TB, body string) string {
	t.Helper()
	path := filepath.Join(private(t), "tool")
	write(t, path, "#!/bin/sh\n"+body+"\n", 0o755)
	return path
}

// open configures an instance; settings are pairs.
func open(t testing.TB, settings ...any) *command.Instance {
	t.Helper()
	instance, err := configure(settings...)
	if err != nil {
		t.Fatal(err)
	}
	return instance
}

func configure(settings ...any) (*command.Instance, error) {
	config := sdk.Config{Values: map[string]any{"min_length": int64(1)}, Secrets: map[string]secret.Value{}}
	for ; len(settings) > 1; settings = settings[2:] {
		if value, ok := settings[1].(secret.Value); ok {
			config.Secrets[settings[0].(string)] = value
			continue
		}
		config.Values[settings[0].(string)] = settings[1]
	}
	instance, err := command.New().Configure(context.Background(), config)
	if err != nil {
		return nil, err
	}
	return instance.(*command.Instance), nil
}

func set(account, value string) sdk.Operation {
	return sdk.Operation{ID: "1", Attempt: 1, Verb: sdk.Set, Account: account, Value: secret.New(value)}
}

func readIfThere(path string) string {
	text, _ := os.ReadFile(path)
	return string(text)
}

func read(t testing.TB, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// TestAToolSeesItsInputsAndNothingElse: the value comes by standard input and by
// a descriptor, and stands in no argument and no environment.
func TestAToolSeesItsInputsAndNothingElse(t *testing.T) {
	t.Setenv("HOST_SECRET", "of the host")
	seen := filepath.Join(t.TempDir(), "seen")
	path := tool(t, `cd `+filepath.Dir(seen)+`
tr '\0' '\n' </proc/$$/cmdline >args
tr '\0' '\n' </proc/$$/environ >env
cat >stdin
cat "/dev/fd/$2" >value
cat <&"${3#fd=}" >secret
pwd >/dev/null; readlink /proc/$$/cwd >cwd; ps -o tty= -p $$ >tty`)
	i := open(t, "set", []string{path, "--user={account}", "{value-fd}", "fd={secret-fd}"}, "set_input", "{account}|{value}|{secret}\n",
		"secret", secret.New("of the tool"), "env", []string{"KRB5_CONFIG=/x y"})
	if r := i.Apply(t.Context(), set("ann", canary)); r.Outcome != sdk.Applied {
		t.Fatalf("%v", r.Err)
	}
	for name, want := range map[string]string{
		"stdin": "ann|" + canary + "|of the tool\n", "value": canary, "secret": "of the tool",
		"args": "/bin/sh\n" + path + "\n--user=ann\n3\nfd=4\n",
		"env":  "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\nLC_ALL=C\nKRB5_CONFIG=/x y\n",
		"tty":  "?\n",
	} {
		if got := read(t, filepath.Join(filepath.Dir(seen), name)); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
}

// TestWhatAnswersMean: only what is called a refusal is one.
func TestWhatAnswersMean(t *testing.T) {
	answers := []string{
		"AccountNotFound: exit 67, 68", "PolicyViolation/history: output (?i)reused", "PolicyViolation: output weak",
		"AccountStatus/locked: output ^locked$", "applied: output ^changed", "unknown: output maybe", "RateLimited: exit 75",
	}
	for _, test := range []struct {
		does    string
		answers []string
		outcome sdk.Outcome
		code    sdk.Code
		says    string
	}{
		{"exit 0", nil, sdk.Applied, "", ""},
		{"exit 1", nil, sdk.Unknown, sdk.TargetError, "tool: exit 1: it printed nothing"},
		{"echo out; echo why >&2; exit 1", nil, sdk.Unknown, sdk.TargetError, "tool: exit 1: why"},
		{"kill -9 $$", nil, sdk.Unknown, sdk.TargetError, "exit 137"},
		{"exit 67", answers, sdk.Refused, sdk.AccountNotFound, ""},
		{"exit 68", answers, sdk.Refused, sdk.AccountNotFound, ""},
		{"exit 75", answers, sdk.Refused, sdk.RateLimited, ""},
		{"exit 0", answers, sdk.Unknown, sdk.TargetError, "none of its answers that mean applied"},
		{"echo changed", answers, sdk.Applied, "", ""},
		{"echo changed; exit 3", answers, sdk.Applied, "", ""},
		{"echo un; echo changed", answers, sdk.Applied, "", ""},
		{"echo unchanged", answers, sdk.Unknown, sdk.TargetError, ""},
		{"echo Reused; echo changed", answers, sdk.Refused, sdk.PolicyViolation, "tool: Reused"},
		{"echo weak >&2", answers, sdk.Refused, sdk.PolicyViolation, "tool: weak"},
		{"echo locked", answers, sdk.Refused, sdk.AccountStatus, ""},
		{"echo maybe", answers, sdk.Unknown, sdk.TargetError, "maybe"},
		{"read -r v; printf '%s\\n' \"no: $v\"; exit 1", nil, sdk.Unknown, sdk.TargetError, "no: [redacted]"},
		{`printf 'a\033[31mb\n'; exit 1`, nil, sdk.Unknown, sdk.TargetError, "a [31mb"},
		{"head -c 3000000 /dev/zero; echo; echo end; exit 1", nil, sdk.Unknown, sdk.TargetError, ""},
	} {
		i := open(t, "set", []string{tool(t, test.does), "{account}"}, "set_input", "{value}\n", "answers", test.answers)
		r := i.Apply(t.Context(), set("ann", canary))
		code, says := sdk.Code(""), ""
		if r.Err != nil {
			code, says = r.Err.Code, r.Err.Message
		}
		if r.Outcome != test.outcome || code != test.code || !strings.Contains(says, test.says) || strings.Contains(says, canary) {
			t.Errorf("%s: %v, %s %q; want %v, %s %q", test.does, r.Outcome, code, says, test.outcome, test.code, test.says)
		}
	}
}

func TestWhatAVerifyMeans(t *testing.T) {
	answers := []string{"rejected: exit 3", "accepted-must-change: output expired", "blocked: output locked", "AccountNotFound: exit 6", "cannot-tell: exit 9"}
	accepted := append([]string{"accepted: output ^good"}, answers...)
	for _, test := range []struct {
		does    string
		answers []string
		want    sdk.Verdict
		code    sdk.Code
	}{
		{"exit 0", answers, sdk.Accepted, ""},
		{"exit 3", answers, sdk.Rejected, ""},
		{"exit 9", answers, sdk.CannotTell, ""},
		{"echo expired; exit 1", answers, sdk.AcceptedMustChange, ""},
		{"echo locked", answers, sdk.Blocked, ""},
		{"exit 6", answers, sdk.CannotTell, sdk.AccountNotFound},
		{"exit 1", answers, sdk.CannotTell, sdk.TargetError},
		{"exit 0", accepted, sdk.CannotTell, ""},
		{"echo good", accepted, sdk.Accepted, ""},
	} {
		i := open(t, "set", []string{"/bin/true", "{account}"}, "set_input", "{value}", "verify", []string{tool(t, test.does), "{account}"}, "verify_input", "{value}\n", "answers", test.answers)
		got, err := i.Verify(t.Context(), "ann", "", secret.New("value"))
		if failure := sdk.AsError(err, ""); got != test.want || test.code != "" && (failure == nil || failure.Code != test.code) || test.code == "" && err != nil {
			t.Errorf("%s: %v, %v; want %v %s", test.does, got, err, test.want, test.code)
		}
	}
}

// TestALateToolIsEndedWithItsGroup: whatever it started, and however deaf.
func TestALateToolIsEndedWithItsGroup(t *testing.T) {
	pids := filepath.Join(t.TempDir(), "pids")
	i := open(t, "set", []string{tool(t, `trap '' TERM; sleep 300 & echo $! >`+pids+`; echo $$ >>`+pids+`; sleep 300; sleep 300`), "{account}"}, "set_input", "{value}\n")
	ctx, stop := context.WithTimeout(t.Context(), time.Second)
	defer stop()
	start := time.Now()
	r := i.Apply(ctx, set("ann", canary))
	if r.Outcome != sdk.Unknown || r.Err.Code != sdk.Timeout {
		t.Errorf("%v %v, want unknown, Timeout", r.Outcome, r.Err)
	}
	if took := time.Since(start); took > 10*time.Second {
		t.Errorf("it took %s", took)
	}
	dead(t, strings.Fields(read(t, pids))...)
}

func TestNothingOfAToolIsLeft(t *testing.T) {
	pids := filepath.Join(t.TempDir(), "pids")
	i := open(t, "set", []string{tool(t, `sleep 300 & echo $! >`+pids), "{account}"}, "set_input", "{value}\n")
	if r := i.Apply(t.Context(), set("ann", canary)); r.Outcome != sdk.Applied {
		t.Errorf("%v", r.Err)
	}
	dead(t, strings.Fields(read(t, pids))...)
}

// dead waits until processes are gone.
func dead(t *testing.T, pids ...string) {
	t.Helper()
	if len(pids) == 0 {
		t.Error("no process was noted")
	}
	for _, text := range pids {
		pid, _ := strconv.Atoi(text)
		for deadline := time.Now().Add(5 * time.Second); running(pid); time.Sleep(5 * time.Millisecond) {
			if time.Now().After(deadline) {
				t.Errorf("process %d still runs", pid)
				_ = syscall.Kill(pid, syscall.SIGKILL)
				break
			}
		}
	}
}

// running reports whether a process is there and no zombie.
func running(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return false
	}
	_, state, _ := strings.Cut(string(stat), ") ")
	return !strings.HasPrefix(state, "Z")
}

// TestAToolDiesWithRekey: a process that is killed while a tool runs takes it
// along.
func TestAToolDiesWithRekey(t *testing.T) {
	if pids := os.Getenv("TEST_PIDS"); pids != "" {
		open(t, "set", []string{os.Getenv("TEST_TOOL"), "{account}"}, "set_input", "{value}\n").Apply(t.Context(), set("ann", canary))
		return
	}
	pids := filepath.Join(t.TempDir(), "pids")
	path := tool(t, `echo $$ >`+pids+`; exec sleep 300`)
	host := exec.Command(os.Args[0], "-test.run", "^TestAToolDiesWithRekey$")
	host.Env = append(os.Environ(), "TEST_PIDS="+pids, "TEST_TOOL="+path)
	if err := host.Start(); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		if text, err := os.ReadFile(pids); err == nil && strings.HasSuffix(string(text), "\n") {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("the tool was not started")
		}
	}
	_ = host.Process.Kill()
	_ = host.Wait()
	dead(t, strings.Fields(read(t, pids))...)
}

// TestAccountsThatAToolWouldMisread are refused, and nothing is started.
func TestAccountsThatAToolWouldMisread(t *testing.T) {
	ran := filepath.Join(t.TempDir(), "ran")
	path := tool(t, "echo ran >>"+ran)
	for _, test := range []struct {
		args     []string
		input    string
		accounts string
		account  string
		taken    bool
	}{
		{[]string{"{account}"}, "{value}", "", "-h", false},
		{[]string{"--", "{account}"}, "{value}", "", "-h", true},
		{[]string{"-x", "{account}"}, "{value}", "", "-h", false},
		{[]string{"--user={account}"}, "{value}", "", "-h", true},
		{[]string{"{account}@REALM"}, "{value}", "", "-h", false},
		{nil, "{account}:{value}\n", "", "-h", true},
		{nil, "{account}:{value}\n", "", "a:b", false},
		{nil, "{account} {value}\n", "", "a b", false},
		{nil, "{account}\n{value}\n", "", "a:b c", true},
		{[]string{"{account}"}, "{value}", "", "a\nb", false},
		{[]string{"{account}"}, "{value}", "", "a\x00b", false},
		{[]string{"{account}"}, "{value}", "", "a\x7fb", false},
		{[]string{"{account}"}, "{value}", "", "\xff", false},
		{[]string{"{account}"}, "{value}", "", "", false},
		{[]string{"{account}"}, "{value}", "", "$(id) `id` ; rm *", true},
		{[]string{"cpw {account}"}, "{value}", "", "ann -pw x", false},
		{[]string{"cpw {account}"}, "{value}", "", "ann\"", false},
		{[]string{"cpw {account}"}, "{value}", "", "-randkey", false},
		{[]string{"cpw {account}"}, "{value}", "", "ann/admin@REALM", true},
		{[]string{"{account}"}, "{value}", "[a-z]+|B", "ann", true},
		{[]string{"{account}"}, "{value}", "[a-z]+|B", "Bann", false},
		{[]string{"{account}"}, "{value}", "[a-z]+|B", "ann9", false},
	} {
		_ = os.Remove(ran)
		i := open(t, "set", append([]string{path}, test.args...), "set_input", test.input, "accounts", test.accounts)
		r := i.Apply(t.Context(), set(test.account, "value"))
		_, err := os.Stat(ran)
		started := err == nil
		if started != test.taken || (r.Outcome == sdk.Applied) != test.taken {
			t.Errorf("%q with %q: %v %v, started: %t; want taken: %t", test.account, test.args, r.Outcome, r.Err, started, test.taken)
		}
		if !test.taken && (r.Err == nil || r.Err.Code != sdk.InvalidOperation) {
			t.Errorf("%q: %v, want InvalidOperation", test.account, r.Err)
		}
	}
}

func TestValuesThatAToolWouldMisread(t *testing.T) {
	i := open(t, "set", []string{tool(t, "exit 0"), "{account}"}, "set_input", `{"password":"{value}"}`, "min_length", int64(4), "max_bytes", int64(12), "forbid", `\`)
	for value, rule := range map[string]sdk.Rule{
		"good one": "", "a\nbcd": sdk.RuleEncoding, "a\x00bcd": sdk.RuleEncoding, "\xffabcd": sdk.RuleEncoding, `a"bcd`: sdk.RuleForbidden,
		`a\bcd`: sdk.RuleForbidden, "abc": sdk.RuleMinLength, "abcdefghijklm": sdk.RuleMaxLength, "ééééééé": sdk.RuleMaxLength,
	} {
		r := i.Apply(t.Context(), set("ann", value))
		got := sdk.Rule("")
		if r.Err != nil && len(r.Err.Violations) > 0 {
			got = r.Err.Violations[0].Rule
		}
		if got != rule || (r.Outcome == sdk.Applied) != (rule == "") {
			t.Errorf("%q: %v %v, want %q", value, r.Outcome, r.Err, rule)
		}
	}
	policy, err := i.Policy(t.Context(), "", "")
	if err != nil || policy.MinLength != 4 || policy.MaxBytes != 12 || policy.Forbid != `\"` {
		t.Errorf("policy %+v, %v", policy, err)
	}
}

// TestSettingsThatMakeNoSense name the setting and the fix.
func TestSettingsThatMakeNoSense(t *testing.T) {
	good := []any{"set", []string{"/bin/true", "{account}"}, "set_input", "{value}"}
	for _, test := range []struct {
		settings []any
		want     string
	}{
		{[]any{"set", []string{"/bin/true", "{account}", "{value}"}}, "set: {value} cannot stand there: everybody on the machine sees arguments; put it into the input, or use {value-fd}"},
		{[]any{"set", []string{"/bin/true", "{account}", "{secret}"}}, "use {secret-fd}"},
		{[]any{"set", []string{"/bin/true", "{user}"}}, "set: {user} cannot stand there; there is {secret-fd}, {account}, {value-fd}"},
		{[]any{"set_input", "{value-fd}"}, "set_input: {value-fd} cannot stand there; there is {secret}, {account}, {value}"},
		{[]any{"set", []string{"true"}}, `set: "true" is no absolute path`},
		{[]any{"verify_input", "x"}, "verify_input: there is no verify"},
		{[]any{"verify", []string{"/bin/true"}, "verify_input", "{value}"}, "verify: {account} stands neither in it nor in verify_input"},
		{[]any{"list", []string{"/bin/true", "{account}"}}, "list: {account} cannot stand there; there is {secret-fd}"},
		{[]any{"set_input", "{value}{secret}"}, "secret: missing, and set has a place for it"},
		{[]any{"answers", []string{"exit 1"}}, `answers: "exit 1": "exit 1" is neither a code nor`},
		{[]any{"answers", []string{"Timeout: exit 1"}}, `answers: "Timeout: exit 1"`},
		{[]any{"answers", []string{"Conflict: code 1"}}, `write "Conflict: exit N" or "Conflict: output PATTERN"`},
		{[]any{"answers", []string{"Conflict: exit x"}}, `"x" is no exit code`},
		{[]any{"answers", []string{"Conflict: output ("}}, "missing closing )"},
		{[]any{"answers", []string{"AccountStatus: exit 1"}}, "say which: AccountStatus/locked"},
		{[]any{"answers", []string{"PolicyViolation/short: exit 1"}}, `"short" is no rule`},
		{[]any{"answers", []string{"Conflict/x: exit 1"}}, "Conflict has no detail"},
		{[]any{"env", []string{"API_TOKEN=x"}}, "env: API_TOKEN looks like a secret"},
	} {
		_, err := configure(append(append([]any{}, good...), test.settings...)...)
		if failure := sdk.AsError(err, ""); failure == nil || failure.Code != sdk.InvalidConfig || !strings.Contains(failure.Message, test.want) {
			t.Errorf("%v: %v\nwant %s", test.settings, err, test.want)
		}
	}
}

// TestAProgramThatSomebodyElseCouldReplaceIsNotStarted, as sshd would not take
// such a key.
func TestAProgramThatSomebodyElseCouldReplaceIsNotStarted(t *testing.T) {
	for what, spoil := range map[string]func(path string) error{
		"writable by all":     func(path string) error { return os.Chmod(path, 0o757) },
		"in a writable place": func(path string) error { return os.Chmod(filepath.Dir(path), 0o777) },
		"of somebody else":    func(path string) error { return os.Chown(path, 65534, 65534) },
		"not executable":      func(path string) error { return os.Chmod(path, 0o644) },
		"a directory":         func(path string) error { return os.Remove(path) },
		"without interpreter": func(path string) error { return os.WriteFile(path, []byte("#!/no/such\n"), 0o755) },
	} {
		ran := filepath.Join(t.TempDir(), "ran")
		path := tool(t, "touch "+ran)
		if err := spoil(path); err != nil {
			t.Fatal(err)
		}
		i := open(t, "set", []string{path, "{account}"}, "set_input", "{value}")
		r := i.Apply(t.Context(), set("ann", "value"))
		if _, err := os.Stat(ran); err == nil || r.Outcome != sdk.Refused || r.Err.Code != sdk.InvalidConfig || !strings.Contains(r.Err.Message, filepath.Dir(path)) {
			t.Errorf("%s: %v %v", what, r.Outcome, r.Err)
		}
		if what == "without interpreter" {
			continue // only a start shows that
		}
		if found := i.Check(t.Context()); len(found) == 0 || found[0].Severity != sdk.Bad {
			t.Errorf("%s: Check says %v", what, found)
		}
	}
}

// TestWithoutAVerifyItIsNotProven, and that is said before a run.
func TestWithoutAVerifyItIsNotProven(t *testing.T) {
	i := open(t, "set", []string{"/bin/true", "{account}"}, "set_input", "{value}")
	found := i.Check(t.Context())
	if len(found) != 1 || found[0].Severity != sdk.Warning || !strings.Contains(found[0].Message, "not proven") {
		t.Errorf("Check says %+v", found)
	}
	if !strings.Contains(command.New().Describe().Doc, "NOT PROVEN") {
		t.Error("the description does not say it")
	}
	for _, ability := range sdk.AbilitiesOf(i) {
		if ability == sdk.CanVerify || ability == sdk.CanFind || ability == sdk.CanList || ability == sdk.CanUnlock {
			t.Errorf("without a command for it there is %s", ability)
		}
	}
}

// TestAHistoryThatRemembersOurOwnAttempt is no refusal.
func TestAHistoryThatRemembersOurOwnAttempt(t *testing.T) {
	settings := []any{"set", []string{tool(t, "echo reused; exit 1"), "{account}"}, "set_input", "{value}", "answers", []string{"PolicyViolation/history: output reused", "rejected: exit 3"}}
	for what, test := range map[string]struct {
		verify  string
		attempt int
		want    sdk.Outcome
	}{
		"a first attempt":      {"exit 0", 1, sdk.Refused},
		"one that was applied": {"exit 0", 2, sdk.AlreadyApplied},
		"one that was not":     {"exit 3", 2, sdk.Refused},
		"one that cannot be":   {"exit 9", 2, sdk.Unknown},
		"one without verify":   {"", 2, sdk.Unknown},
	} {
		all := settings
		if test.verify != "" {
			all = append(append([]any{}, settings...), "verify", []string{tool(t, test.verify), "{account}"}, "verify_input", "{value}")
		}
		op := set("ann", "value")
		op.Attempt = test.attempt
		if r := open(t, all...).Apply(t.Context(), op); r.Outcome != test.want {
			t.Errorf("%s: %v %v, want %v", what, r.Outcome, r.Err, test.want)
		}
	}
}

// TestAListThatFailsIsNone: nothing is yielded of a tool that does not end well.
func TestAListThatFailsIsNone(t *testing.T) {
	i := open(t, "set", []string{"/bin/true", "{account}"}, "set_input", "{value}", "list", []string{tool(t, "echo ann; echo bob; exit 1")})
	yielded := 0
	err := i.List(t.Context(), "", nil, func(sdk.Account) error { yielded++; return nil })
	if err == nil || yielded > 0 {
		t.Errorf("%d accounts, %v", yielded, err)
	}
	i = open(t, "set", []string{"/bin/true", "{account}"}, "set_input", "{value}", "list", []string{tool(t, "echo Accounts:; echo ' ann  Ann Lee'; echo ' bob  Bob'; echo 'amy  Amy'")}, "list_output", `^ ?(?P<account>[a-z]+)  (?P<name>.*)$`)
	var names []string
	if err := i.List(t.Context(), "a*", nil, func(account sdk.Account) error {
		names = append(names, account.Account+"/"+account.Name)
		return nil
	}); err != nil || strings.Join(names, " ") != "ann/Ann Lee amy/Amy" {
		t.Errorf("%v %v", names, err)
	}
}
