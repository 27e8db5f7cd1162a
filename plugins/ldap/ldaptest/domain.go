package ldaptest

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/go-ldap/ldap/v3"
	"golang.org/x/text/encoding/unicode"
)

// Domain is one running domain controller of Samba: an Active Directory. It
// listens at the ports of one, which cannot be chosen, on an address of loopback
// that is its own; that and its files want root.
type Domain struct {
	URL        string // ldaps://127.X.Y.Z
	CAFile     string // the authority of its certificate
	ServerName string // that the certificate is for
	BaseDN     string
	Name       string     // as user@Name
	NetBIOS    string     // as NetBIOS\user
	Admin      *ldap.Conn // logged on as the administrator, until Stop

	dir     string
	process *exec.Cmd
	ended   chan struct{} // closed when process has been waited for
	exit    error         // valid once ended is closed
}

// adminPassword is what the domain is provisioned with.
const adminPassword = "Adm1n-Passw0rd"

// domainLimit is how long the controller may take to start beside other tests.
const domainLimit = time.Minute

// StartDomain provisions a domain and runs it until the test ends. That takes 5
// seconds of a processor: do it once a package. At least 7 characters of three
// classes, no minimum age, a lock after three wrong logons, and an old value
// works no longer than the next is set.
func StartDomain(t testing.TB) *Domain {
	t.Helper()
	dir, err := os.MkdirTemp("", "rk")
	if err != nil {
		t.Fatal(err)
	}
	address := fmt.Sprintf("127.%d.%d.%d", 100+rand.IntN(100), rand.IntN(256), 1+rand.IntN(254))
	domain := &Domain{URL: "ldaps://" + address, ServerName: "localhost", BaseDN: "DC=ad,DC=test", Name: "ad.test", NetBIOS: "ADTEST",
		dir: dir}
	t.Cleanup(func() {
		domain.Stop()
		_ = os.RemoveAll(dir)
	})
	if err := domain.provision(t.Context(), address); err != nil {
		t.Fatal(err)
	}
	if err := domain.start(t.Context()); err != nil {
		t.Fatal(err)
	}
	return domain
}

// provision makes the domain's database, its certificate and its configuration.
func (d *Domain) provision(ctx context.Context, address string) error {
	for _, name := range []string{"samba", "samba-tool"} {
		if _, err := program(name); err != nil {
			return fmt.Errorf("ldaptest: %s is missing: apt-get install samba samba-ad-provision samba-dsdb-modules samba-vfs-modules winbind", name)
		}
	}
	certificates := &Server{dir: d.dir}
	if err := certificates.certify(); err != nil {
		return err
	}
	d.CAFile = certificates.CAFile
	// Not the machine's own configuration, which would be taken over.
	empty := d.at("empty.conf")
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		return err
	}
	err := d.Tool(ctx, "domain", "provision", "-s", empty, "--targetdir="+d.dir, "--realm=AD.TEST", "--domain="+d.NetBIOS,
		"--server-role=dc", "--dns-backend=NONE", "--adminpass="+adminPassword, "--host-name=dc1", "--host-ip="+address)
	if err != nil {
		return err
	}
	if err := os.WriteFile(d.conf(), []byte(d.config(address)), 0o600); err != nil {
		return err
	}
	return d.Tool(ctx, "domain", "passwordsettings", "set", "-s", d.conf(), "-H", d.Database(),
		"--min-pwd-age=0", "--account-lockout-threshold=3", "--account-lockout-duration=30", "--reset-account-lockout-after=30")
}

func (d *Domain) at(name string) string { return filepath.Join(d.dir, name) }
func (d *Domain) conf() string          { return d.at("smb.conf") }

// Database is what samba-tool -H takes to work beside the server.
func (d *Domain) Database() string { return d.at("private/sam.ldb") }

// config is smb.conf: LDAP alone, and everything under dir.
func (d *Domain) config(address string) string {
	lines := []string{"[global]", "netbios name = DC1", "realm = AD.TEST", "workgroup = " + d.NetBIOS, "server role = active directory domain controller",
		"server services = ldap", "interfaces = " + address + "/8", "bind interfaces only = yes", "old password allowed period = 0",
		"lock dir = " + d.dir, "pid directory = " + d.dir, "log file = " + d.at("log"),
		"tls cafile = " + d.CAFile, "tls certfile = " + d.at("server.pem"), "tls keyfile = " + d.at("server.key")}
	for setting, name := range map[string]string{"private dir": "private", "state directory": "state", "cache directory": "cache", "ncalrpc dir": "ncalrpc",
		"winbindd socket directory": "winbindd", "ntp signd socket directory": "ntp_signd", "binddns dir": "bind-dns"} {
		lines = append(lines, setting+" = "+d.at(name))
	}
	return strings.Join(append(lines, ""), "\n")
}

