package workflow

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
)

// tail ends a script of which only the beginning is of interest.
const tail = "\nworkflow(users = rows([\"ann\"], key = \"login\"), backend = backend(\"memory\"))\n"

func TestLoadNamesAreCheckedBeforeAnythingRuns(t *testing.T) {
	for _, tt := range []struct {
		name, module, want string
	}{
		{"beside the script", "teams.star", ""},
		{"below", "lib/teams.star", ""},
		{"a detour", "./lib/./teams.star", ""},
		{"embedded", "@rekey//lib/shipped.star", ""},
		{"out by ..", "../teams.star", `w.star:1:6: load: "../teams.star" leaves the script's directory; keep modules in it, or below`},
		{"out and in again", "lib/../teams.star", `w.star:1:6: load: "lib/../teams.star" leaves the script's directory; keep modules in it, or below`},
		{"absolute", "/etc/teams.star", `w.star:1:6: load: "/etc/teams.star" is absolute; modules are named relative to the script's directory`},
		{"elsewhere", "@acme//teams.star", `w.star:1:6: load: "@acme//teams.star" is in no known place; "@rekey//lib/…" is what ships with rekey`},
		{"absolute and embedded", "@rekey///lib/shipped.star", `w.star:1:6: load: "@rekey///lib/shipped.star" is absolute; modules are named relative to the script's directory`},
		{"a backslash", `lib\\teams.star`, `w.star:1:6: load: "lib\\teams.star" has a backslash; write / between directories`},
		{"no script", "teams.csv", `w.star:1:6: load: "teams.csv" does not end in .star`},
		{"nothing", "", `w.star:1:6: load: "" does not end in .star`},
		{"a zero byte", `\x00.star`, `w.star:1:6: load: "\x00.star" is no name of a file`},
		{"missing", "taems.star", `w.star:1:6: load: "taems.star" does not exist; did you mean "teams.star"?`},
		{"missing and embedded", "@rekey//lib/shiped.star", `w.star:1:6: load: "@rekey//lib/shiped.star" does not exist; did you mean "@rekey//lib/shipped.star"?`},
		{"a directory", "dir.star", `w.star:1:6: load: "dir.star" is not a regular file`},
		{"a FIFO", "fifo.star", `w.star:1:6: load: "fifo.star" is not a regular file`},
		{"a link that stays", "inside.star", ""},
		{"a link that leaves", "outside.star", `w.star:1:6: load: "outside.star" leads out of the script's directory`},
		{"a directory that leaves", "away/teams.star", `w.star:1:6: load: "away/teams.star" leads out of the script's directory`},
		{"a link in a circle", "circle.star", `w.star:1:6: load: "circle.star" cannot be read: too many levels of symbolic links`},
		{"too large", "large.star", `w.star:1:6: load: "large.star" is larger than 1024 KiB`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			const module = "frozen = [\"x\"]\n"
			o := script(t, `load("`+tt.module+`", "frozen")`+tail, "teams.star", module, "lib/teams.star", module, "large.star", strings.Repeat("#", maxFileSize+1))
			elsewhere := t.TempDir()
			put(t, elsewhere, "teams.star", module)
			for link, to := range map[string]string{"inside.star": "lib/teams.star", "outside.star": filepath.Join(elsewhere, "teams.star"), "away": elsewhere, "circle.star": "circle.star"} {
				if err := os.Symlink(to, filepath.Join(o.WorkDir, link)); err != nil {
					t.Fatal(err)
				}
			}
			if err := os.Mkdir(filepath.Join(o.WorkDir, "dir.star"), 0o700); err != nil {
				t.Fatal(err)
			}
			if err := syscall.Mkfifo(filepath.Join(o.WorkDir, "fifo.star"), 0o600); err != nil {
				t.Fatal(err)
			}
			o.Embedded = fstest.MapFS{"lib/shipped.star": {Data: []byte(module)}}
			if got := problems(t, o); got != tt.want {
				t.Errorf("got  %s\nwant %s", got, tt.want)
			}
		})
	}
}

