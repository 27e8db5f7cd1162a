package file_test

import (
	"bufio"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/rekey-host/rekey/plugins/file"
	"github.com/rekey-host/rekey/sdk"
	"github.com/rekey-host/rekey/sdk/secret"
)

const canary = `c"a\n%y é'$(id) #:=x `

// open configures an instance on a new file; settings are pairs.
func open(t testing.TB, text string, settings ...any) (*file.Instance, string) {
	t.Helper()
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "file")
	if err := os.WriteFile(path, []byte(text), 0o640); err != nil {
		t.Fatal(err)
	}
	return at(t, path, settings...), path
}

func at(t testing.TB, path string, settings ...any) *file.Instance {
	t.Helper()
	values := map[string]any{"path": path, "signal": "HUP", "min_length": int64(1)}
	for ; len(settings) > 1; settings = settings[2:] {
		values[settings[0].(string)] = settings[1]
	}
	instance, err := file.New().Configure(t.Context(), sdk.Config{Values: values})
	if err != nil {
		t.Fatal(err)
	}
	return instance.(*file.Instance)
}

func set(account, value string) sdk.Operation {
	return sdk.Operation{ID: "1", Attempt: 1, Verb: sdk.Set, Account: account, Value: secret.New(value)}
}

func read(t testing.TB, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// TestOnlyTheValueChanges, and it stands as the format has it.
func TestOnlyTheValueChanges(t *testing.T) {
	for _, test := range []struct {
		format, text, place, value, want string
	}{
		{"env", "# c\r\n\nA=1\r\nexport DB=old\r\nB=2", "DB", "new-1", "# c\r\n\nA=1\r\nexport DB=new-1\r\nB=2"},
		{"env", "DB='old'\nX=1\n", "DB", "new", "DB='new'\nX=1\n"},
		{"env", "DB=\"old\"\n", "DB", "new", "DB=\"new\"\n"},
		{"env", "DB=\n", "DB", "new", "DB=new\n"},
		{"env", "M=\"one\nDB=two\nend\"\nDB=old\n", "DB", "new", "M=\"one\nDB=two\nend\"\nDB=new\n"},
		{"ini", "p = 0\n[a]\np = 1 ; no\n[ b ]\n  p : old\n  q = x\n", "b/p", "new", "p = 0\n[a]\np = 1 ; no\n[ b ]\n  p : new\n  q = x\n"},
		{"ini", "m = 'tis\np = old\n", "p", "new", "m = 'tis\np = new\n"},
		{"ini", "p = old\n[a]\np = 1\n", "p", "new", "p = new\n[a]\np = 1\n"},
		{"json", "\ufeff"[:0] + `{"a/b": {"~": ["x", "old"]}, "é": 1}`, "/a~1b/~0/1", canary, ""},
		{"json", `{"p":"o\"ld" , "q":"old"}`, "/p", "new", `{"p":"new" , "q":"old"}`},
		{"json", `"old"`, "", "new", ""},
		{"yaml", "# c\ndb:\n  user: app   # who\n  password: old # what\n  port: 5432\n", "/db/password", "0123", "# c\ndb:\n  user: app   # who\n  password: '0123' # what\n  port: 5432\n"},
		{"yaml", "a: {é: x, p: \"o\\\"ld\", q: 1}\n", "/a/p", canary, ""},
		{"yaml", "- 'it''s'\n- b\n", "/0", "new", "- 'new'\n- b\n"},
		{"yaml", "p: old\n", "/p", "a\u2028b", "p: \"a\\u2028b\"\n"},
		{"properties", "! c\n a.b : old\nc=1\n", "a.b", " é\\ ", "! c\n a.b : \\ \\u00e9\\\\\\u0020\nc=1\n"},
		{"properties", "a old\n", "a", "new", "a new\n"},
		{"properties", "a=\n", "a", "=x", "a==x\n"},
		{"pgpass", "#h\nh:5432:db:u:old\nh:5432:*:u:x\n", "h:5432:db:u", `a:b\c`, "#h\nh:5432:db:u:a\\:b\\\\c\nh:5432:*:u:x\n"},
	} {
		i, path := open(t, test.text, "format", test.format)
		r := i.Apply(t.Context(), set(test.place, test.value))
		if test.format == "json" && test.place == "" { // the empty name is no account
			if r.Outcome != sdk.Refused {
				t.Errorf("an empty place: %v", r.Outcome)
			}
			continue
		}
		if r.Outcome != sdk.Applied {
			t.Errorf("%s %q: %v", test.format, test.text, r.Err)
			continue
		}
		if got := read(t, path); test.want != "" && got != test.want {
			t.Errorf("%s: %q,\nwant %q", test.format, got, test.want)
		}
		for value, want := range map[string]sdk.Verdict{test.value: sdk.Accepted, test.value + "x": sdk.Rejected} {
			if got, err := i.Verify(t.Context(), test.place, "", secret.New(value)); err != nil || got != want {
				t.Errorf("%s: verify: %v, %v, want %v", test.format, got, err, want)
			}
		}
	}
}

// TestWhatIsRefused leaves the file as it was, byte for byte, and the same file.
func TestWhatIsRefused(t *testing.T) {
	for _, test := range []struct {
		format, text, place, value string
		code                       sdk.Code
	}{
		{"env", "A=1\n", "B", "x", sdk.AccountNotFound},
		{"env", "A=1\nA=2\n", "A", "x", sdk.Ambiguous},
		{"env", "A=1\n", "A", "a b", sdk.PolicyViolation},
		{"env", "A=1\n", "A", "$x", sdk.PolicyViolation},
		{"env", "A=1\n", "A", "a#b", sdk.PolicyViolation},
		{"env", "A='1'\n", "A", "it's", sdk.PolicyViolation},
		{"env", "A='1'\n", "A", "a b", sdk.PolicyViolation},
		{"env", "A='1'\n", "A", "a\nb", sdk.PolicyViolation},
		{"env", "A=1 # why\n", "A", "x", sdk.AccountNotFound},
		{"env", "A=\"1\" # why\n", "A", "x", sdk.AccountNotFound},
		{"env", "A='a'\\''b'\n", "A", "x", sdk.AccountNotFound},
		{"env", "A=\"one\ntwo\"\n", "A", "x", sdk.AccountNotFound},
		{"env", "A=1\rB=2\r", "A", "x", sdk.AccountNotFound},
		{"ini", "[s]\na = 1\n  2\n", "s/a", "x", sdk.AccountNotFound},
		{"ini", "[s]\na = 1\n", "a", "x", sdk.AccountNotFound},
		{"ini", "[s]\nm = 'tis\na = 1\n", "s/m", "x", sdk.AccountNotFound},
		{"ini", "[s]\na = 1\n", "s/a", "50%x", sdk.PolicyViolation},
		{"json", `{"a":"1","a":"2"}`, "/a", "x", sdk.Ambiguous},
		{"json", `{"a":1}`, "/a", "x", sdk.AccountNotFound},
		{"json", `{"a":"1"`, "/a", "x", sdk.InvalidConfig},
		{"json", `{"a":"1"} {}`, "/a", "x", sdk.InvalidConfig},
		{"yaml", "a: |\n  one\n", "/a", "x", sdk.AccountNotFound},
		{"yaml", "a: one\n  two\n", "/a", "x", sdk.AccountNotFound},
		{"yaml", "a: &x one\nb: *x\n", "/a", "x", sdk.AccountNotFound},
		{"yaml", "a: &x one\nb: *x\n", "/b", "x", sdk.AccountNotFound},
		{"yaml", "a: !secret one\n", "/a", "x", sdk.AccountNotFound},
		{"yaml", "a: 1\na: 2\n", "/a", "x", sdk.Ambiguous},
		{"yaml", "a: 1\n---\na: 2\n", "/a", "x", sdk.InvalidConfig},
		{"yaml", "a: [\n", "/a", "x", sdk.InvalidConfig},
		{"properties", "a=one\\\n  two\n", "a", "x", sdk.AccountNotFound},
		{"pgpass", "h:1:*:*:first\nh:1:db:u:old\n", "h:1:db:u", "x", sdk.Ambiguous},
		{"pgpass", "h:1:db:u:old\n", "h:1:db", "x", sdk.AccountNotFound},
	} {
		i, path := open(t, test.text, "format", test.format)
		before, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		r := i.Apply(t.Context(), set(test.place, test.value))
		after, err := os.Stat(path)
		if r.Outcome != sdk.Refused || r.Err.Code != test.code {
			t.Errorf("%s %q at %s: %v %v, want %s", test.format, test.text, test.place, r.Outcome, r.Err, test.code)
		}
		if err != nil || !os.SameFile(before, after) || read(t, path) != test.text {
			t.Errorf("%s %q: the file changed", test.format, test.text)
		}
	}
}

// values are of what programs are known to read otherwise than it was written.
var values = []string{"plain-Value_1.2+3/4:5@6,7=8", "0123", "no", "null", "1e3", "~", "#x", "x #y", " lead", "trail ", "a: b", "- a", "'", `"`, `\`, `\n`, "$HOME", "%s",
	"`id`", "é漢🔑", "\u2028", "{x}", "[x]", "*", "&a", "!t", "|", ">", "@", "=", "==", ";c", strings.Repeat("long ", 60) + "x"}

// python reads a value out of each file and ends it with NUL.
func python(value string) []string {
	return []string{"python3", "-c", "import sys, json, yaml, configparser\nsys.stdout.reconfigure(encoding='utf-8', newline='')\ndef ini(f):\n  c = configparser.ConfigParser()\n  c.read_file(f)\n  return c\n" +
		"for p in sys.argv[1:]:\n  f = open(p, encoding='utf-8', newline='')\n  sys.stdout.write(" + value + " + chr(0))"}
}

// shell is the same of shells.
func shell(program string) []string {
	return []string{program, "-c", `for p in "$@"; do . "$p"; printf '%s\0' "$DB"; done`, "sh"}
}

// TestOtherProgramsReadTheValue: each format by a program that rekey shares
// nothing with; a value that it would read otherwise is refused.
func TestOtherProgramsReadTheValue(t *testing.T) {
	for format, test := range map[string]struct {
		text, place string
		least       int      // values that it takes
		ask         []string // libpq if there is none
	}{
		"env of a shell":     {"X=1\nDB='old'\nY=2\n", "DB", 2, shell("sh")},
		"env without quotes": {"X=1\nexport DB=old\n", "DB", 2, shell("bash")},
		"ini":                {"[a]\nx = 1\n[db]\npassword = old\n", "db/password", 2, python("ini(f)['db']['password']")},
		"json":               {`{"db": {"password": "old"}, "x": ["y"]}`, "/db/password", len(values), python("json.load(f)['db']['password']")},
		"yaml":               {"# c\ndb: {user: x, password: old}\nx: y\n", "/db/password", len(values), python("yaml.safe_load(f)['db']['password']")},
		"pgpass":             {"127.0.0.1:5432:db:u:x\n*:*:db2:u:old\n", "*:*:db2:u", 12, nil},
	} {
		name, _, _ := strings.Cut(format, " ")
		i, path := open(t, test.text, "format", name)
		var taken, paths []string
		for n, value := range values {
			if test.ask == nil && n%3 > 0 && !strings.ContainsAny(value, `:\`) {
				continue // psql takes its time
			}
			r := i.Apply(t.Context(), set(test.place, value))
			switch {
			case r.Outcome == sdk.Applied:
				taken, paths = append(taken, value), append(paths, fmt.Sprint(path, n))
				if err := os.WriteFile(paths[len(paths)-1], []byte(read(t, path)), 0o600); err != nil {
					t.Fatal(err)
				}
			case r.Outcome != sdk.Refused || r.Err.Code != sdk.PolicyViolation:
				t.Errorf("%s: %q: %v %v", format, value, r.Outcome, r.Err)
			}
		}
		if len(taken) < test.least {
			t.Errorf("%s: takes %d of %d values, want %d", format, len(taken), len(values), test.least)
		}
		for n, got := range ask(t, test.ask, paths) {
			if got != taken[n] {
				t.Errorf("%s: the program reads %q, want %q", format, got, taken[n])
			}
		}
	}
}

// ask has a program read the value in each file.
func ask(t *testing.T, program, paths []string) (values []string) {
	t.Helper()
	if program != nil {
		return strings.Split(strings.TrimSuffix(output(t, program[0], append(program[1:], paths...)...), "\x00"), "\x00")
	}
	for _, path := range paths {
		values = append(values, askedByPsql(t, path))
	}
	return values
}

func output(t *testing.T, program string, args ...string) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), program, args...).Output()
	if err != nil {
		t.Errorf("%s: %v", program, err)
	}
	return string(out)
}

// askedByPsql is what libpq sends a server that asks for a password in clear.
func askedByPsql(t *testing.T, pgpass string) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	got := make(chan string, 1)
	go func() { got <- servePassword(listener) }()
	_, port, _ := net.SplitHostPort(listener.Addr().String())
	ctx, stop := context.WithTimeout(t.Context(), 30*time.Second)
	defer stop()
	cmd := exec.CommandContext(ctx, "psql", "-w", "host=127.0.0.1 sslmode=disable gssencmode=disable dbname=db2 user=u port="+port)
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "PGPASSFILE=" + pgpass, "HOME=" + filepath.Dir(pgpass)}
	_ = cmd.Run() // it is sent away
	_ = listener.Close()
	return <-got
}

// servePassword speaks as much of PostgreSQL's protocol as asks for a password.
func servePassword(listener net.Listener) string {
	conn, err := listener.Accept()
	if err != nil {
		return ""
	}
	defer conn.Close()
	from := bufio.NewReader(conn)
	body := func() []byte {
		size := make([]byte, 4)
		if _, err := io.ReadFull(from, size); err != nil {
			return nil
		}
		text := make([]byte, max(4, binary.BigEndian.Uint32(size))-4)
		_, _ = io.ReadFull(from, text)
		return text
	}
	body()
	_, _ = conn.Write([]byte{'R', 0, 0, 0, 8, 0, 0, 0, 3})
	if kind, err := from.ReadByte(); err != nil || kind != 'p' {
		return ""
	}
	return strings.TrimSuffix(string(body()), "\x00")
}

// TestTheFileStaysWhatItIs: its mode, its owner, its link; one with hard links is
// refused.
func TestTheFileStaysWhatItIs(t *testing.T) {
	i, path := open(t, "A=old\n", "format", "env")
	link := filepath.Join(filepath.Dir(path), "link")
	if err := os.Chown(path, 1234, 2345); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("file", link); err != nil {
		t.Fatal(err)
	}
	if r := at(t, link, "format", "env").Apply(t.Context(), set("A", "new")); r.Outcome != sdk.Applied {
		t.Fatal(r.Err)
	}
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	stat := info.Sys().(*syscall.Stat_t)
	if info.Mode().Perm() != 0o640 || stat.Uid != 1234 || stat.Gid != 2345 || read(t, path) != "A=new\n" {
		t.Errorf("mode %v, owner %d:%d", info.Mode(), stat.Uid, stat.Gid)
	}
	if to, err := os.Readlink(link); err != nil || to != "file" {
		t.Errorf("the link leads to %q, %v", to, err)
	}
	if err := os.Link(path, link+"2"); err != nil {
		t.Fatal(err)
	}
	if r := i.Apply(t.Context(), set("A", "newer")); r.Outcome != sdk.Refused || r.Err.Code != sdk.InvalidConfig || !strings.Contains(r.Err.Message, "hard links") {
		t.Errorf("with a hard link: %v %v", r.Outcome, r.Err)
	}
	if found := i.Check(t.Context()); len(found) == 0 || found[0].Severity != sdk.Bad {
		t.Errorf("Check says %v", found)
	}
	names, err := os.ReadDir(filepath.Dir(path))
	if err != nil || len(names) != 3 {
		t.Errorf("%d files are there, want 3: a draft was left", len(names))
	}
}

// TestManyPlacesAtOnce: none is lost.
func TestManyPlacesAtOnce(t *testing.T) {
	var text strings.Builder
	for n := range 60 {
		fmt.Fprintf(&text, "KEY_%d=old\n", n)
	}
	one, path := open(t, text.String(), "format", "env")
	two := at(t, path, "format", "env")
	var all sync.WaitGroup
	for n := range 60 {
		i := []*file.Instance{one, two}[n%2]
		all.Go(func() {
			if r := i.Apply(t.Context(), set(fmt.Sprint("KEY_", n), fmt.Sprint("value-", n))); r.Outcome != sdk.Applied {
				t.Errorf("%d: %v", n, r.Err)
			}
		})
	}
	all.Wait()
	for n := range 60 {
		if !strings.Contains(read(t, path), fmt.Sprintf("KEY_%d=value-%d\n", n, n)) {
			t.Errorf("the value of %d is lost", n)
		}
	}
}

// TestTheProgramIsTold after the file was written, and again where it was not.
func TestTheProgramIsTold(t *testing.T) {
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	seen, fails, program := filepath.Join(dir, "seen"), filepath.Join(dir, "fails"), filepath.Join(dir, "reload")
	i, path := open(t, "A=old\n", "format", "env", "reload", []string{program, "now"})
	script := "#!/bin/sh\ncat " + path + " >>" + seen + "; echo \"$1\" >>" + seen + "; test ! -e " + fails + " || { echo no such unit >&2; exit 5; }\n"
	if err := os.WriteFile(program, []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(fails, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	r := i.Apply(t.Context(), set("A", "new"))
	if r.Outcome != sdk.Unknown || r.Err.Code != sdk.TargetError || !strings.Contains(r.Err.Message, "the value is in the file, and the program was not told") || !strings.Contains(r.Err.Message, "no such unit") {
		t.Errorf("a reload that fails: %v %v", r.Outcome, r.Err)
	}
	for value, want := range map[string]sdk.Verdict{"new": sdk.CannotTell, "old": sdk.Rejected} {
		if got, err := i.Verify(t.Context(), "A", "", secret.New(value)); err != nil || got != want {
			t.Errorf("verify before the program is told: %v, %v, want %v", got, err, want)
		}
	}
	if err := os.Remove(fails); err != nil {
		t.Fatal(err)
	}
	op := set("A", "new")
	op.Attempt = 2
	if r := i.Apply(t.Context(), op); r.Outcome != sdk.Applied {
		t.Errorf("once more: %v", r.Err)
	}
	if got, err := i.Verify(t.Context(), "A", "", secret.New("new")); err != nil || got != sdk.Accepted {
		t.Errorf("verify after it was told: %v, %v", got, err)
	}
	if got := read(t, seen); got != "A=new\nnow\nA=new\nnow\n" {
		t.Errorf("the program saw %q", got)
	}
	if err := os.Chmod(program, 0o777); err != nil {
		t.Fatal(err)
	}
	if found := i.Check(t.Context()); len(found) != 1 || found[0].Severity != sdk.Bad {
		t.Errorf("a reload that others may replace: Check says %v", found)
	}
}

func TestTheProcessIsSignalled(t *testing.T) {
	got := make(chan os.Signal, 1)
	signal.Notify(got, syscall.SIGUSR2)
	defer signal.Stop(got)
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	pid := filepath.Join(dir, "pid")
	i, path := open(t, "A=old\n", "format", "env", "pid_file", pid, "signal", "USR2")
	for text, want := range map[string]sdk.Outcome{strconv.Itoa(os.Getpid()) + "\n": sdk.Applied, "1\n": sdk.Unknown, "x\n": sdk.Unknown, "4194305\n": sdk.Unknown} {
		if err := os.WriteFile(pid, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		if r := i.Apply(t.Context(), set("A", "new")); r.Outcome != want {
			t.Errorf("%q: %v %v, want %v", text, r.Outcome, r.Err, want)
		}
	}
	select {
	case <-got:
	case <-time.After(10 * time.Second):
		t.Error("no signal came")
	}
	if read(t, path) != "A=new\n" {
		t.Error("the file was not written first")
	}
}

func TestATemplateIsFilled(t *testing.T) {
	i, path := open(t, "whatever\n", "format", "template", "template", filepath.Join(t.TempDir(), "t"))
	_ = i
	model := filepath.Join(t.TempDir(), "model")
	if err := os.WriteFile(model, []byte("<?php // written by rekey\r\n$pw = \"{value}\";\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	i = at(t, path, "format", "template", "template", model)
	if r := i.Apply(t.Context(), set("value", "new-1")); r.Outcome != sdk.Applied || read(t, path) != "<?php // written by rekey\r\n$pw = \"new-1\";\n" {
		t.Errorf("%v %v: %q", r.Outcome, r.Err, read(t, path))
	}
	if got, err := i.Verify(t.Context(), "value", "", secret.New("new-1")); err != nil || got != sdk.Accepted {
		t.Errorf("verify: %v, %v", got, err)
	}
	for _, value := range []string{`a"b`, "$x", "a b", "é"} {
		if r := i.Apply(t.Context(), set("value", value)); r.Outcome != sdk.Refused || r.Err.Code != sdk.PolicyViolation {
			t.Errorf("%q: %v %v", value, r.Outcome, r.Err)
		}
	}
	for _, text := range []string{"none", "{value}{value}"} {
		if err := os.WriteFile(model, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if r := i.Apply(t.Context(), set("value", "new-2")); r.Outcome != sdk.Refused || r.Err.Code != sdk.InvalidConfig {
			t.Errorf("template %q: %v %v", text, r.Outcome, r.Err)
		}
	}
}

// TestAPlaceThatIsThereTwiceIsNone, to ask of and to try.
func TestAPlaceThatIsThereTwiceIsNone(t *testing.T) {
	i, _ := open(t, "A=1\nB=2\nA=1\n", "format", "env")
	if _, err := i.Find(t.Context(), "A"); sdk.AsError(err, "").Code != sdk.Ambiguous {
		t.Errorf("Find: %v", err)
	}
	if got, err := i.Verify(t.Context(), "A", "", secret.New("1")); err == nil {
		t.Errorf("Verify: %v", got)
	}
	if found, err := i.Find(t.Context(), "B"); err != nil || found.Account != "B" {
		t.Errorf("Find: %+v, %v", found, err)
	}
}

// TestWhatGoesWithAValueIsWrittenWithIt, in one replacement: a program that reads the
// file at any moment finds the name and the password of one account.
func TestWhatGoesWithAValueIsWrittenWithIt(t *testing.T) {
	for format, text := range map[string]string{
		"env": "DB_USER=app_a\nX=1\nDB_PASSWORD=one-1\n", "json": "{\"DB_PASSWORD\": \"one-1\", \"x\": 1, \"DB_USER\": \"app_a\"}\n", "ini": "DB_PASSWORD=one-1\nDB_USER=app_a\n[other]\nDB_USER=app_a\n",
	} {
		slash := map[string]string{"json": "/"}[format]
		i, path := open(t, text, "format", format, "names", []string{"NONE", slash + "DB_USER"})
		for place, want := range map[string]string{"DB_USER": "app_a", "DB_PASSWORD": slash + "DB_PASSWORD"} {
			if found, err := i.Find(t.Context(), slash+place); err != nil || found.ID != want {
				t.Errorf("%s: find %s: %q, %v; want %q", format, place, found.ID, err, want)
			}
		}
		op := set(slash+"DB_PASSWORD", "two-2")
		op.Options = map[string]any{"also": []string{slash + "DB_USER=app_b"}}
		if r := i.Apply(t.Context(), op); r.Outcome != sdk.Applied {
			t.Fatal(format, r.Err)
		}
		want := strings.Replace(strings.Replace(text, "app_a", "app_b", 1), "one-1", "two-2", 1)
		if got := read(t, path); got != want {
			t.Errorf("%s: %q, want %q", format, got, want)
		}
		for _, wrong := range []string{slash + "NOBODY=x", slash + "DB_PASSWORD=x", slash + "DB_USER", slash + "DB_USER=a\nb", "=x"} {
			op.Options, op.Value = map[string]any{"also": []string{wrong}}, secret.New("three-3")
			if r := i.Apply(t.Context(), op); r.Outcome != sdk.Refused || read(t, path) != want {
				t.Errorf("%s: also %q: %v, %v", format, wrong, r.Outcome, r.Err)
			}
		}
	}
}

// TestNoNameIsASecret: what find shows is what names has, by its exact name, is called
// like no secret, and takes no value that is one.
func TestNoNameIsASecret(t *testing.T) {
	configured := func(format string, names ...string) error {
		_, err := file.New().Configure(t.Context(), sdk.Config{Values: map[string]any{"path": "/file", "signal": "HUP", "format": format, "names": names}})
		return err
	}
	for _, place := range []string{"*", "*USER*", "DB_USE?", "DB_[U]SER", "/*/user", "", "DB_USER_PASSWORD", "DB_LAST_PASSWORD", "dbUserPasswd", "dbpass", "app/secret", "/db/userSecret", "/secrets/0/api-key",
		"/passwords/0", "user.pwd", "AUTH_TOKEN", "APIKEY", "userPW", "/a~1password"} {
		if err := configured("ini", "DB_USER", place); sdk.AsError(err, "").Code != sdk.InvalidConfig || !strings.Contains(err.Error(), fmt.Sprintf("%q", place)) {
			t.Errorf("names %q: %v", place, err)
		}
	}
	for _, place := range []string{"DB_USER", "db/user", "/secrets/user", "password.username", "AWS_ACCESS_KEY_ID", "DB_PASSWORD_USER", "/users/0", "KEYCLOAK_LOGIN"} {
		if err := configured("ini", place); err != nil {
			t.Errorf("names %q: %v", place, err)
		}
	}
	if err := configured("pgpass", "h:5432:db:u"); sdk.AsError(err, "").Code != sdk.InvalidConfig {
		t.Errorf("names of pgpass: %v", err)
	}
	i, path := open(t, "DB_USER=app_a\nDB_USER_X=live\n", "format", "env", "names", []string{"DB_USER"})
	if found, err := i.Find(t.Context(), "DB_USER_X"); err != nil || found.ID != "DB_USER_X" {
		t.Errorf("find: %q, %v", found.ID, err)
	}
	change := set("DB_USER", "new-1")
	change.Verb, change.Old = sdk.Change, secret.New("app_a")
	for _, op := range []sdk.Operation{set("DB_USER", "new-1"), change} {
		if r := i.Apply(t.Context(), op); r.Outcome != sdk.Refused || r.Err.Code != sdk.InvalidOperation || read(t, path) != "DB_USER=app_a\nDB_USER_X=live\n" {
			t.Errorf("%s of a name: %v %v", op.Verb, r.Outcome, r.Err)
		}
	}
}
