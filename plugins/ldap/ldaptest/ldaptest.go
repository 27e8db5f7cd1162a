// Package ldaptest runs a real, private slapd on loopback for tests and fault
// harnesses.
//
// It knows how to provision, start, restart and stop OpenLDAP without root,
// and what its entries are called. It knows nothing of rekey: what a test
// wants of the server it asks with Bind, or by its own means.
//
// The tree, under BaseDN:
//
//	cn=rotator                 may write passwords and locks under ou=people
//	ou=people  uid=user0 …     Options.Users accounts, UserPassword(n) at first
//	ou=denied  uid=denied0     an account that the rotator must not touch
//	ou=policies                with PPolicy: default, strict (pwdMustChange)
package ldaptest

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-ldap/ldap/v3"
)

// Options say what the server is like. The zero value is a fast, empty one.
type Options struct {
	Users   int      // accounts under ou=people
	Sync    bool     // every write reaches the disk before its answer, as installed servers do
	TLS     bool     // LDAPS, and StartTLS on the plain port
	PPolicy bool     // password policies: see PolicyDN and StrictPolicyDN
	Global  []string // more lines of slapd.conf before the database
	Extra   []string // more lines of slapd.conf in the database, after its own
	Before  []string // more access rules, before the ones there are
	LDIF    string   // more entries

	Log      string // what slapd writes into Server.Log, a level of its -d; "" for nothing
	NoLimits bool   // the rotator has no right to lists of any size
}

// lockable are the attributes that the rotator writes; those of ppolicy are
// not known without it.
func (o Options) lockable() string {
	if o.PPolicy {
		return "userPassword,pwdReset,pwdAccountLockedTime"
	}
	return "userPassword"
}

// Server is one running slapd.
type Server struct {
	URL    string // ldap://127.0.0.1:PORT
	TLSURL string // ldaps://127.0.0.1:PORT; "" without TLS
	Socket string // ldapi:///PATH
	CAFile string // the authority of its certificate; "" without TLS

	CertFile string // of a client whose common name is rotator; "" without TLS
	KeyFile  string // its key

	BaseDN   string
	RootDN   string // bypasses every policy and access rule
	RootPW   string
	BindDN   string // the rotator
	Password string // of the rotator

	dir     string
	level   string // of its log
	slapd   string
	urls    string
	process *exec.Cmd
	ended   chan struct{} // closed when process has been waited for
	exit    error         // valid once ended is closed
}

const (
	base       = "dc=rekey,dc=test"
	rootPW     = "root-secret"
	rotatorPW  = "rotator-secret"
	startLimit = 15 * time.Second
)

// UserDN is the name of account number.
func (s *Server) UserDN(number int) string {
	return fmt.Sprintf("uid=user%d,ou=people,%s", number, base)
}

// UserPassword is what account number is provisioned with.
func (s *Server) UserPassword(number int) string { return fmt.Sprintf("old-password-%d", number) }

// DeniedDN is an account that the rotator may read and not write. Its first
// password is UserPassword(0).
func (s *Server) DeniedDN() string { return "uid=denied0,ou=denied," + base }

// PolicyDN is the policy of all accounts but those that name another: at least
// 8 characters, 3 remembered, locked after 3 wrong binds.
func (s *Server) PolicyDN() string { return "cn=default,ou=policies," + base }

// StrictPolicyDN is a policy that an entry may name: at least 12 characters, 5
// remembered, and a value that somebody else set has to be changed.
func (s *Server) StrictPolicyDN() string { return "cn=strict,ou=policies," + base }

// Start runs a server until the test ends. What is missing on this machine
// fails the test with the package to install.
func Start(t testing.TB, options Options) *Server {
	t.Helper()
	dir, err := os.MkdirTemp("", "rk")
	if err != nil {
		t.Fatal(err)
	}
	server, err := Run(context.Background(), dir, options)
	if err != nil {
		_ = os.RemoveAll(dir)
		t.Fatal(err)
	}
	t.Cleanup(func() {
		server.Stop()
		_ = os.RemoveAll(dir)
	})
	return server
}

