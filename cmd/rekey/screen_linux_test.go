package main_test

import (
	"bytes"
	"fmt"
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// pty returns the two ends of a terminal.
func pty(t *testing.T) (user, program *os.File) {
	t.Helper()
	user, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = user.Close() })
	if err := unix.IoctlSetPointerInt(int(user.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	n, err := unix.IoctlGetInt(int(user.Fd()), unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	program, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	return user, program
}

// onTerminal runs a command whose standard output is a terminal, and returns
// what that shows.
func onTerminal(t *testing.T, p *place, args ...string) string {
	t.Helper()
	user, program := pty(t)
	var shown bytes.Buffer
	read := make(chan struct{})
	go func() {
		defer close(read)
		_, _ = shown.ReadFrom(user) // ends with an error when the program's end is closed
	}()
	cmd := p.command(args...)
	cmd.Stdout = program
	if err := cmd.Run(); err != nil {
		t.Errorf("%q: %v", args, err)
	}
	_ = program.Close()
	<-read
	return shown.String()
}

const trickyScript = `
target = backend("memory", create = True)

def rotate(user, step):
    print("at \x1b[31m", user.login)
    if user.login == "bo":
        return skip("gone \x1b]0;title\x07 and \u202eback")
    step.set(target, user.login, user.given)

workflow(users = csv("users.csv", key = "login", secrets = ["given"]), rotate = rotate)
`

// TestATerminalObeysNothing has a password, a reason and a printed text that a
// terminal would obey, or show in another order.
func TestATerminalObeysNothing(t *testing.T) {
	p := newPlace(t)
	p.write("r.star", trickyScript)
	p.write("users.csv", "login,given\nann,pw\u202e-Xy7Q-\u200bzw\nbo,another-one-77\n")
	cmd := p.command("run", "r.star", "--yes")
	told, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, told)
	}
	if !bytes.Contains(told, []byte(`at \x1b[31m`)) {
		t.Errorf("print is not shown: %q", told)
	}
	for _, args := range [][]string{{"reveal", "last"}, {"show", "last", "--user", "bo"}, {"report", "last", "--format", "summary"}, {"report", "last", "--format", "csv"}} {
		shown := onTerminal(t, p, args...)
		for _, bad := range []string{"\x1b", "\a", "\u202e", "\u200b"} {
			if strings.Contains(shown+string(told), bad) {
				t.Errorf("%q: %q reaches the terminal: %q", args, bad, shown)
			}
		}
	}
	if shown := onTerminal(t, p, "reveal", "last", "ann"); !strings.Contains(shown, `pw\u202e-Xy7Q-\u200bzw`) {
		t.Errorf("the password is not shown on a terminal: %q", shown)
	}
	piped, err := p.command("reveal", "last", "ann").Output()
	if err != nil || !bytes.Contains(piped, []byte("pw\u202e-Xy7Q-\u200bzw")) {
		t.Errorf("the password is not piped as it is: %q, %v", piped, err)
	}
}
