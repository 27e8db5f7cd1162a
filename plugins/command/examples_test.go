package command_test

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rekey-host/rekey/plugins/internal/reachtest"
	"github.com/rekey-host/rekey/sdk"
	"github.com/rekey-host/rekey/sdk/secret"
)

// serve starts a server in a directory, until the test ends.
func serve(t *testing.T, dir string, args ...string) {
	t.Helper()
	log, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = dir, log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
}

// says runs a program with an input, and returns all that it printed.
func says(t *testing.T, input string, args ...string) string {
	t.Helper()
	ctx, stop := context.WithTimeout(t.Context(), 30*time.Second)
	defer stop()
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	cmd.Stdin, cmd.Env = strings.NewReader(input), []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C"}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	out, _ := cmd.CombinedOutput() // what it says counts
	return string(out)
}

// listens waits until something listens at a port.
func listens(t *testing.T, port string) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		conn, err := net.Dial("tcp", "127.0.0.1:"+port)
		if err == nil {
			_ = conn.Close()
			return
		}
		if time.Now().After(deadline) {
			t.Fatal(err)
		}
	}
}

// refusedFor wants refusals, and nothing else.
func refusedFor(t *testing.T, i sdk.Instance, account, value string, code sdk.Code) {
	t.Helper()
	if r := i.Apply(t.Context(), set(account, value)); r.Outcome != sdk.Refused || r.Err.Code != code {
		t.Errorf("%s: %v %v, want refused, %s", account, r.Outcome, r.Err, code)
	}
}

// appliedTo wants a value to be set.
func appliedTo(t *testing.T, i sdk.Instance, account, value string) {
	t.Helper()
	if r := i.Apply(t.Context(), set(account, value)); r.Outcome != sdk.Applied {
		t.Fatalf("%s: %v %v", account, r.Outcome, r.Err)
	}
}

// TestAMessageBroker is the example of the documentation: clients of Mosquitto, by its
// dynamic security; curl publishes with what was set.
func TestAMessageBroker(t *testing.T) {
	t.Parallel()
	dir, port := private(t), fmt.Sprint(reachtest.FreePort(t))
	says(t, "", "mosquitto_ctrl", "dynsec", "init", dir+"/clients.json", "admin", "of-the-admin")
	plugins, err := filepath.Glob("/usr/lib/*/mosquitto_dynamic_security.so")
	if err != nil || len(plugins) != 1 {
		t.Fatalf("%v, %v: apt-get install mosquitto", plugins, err)
	}
	write(t, dir+"/conf", "listener "+port+" 127.0.0.1\nallow_anonymous false\nuser root\nplugin "+plugins[0]+"\nplugin_opt_config_file "+dir+"/clients.json\n", 0o600)
	serve(t, dir, "/usr/sbin/mosquitto", "-c", dir+"/conf")
	listens(t, port)
	for _, name := range []string{"ann", "bob"} {
		says(t, "first\nfirst\nof-the-admin\n", "mosquitto_ctrl", "-h", "127.0.0.1", "-p", port, "-u", "admin", "dynsec", "createClient", name)
	}
	publishes := func(name, value string) bool {
		quoted := strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(name + ":" + value)
		return says(t, `user = "`+quoted+"\"\nurl = \"mqtt://127.0.0.1:"+port+"/topic\"\ndata = \"x\"\n", "curl", "-q", "-s", "-S", "-m", "10", "-K", "-") == ""
	}
	with := func(admin string) sdk.Instance {
		tool := []string{"/usr/bin/mosquitto_ctrl", "-h", "127.0.0.1", "-p", port, "-u"}
		return open(t, "set", append(tool[:6:6], "admin", "dynsec", "setClientPassword", "{account}"), "set_input", "{value}\n{value}\n{secret}\n", "secret", secret.New(admin),
			"verify", append(tool[:6:6], "{account}", "dynsec", "getClient", "{account}"), "verify_input", "{value}\n",
			"answers", []string{"accepted: output ^Subscribe error: Not authorized", "rejected: output ^Connection error: Not authorized",
				"AccountNotFound: output Client not found", "PermissionDenied: output ^(Connection|Subscribe) error: Not authorized",
				"Unreachable: output Connection refused", "unknown: output (?i)error"})
	}
	i := with("of-the-admin")
	for _, value := range []string{"Plain-value-1", `quotes "and' $(id) \ `, "漢字🔑é"} {
		appliedTo(t, i, "ann", value)
		if !publishes("ann", value) || publishes("ann", value+"x") || !publishes("bob", "first") {
			t.Errorf("%q: curl does not agree", value)
		}
		wantVerdict(t, i.(sdk.Verifier), "ann", value, sdk.Accepted)
		wantVerdict(t, i.(sdk.Verifier), "ann", value+"x", sdk.Rejected)
	}
	refusedFor(t, i, "nobody", "Plain-value-2", sdk.AccountNotFound)
	refusedFor(t, with("another"), "ann", "Plain-value-2", sdk.PermissionDenied)
	if log := read(t, dir+"/log"); strings.Contains(log, "Plain-value") {
		t.Error("the broker's log has a value")
	}
}