// Run provisions a server in the empty directory dir, starts it and waits
// until it answers. dir has to be short, for it holds a socket. The caller
// calls Stop; ctx bounds the start only.
func Run(ctx context.Context, dir string, options Options) (*Server, error) {
	slapd, err := program("slapd")
	if err != nil {
		return nil, err
	}
	server := &Server{dir: dir, level: options.Log, slapd: slapd, BaseDN: base, RootDN: "cn=root," + base, RootPW: rootPW, BindDN: "cn=rotator," + base, Password: rotatorPW}
	if options.Log == "" {
		server.level = "0"
	}
	if err := server.provision(ctx, options); err != nil {
		return nil, err
	}
	for try := 0; ; try++ {
		if err := server.choosePorts(options); err != nil {
			return nil, err
		}
		err := server.start(ctx)
		if err == nil || try == 4 || !errors.Is(err, errDied) {
			return server, err
		}
	}
}

// program finds a server program, which may be outside a user's PATH.
func program(name string) (string, error) {
	if path, err := exec.LookPath(name); err == nil {
		return path, nil
	}
	if path, err := exec.LookPath(filepath.Join("/usr/sbin", name)); err == nil {
		return path, nil
	}
	return "", fmt.Errorf("ldaptest: %s is missing: apt-get install slapd", name)
}

// choosePorts takes free ones below the range that the kernel gives to
// clients: one of those may stay taken by a closed connection.
func (s *Server) choosePorts(options Options) error {
	plain, err := freePort()
	if err != nil {
		return err
	}
	socket := filepath.Join(s.dir, "ldapi")
	s.URL = fmt.Sprintf("ldap://127.0.0.1:%d", plain)
	s.Socket = "ldapi://" + socket
	s.urls = s.URL + " ldapi://" + escapeSlashes(socket)
	if !options.TLS {
		return nil
	}
	secure, err := freePort()
	if err != nil {
		return err
	}
	s.TLSURL = fmt.Sprintf("ldaps://127.0.0.1:%d", secure)
	s.urls += " " + s.TLSURL
	return nil
}

// errDied says that slapd ended while it was waited for, as it does when
// somebody was quicker to take its port.
var errDied = errors.New("slapd ended before it answered")

func (s *Server) start(ctx context.Context) error {
	log, err := os.OpenFile(filepath.Join(s.dir, "log"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	defer func() { _ = log.Close() }() // it was only read, or nobody could do anything about it
	s.process = exec.Command(s.slapd, "-h", s.urls, "-f", filepath.Join(s.dir, "slapd.conf"), "-d", s.level)
	s.process.Stdout, s.process.Stderr = log, log
	detach(s.process)
	if err := s.process.Start(); err != nil {
		return err
	}
	s.ended = make(chan struct{})
	go func(cmd *exec.Cmd, ended chan struct{}) {
		s.exit = cmd.Wait()
		close(ended)
	}(s.process, s.ended)
	if err := s.ready(ctx); err != nil {
		s.Stop()
		return err
	}
	return nil
}

// ready polls the protocol, not the port: an open port is not yet a server.
func (s *Server) ready(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		err := s.Bind(s.BindDN, s.Password)
		if err == nil {
			return nil
		}
		select {
		case <-s.ended:
			return fmt.Errorf("ldaptest: %w: %w: %s", errDied, s.exit, s.log())
		case <-ctx.Done():
			return fmt.Errorf("ldaptest: slapd does not answer: %w: %s", err, s.log())
		case <-tick.C:
		}
	}
}

func (s *Server) log() string {
	text := s.Log()
	return text[max(0, len(text)-1000):]
}

// Log is what the server has written down so far.
func (s *Server) Log() string {
	text, _ := os.ReadFile(filepath.Join(s.dir, "log")) // what is not there says nothing
	return string(text)
}

// Bind tries a logon on a connection of its own; nil is success.
func (s *Server) Bind(dn, password string) error {
	conn, err := s.dial()
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }() // it was only read, or nobody could do anything about it
	return conn.Bind(dn, password)
}

