package ssh_test

import (
	"context"
	"crypto/ed25519"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	xssh "golang.org/x/crypto/ssh"

	"github.com/rekey-host/rekey/plugins/ssh"
	"github.com/rekey-host/rekey/plugins/ssh/sshtest"
	"github.com/rekey-host/rekey/sdk"
	"github.com/rekey-host/rekey/sdk/secret"
)

const canary = `c"a\n%y é'$(id)`

// open configures an instance for hosts; settings are pairs.
func open(t testing.TB, server *sshtest.Server, settings ...any) *ssh.Instance {
	t.Helper()
	config := sdk.Config{Secrets: map[string]secret.Value{}, Values: map[string]any{
		"user": "root", "key_file": server.KeyFile, "known_hosts": server.KnownHosts, "hosts": []string{server.Address},
		"port": int64(22), "sudo": "auto", "locked": "refuse", "rounds": int64(1000), "min_length": int64(1),
	}}
	for ; len(settings) > 1; settings = settings[2:] {
		if value, ok := settings[1].(secret.Value); ok {
			config.Secrets[settings[0].(string)] = value
			continue
		}
		if handed, ok := settings[1].([]secret.Value); ok {
			config.Handed = handed
			continue
		}
		config.Values[settings[0].(string)] = settings[1]
	}
	instance, err := ssh.New().Configure(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = instance.Close() })
	return instance.(*ssh.Instance)
}

func set(account, value string) sdk.Operation {
	return sdk.Operation{ID: "1", Attempt: 1, Verb: sdk.Set, Account: account, Value: secret.New(value)}
}

func applied(t *testing.T, i *ssh.Instance, op sdk.Operation) {
	t.Helper()
	if r := i.Apply(t.Context(), op); r.Outcome != sdk.Applied {
		t.Fatalf("%s: %v %v", op.Account, r.Outcome, r.Err)
	}
}

func wantRefused(t *testing.T, r sdk.Receipt, code sdk.Code, says string) {
	t.Helper()
	if r.Outcome != sdk.Refused || r.Err.Code != code || !strings.Contains(r.Err.Message, says) {
		t.Errorf("%v %v, want refused, %s, %q", r.Outcome, r.Err, code, says)
	}
}

func wantVerdict(t *testing.T, i *ssh.Instance, account, value string, want sdk.Verdict) {
	t.Helper()
	if got, err := i.Verify(t.Context(), account, "", secret.New(value)); err != nil || got != want {
		t.Errorf("verify of %s: %v, %v, want %v", account, got, err, want)
	}
}

// logsIn asks OpenSSH's own client, which rekey shares nothing with.
func logsIn(t *testing.T, server *sshtest.Server, user, value string) bool {
	t.Helper()
	_, port, _ := strings.Cut(server.Address, ":")
	ctx, stop := context.WithTimeout(t.Context(), 30*time.Second)
	defer stop()
	cmd := exec.CommandContext(ctx, "sshpass", "-d", "3", "ssh", "-F", "none", "-o", "UserKnownHostsFile="+server.KnownHosts, "-o", "PubkeyAuthentication=no",
		"-o", "NumberOfPasswordPrompts=1", "-p", port, user+"@127.0.0.1", "true")
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.ExtraFiles = []*os.File{read}
	_, _ = write.WriteString(value + "\n")
	_ = write.Close()
	out, err := cmd.CombinedOutput()
	_ = read.Close()
	if err != nil && !strings.Contains(string(out), "Permission denied") {
		t.Errorf("ssh: %v: %s", err, out)
	}
	return err == nil
}

