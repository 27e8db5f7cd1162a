// Package kerberostest starts an MIT Kerberos KDC for tests: with a database of
// its own in a directory of its own, on loopback, until the test ends.
package kerberostest

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// Realm is the realm of every KDC.
const Realm = "REKEY.TEST"

// KDC is a running KDC.
type KDC struct {
	Env  []string // what kadmin.local, kinit and their like have to have
	Logs []string // the files that it and kadmin.local write

	dir   string
	ended chan struct{}
}

const clientConf = `[libdefaults]
 default_realm = REKEY.TEST
 dns_lookup_kdc = false
 dns_lookup_realm = false
 rdns = false
 udp_preference_limit = 1
[realms]
 REKEY.TEST = {
  kdc = 127.0.0.1:PORT
 }
[logging]
 kdc = FILE:DIR/kdc.log
 admin_server = FILE:DIR/kadmin.log
 default = FILE:DIR/default.log
`

const kdcConf = `[kdcdefaults]
 kdc_listen = 127.0.0.1:PORT
 kdc_tcp_listen = 127.0.0.1:PORT
[realms]
 REKEY.TEST = {
  database_name = DIR/principal
  key_stash_file = DIR/stash
  supported_enctypes = aes128-cts:normal
 }
`

// Start starts a KDC with principals that have no password yet, under the policy
// "staff": 8 characters of 2 classes, 3 old values remembered.
func Start(t testing.TB, principals ...string) *KDC {
	t.Helper()
	port := fmt.Sprint(free(t))
	dir := t.TempDir()
	kdc := &KDC{dir: dir, ended: make(chan struct{}), Env: []string{"KRB5_CONFIG=" + dir + "/krb5.conf", "KRB5_KDC_PROFILE=" + dir + "/kdc.conf"}}
	for name, text := range map[string]string{"krb5.conf": clientConf, "kdc.conf": kdcConf} {
		text = strings.NewReplacer("PORT", port, "DIR", dir).Replace(text)
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"kdc.log", "kadmin.log", "default.log"} {
		kdc.Logs = append(kdc.Logs, filepath.Join(dir, name))
	}
	kdc.run(t, "", needs(t, "kdb5_util", "krb5-kdc"), "create", "-s", "-r", Realm, "-P", "of the database")
	var script strings.Builder
	script.WriteString("add_policy -minlength 8 -minclasses 2 -history 3 staff\n")
	for _, name := range principals {
		fmt.Fprintf(&script, "add_principal -randkey -policy staff +requires_preauth %s\n", name)
	}
	kdc.Admin(t, script.String())
	kdc.serve(t, port)
	return kdc
}

// Admin has kadmin.local carry out a script.
func (k *KDC) Admin(t testing.TB, script string) string {
	t.Helper()
	return k.run(t, script, needs(t, "kadmin.local", "krb5-admin-server"))
}

// Login reports whether a principal gets a ticket with a password.
func (k *KDC) Login(t testing.TB, principal, password string) bool {
	t.Helper()
	cmd := k.command(needs(t, "kinit", "krb5-user"), "-c", "MEMORY:", principal)
	cmd.Stdin = strings.NewReader(password + "\n")
	return cmd.Run() == nil
}

func (k *KDC) command(program string, args ...string) *exec.Cmd {
	cmd := exec.Command(program, args...)
	cmd.Env = append(k.Env, "LC_ALL=C", "PATH=/usr/sbin:/usr/bin:/sbin:/bin")
	return cmd
}

func (k *KDC) run(t testing.TB, input, program string, args ...string) string {
	t.Helper()
	ctx, stop := context.WithTimeout(context.Background(), 60*time.Second)
	defer stop()
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Env, cmd.Stdin = k.command("").Env, strings.NewReader(input)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", program, err, out)
	}
	return string(out)
}

// serve starts the daemon and waits until it answers.
func (k *KDC) serve(t testing.TB, port string) {
	t.Helper()
	daemon := k.command(needs(t, "krb5kdc", "krb5-kdc"), "-n", "-P", filepath.Join(k.dir, "pid"))
	if err := daemon.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		_ = daemon.Wait()
		close(k.ended)
	}()
	t.Cleanup(func() {
		_ = daemon.Process.Kill()
		<-k.ended
	})
	for deadline := time.Now().Add(20 * time.Second); ; {
		conn, err := net.Dial("tcp", "127.0.0.1:"+port)
		if err == nil {
			_ = conn.Close()
			return
		}
		select {
		case <-k.ended:
			t.Fatal("krb5kdc ended before it answered")
		case <-time.After(10 * time.Millisecond):
		}
		if time.Now().After(deadline) {
			t.Fatalf("krb5kdc: %v", err)
		}
	}
}

// free returns a port below those that the system gives to clients.
func free(t testing.TB) int {
	t.Helper()
	for range 100 {
		port := 20000 + rand.IntN(12000)
		listener, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err == nil {
			_ = listener.Close()
			return port
		}
	}
	t.Fatal("no port is free")
	return 0
}

// needs returns the path of a program, or fails naming its Debian package.
func needs(t testing.TB, program, pkg string) string {
	t.Helper()
	for _, dir := range []string{"/usr/sbin", "/usr/bin"} {
		if path, err := exec.LookPath(filepath.Join(dir, program)); err == nil {
			return path
		}
	}
	t.Fatalf("%s is missing: apt-get install %s", program, pkg)
	return ""
}