// Root returns a connection that may do everything. The caller closes it.
func (s *Server) Root() (*ldap.Conn, error) {
	conn, err := s.dial()
	if err != nil {
		return nil, err
	}
	if err := conn.Bind(s.RootDN, s.RootPW); err != nil {
		_ = conn.Close() // it was only read, or nobody could do anything about it
		return nil, err
	}
	return conn, nil
}

func (s *Server) dial() (*ldap.Conn, error) {
	conn, err := ldap.DialURL(s.Socket, ldap.DialWithDialer(&net.Dialer{Timeout: startLimit}))
	if err != nil {
		return nil, err
	}
	conn.SetTimeout(startLimit)
	return conn, nil
}

// Pid is the process, for faults that only a signal can make.
func (s *Server) Pid() int { return s.process.Process.Pid }

// Stop ends the server and waits for it. It may be called again.
func (s *Server) Stop() {
	if s.process == nil || s.process.Process == nil {
		return
	}
	_ = s.process.Process.Signal(os.Interrupt)
	select {
	case <-s.ended:
	case <-time.After(startLimit):
		s.Kill()
	}
}

// Kill ends the server as a crash would, and waits for it.
func (s *Server) Kill() {
	_ = s.process.Process.Kill()
	<-s.ended
}

// Restart starts a stopped or killed server again: same ports, same data.
func (s *Server) Restart() error {
	s.Stop()
	return s.start(context.Background())
}

// provision writes configuration, keys and entries.
func (s *Server) provision(ctx context.Context, options Options) error {
	if err := os.MkdirAll(filepath.Join(s.dir, "db"), 0o700); err != nil {
		return err
	}
	if options.TLS {
		if err := s.certify(); err != nil {
			return err
		}
	}
	conf, ldif := filepath.Join(s.dir, "slapd.conf"), filepath.Join(s.dir, "init.ldif")
	if err := os.WriteFile(conf, []byte(s.config(options)), 0o600); err != nil {
		return err
	}
	if err := os.WriteFile(ldif, []byte(s.entries(options)), 0o600); err != nil {
		return err
	}
	add, err := program("slapadd")
	if err != nil {
		return err
	}
	if out, err := exec.CommandContext(ctx, add, "-q", "-f", conf, "-l", ldif).CombinedOutput(); err != nil {
		return fmt.Errorf("ldaptest: slapadd: %w: %s", err, out)
	}
	return nil
}

// config is slapd.conf: nobody starts a test from cn=config.
func (s *Server) config(options Options) string {
	var builder strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&builder, format+"\n", args...) }
	for _, schema := range []string{"core", "cosine", "inetorgperson", "nis"} {
		line("include /etc/ldap/schema/%s.schema", schema)
	}
	line("modulepath /usr/lib/ldap\nmoduleload back_mdb\npidfile %s/pid\nargsfile %s/args\npassword-hash {SSHA}", s.dir, s.dir)
	if options.PPolicy {
		line("moduleload ppolicy")
	}
	if options.TLS {
		line("TLSCACertificateFile %[1]s/ca.pem\nTLSCertificateFile %[1]s/server.pem\nTLSCertificateKeyFile %[1]s/server.key", s.dir)
	}
	builder.WriteString(strings.Join(append(options.Global, ""), "\n"))
	line("database mdb\nmaxsize 1073741824\nsuffix %q\ndirectory %s/db\nrootdn %q\nrootpw %s\nindex objectClass,uid,cn,mail eq", base, s.dir, s.RootDN, rootPW)
	if !options.Sync {
		line("dbnosync")
	}
	if !options.NoLimits {
		line("limits dn.exact=%q size=unlimited", s.BindDN)
	}
	builder.WriteString(strings.Join(append(options.Before, ""), "\n"))
	line(access, options.lockable())
	if options.PPolicy {
		line("overlay ppolicy\nppolicy_default %q\nppolicy_use_lockout", s.PolicyDN())
	}
	builder.WriteString(strings.Join(append(options.Extra, ""), "\n"))
	return builder.String()
}

