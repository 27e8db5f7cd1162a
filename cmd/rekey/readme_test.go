package main_test

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rekey-host/rekey/plugins/ldap/ldaptest"
)

// block is one fenced block of the README.
type block struct{ language, text string }

func readme(t *testing.T) (text string, blocks []block) {
	t.Helper()
	read, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range regexp.MustCompile("(?ms)^```([a-z]+)\n(.*?)^```$").FindAllStringSubmatch(string(read), -1) {
		blocks = append(blocks, block{m[1], m[2]})
	}
	return string(read), blocks
}

// preamble lets a shell run the README as it is written: go run starts what
// was built already, and everything is where a clone has it.
const preamble = `set -eu
go() {
    [ "$1" = run ] || { command go "$@"; return; }
    shift; program=$1; shift
    "$BUILT/$(echo "$program" | tr -d . | tr / -)" "$@"
}
`

// TestReadmeCommandsWork runs every shell block of the README in its order, in
// one working directory. make test is this very run.
func TestReadmeCommandsWork(t *testing.T) {
	server := ldaptest.Start(t, ldaptest.Options{Users: 150})
	p := newPlace(t)
	p.env = append(p.env, "BUILT="+builtPrograms(t), "PATH="+filepath.Dir(binary)+":"+os.Getenv("PATH"), "LANG=C.UTF-8", "GOFLAGS=-mod=mod")
	for _, tree := range []string{"scripts", "plugins"} {
		if err := os.Symlink(absolute(t, "../../"+tree), filepath.Join(p.dir, tree)); err != nil {
			t.Fatal(err)
		}
	}
	var users strings.Builder
	users.WriteString("login\n")
	for n := range 150 {
		fmt.Fprintf(&users, "user%d\n", n)
	}
	p.write("users.csv", users.String())
	_, blocks := readme(t)
	ports := strings.NewReplacer("127.0.0.1:8081", free(t), "127.0.0.1:8082", free(t), "127.0.0.1:8083", free(t), "127.0.0.1:8084", free(t))
	ours := strings.NewReplacer("ldaps://ds.acme.example", server.URL, "ou=people,dc=acme,dc=example", "ou=people,"+server.BaseDN,
		"cn=rotator,dc=acme,dc=example", server.BindDN, "LDAP_BIND_PASSWORD=…", "LDAP_BIND_PASSWORD="+server.Password,
		"second=100\n", "second=100 --yes\n")
	ran, served := 0, 0
	for _, b := range blocks {
		b.text = ports.Replace(b.text)
		switch {
		case b.language == "sh" && strings.Contains(b.text, "/simulate --listen"):
			defer background(t, p, b.text)()
			served++
		case b.language == "python" && strings.Contains(b.text, "users.htpasswd"):
			p.write("mine.star", b.text)
		case b.language == "sh" && !strings.HasPrefix(b.text, "make "):
			shell(t, p, ours.Replace(b.text))
			ran++
		}
	}
	if ran < 8 || served != 4 {
		t.Errorf("only %d blocks of commands and %d servers were found", ran, served)
	}
	passwords := table(t, p.read("passwords.csv"))
	if err := server.Bind(server.UserDN(0), passwords["user0"]["password"]); err != nil {
		t.Errorf("after the last block: %v", err)
	}
}

func shell(t *testing.T, p *place, text string) {
	t.Helper()
	cmd := exec.Command("bash", "-c", preamble+text)
	cmd.Dir, cmd.Env = p.dir, append(p.command().Env, p.env...)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s\n%s", err, text, out)
	}
}

// background starts a block that goes on in a terminal of its own, waits until
// it listens, and returns what ends it. What it exports, the other terminal has
// too.
func background(t *testing.T, p *place, text string) (end func()) {
	t.Helper()
	for _, m := range regexp.MustCompile(`(?m)^export ([A-Z_]+=\S+)`).FindAllStringSubmatch(text, -1) {
		p.env = append(p.env, m[1])
	}
	cmd := exec.Command("bash", "-c", preamble+text)
	cmd.Dir, cmd.Env = p.dir, append(p.command().Env, p.env...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	address := regexp.MustCompile(`--listen (\S+)`).FindStringSubmatch(text)[1]
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		conn, err := net.Dial("tcp", address)
		if err == nil {
			conn.Close()
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s: %v", text, err)
		}
	}
	return func() {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM)
		_ = cmd.Wait()
	}
}

// free returns an address on loopback that nobody listens on.
func free(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// builtPrograms builds what the README starts with go run.
func builtPrograms(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	text, _ := readme(t)
	for _, m := range regexp.MustCompile(`go run (\./[a-z/-]+)`).FindAllStringSubmatch(text, -1) {
		to := filepath.Join(dir, strings.ReplaceAll(strings.TrimPrefix(m[1], "."), "/", "-"))
		if m[1] == "./cmd/rekey" {
			if err := os.Symlink(binary, to); err != nil && !os.IsExist(err) {
				t.Fatal(err)
			}
			continue
		}
		build := exec.Command("go", "build", "-o", to, "../.."+strings.TrimPrefix(m[1], "."))
		if out, err := build.CombinedOutput(); err != nil {
			t.Fatalf("build %s: %v\n%s", m[1], err, out)
		}
	}
	return dir
}

func absolute(t *testing.T, path string) string {
	t.Helper()
	abs, err := filepath.Abs(path)
	if err != nil {
		t.Fatal(err)
	}
	return abs
}

// TestReadmeNamesOnlyWhatIsThere holds links, make targets, environment
// variables and commands of the documents to the tree and the help.
func TestReadmeNamesOnlyWhatIsThere(t *testing.T) {
	text, _ := readme(t)
	for _, m := range regexp.MustCompile(`\]\(([^)#]+)\)`).FindAllStringSubmatch(text, -1) {
		if _, err := os.Stat(filepath.Join("../..", m[1])); err != nil && !strings.HasPrefix(m[1], "http") {
			t.Errorf("README links to %s: %v", m[1], err)
		}
	}
	makefile, err := os.ReadFile("../../Makefile")
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range regexp.MustCompile("`make ([a-z]+)`|(?m)^make ([a-z]+)$").FindAllStringSubmatch(text, -1) {
		if target := m[1] + m[2]; !strings.Contains(string(makefile), "\n"+target+":") {
			t.Errorf("README names make %s, which there is not", target)
		}
	}
	p := newPlace(t)
	for _, m := range regexp.MustCompile("`rekey ([a-z-]+)").FindAllStringSubmatch(text, -1) {
		if r := p.rekey(m[1], "--help"); r.exit != 0 {
			t.Errorf("README names rekey %s: %s", m[1], r.stderr)
		}
	}
}
