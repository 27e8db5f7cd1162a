package ldaptest

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/go-ldap/ldap/v3"
)

// DS389 is one running 389 Directory Server. It listens at a socket of its own,
// which counts as secure, and wants root. Its tree is that of Server: cn=rotator
// may write all of ou=people and no more.
type DS389 struct {
	Socket   string // ldapi:///PATH
	BaseDN   string
	BindDN   string     // the rotator
	Password string     // of the rotator
	Admin    *ldap.Conn // logged on as the directory manager, until Stop

	dir     string
	process *exec.Cmd
	ended   chan struct{} // closed when process has been waited for
	exit    error         // valid once ended is closed
}

// manager is who may do everything.
const manager = "cn=Directory Manager"

// StartDS389 runs a server with so many accounts, named as those of Server, until
// the test ends: at least 8 characters, 3 remembered, locked after 3 wrong logons.
func StartDS389(t testing.TB, users int) *DS389 {
	t.Helper()
	dir, err := os.MkdirTemp("", "rk")
	if err != nil {
		t.Fatal(err)
	}
	server := &DS389{Socket: "ldapi://" + filepath.Join(dir, "ldapi"), BaseDN: base, BindDN: "cn=rotator," + base, Password: rotatorPW, dir: dir}
	t.Cleanup(func() {
		server.Stop()
		_ = os.RemoveAll(dir)
	})
	for _, step := range []func() error{server.provision, func() error { return server.start(t.Context()) }, func() error { return server.fill(users) }} {
		if err := step(); err != nil {
			t.Fatal(err)
		}
	}
	return server
}

// provision writes the configuration that the server's own tool would write, but
// all of it under one directory, and with no systemd around it.
func (d *DS389) provision() error {
	const data, shared = "/usr/share/dirsrv/data/template-dse.ldif", "/etc/dirsrv"
	template, err := os.ReadFile(data)
	if err != nil {
		return fmt.Errorf("ldaptest: ns-slapd is missing: apt-get install 389-ds-base: %w", err)
	}
	values := map[string]string{"ds_port": "0", "ds_user": "root", "fqdn": "localhost", "rootdn": manager, "ds_passwd": ssha(rootPW), "ds_suffix": base,
		"ldapi": filepath.Join(d.dir, "ldapi"), "ldapi_enabled": "on", "ldapi_autobind": "off", "db_lib": "bdb"}
	for _, name := range []string{"lock", "tmp", "cert", "ldif", "bak", "run", "inst", "log", "db", "db_home", "config", "schema"} {
		values[name+"_dir"] = filepath.Join(d.dir, name)
	}
	values["schema_dir"] = filepath.Join(d.config(), "schema") // where else it is not found
	for name, dir := range values {
		if strings.HasSuffix(name, "_dir") {
			if err := os.MkdirAll(dir, 0o700); err != nil {
				return err
			}
		}
	}
	for _, name := range []string{"config/certmap.conf", "config/slapd-collations.conf", "schema/99user.ldif"} {
		text, err := os.ReadFile(filepath.Join(shared, name))
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(d.config(), strings.TrimPrefix(name, "config/")), text, 0o600); err != nil {
			return err
		}
	}
	text := string(template)
	for name, value := range values {
		text = strings.ReplaceAll(text, "%"+name+"%", value)
	}
	// As installed, logins are of seven bits: a rule of a plugin that many switch off.
	text = strings.Replace(text, "nsslapd-plugininitfunc: NS7bitAttr_Init\nnsslapd-plugintype: betxnpreoperation\nnsslapd-pluginenabled: on",
		"nsslapd-plugininitfunc: NS7bitAttr_Init\nnsslapd-plugintype: betxnpreoperation\nnsslapd-pluginenabled: off", 1)
	text = strings.Replace(text, "nsslapd-rootpw:", "nsslapd-security: off\nnsslapd-localssf: 128\nnsslapd-listenhost: 127.0.0.1\nnsslapd-rootpwstoragescheme: SSHA\nnsslapd-rootpw:", 1)
	return os.WriteFile(filepath.Join(d.config(), "dse.ldif"), []byte(text), 0o600)
}

func (d *DS389) config() string { return filepath.Join(d.dir, "config") }