// TestASetKeepsAllButTheHash: ages, expiry, and other lines; OpenSSH's client
// logs in with what was set, and not with another value.
func TestASetKeepsAllButTheHash(t *testing.T) {
	server := sshtest.Start(t, sshtest.Options{Config: "LogLevel DEBUG3\n", Users: []string{"ann:$6$saltsalt$x:19000:1:90:7:30:40000:", "bob:$6$saltsalt$x:19000:0:99999:7:::"}})
	i, ann := open(t, server), "ann@"+server.Address
	bob := server.Shadow("bob")
	applied(t, i, set(ann, canary))
	fields := strings.Split(server.Shadow("ann"), ":")
	today := fmt.Sprint(time.Now().Unix() / 86400)
	if got := strings.Join(fields[3:], ":"); got != "1:90:7:30:40000:" || fields[2] != today && fields[2] == "19000" {
		t.Errorf("the line's ages are %q, changed on %s", got, fields[2])
	}
	if server.Shadow("bob") != bob || !strings.HasPrefix(fields[1], "$6$rounds=1000$") {
		t.Errorf("another line changed, or the hash is %.20s", fields[1])
	}
	if !logsIn(t, server, "ann", canary) || logsIn(t, server, "ann", canary+"x") {
		t.Error("OpenSSH's client does not agree")
	}
	wantVerdict(t, i, ann, canary, sdk.Accepted)
	wantVerdict(t, i, ann, canary+"x", sdk.Rejected)
	log, _ := os.ReadFile(server.Log)
	if !strings.Contains(string(log), "debug3: ") {
		t.Error("sshd does not log all that it can: the test shows nothing")
	}
	if strings.Contains(string(log), canary) || strings.Contains(string(log), fields[1]) {
		t.Error("sshd's log has the value or its hash")
	}
}

func TestAccountsByTheirState(t *testing.T) {
	server := sshtest.Start(t, sshtest.Options{Users: []string{
		"locked:!$6$saltsalt$x:19000:0:99999:7:::", "fresh:!:19000:0:99999:7:::", "barred:*:19000:0:99999:7:::", "old:$6$saltsalt$x:19000:0:99999:7::10:",
		"must:$6$saltsalt$x:19000:0:99999:7:::",
	}})
	at := func(user string) string { return user + "@" + server.Address }
	refusing, keeping, unlocking := open(t, server), open(t, server, "locked", "keep"), open(t, server, "locked", "unlock")
	for _, user := range []string{"locked", "fresh"} {
		before := server.Shadow(user)
		r := refusing.Apply(t.Context(), set(at(user), "a value"))
		wantRefused(t, r, sdk.AccountStatus, "locked")
		if r.Err.AccountStatus != sdk.StatusLocked || server.Shadow(user) != before {
			t.Errorf("%s: %q, and its line is %q", user, r.Err.AccountStatus, server.Shadow(user))
		}
		applied(t, keeping, set(at(user), "a value"))
		if !strings.HasPrefix(server.Shadow(user), user+":!$6$") {
			t.Errorf("%s did not stay locked: %.12s", user, server.Shadow(user))
		}
		wantVerdict(t, keeping, at(user), "a value", sdk.Blocked)
		wantVerdict(t, keeping, at(user), "another", sdk.Rejected)
		applied(t, unlocking, set(at(user), "other value"))
		wantVerdict(t, unlocking, at(user), "other value", sdk.Accepted)
	}
	for _, i := range []*ssh.Instance{refusing, keeping, unlocking} {
		wantRefused(t, i.Apply(t.Context(), set(at("barred"), "a value")), sdk.NoCredential, "no password of its own")
		wantRefused(t, i.Apply(t.Context(), set(at("nobodyhere"), "a value")), sdk.AccountNotFound, "no local account nobodyhere")
	}
	applied(t, refusing, set(at("old"), "a value"))
	wantVerdict(t, refusing, at("old"), "a value", sdk.Blocked)
	yes := true
	op := set(at("must"), "a value")
	op.MustChange = &yes
	applied(t, refusing, op)
	wantVerdict(t, refusing, at("must"), "a value", sdk.AcceptedMustChange)
	found, err := refusing.Find(t.Context(), at("must"))
	if err != nil || found.MustChange == nil || !*found.MustChange || found.Status != sdk.StatusActive || found.Stamp == "" {
		t.Errorf("Find: %+v, %v", found, err)
	}
}