func TestModules(t *testing.T) {
	for _, tt := range []struct {
		name, text string
		files      []string
		want       string
	}{
		{"a name that the module lacks", `load("a.star", "frozn")` + tail, []string{"a.star", "frozen = 1\n"}, `w.star:1:17: load: a.star has no "frozn"; did you mean "frozen"?`},
		{"a private name", `load("a.star", "_x")` + tail, []string{"a.star", "_x = 1\n"}, `w.star:1:17: load: names with leading underscores are not exported: _x; a name with _ stays in its file: give it another one there`},
		{"a cycle", `load("a.star", "a")` + tail, []string{"a.star", `load("b.star", "b")` + "\na = b\n", "b.star", `load("a.star", "a")` + "\nb = a\n"},
			`b.star:1:6: load: the files load each other: a.star loads b.star loads a.star; move what both need into a third file`},
		{"itself", `load("w.star", "users")` + "\na = 1" + tail, nil, `w.star:1:6: load: the files load each other: w.star loads w.star; move what both need into a third file`},
		{"a diamond", `load("a.star", "a")` + "\n" + `load("b.star", "b")` + tail,
			[]string{"a.star", `load("c.star", "c")` + "\na = c\n", "b.star", `load("c.star", "c")` + "\nb = c\n", "c.star", "c = 1\n"}, ""},
		{"names are relative to the script", `load("lib/a.star", "a")` + tail, []string{"lib/a.star", `load("b.star", "b")` + "\na = b\n", "lib/b.star", "b = 1\n"},
			`lib/a.star:1:6: load: "b.star" does not exist; names are relative to the script's directory: write "lib/b.star"`},
		{"neither there nor beside", `load("lib/a.star", "a")` + tail, []string{"lib/a.star", `load("b.star", "b")` + "\na = b\n", "lib/c.star", "b = 1\n"},
			`lib/a.star:1:6: load: "b.star" does not exist; did you mean "w.star"?`},
		{"flaws of both", `load("a.star", "a")` + "\nx = undefd" + tail, []string{"a.star", "a = undefned\n"}, "w.star:2:5: undefined: undefd; give it a value above, or load() it\na.star:1:5: undefined: undefned; give it a value above, or load() it"},
		{"a flaw of syntax", `load("a.star", "a")` + tail, []string{"a.star", "a = (\n"}, `a.star:1:5: the ( is never closed; close it with )`},
		{"an error in it", `load("a.star", "a")` + tail, []string{"a.star", "def f():\n    return 1 // 0\na = f()\n"}, `a.star:2:14: floored division by zero (called from a.star:3)`},
		{"workflow() in it", `load("a.star", "a")`, []string{"a.star", "a = 1" + tail}, "w.star: the script does not call workflow(); end it with workflow(users = …, backend = …)\na.star:2:1: workflow: workflow() is called in a loaded file; call it in the script, and load() what it needs"},
		{"a hook from it", `load("a.star", "select")` + "\nworkflow(users = rows([\"ann\"], key = \"login\"), backend = backend(\"memory\"), select = select)",
			[]string{"a.star", "def select(user):\n    return user.logn == \"\"\n"}, `a.star:2:17: the users have no column "logn"; did you mean "login"?`},
		{"a verdict thrown away there", `load("a.star", "give_up")` + "\ndef rotate(user):\n    give_up()\nworkflow(users = rows([\"ann\"], key = \"login\"), rotate = rotate)",
			[]string{"a.star", "def give_up():\n    return failed(\"x\")\n"},
			`w.star:3:5: the result of give_up() is thrown away, and it may be that of failed(); write return give_up(…), or look at what it returns`},
		{"backends and parameters in it", `load("a.star", "a", "p")` + "\nworkflow(users = rows([p], key = \"login\"), backend = a)",
			[]string{"a.star", "a = backend(\"memory\")\np = param.string(\"p\", default = \"ann\")\n"}, ""},
		{"what a loaded backend cannot", `load("a.star", "mail")` + "\nworkflow(users = rows([\"ann\"], key = \"login\"), rotate = lambda user, step: step.find(mail, user.login))",
			[]string{"a.star", "mail = backend(\"mailer\")\n"}, `w.star:2:76: step.find: backend "mailer" (mailer) cannot find`},
		{"frozen", `load("a.star", "a")` + "\na.append(1)" + tail, []string{"a.star", "a = []\n"}, `w.star:2:1: append: cannot append to frozen list`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := problems(t, script(t, tt.text, tt.files...)); got != tt.want {
				t.Errorf("got  %s\nwant %s", got, tt.want)
			}
		})
	}
}

