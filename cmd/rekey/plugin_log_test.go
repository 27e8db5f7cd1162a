package main_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestPluginsWriteToFilesOfTheirOwn, whatever REKEY_LOG lets onto the terminal, and
// no secret among it.
func TestPluginsWriteToFilesOfTheirOwn(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	p.write("users.csv", "login,password\nann,Spring-1728-x\nbob,Autumn-1729-y\n")
	p.write("job.star", `"""Given values."""
target = backend("htpasswd", path = "users", create = True, hash = "sha256")
other = backend("memory")
def rotate(user, step):
    step.set(target, user.login, user.password)
    step.set(other, user.login, user.password)
workflow(users = csv("users.csv", key = "login", secrets = ["password"]), rotate = rotate)
`)
	r := p.must(0, "run", "job.star", "--yes", "--plugin-log", "logs")
	if strings.Contains(r.stderr, "started") {
		t.Errorf("the terminal has what the files are for: %s", r.stderr)
	}
	for _, name := range []string{"htpasswd", "memory"} {
		text := p.read(filepath.Join("logs", name+".log"))
		if !strings.Contains(text, "rekey: started, version 1.0.0") || strings.Contains(text, "1728") || strings.Contains(text, "1729") {
			t.Errorf("%s: %s", name, text)
		}
	}
	if err := os.Chmod(filepath.Join(p.dir, "logs"), 0o777); err != nil {
		t.Fatal(err)
	}
	if r := p.must(2, "check", "job.star", "--plugin-log", "logs"); !strings.Contains(r.stderr, "--plugin-log "+filepath.Join(p.dir, "logs")+": ") || !strings.Contains(r.stderr, "chmod go-w") {
		t.Errorf("%s", r.stderr)
	}
}
