package command_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rekey-host/rekey/plugins/command"
	"github.com/rekey-host/rekey/plugins/kept/kepttest"
	"github.com/rekey-host/rekey/sdk"
	"github.com/rekey-host/rekey/sdk/backendtest"
)

// image is a directory with accounts of its own, as that of a container's root:
// chpasswd -R changes them, without PAM.
type image struct {
	dir  string
	tool string // testdata/shadow, where nobody else can replace it
}

func newImage(t testing.TB, accounts ...string) image {
	t.Helper()
	made := image{dir: private(t)}
	made.tool = filepath.Join(private(t), "shadow")
	text, err := os.ReadFile("testdata/shadow")
	if err != nil {
		t.Fatal(err)
	}
	write(t, made.tool, string(text), 0o755)
	if err := os.Mkdir(filepath.Join(made.dir, "etc"), 0o755); err != nil {
		t.Fatal(err)
	}
	var passwd, shadow strings.Builder
	for _, name := range accounts {
		name, hash, _ := strings.Cut(name, ":")
		passwd.WriteString(name + ":x:1000:1000::/:/bin/sh\n")
		shadow.WriteString(name + ":" + hash + ":19000:0:99999:7:::\n")
	}
	write(t, made.etc("passwd"), passwd.String(), 0o644)
	write(t, made.etc("shadow"), shadow.String(), 0o600)
	write(t, made.etc("group"), "", 0o644)
	return made
}

// private is a directory that only its owner may write, whatever the umask.
func private(t testing.TB) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

func write(t testing.TB, path, text string, mode os.FileMode) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), mode); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, mode); err != nil {
		t.Fatal(err)
	}
}

func (i image) etc(name string) string { return filepath.Join(i.dir, "etc", name) }

// hash is what the image has for an account.
func (i image) hash(account string) string {
	text, _ := os.ReadFile(i.etc("shadow"))
	for line := range strings.SplitSeq(string(text), "\n") {
		if name, rest, _ := strings.Cut(line, ":"); name == account {
			hash, _, _ := strings.Cut(rest, ":")
			return hash
		}
	}
	return ""
}

// holds asks openssl, which chpasswd knows nothing of.
func (i image) holds(account, value string) bool {
	hash := i.hash(account)
	parts := strings.Split(hash, "$")
	if len(parts) != 4 || parts[1] != "6" {
		return false
	}
	cmd := exec.Command("openssl", "passwd", "-6", "-salt", parts[2], "-stdin")
	cmd.Stdin = strings.NewReader(value + "\n")
	out, err := cmd.Output()
	return err == nil && string(bytes.TrimSpace(out)) == hash
}

// values are the settings for the tools of the image.
func (i image) values() map[string]any {
	tool := func(name string) []string { return []string{i.tool, i.etc("shadow"), name, "--", "{account}"} }
	return map[string]any{
		"set":          []string{"/usr/sbin/chpasswd", "-R", i.dir, "-c", "SHA512"},
		"set_input":    "{account}:{value}\n",
		"verify":       tool("verify"),
		"verify_input": "{value}\n",
		"find":         tool("find"),
		"find_output":  []string{`^account \S+ changed=\S* salt=(?P<stamp>\S*)`},
		"list":         []string{i.tool, i.etc("shadow"), "list"},
		"list_output":  `^account: (?P<account>.+)$`,
		"unlock":       tool("unlock"),
		"check":        []string{"/usr/bin/test", "-s", i.etc("shadow")},
		"min_length":   int64(8),
		"answers": []string{
			"AccountNotFound: output does not exist|no such account",
			"TargetUnavailable: output cannot open|cannot lock|Cannot open audit|invalid chroot|cannot access chroot",
			"rejected: exit 3",
			"locked: output ^it is locked",
		},
	}
}

// target is an image whose accounts have no password.
func target(t testing.TB) backendtest.Target {
	image := newImage(t, "ann:*", "bob:*", "cy@acme.example:*", "lou:!$6$saltsalt$x")
	return backendtest.Target{
		Config:   sdk.Config{Values: image.values()},
		Accounts: []string{"ann", "bob", "cy@acme.example"},
		Holds:    func(account, _, value string) bool { return image.holds(account, value) },
		Missing:  "nobody",
		Locked:   "lou",
		Weak:     "short",
		Wrong: []backendtest.Wrong{
			{Field: "set"},
			{Field: "set", Value: []string{"chpasswd"}},
			{Field: "set", Value: []string{"/usr/sbin/chpasswd", "{value}"}},
			{Field: "set_input", Value: "{account}"},
			{Field: "set_input", Value: "{value}"},
			{Field: "set_input", Value: "{account}:{old}"},
			{Field: "verify_input", Value: ""},
			{Field: "answers", Value: []string{"Nonsense: exit 1"}},
			{Field: "env", Value: []string{"NAME"}},
			{Field: "env", Value: []string{"PGPASSWORD=x"}},
			{Field: "accounts", Value: "("},
			{Field: "find_output", Value: []string{"(?P<nonsense>x)"}},
			{Field: "list_output", Value: "x"},
			{Field: "min_length", Value: int64(-1)},
			{Field: "max_bytes", Value: int64(-1)},
		},
		Down: func() { _ = os.RemoveAll(image.dir) },
	}
}

func TestBackendKeepsTheContract(t *testing.T) {
	backendtest.Run(t, backendtest.Options{Backend: command.New(), Target: target, Report: kepttest.Report(t, "../kept/command.json")})
}

func TestExecutableKeepsTheContract(t *testing.T) {
	path := backendtest.Build(t, "./rekey-backend-command")
	backendtest.RunExecutable(t, backendtest.Options{Target: target}, path)
}