// TestKeysOfHosts: only a key that known_hosts has is taken.
func TestKeysOfHosts(t *testing.T) {
	server := sshtest.Start(t, sshtest.Options{Users: []string{"ann:$6$saltsalt$x:19000:0:99999:7:::"}})
	ann := "ann@" + server.Address
	public, _, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	other, err := xssh.NewPublicKey(public)
	if err != nil {
		t.Fatal(err)
	}
	marker := strings.TrimSpace(string(xssh.MarshalAuthorizedKey(server.HostKey)))
	for what, test := range map[string]struct {
		known string
		says  []string
	}{
		"none":      {"", []string{"has no key of it", xssh.FingerprintSHA256(server.HostKey), "ssh-keyscan"}},
		"another's": {sshtest.Line("127.0.0.2:22", server.HostKey), []string{"has no key of it"}},
		"changed":   {"# a comment\n" + sshtest.Line(server.Address, other), []string{"its key is not the one of ", ":2 (", xssh.FingerprintSHA256(other), xssh.FingerprintSHA256(server.HostKey), "ssh-keygen -R"}},
		"revoked":   {"@revoked * " + marker + "\n", []string{"revoked by ", ":1"}},
	} {
		path := filepath.Join(t.TempDir(), "known")
		if err := os.WriteFile(path, []byte(test.known), 0o600); err != nil {
			t.Fatal(err)
		}
		i := open(t, server, "known_hosts", path)
		r := i.Apply(t.Context(), set(ann, "a value"))
		for _, says := range test.says {
			wantRefused(t, r, sdk.InsecureTransport, says)
		}
		if found := i.Check(t.Context()); len(found) != 1 || found[0].Severity != sdk.Bad || found[0].Code != sdk.InsecureTransport {
			t.Errorf("%s: Check says %+v", what, found)
		}
		if _, err := i.Verify(t.Context(), ann, "", secret.New("a value")); err == nil {
			t.Errorf("%s: a value was tried there", what)
		}
	}
	if strings.Contains(server.Shadow("ann"), "rounds") {
		t.Error("it was set all the same")
	}
}

// TestLogins: with a key or a password, as root or through sudo, with what each
// lacks.
func TestLogins(t *testing.T) {
	hash := func(value string) string {
		cmd := exec.Command("openssl", "passwd", "-6", "-stdin")
		cmd.Stdin = strings.NewReader(value)
		out, err := cmd.Output()
		if err != nil {
			t.Fatal(err)
		}
		return strings.TrimSpace(string(out))
	}
	narrow := "plain ALL=(root) NOPASSWD: /usr/bin/getent -s files *, /usr/sbin/chpasswd -e, /usr/bin/chage -d 0 *\nreads ALL=(root) NOPASSWD: /usr/bin/getent -s files *\nrekey ALL=(ALL) NOPASSWD: ALL\n"
	line := ":" + hash("of the user") + ":19000:0:99999:7:::"
	server := sshtest.Start(t, sshtest.Options{Users: []string{"plain" + line, "reads" + line, "nothing" + line, "ann:$6$saltsalt$x:19000:0:99999:7:::"}, Sudo: narrow})
	ann := "ann@" + server.Address
	login := func(user string, more ...any) *ssh.Instance {
		return open(t, server, append([]any{"user", user, "key_file", "", "password", secret.New("of the user")}, more...)...)
	}
	applied(t, open(t, server, "user", "rekey"), set(ann, "by a key"))
	applied(t, login("plain"), set(ann, "by a password"))
	if !server.Holds("ann", "by a password") {
		t.Error("the value is not there")
	}
	wantRefused(t, login("plain").Apply(t.Context(), set("plain@"+server.Address, "x")), sdk.Protected, "use key_file")
	wantRefused(t, login("reads").Apply(t.Context(), set(ann, "x")), sdk.PermissionDenied, "sudo does not let reads run /usr/sbin/chpasswd")
	wantRefused(t, login("nothing").Apply(t.Context(), set(ann, "x")), sdk.PermissionDenied, "sudo does not let nothing run")
	wantRefused(t, login("plain", "sudo", "never").Apply(t.Context(), set(ann, "x")), sdk.NoCredential, "that plain may read")
	wantRefused(t, login("plain", "password", secret.New("wrong")).Apply(t.Context(), set(ann, "x")), sdk.PermissionDenied, "does not let plain log in")
	for what, test := range map[string]struct {
		mode os.FileMode
		says string
	}{"readable": {0o644, "chmod 600"}} {
		key := filepath.Join(t.TempDir(), "key")
		text, _ := os.ReadFile(server.KeyFile)
		if err := os.WriteFile(key, text, test.mode); err != nil {
			t.Fatal(err)
		}
		i := open(t, server, "key_file", key)
		wantRefused(t, i.Apply(t.Context(), set(ann, "x")), sdk.InvalidConfig, test.says)
		if found := i.Check(t.Context()); len(found) == 0 || found[0].Severity != sdk.Bad {
			t.Errorf("%s: Check says %v", what, found)
		}
	}
	if !server.Holds("ann", "by a password") {
		t.Error("a refusal changed something")
	}
}

