package main_test

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
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

// TestWhatAPluginMayUseIsShownAndPinned: the plan names it, and a resume that
// would let it use more is refused.
func TestWhatAPluginMayUseIsShownAndPinned(t *testing.T) {
	p := newPlace(t)
	p.write("web/users.htpasswd", "ann:x\nbob:x\n")
	p.write("else/users.htpasswd", "ann:x\nbob:x\n")
	if err := os.Symlink("web", filepath.Join(p.dir, "now")); err != nil {
		t.Fatal(err)
	}
	p.write("job.star", `workflow(users = rows(["ann", "bob"], key = "login"), backend = backend("htpasswd", path = "now/users.htpasswd", hash = "sha256", cost = 1000))`)
	web, other := filepath.Join(realPath(t, p.dir), "web"), filepath.Join(realPath(t, p.dir), "else")
	for _, args := range [][]string{{"plan", "job.star"}, {"show", "last"}} {
		if r := p.must(0, append(args, "--sandbox")...); !strings.Contains(r.stdout, "backend htpasswd: htpasswd 1.0.0, in rekey itself, confined to write "+web+"\n") {
			t.Errorf("%s: %s", args[0], r.stdout)
		}
	}
	if b := p.trusted().Backends[0]; !b.Confined || len(b.Grants) != 1 || b.Grants[0] != "write "+web {
		t.Errorf("show --json: %+v", b)
	}
	if r := p.must(2, "resume", "last", "--yes"); !strings.Contains(r.stderr, `the plugin of backend "htpasswd" may now use more: everything, without --sandbox; undo that, or give --accept-change`) {
		t.Errorf("got %s", r.stderr)
	}
	if err := errors.Join(os.Remove(filepath.Join(p.dir, "now")), os.Symlink("else", filepath.Join(p.dir, "now"))); err != nil {
		t.Fatal(err)
	}
	if r := p.must(2, "resume", "last", "--yes", "--sandbox"); !strings.Contains(r.stderr, "may now use more: write "+other+";") {
		t.Errorf("got %s", r.stderr)
	}
	if p.read("else/users.htpasswd") != p.read("web/users.htpasswd") {
		t.Error("something was changed")
	}
	if o := p.outcome(0, "resume", "last", "--yes", "--sandbox", "--accept-change"); o.Counts["done"] != 2 {
		t.Errorf("%+v", o)
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

// TestTheSandboxLetsABackendReachItsProxy: the system's own port is another, and
// without that of the proxy no request would leave.
func TestTheSandboxLetsABackendReachItsProxy(t *testing.T) {
	j, proxy := newProxiedJob(t)
	if o := j.outcome(0, proxied(proxy.URL, "--sandbox")...); o.Counts["done"] != 3 {
		t.Errorf("counts %v", o.Counts)
	}
	_, port, _ := strings.Cut(proxy.Listener.Addr().String(), ":")
	if b := j.trusted().Backends[0]; !slices.Contains(b.Grants, "connect "+port) {
		t.Errorf("grants %q, want port %s among them", b.Grants, port)
	}
}

// TestTheKitConfinesAPluginAsARunDoes: one that needs what it does not declare is found
// there, and not by its first user.
func TestTheKitConfinesAPluginAsARunDoes(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	program := filepath.Join(leakyPlugin(t, "1"), "rekey-backend-leaky")
	const target = `"secrets": {"password": "of-the-plugin"}, "accounts": ["ann", "bob", "cyd"], "holds": ["/bin/true"]`
	p.write("modest.json", "{"+target+"}")
	p.write("target.json", `{"files": {"kept": ""}, "config": {"log": "{dir}/log"}, `+target+"}")
	const only = "sandbox|set/takes"
	if r := p.must(0, "plugin", "test", program, "--target", "modest.json", "--only", only, "--sandbox"); !strings.Contains(r.stdout, "kept    sandbox/it works within what it declares\n") {
		t.Errorf("got\n%s", r.stdout)
	}
	r := p.must(3, "plugin", "test", program, "--target", "target.json", "--only", only, "--sandbox")
	for _, want := range []string{"BROKEN  sandbox/it works within what it declares\n", "permission denied", "        the setting log is the path ", `/log, which paths does not declare: add "{log}", or "write {log}" to write there` + "\n",
		"        confined to nothing, as in a run: ", "BROKEN  set/takes effect\n"} {
		if !strings.Contains(r.stdout, want) {
			t.Errorf("got\n%s\nwant %q", r.stdout, want)
		}
	}
	if r := p.must(0, "plugin", "test", program, "--target", "target.json", "--only", only); !strings.HasSuffix(r.stdout, "1 promise kept, 0 broken; 1 does not apply\n") {
		t.Errorf("unconfined: %s", r.stdout)
	}
}
