package main_test

import (
	"path/filepath"
	"strings"
	"testing"
)

func TestTheSandboxLetsABackendDoItsWork(t *testing.T) {
	p := newPlace(t)
	p.write("users.csv", "login\nanna\nbert\n")
	p.write("web/users.htpasswd", "anna:x\nbert:x\n")
	p.write("job.star", `"""Rotate in a sandbox."""
path = param.path("path")
workflow(users = csv("users.csv", key = "login"), backend = backend("htpasswd", path = path, hash = "sha256"))
`)
	o := p.outcome(0, "run", "job.star", "path=web/users.htpasswd", "--yes", "--sandbox")
	if o.Counts["done"] != 2 {
		t.Errorf("counts %v", o.Counts)
	}
	r := p.must(2, "run", "job.star", "path=users.htpasswd", "--yes", "--sandbox")
	want := "the plugin would be granted " + realPath(t, p.dir) + ", which reaches " + filepath.Join(realPath(t, p.dir), "state") + "; put the file into a directory of its own"
	if !strings.Contains(r.stderr, want) || strings.Count(strings.TrimSpace(r.stderr), "\n") > 0 {
		t.Errorf("%q, want one line with %q", r.stderr, want)
	}
}

func realPath(t *testing.T, path string) string {
	t.Helper()
	real, err := filepath.EvalSymlinks(path)
	if err != nil {
		t.Fatal(err)
	}
	return real
}

func TestConfineIsNotForPeople(t *testing.T) {
	p := newPlace(t)
	if r := p.must(2, "confine"); !strings.Contains(r.stderr, "confine: started by rekey itself, for --sandbox") {
		t.Errorf("got %q", r.stderr)
	}
}
