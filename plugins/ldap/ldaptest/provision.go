package ldaptest

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha1"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"math/big"
	mrand "math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

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

// access gives the rotator write, and no more: manage would bypass policies.
const access = `access to dn.subtree="ou=denied,` + base + `" attrs=userPassword
  by anonymous auth
  by * none
access to dn.subtree="ou=people,` + base + `" attrs=%s
  by dn.exact="cn=rotator,` + base + `" write
  by self write
  by anonymous auth
  by * none
access to attrs=userPassword
  by self write
  by anonymous auth
  by * none
access to *
  by users read
  by anonymous auth`

// lockable are the attributes that the rotator writes; those of ppolicy are
// not known without it.
func (o Options) lockable() string {
	if o.PPolicy {
		return "userPassword,pwdReset,pwdAccountLockedTime"
	}
	return "userPassword"
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

// Entry is the LDIF of an account uid=LOGIN under parent; more lines may be
// appended. login is taken as it is: one that a DN has to escape needs an
// entry of its own.
func Entry(login, parent, password string) string {
	return fmt.Sprintf("dn: uid=%s,%s\nobjectClass: inetOrgPerson\nuid: %s\ncn: The %s\nsn: %s\nmail: %s@rekey.test\nuserPassword: %s",
		login, parent, login, login, login, login, ssha(password))
}

// ssha hashes here what slapd would hash one by one.
func ssha(password string) string {
	salt := make([]byte, 8)
	_, _ = rand.Read(salt) // never fails
	sum := sha1.Sum(append([]byte(password), salt...))
	return "{SSHA}" + base64.StdEncoding.EncodeToString(append(sum[:], salt...))
}

// freePort returns a port that nobody listens on, in the range that the kernel
// leaves to servers.
func freePort() (int, error) {
	for range 100 {
		port := 20000 + mrand.IntN(12000)
		listener, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err == nil {
			return port, listener.Close()
		}
	}
	return 0, fmt.Errorf("ldaptest: no free port from 20000 to 31999")
}

func escapeSlashes(path string) string { return strings.ReplaceAll(path, "/", "%2F") }

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
	certificate.NotBefore, certificate.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(24*time.Hour)
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