func TestScriptItself(t *testing.T) {
	o := script(t, tail, "dir/x", "")
	if err := syscall.Mkfifo(filepath.Join(o.WorkDir, "fifo"), 0o600); err != nil {
		t.Fatal(err)
	}
	put(t, o.WorkDir, "bom.star", "\ufeffx = 1"+tail)
	put(t, o.WorkDir, "crlf.star", strings.ReplaceAll("x = 1\n"+tail, "\n", "\r\n"))
	put(t, o.WorkDir, "bad.star", "x = \"\xff\"\n"+tail)
	for path, want := range map[string]string{
		"w.star": "", "crlf.star": "",
		filepath.Join(o.WorkDir, "w.star"): "",
		"missing.star":                     "missing.star: does not exist",
		"dir":                              "dir: is not a regular file",
		"fifo":                             "fifo: is not a regular file",
		"@rekey/x.star":                    "@rekey/x.star: does not exist",
		"bom.star":                         "bom.star:1:1: the file starts with a byte order mark; save it without one",
		"bad.star":                         "bad.star:1:6: not valid UTF-8; save the file as UTF-8",
	} {
		o.Path = path
		if got := problems(t, o); got != want {
			t.Errorf("%s: got %q, want %q", path, got, want)
		}
	}
	o.Path = "missing.star"
	if _, err := Load(context.Background(), o); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the error of a missing script is not fs.ErrNotExist: %v", err)
	}
}

func TestEmbeddedScriptLoadsWhatIsBesideIt(t *testing.T) {
	o := Options{Path: "@rekey/quick.star", WorkDir: t.TempDir(), Describe: describe, Fatal: func(line string) { panic(line) }, Embedded: fstest.MapFS{
		"quick.star":       {Data: []byte(`load("lib/a.star", "a")` + "\nworkflow(users = csv(\"@rekey/data/users.csv\", key = \"login\"), backend = backend(\"memory\"))\n")},
		"lib/a.star":       {Data: []byte("a = 1\n")},
		"data/users.csv":   {Data: []byte("login\nann\nbob\n")},
		"lib/unused.star":  {Data: []byte("a = 1\n")},
		"lib/missing.star": {Data: []byte("a = 1\n")},
	}}
	w := mustLoad(t, o)
	var names []string
	for _, f := range w.Files {
		names = append(names, f.Name)
	}
	if diff := cmp.Diff([]string{"@rekey/quick.star", "lib/a.star"}, names); diff != "" {
		t.Error(diff)
	}
	if n := len(rowsOf(t, w)); n != 2 {
		t.Errorf("%d users, want 2", n)
	}
}

// TestAScriptThatDoesNotShipIsToldWhatDoes: one like it, or all.
func TestAScriptThatDoesNotShipIsToldWhatDoes(t *testing.T) {
	o := Options{WorkDir: t.TempDir(), Describe: describe, Fatal: func(line string) { panic(line) }, Embedded: fstest.MapFS{
		"quick.star": {Data: []byte(tail)}, "rotate.star": {Data: []byte(tail)}, "lib/a.star": {Data: []byte("a = 1\n")}}}
	for path, want := range map[string]string{
		"@rekey/quick.star":   "",
		"@rekey/quik.star":    `@rekey/quik.star: does not exist; did you mean "@rekey/quick.star"?`,
		"@rekey/quick":        `@rekey/quick: does not exist; did you mean "@rekey/quick.star"?`,
		"@rekey/rotat":        `@rekey/rotat: does not exist; did you mean "@rekey/rotate.star"?`,
		"@rekey/migrate.star": `@rekey/migrate.star: does not exist; there are @rekey/quick.star and @rekey/rotate.star`,
	} {
		o.Path = path
		if got := problems(t, o); got != want {
			t.Errorf("%s:\n got %s\nwant %s", path, got, want)
		}
	}
}