func (d *DS389) start(ctx context.Context) error {
	path, err := program("ns-slapd")
	if err != nil {
		return err
	}
	d.process = exec.Command(path, "-D", d.config(), "-i", filepath.Join(d.dir, "run", "pid"), "-d", "0")
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
		if d.Admin, err = d.logon(manager, rootPW); err == nil {
			return nil
		}
		select {
		case <-d.ended:
			return fmt.Errorf("ldaptest: ns-slapd ended before it answered: %w", errors.Join(d.exit, err))
		case <-ctx.Done():
			return fmt.Errorf("ldaptest: ns-slapd does not answer: %w", err)
		case <-tick.C:
		}
	}
}

// fill makes the backend, which belongs to the configuration, and the entries.
func (d *DS389) fill(users int) error {
	if err := d.Rules("passwordStorageScheme", "SSHA512"); err != nil { // hashing as installed would take a minute
		return err
	}
	adds := []*ldap.AddRequest{
		entry("cn=userRoot,cn=ldbm database,cn=plugins,cn=config", "objectClass", "extensibleObject", "objectClass", "nsBackendInstance", "cn", "userRoot", "nsslapd-suffix", base),
		entry(`cn="`+base+`",cn=mapping tree,cn=config`, "objectClass", "extensibleObject", "objectClass", "nsMappingTree", "cn", base, "nsslapd-state", "backend", "nsslapd-backend", "userRoot"),
		entry(base, "objectClass", "domain", "dc", "rekey", "aci", `(targetattr="*")(version 3.0; acl "read"; allow (read, search, compare) userdn="ldap:///`+d.BindDN+`";)`),
		entry("ou=people,"+base, "objectClass", "organizationalUnit", "ou", "people", "aci", `(targetattr="*")(version 3.0; acl "write"; allow (write) userdn="ldap:///`+d.BindDN+`";)`,
			"aci", `(targetattr="userPassword")(version 3.0; acl "self"; allow (write) userdn="ldap:///self";)`),
		entry(d.BindDN, "objectClass", "person", "cn", "rotator", "sn", "rotator", "userPassword", d.Password),
	}
	for n := range users {
		server := &Server{}
		adds = append(adds, entry(server.UserDN(n), "objectClass", "inetOrgPerson", "uid", fmt.Sprint("user", n), "cn", "cn", "sn", "sn", "userPassword", server.UserPassword(n)))
	}
	for _, add := range adds {
		if err := d.Admin.Add(add); err != nil {
			return fmt.Errorf("ldaptest: %s: %w", add.DN, err)
		}
	}
	return d.Rules("passwordLockout", "on", "passwordMaxFailure", "3", "passwordCheckSyntax", "on", "passwordMinLength", "8", "passwordHistory", "on", "passwordInHistory", "3")
}

// entry is the request for one of names and values in turn.
func entry(dn string, pairs ...string) *ldap.AddRequest {
	add := ldap.NewAddRequest(dn, nil)
	values := map[string][]string{}
	for n := 0; n < len(pairs); n += 2 {
		values[pairs[n]] = append(values[pairs[n]], pairs[n+1])
	}
	for name, list := range values {
		add.Attribute(name, list)
	}
	return add
}

// Rules writes settings of the policy of all accounts, names and values in turn.
func (d *DS389) Rules(pairs ...string) error {
	change := ldap.NewModifyRequest("cn=config", nil)
	for n := 0; n < len(pairs); n += 2 {
		change.Replace(pairs[n], []string{pairs[n+1]})
	}
	return d.Admin.Modify(change)
}

// Logs is all that the server has written into its logs, which name says: access,
// audit, errors.
func (d *DS389) Logs(name string) string {
	text, _ := os.ReadFile(d.LogFile(name))
	return string(text)
}

// LogFile is where it does.
func (d *DS389) LogFile(name string) string { return filepath.Join(d.dir, "log", name) }

// Bind tries a logon on a connection of its own; nil is success.
func (d *DS389) Bind(dn, password string) error {
	conn, err := d.logon(dn, password)
	if err != nil {
		return err
	}
	return conn.Close()
}

func (d *DS389) logon(dn, password string) (*ldap.Conn, error) {
	conn, err := ldap.DialURL(d.Socket, ldap.DialWithDialer(&net.Dialer{Timeout: startLimit}))
	if err != nil {
		return nil, err
	}
	conn.SetTimeout(startLimit)
	if err := conn.Bind(dn, password); err != nil {
		_ = conn.Close() // what it says is that the logon was refused
		return nil, err
	}
	return conn, nil
}

// Stop ends the server and waits for it. It may be called again.
func (d *DS389) Stop() {
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