// TestVerifyWherePasswordsAreNotTaken proves nothing, and says so.
func TestVerifyWherePasswordsAreNotTaken(t *testing.T) {
	users := []string{"ann:$6$saltsalt$x:19000:0:99999:7:::"}
	for what, test := range map[string]struct {
		config       string
		right, wrong sdk.Verdict
	}{
		"keys only":            {"PasswordAuthentication no\n", sdk.CannotTell, sdk.Rejected},
		"kept out":             {"DenyUsers ann\n", sdk.CannotTell, sdk.Rejected},
		"keyboard-interactive": {"PasswordAuthentication no\nKbdInteractiveAuthentication yes\n", sdk.Accepted, sdk.Rejected},
		"both, one more":       {"KbdInteractiveAuthentication yes\nMatch User ann\nAuthenticationMethods password,publickey\nMatch all\n", sdk.Accepted, sdk.Rejected},
	} {
		server := sshtest.Start(t, sshtest.Options{Users: users, Config: test.config})
		i, ann := open(t, server), "ann@"+server.Address
		applied(t, i, set(ann, canary))
		if got, err := i.Verify(t.Context(), ann, "", secret.New(canary)); err != nil || got != test.right {
			t.Errorf("%s: %v, %v, want %v", what, got, err, test.right)
		}
		if got, err := i.Verify(t.Context(), ann, "", secret.New("wrong")); err != nil || got != test.wrong {
			t.Errorf("%s, a wrong value: %v, %v, want %v", what, got, err, test.wrong)
		}
	}
}