// Tool runs samba-tool.
func (d *Domain) Tool(ctx context.Context, args ...string) error {
	if out, err := exec.CommandContext(ctx, "samba-tool", args...).CombinedOutput(); err != nil {
		return fmt.Errorf("ldaptest: samba-tool %s: %w: %s", args[0]+" "+args[1], err, out)
	}
	return nil
}

func (d *Domain) start(ctx context.Context) error {
	samba, err := program("samba")
	if err != nil {
		return err
	}
	d.process = exec.Command(samba, "-F", "--no-process-group", "-M", "prefork", "-s", d.conf())
	detach(d.process)
	if err := d.process.Start(); err != nil {
		return err
	}
	d.ended = make(chan struct{})
	go func() {
		d.exit = d.process.Wait()
		close(d.ended)
	}()
	ctx, cancel := context.WithTimeout(ctx, domainLimit)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		if d.Admin, err = d.Logon("Administrator@"+d.Name, adminPassword); err == nil {
			return nil
		}
		select {
		case <-d.ended:
			return fmt.Errorf("ldaptest: samba ended before it answered: %w: %s", d.exit, d.log())
		case <-ctx.Done():
			return fmt.Errorf("ldaptest: samba does not answer: %w: %s", err, d.log())
		case <-tick.C:
		}
	}
}

func (d *Domain) log() string {
	text := d.Log()
	return text[max(0, len(text)-1000):]
}

// Log is all that the controller has logged.
func (d *Domain) Log() string {
	text, _ := os.ReadFile(d.at("log"))
	return string(text)
}

// Restart stops the controller, if it runs, and starts it with more lines of smb.conf.
func (d *Domain) Restart(ctx context.Context, lines ...string) error {
	d.Stop()
	conf, err := os.OpenFile(d.conf(), os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	_, err = conf.WriteString(strings.Join(append(lines, ""), "\n"))
	if err := errors.Join(err, conf.Close()); err != nil {
		return err
	}
	return d.start(ctx)
}

// Logon is a logon on a connection of its own, which the caller closes. It is
// another client than the one that is tested.
func (d *Domain) Logon(name, password string) (*ldap.Conn, error) {
	text, err := os.ReadFile(d.CAFile)
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(text) {
		return nil, errors.New("ldaptest: no certificate in " + d.CAFile)
	}
	conn, err := ldap.DialURL(d.URL, ldap.DialWithTLSConfig(&tls.Config{RootCAs: pool, ServerName: d.ServerName}), ldap.DialWithDialer(&net.Dialer{Timeout: startLimit}))
	if err != nil {
		return nil, err
	}
	conn.SetTimeout(startLimit)
	if err := conn.Bind(name, password); err != nil {
		_ = conn.Close() // what it says is that the logon was refused
		return nil, err
	}
	return conn, nil
}

// Bind tries a logon on a connection of its own; nil is success.
func (d *Domain) Bind(name, password string) error {
	conn, err := d.Logon(name, password)
	if err != nil {
		return err
	}
	return conn.Close()
}

// DN is the name of the entry of a user.
func (d *Domain) DN(login string) string { return "CN=" + login + ",CN=Users," + d.BaseDN }

// AddUser makes a user under a name that is as good in a DN as it is. It has no
// userPrincipalName, as most that programs make have none.
func (d *Domain) AddUser(name, login, password string) error {
	value, err := unicode.UTF16(unicode.LittleEndian, unicode.IgnoreBOM).NewEncoder().String(`"` + password + `"`)
	if err != nil {
		return err
	}
	add := ldap.NewAddRequest(d.DN(name), nil)
	for attribute, text := range map[string]string{"objectClass": "user", "sAMAccountName": login, "unicodePwd": value, "userAccountControl": "512"} {
		add.Attribute(attribute, []string{text})
	}
	return d.Admin.Add(add)
}

// AddRotator makes a user who may set the passwords of all.
func (d *Domain) AddRotator(login, password string) error {
	if err := d.AddUser(login, login, password); err != nil {
		return err
	}
	group := ldap.NewModifyRequest(d.DN("Domain Admins"), nil)
	group.Add("member", []string{d.DN(login)})
	return d.Admin.Modify(group)
}

// Write replaces an attribute.
func (d *Domain) Write(dn, attribute string, values ...string) error {
	change := ldap.NewModifyRequest(dn, nil)
	change.Replace(attribute, values)
	return d.Admin.Modify(change)
}

// Stop ends the controller and waits for it. It may be called again.
func (d *Domain) Stop() {
	if d.process == nil || d.process.Process == nil {
		return
	}
	if d.Admin != nil {
		_ = d.Admin.Close() // nothing is under way on it
	}
	_ = d.process.Process.Signal(syscall.SIGTERM)
	select {
	case <-d.ended:
	case <-time.After(startLimit):
		_ = d.process.Process.Kill()
		<-d.ended
	}
}