// bmc starts OpenIPMI's simulator of one at an address: user 3 is ann.
func bmc(t *testing.T, address, port string) {
	t.Helper()
	dir := private(t)
	write(t, dir+"/lan.conf", `name "bmc"
set_working_mc 0x20
 startlan 1
  addr `+address+" "+port+`
  priv_limit admin
  allowed_auths_operator none md2 md5 straight
  allowed_auths_admin none md2 md5 straight
  guid a123456789abcdefa123456789abcdef
 endlan
 user 2 true "admin" "of-the-admin" admin 10 none md2 md5 straight
 user 3 true "ann" "first" operator 10 none md2 md5 straight
`, 0o600)
	write(t, dir+"/emu", "mc_setbmc 0x20\nmc_add 0x20 0 no-device-sdrs 0x23 9 8 0x9f 0x1291 0xf02 persist_sdr\nmc_enable 0x20\n", 0o600)
	serve(t, dir, "/usr/bin/ipmi_sim", "-c", dir+"/lan.conf", "-f", dir+"/emu", "-s", dir, "-n")
}

// TestABMC is the example of the documentation: one user of many BMCs, over RMCP+. Its
// value is tried by another connection. The simulator has no other cipher suite than 3.
func TestABMC(t *testing.T) {
	t.Parallel()
	port := fmt.Sprint(reachtest.FreePort(t))
	bmc(t, "127.0.0.1", port)
	bmc(t, "127.0.0.2", port)
	ipmitool := func(user, level, from string) []string {
		return []string{"/usr/bin/ipmitool", "-v", "-I", "lanplus", "-C", "3", "-N", "1", "-R", "2", "-p", port, "-L", level, "-U", user, "-f", from}
	}
	logsIn := func(address, value string) bool {
		file := filepath.Join(t.TempDir(), "value")
		write(t, file, value, 0o600)
		args := append(ipmitool("ann", "OPERATOR", file), "-H", address, "mc", "info")
		return strings.Contains(says(t, "", args...), "\nDevice ID")
	}
	for deadline := time.Now().Add(20 * time.Second); !logsIn("127.0.0.1", "first") || !logsIn("127.0.0.2", "first"); {
		if time.Now().After(deadline) {
			t.Fatal("the simulators do not answer")
		}
	}
	i := open(t, "set", append(ipmitool("admin", "ADMINISTRATOR", "/dev/fd/{secret-fd}"), "-H", "{account}", "user", "set", "password", "3"), "set_input", "{value}\n{value}\n",
		"secret", secret.New("of-the-admin"), "verify", append(ipmitool("ann", "OPERATOR", "/dev/fd/{value-fd}"), "-H", "{account}", "mc", "info"),
		"accounts", "[0-9A-Za-z.:-]+", "max_bytes", int64(16),
		"answers", []string{"applied: output ^Set User Password command successful", "accepted: output ^Device ID", "rejected: output RAKP 2 HMAC is invalid",
			"PermissionDenied: output RAKP 2 HMAC is invalid|unauthorized name", "Unreachable: output ^Error issuing Get Channel Authentication Capabilities"})
	const value = `16 "bytes'$(id)!`
	appliedTo(t, i, "127.0.0.1", value)
	if !logsIn("127.0.0.1", value) || logsIn("127.0.0.1", "first") || !logsIn("127.0.0.2", "first") {
		t.Error("ipmitool does not agree")
	}
	wantVerdict(t, i, "127.0.0.1", value, sdk.Accepted)
	wantVerdict(t, i, "127.0.0.1", "wrong", sdk.Rejected)
	refusedFor(t, i, "127.0.0.2", value+"x", sdk.PolicyViolation)
	refusedFor(t, i, "127.0.0.3", value, sdk.Unreachable)
}

// opened reads a KDBX file with a library of its own.
const opened = `
import sys
from pykeepass import PyKeePass
for entry in PyKeePass(sys.argv[1], password="of-the-file").entries:
    print(entry.title, entry.username, entry.password)
`

// TestAKDBXFile is the example of the documentation: entries of a KeePass file, read
// afterwards by another program.
func TestAKDBXFile(t *testing.T) {
	t.Parallel()
	file := filepath.Join(private(t), "team.kdbx")
	says(t, "of-the-file\nof-the-file\n", "keepassxc-cli", "db-create", "-q", "-p", "-t", "100", file)
	for _, name := range []string{"web", "mail"} {
		says(t, "of-the-file\nfirst\n", "keepassxc-cli", "add", "-q", "-p", "-u", "ann", file, name)
	}
	with := func(password string) sdk.Instance {
		return open(t, "set", []string{"/usr/bin/keepassxc-cli", "edit", "-p", "--", file, "{account}"}, "set_input", "{secret}\n{value}\n{value}\n", "secret", secret.New(password),
			"answers", []string{"applied: output Successfully edited entry", "AccountNotFound: output ^Could not find entry with path", "PermissionDenied: output Invalid credentials were provided"})
	}
	i := with("of-the-file")
	appliedTo(t, i, "web", "Plain-value-1")
	const value = `quotes "and' $(id) \ 漢字🔑é`
	appliedTo(t, i, "web", value)
	if got := says(t, "", "/usr/bin/python3", "-c", opened, file); !strings.Contains("\n"+got, "\nweb ann "+value+"\n") || !strings.Contains("\n"+got, "\nmail ann first\n") {
		t.Errorf("pykeepass does not agree: %s", got)
	}
	refusedFor(t, i, "nosuch", "a value", sdk.AccountNotFound)
	refusedFor(t, with("another"), "web", "a value", sdk.PermissionDenied)
}