// TestHostsBehindOthers are reached over two of them; the first may not be
// passed by.
func TestHostsBehindOthers(t *testing.T) {
	users := []string{"ann:$6$saltsalt$x:19000:0:99999:7:::"}
	first, second, last := sshtest.Start(t, sshtest.Options{}), sshtest.Start(t, sshtest.Options{}), sshtest.Start(t, sshtest.Options{Users: users})
	key, err := os.ReadFile(first.KeyFile)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := xssh.ParsePrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	known := filepath.Join(t.TempDir(), "known")
	text := ""
	for _, server := range []*sshtest.Server{first, second, last} {
		text += sshtest.Line(server.Address, server.HostKey)
		to := filepath.Join(filepath.Dir(server.KeyFile), "authorized_keys")
		if err := os.WriteFile(to, xssh.MarshalAuthorizedKey(signer.PublicKey()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(known, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	i := open(t, first, "known_hosts", known, "jump", []string{"rekey@" + first.Address, "root@" + second.Address}, "hosts", []string{last.Address})
	ann := "ann@" + last.Address
	if found := i.Check(t.Context()); len(found) > 0 {
		t.Errorf("Check says %+v", found)
	}
	applied(t, i, set(ann, canary))
	wantVerdict(t, i, ann, canary, sdk.Accepted)
	if !last.Holds("ann", canary) {
		t.Error("the value is not there")
	}
	first.Stop()
	wantRefused(t, i.Apply(t.Context(), set(ann, "x")), sdk.Unreachable, "host 127.0.0.1:") // of the first, or of the last where its connection was seen to end
	if err := first.Restart(); err != nil {
		t.Fatal(err)
	}
	applied(t, i, set(ann, "once more"))
}

// TestAHostThatGoesAndComes: refused while it is away, and nobody notices later.
func TestAHostThatGoesAndComes(t *testing.T) {
	server := sshtest.Start(t, sshtest.Options{Users: []string{"ann:$6$saltsalt$x:19000:0:99999:7:::"}})
	i, ann := open(t, server), "ann@"+server.Address
	applied(t, i, set(ann, "one"))
	server.Stop()
	wantRefused(t, i.Apply(t.Context(), set(ann, "two")), sdk.Unreachable, server.Address)
	if found := i.Check(t.Context()); len(found) != 1 || found[0].Severity != sdk.Bad {
		t.Errorf("Check says %+v", found)
	}
	if err := server.Restart(); err != nil {
		t.Fatal(err)
	}
	applied(t, i, set(ann, "three"))
	if !server.Holds("ann", "three") {
		t.Error("the value is not there")
	}
}

// TestOneAccountOnManyHosts: each host has its own value, and one that is away
// or has another key fails alone.
func TestOneAccountOnManyHosts(t *testing.T) {
	const count = 20
	servers := make([]*sshtest.Server, count)
	var known strings.Builder
	var hosts []string
	key := sshtest.Start(t, sshtest.Options{})
	authorized, err := os.ReadFile(filepath.Join(filepath.Dir(key.KeyFile), "authorized_keys"))
	if err != nil {
		t.Fatal(err)
	}
	for n := range servers {
		servers[n] = sshtest.Start(t, sshtest.Options{Users: []string{"ann:$6$saltsalt$x:19000:0:99999:7:::"}})
		if err := os.WriteFile(filepath.Join(filepath.Dir(servers[n].KeyFile), "authorized_keys"), authorized, 0o644); err != nil {
			t.Fatal(err)
		}
		hostKey := servers[n].HostKey
		if n == 3 {
			hostKey = key.HostKey
		}
		known.WriteString(sshtest.Line(servers[n].Address, hostKey))
		hosts = append(hosts, servers[n].Address)
	}
	servers[5].Stop()
	path := filepath.Join(t.TempDir(), "known")
	if err := os.WriteFile(path, []byte(known.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	i := open(t, key, "known_hosts", path, "hosts", hosts)
	receipts := make([]sdk.Receipt, count)
	var all sync.WaitGroup
	for n := range servers {
		all.Go(func() { receipts[n] = i.Apply(t.Context(), set("ann@"+hosts[n], fmt.Sprint("value of ", n))) })
	}
	all.Wait()
	for n, r := range receipts {
		switch {
		case n == 3:
			wantRefused(t, r, sdk.InsecureTransport, hosts[n])
		case n == 5:
			wantRefused(t, r, sdk.Unreachable, hosts[n])
		case r.Outcome != sdk.Applied || !servers[n].Holds("ann", fmt.Sprint("value of ", n)):
			t.Errorf("host %d: %v %v", n, r.Outcome, r.Err)
		}
	}
	warnings := 0
	for _, finding := range i.Check(t.Context()) {
		if finding.Severity == sdk.Warning && strings.Contains(finding.Message, hosts[5]) {
			warnings++
		}
	}
	if warnings != 1 {
		t.Errorf("%d warnings of the host that is away, want 1", warnings)
	}
}

// hostile are names and values that mean something to careless programs.
var hostile = []string{
	"'", `"`, "`", ";--", "' OR '1'='1", `" OR "1"="1`, "*", "?", ")(uid=*", "a,b", "a=b", "#a", "-h", "--help", "-", "..", "../../etc/passwd",
	"/etc/passwd", "$(id)", "`id`", "|id", "a b", " a", "a ", "a:b", "a\tb", "a\nb", "a\rb", "a\x00b", "\\", "%s%n", "%00", "ann;id", "ann$(id)",
	"𝔘𝔫𝔦", "\u2028", "\u202enna", "é", "e\u0301", strings.Repeat("n", 72), strings.Repeat("é", 128), "~root", "@", "ann@ann",
}

// TestHostileNamesAndValues: only the named account changes, or the refusal is
// clear.
func TestHostileNamesAndValues(t *testing.T) {
	server := sshtest.Start(t, sshtest.Options{Users: []string{"ann:$6$saltsalt$x:19000:0:99999:7:::", "other:$6$saltsalt$x:19000:0:99999:7:::"}})
	i := open(t, server)
	ann, other := server.Shadow("ann"), server.Shadow("other")
	for _, name := range hostile {
		for _, account := range []string{name, name + "@" + server.Address, "ann@" + name, "ann@" + server.Address + name} {
			r := i.Apply(t.Context(), set(account, "a good value"))
			if r.Outcome != sdk.Refused || r.Err.Code != sdk.InvalidOperation && r.Err.Code != sdk.AccountNotFound && r.Err.Code != sdk.Unreachable {
				t.Errorf("account %q: %v %v", account, r.Outcome, r.Err)
			}
		}
	}
	if server.Shadow("ann") != ann || server.Shadow("other") != other {
		t.Error("an account changed that was not named")
	}
	for _, value := range hostile {
		r := i.Apply(t.Context(), set("ann@"+server.Address, value))
		switch {
		case r.Outcome == sdk.Applied && !server.Holds("ann", value):
			t.Errorf("value %q: applied, and openssl says otherwise", value)
		case r.Outcome != sdk.Applied && (r.Outcome != sdk.Refused || r.Err.Code != sdk.PolicyViolation):
			t.Errorf("value %q: %v %v", value, r.Outcome, r.Err)
		}
	}
	if server.Shadow("other") != other {
		t.Error("an account changed that was not named")
	}
}

// TestAVerifyIsOneAttempt, whatever sshd offers: attempts lock accounts.
func TestAVerifyIsOneAttempt(t *testing.T) {
	server := sshtest.Start(t, sshtest.Options{Users: []string{"ann:$6$saltsalt$x:19000:0:99999:7:::"}, Config: "KbdInteractiveAuthentication yes\n"})
	i, ann := open(t, server), "ann@"+server.Address
	applied(t, i, set(ann, "a value"))
	for n := range 3 {
		wantVerdict(t, i, ann, "wrong", sdk.Rejected)
		log, err := os.ReadFile(server.Log)
		if got := strings.Count(string(log), "authentication failure;") + strings.Count(string(log), "Failed "); err != nil || got != n+1 {
			t.Errorf("after %d verifies: %d failed attempts in sshd's log", n+1, got)
		}
	}
}

// TestAHostWithFewChannels is waited for, not cut off.
func TestAHostWithFewChannels(t *testing.T) {
	var users []string
	for n := range 12 {
		users = append(users, fmt.Sprintf("user%d:$6$saltsalt$x:19000:0:99999:7:::", n))
	}
	server := sshtest.Start(t, sshtest.Options{Users: users, Config: "MaxSessions 1\n"})
	i := open(t, server)
	var all sync.WaitGroup
	for n := range users {
		all.Go(func() {
			user := fmt.Sprint("user", n)
			if r := i.Apply(t.Context(), set(user+"@"+server.Address, "value of "+user)); r.Outcome != sdk.Applied || !server.Holds(user, "value of "+user) {
				t.Errorf("%s: %v %v", user, r.Outcome, r.Err)
			}
		})
	}
	all.Wait()
}

// TestAHostThatHangs leaves its operation unknown or refused, and others are not
// harmed by it.
func TestAHostThatHangs(t *testing.T) {
	server := sshtest.Start(t, sshtest.Options{Users: []string{"ann:$6$saltsalt$x:19000:0:99999:7:::"}})
	relay := newRelay(t, server.Address)
	address := relay.Addr().String()
	known := filepath.Join(t.TempDir(), "known")
	if err := os.WriteFile(known, []byte(sshtest.Line(address, server.HostKey)), 0o600); err != nil {
		t.Fatal(err)
	}
	i := open(t, server, "known_hosts", known, "hosts", []string{address})
	ann := "ann@" + address
	applied(t, i, set(ann, "one"))
	relay.hold(true)
	ctx, stop := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer stop()
	r := i.Apply(ctx, set(ann, "two"))
	if r.Outcome == sdk.Applied || r.Err.Code != sdk.Timeout {
		t.Errorf("%v %v, want Timeout", r.Outcome, r.Err)
	}
	relay.hold(false)
	applied(t, i, set(ann, "three"))
	if !server.Holds("ann", "three") {
		t.Error("the value is not there")
	}
}