// TestKeptScriptNeedsNoFiles loads what a ledger has of a script: its files
// are gone, its source too, and its rows come with the schema that was kept.
func TestKeptScriptNeedsNoFiles(t *testing.T) {
	text := lines(`"""What it does."""`, `load("lib/a.star", "ops")`, `accounts = param.path("accounts")`,
		`workflow(users = csv(accounts, key = "login"), backend = backend("memory"), select = lambda u: u.team == ops)`)
	o := script(t, text, "lib/a.star", "ops = \"it-ops\"\n", "users.csv", "login,team\nann,it-ops\nbob,sales\n")
	o.Params = map[string]string{"accounts": "users.csv"}
	w := mustLoad(t, o)
	rows := rowsOf(t, w)
	columns, err := w.Users.Schema(context.Background())
	if err != nil {
		t.Fatal(err)
	}

	o.WorkDir, o.Kept = t.TempDir(), w.Files
	kept := mustLoad(t, o)
	kept.Use(columns)
	for i, want := range []bool{true, false} {
		due, _, err := kept.Select(context.Background(), rows[i])
		if due != want || err != nil {
			t.Errorf("Select(%s) = %v, %v, want %v", rows[i].Key, due, err, want)
		}
	}
	if kept.Doc != "What it does." || len(kept.Files) != 2 || kept.Files[1].SHA256 != w.Files[1].SHA256 {
		t.Errorf("kept = %q, %d files", kept.Doc, len(kept.Files))
	}
	o.Kept = o.Kept[:1]
	if got, want := problems(t, o), `w.star:2:6: load: "lib/a.star" does not exist`; got != want {
		t.Errorf("without the module: %q, want %q", got, want)
	}
}

// TestWhatIsLoadedIsBounded, a script and a module alike; the last byte and the
// last file that are taken are.
func TestWhatIsLoadedIsBounded(t *testing.T) {
	sized := func(text string, size int) string { return text + strings.Repeat("#", size-len(text)) }
	many := func(n int) (text string, files []string) {
		for i := range n {
			text += fmt.Sprintf("load(\"m%d.star\", \"x%d\")\n", i, i)
			files = append(files, fmt.Sprintf("m%d.star", i), fmt.Sprintf("x%d = %d\n", i, i))
		}
		return text + tail, files
	}
	most, mostFiles := many(maxFiles - 1)
	above, aboveFiles := many(maxFiles)
	for _, tt := range []struct {
		name, text string
		files      []string
		want       string
	}{
		{"a script as large as may be", sized(tail, maxFileSize), nil, ""},
		{"a script that is larger", sized(tail, maxFileSize+1), nil, "w.star: is larger than 1024 KiB"},
		{"a module as large as may be", `load("m.star", "x")` + tail, []string{"m.star", sized("x = 1\n", maxFileSize)}, ""},
		{"a module that is larger", `load("m.star", "x")` + tail, []string{"m.star", sized("x = 1\n", maxFileSize+1)}, `w.star:1:6: load: "m.star" is larger than 1024 KiB`},
		{"as many as may be", most, mostFiles, ""},
		{"one more", above, aboveFiles, `w.star:200:6: load: "m199.star" is one file more than 200`},
	} {
		if got := problems(t, script(t, tt.text, tt.files...)); got != tt.want {
			t.Errorf("%s: got %s, want %s", tt.name, got, tt.want)
		}
	}
}

func TestLoadEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancelCause(context.Background())
	stop := errors.New("interrupted")
	o := script(t, "def f():\n    print(\"begun\")\n    for i in range(1 << 40):\n        pass\ny = f()"+tail)
	o.Print = writerFunc(func(p []byte) { cancel(stop) })
	if _, err := Load(ctx, o); !errors.Is(err, stop) {
		t.Errorf("Load = %v, want the cause of the cancellation", err)
	}
}

type writerFunc func([]byte)

func (f writerFunc) Write(p []byte) (int, error) { f(p); return len(p), nil }