func (s *Server) entries(options Options) string {
	var builder strings.Builder
	add := func(format string, args ...any) { fmt.Fprintf(&builder, format+"\n\n", args...) }
	add("dn: %s\nobjectClass: domain\ndc: rekey", base)
	for _, ou := range []string{"people", "denied", "policies"} {
		add("dn: ou=%s,%s\nobjectClass: organizationalUnit\nou: %s", ou, base, ou)
	}
	add("dn: %s\nobjectClass: person\ncn: rotator\nsn: rotator\nuserPassword: %s", s.BindDN, ssha(rotatorPW))
	add("%s", Entry("denied0", "ou=denied,"+base, s.UserPassword(0)))
	if options.PPolicy {
		const policy = "dn: %s\nobjectClass: device\nobjectClass: pwdPolicy\ncn: %s\npwdAttribute: userPassword\npwdAllowUserChange: TRUE\npwdCheckQuality: 2\n"
		add(policy+"pwdMinLength: 8\npwdInHistory: 3\npwdLockout: TRUE\npwdMaxFailure: 3", s.PolicyDN(), "default")
		add(policy+"pwdMinLength: 12\npwdInHistory: 5\npwdMustChange: TRUE", s.StrictPolicyDN(), "strict")
	}
	for index := range options.Users {
		add("%s", Entry(fmt.Sprint("user", index), "ou=people,"+base, s.UserPassword(index)))
	}
	builder.WriteString(options.LDIF)
	return builder.String()
}

// certify makes an authority, a certificate for 127.0.0.1 and localhost, and one
// for a client named rotator.
func (s *Server) certify() error {
	ca, caKey, err := s.certificate("ca", &x509.Certificate{
		Subject: pkix.Name{CommonName: "ldaptest CA"}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}, nil, nil)
	if err != nil {
		return err
	}
	s.CAFile = filepath.Join(s.dir, "ca.pem")
	_, _, err = s.certificate("server", &x509.Certificate{
		Subject: pkix.Name{CommonName: "localhost"}, DNSNames: []string{"localhost"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}, ca, caKey)
	if err != nil {
		return err
	}
	s.CertFile, s.KeyFile = filepath.Join(s.dir, "client.pem"), filepath.Join(s.dir, "client.key")
	_, _, err = s.certificate("client", &x509.Certificate{
		Subject: pkix.Name{CommonName: "rotator"}, KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}, ca, caKey)
	return err
}

// certificate writes NAME.pem and NAME.key; without a parent it signs itself.
func (s *Server) certificate(name string, certificate, parent *x509.Certificate, parentKey *ecdsa.PrivateKey) (*x509.Certificate, *ecdsa.PrivateKey, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	if parent == nil {
		parent, parentKey = certificate, key
	}
	certificate.SerialNumber = big.NewInt(time.Now().UnixNano())
	certificate.NotBefore, certificate.NotAfter = time.Now().Add(-time.Hour), time.Now().AddDate(0, 0, 90)
	der, err := x509.CreateCertificate(rand.Reader, certificate, parent, &key.PublicKey, parentKey)
	if err != nil {
		return nil, nil, err
	}
	raw, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, nil, err
	}
	if err := s.writePEM(name+".pem", "CERTIFICATE", der); err != nil {
		return nil, nil, err
	}
	if err := s.writePEM(name+".key", "PRIVATE KEY", raw); err != nil {
		return nil, nil, err
	}
	made, err := x509.ParseCertificate(der)
	return made, key, err
}

func (s *Server) writePEM(name, kind string, der []byte) error {
	return os.WriteFile(filepath.Join(s.dir, name), pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600)
}
