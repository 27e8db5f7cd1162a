package htpasswd

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rekey-host/rekey/sdk"
)

// needs returns the path of a program, or fails naming its Debian package.
func needs(t *testing.T, program, pkg string) string {
	t.Helper()
	for _, dir := range append(filepath.SplitList(os.Getenv("PATH")), "/usr/sbin") {
		if p, err := exec.LookPath(filepath.Join(dir, program)); err == nil {
			return p
		}
	}
	t.Fatalf("%s is missing: apt-get install %s", program, pkg)
	return ""
}

// kinds are the settings of every hash, as a server must accept it.
var kinds = []struct {
	hash string
	cost int64
}{{"bcrypt", 10}, {"sha512", 10}, {"sha512", 1000}, {"sha256", 10}, {"apr1", 10}}

func TestApacheAcceptsEveryKindOfHash(t *testing.T) {
	htpasswd := needs(t, "htpasswd", "apache2-utils")
	for _, k := range kinds {
		i, path := open(t, "alice:x\n", "hash", k.hash, "cost", k.cost)
		for _, value := range []string{"correct horse", canary, "a:b", strings.Repeat("é", 36)} {
			if r := i.Apply(t.Context(), set("alice", value)); r.Outcome != sdk.Applied {
				t.Fatalf("%s: %v", k.hash, r.Err)
			}
			if out, err := exec.CommandContext(t.Context(), htpasswd, "-vb", path, "alice", value).CombinedOutput(); err != nil {
				t.Errorf("%s %d: htpasswd -vb: %v: %s", k.hash, k.cost, err, out)
			}
			if err := exec.CommandContext(t.Context(), htpasswd, "-vb", path, "alice", value+"x").Run(); err == nil && len(value) < 72 {
				t.Errorf("%s %d: htpasswd -vb accepts another value", k.hash, k.cost)
			}
		}
	}
}

func TestHashesOfApacheAreVerified(t *testing.T) {
	htpasswd := needs(t, "htpasswd", "apache2-utils")
	for _, flag := range []string{"-B", "-m", "-s", "-2", "-5"} {
		i, path := open(t, "")
		if out, err := exec.CommandContext(t.Context(), htpasswd, flag, "-b", path, "alice", canary).CombinedOutput(); err != nil {
			t.Fatalf("htpasswd %s: %v: %s", flag, err, out)
		}
		wantVerdict(t, i, "alice", canary, sdk.Accepted)
		wantVerdict(t, i, "alice", canary+"x", sdk.Rejected)
	}
}

func TestRunningNginxTakesTheNewValueAtOnce(t *testing.T) {
	_, path := open(t, "alice:x\nbob:x\n")
	ask := startNginx(t, path)
	for _, k := range kinds {
		i := configure(t, path, "hash", k.hash, "cost", k.cost)
		old := fmt.Sprint("old ", k.hash, canary)
		for _, value := range []string{old, "new " + k.hash} {
			if r := i.Apply(t.Context(), set("alice", value)); r.Outcome != sdk.Applied {
				t.Fatalf("%s: %v", k.hash, r.Err)
			}
			if got := ask("alice", value); got != http.StatusOK {
				t.Errorf("%s %d: nginx answers %d to the new value, want 200", k.hash, k.cost, got)
			}
		}
		if got := ask("alice", old); got != http.StatusUnauthorized {
			t.Errorf("%s %d: nginx answers %d to the old value, want 401", k.hash, k.cost, got)
		}
	}
}

const nginxConf = `daemon off; master_process off; error_log DIR/error.log; pid DIR/pid;
events {}
http {
  access_log off;
  client_body_temp_path DIR/t; proxy_temp_path DIR/t; fastcgi_temp_path DIR/t; uwsgi_temp_path DIR/t; scgi_temp_path DIR/t;
  server {
    listen unix:DIR/s;
    auth_basic "test"; auth_basic_user_file FILE;
    root DIR/www;
  }
}
`

// startNginx serves a page behind the password file until the test ends, and
// returns a function that asks for it.
func startNginx(t *testing.T, file string) func(user, password string) int {
	t.Helper()
	nginx := needs(t, "nginx", "nginx-light")
	dir := shortDir(t)
	if err := os.MkdirAll(filepath.Join(dir, "www"), 0o700); err != nil {
		t.Fatal(err)
	}
	conf := strings.NewReplacer("DIR", dir, "FILE", file).Replace(nginxConf)
	for name, text := range map[string]string{"conf": conf, "www/index.html": "in"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	server := exec.Command(nginx, "-e", filepath.Join(dir, "error.log"), "-p", dir, "-c", filepath.Join(dir, "conf"))
	server.Stderr = os.Stderr
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- server.Wait() }()
	t.Cleanup(func() {
		_ = server.Process.Kill()
		t.Logf("nginx ended: %v", <-ended)
	})
	ask := asker(filepath.Join(dir, "s"))
	ready(t, ended, func() bool { return ask("", "") == http.StatusUnauthorized })
	return ask
}

// shortDir is a directory whose name leaves room for a socket's.
func shortDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "rk")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

// ready polls until up, and gives up when the server ends or ten seconds do.
func ready(t *testing.T, ended chan error, up func() bool) {
	t.Helper()
	deadline := time.After(10 * time.Second)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !up() {
		select {
		case err := <-ended:
			ended <- err
			t.Fatalf("nginx ended: %v", err)
		case <-deadline:
			t.Fatal("nginx does not answer")
		case <-tick.C:
		}
	}
}

// asker returns a function that gives the status of a request, 0 for none.
func asker(socket string) func(user, password string) int {
	var d net.Dialer
	client := &http.Client{Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext:       func(ctx context.Context, _, _ string) (net.Conn, error) { return d.DialContext(ctx, "unix", socket) },
	}}
	return func(user, password string) int {
		r, err := http.NewRequest(http.MethodGet, "http://localhost/", nil)
		if err != nil {
			return 0
		}
		if user != "" {
			r.SetBasicAuth(user, password)
		}
		answer, err := client.Do(r)
		if err != nil {
			return 0
		}
		defer func() { _ = answer.Body.Close() }()
		return answer.StatusCode
	}
}
