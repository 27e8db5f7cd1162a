package ldap

import (
	"crypto/tls"
	"crypto/x509"
	"net"
	"net/netip"
	"net/url"
	"os"
	"regexp"
	"strings"
	"time"

	"github.com/rekey-host/rekey/sdk"
	"github.com/rekey-host/rekey/sdk/secret"
)

// mode is how a server takes a password.
type mode string

const (
	modeRFC3062   mode = "rfc3062"
	modeAD        mode = "ad"
	modeAttribute mode = "attribute"
)

// authExternal is the one other way to log on than by a password.
const authExternal = "external"

const (
	defaultLogin    = "uid"
	defaultLoginAD  = "sAMAccountName"
	defaultPage     = 500
	defaultPatience = 30 * time.Second
)

// directory is where accounts are looked for.
type directory struct {
	base           string
	loginAttribute string
	mode           mode
}

// settings of one instance, checked.
type settings struct {
	directory
	dialer
	bindDN             string
	password           secret.Value
	passwords          *sdk.Passwords
	hash               string
	page               int
	policyDN           string
	concurrency        int
	external           bool // the transport says who rekey is
	replacePassthrough bool // a value that points to another system may be replaced
	keepLock           bool // a lock that a set lifts is put back
	updateSamba        bool // Samba's hash goes with a value
	updateShadow       bool // so does the day by which Linux counts its age
	rotateAdmins       bool // accounts with adminCount are meant too
	clear              bool // passwords travel in clear to another machine
}

func newSettings(config sdk.Config) (settings, error) {
	made := settings{
		directory:          directory{base: config.Text("base_dn"), loginAttribute: config.Text("login_attribute"), mode: mode(config.Text("mode"))},
		bindDN:             config.Text("bind_dn"),
		password:           config.Secret("bind_password"),
		passwords:          sdk.NewPasswords(config.Handed, config.Secret("bind_password")),
		hash:               config.Text("hash"),
		page:               config.Int("page_size"),
		policyDN:           config.Text("policy_dn"),
		replacePassthrough: config.Bool("replace_passthrough") || config.Bool("replace_sasl"),
		keepLock:           config.Bool("keep_lock"),
		updateSamba:        config.Bool("update_samba"),
		updateShadow:       config.Bool("update_shadow"),
		rotateAdmins:       config.Bool("rotate_admins"),
		external:           config.Text("auth") == authExternal,
		concurrency:        max(config.Concurrency, 1),
	}
	made.defaults()
	if err := made.check(); err != nil {
		return settings{}, err
	}
	dialer, err := newDialer(config)
	if err != nil {
		return settings{}, err
	}
	if made.external && dialer.network != "unix" && (dialer.tls == nil || len(dialer.tls.Certificates) == 0) {
		return settings{}, sdk.Errorf(sdk.InvalidConfig, "auth: external is for ldapi://, where the system tells who asks, and for TLS with cert_file and key_file, where the certificate does")
	}
	if made.mode == modeAD && catalogue(dialer.address) {
		return settings{}, sdk.Errorf(sdk.InvalidConfig, "url: %s is the port of the global catalogue, which takes no writes; that of ldaps:// is 636", dialer.address)
	}
	made.dialer = dialer
	made.patience = config.Timeout
	if made.patience <= 0 {
		made.patience = defaultPatience
	}
	made.clear, err = clear(dialer, made.mode, config.Bool("insecure"))
	return made, err
}

func (s *settings) defaults() {
	if s.mode == "" {
		s.mode = modeRFC3062
	}
	if s.hash == "" {
		s.hash = hashSSHA
	}
	switch {
	case s.mode == modeAD && (s.loginAttribute == "" || s.loginAttribute == defaultLogin):
		s.loginAttribute = defaultLoginAD
	case s.loginAttribute == "":
		s.loginAttribute = defaultLogin
	}
}

var attributeName = regexp.MustCompile(`^([A-Za-z][A-Za-z0-9-]*|[0-9]+(\.[0-9]+)+)$`)

// asDN is how a name of a domain is written as a DN.
func asDN(name string) string {
	if !strings.Contains(name, ".") || strings.ContainsAny(name, "=, ") {
		return "dc=acme,dc=example"
	}
	return "dc=" + strings.ReplaceAll(name, ".", ",dc=")
}

func (s *settings) check() error {
	switch s.mode {
	case modeRFC3062, modeAD, modeAttribute:
	default:
		return sdk.Errorf(sdk.InvalidConfig, "mode: got %q, want rfc3062, ad or attribute", s.mode)
	}
	if !knownHash(s.hash) {
		return sdk.Errorf(sdk.InvalidConfig, "hash: got %q, want ssha, ssha256, ssha512 or plain", s.hash)
	}
	for name, dn := range map[string]string{"base_dn": s.base, "policy_dn": s.policyDN} {
		if _, err := goldapParse(dn); err != nil {
			return sdk.Errorf(sdk.InvalidConfig, "%s: %q is not a DN: write it as in %s", name, dn, asDN(dn))
		}
	}
	switch {
	case s.external && (s.bindDN != "" || s.password.Present()):
		return sdk.Errorf(sdk.InvalidConfig, "auth: with external the system or the certificate tells who rekey is; leave bind_dn and bind_password out")
	case s.bindDN == "" && !s.external:
		return sdk.Errorf(sdk.InvalidConfig, `bind_dn: missing; over ldapi:// auth = "external" (SASL EXTERNAL) does without`)
	case s.external:
	case s.password.Empty():
		// A bind with a name and no password succeeds as nobody, RFC 4513.
		return sdk.Errorf(sdk.InvalidConfig, "bind_password: missing or empty")
	}
	switch {
	case !attributeName.MatchString(s.loginAttribute):
		return sdk.Errorf(sdk.InvalidConfig, "login_attribute: %q is not the name of an attribute", s.loginAttribute)
	case s.mode == modeAD && (s.updateSamba || s.updateShadow):
		return sdk.Errorf(sdk.InvalidConfig, "mode: ad has no entries for update_samba and update_shadow; leave them out")
	case s.page < 0:
		return sdk.Errorf(sdk.InvalidConfig, "page_size: got %d, want at least 0", s.page)
	}
	return nil
}

// newDialer reads url, start_tls, and what concerns TLS.
func newDialer(config sdk.Config) (dialer, error) {
	d, host, err := parseURL(config.Text("url"))
	if err != nil {
		return dialer{}, err
	}
	d.startTLS = config.Bool("start_tls")
	switch {
	case d.startTLS && d.tls != nil:
		return dialer{}, sdk.Errorf(sdk.InvalidConfig, "start_tls: an ldaps:// connection is secure from its first byte; leave it out")
	case d.startTLS && d.network == "unix":
		return dialer{}, sdk.Errorf(sdk.InvalidConfig, "start_tls: not over a socket of this machine; leave it out")
	case d.startTLS:
		d.tls = &tls.Config{}
	}
	if d.tls == nil {
		for _, setting := range []string{"ca_file", "server_name", "cert_file", "key_file"} {
			if config.Text(setting) != "" {
				return dialer{}, sdk.Errorf(sdk.InvalidConfig, "%s: needs ldaps:// or start_tls", setting)
			}
		}
		return d, nil
	}
	d.tls.ServerName, d.tls.MinVersion = either(config.Text("server_name"), host), tls.VersionTLS12
	if file := config.Text("ca_file"); file != "" {
		if d.tls.RootCAs, err = authorities(file); err != nil {
			return dialer{}, err
		}
	}
	d.tls.Certificates, err = ownCertificate(config.Text("cert_file"), config.Text("key_file"))
	return d, err
}

// ownCertificate is what rekey shows of itself, nothing if neither file is named.
func ownCertificate(cert, key string) ([]tls.Certificate, error) {
	switch {
	case cert == "" && key == "":
		return nil, nil
	case cert == "":
		return nil, sdk.Errorf(sdk.InvalidConfig, "cert_file: missing; key_file is the key of a certificate")
	case key == "":
		return nil, sdk.Errorf(sdk.InvalidConfig, "key_file: missing; a certificate is shown with its key")
	}
	text, err := os.ReadFile(cert)
	if err != nil {
		return nil, sdk.Errorf(sdk.InvalidConfig, "cert_file: %v", err)
	}
	secret, err := os.ReadFile(key)
	if err != nil {
		return nil, sdk.Errorf(sdk.InvalidConfig, "key_file: %v", err)
	}
	pair, err := tls.X509KeyPair(text, secret)
	if err != nil {
		return nil, sdk.Errorf(sdk.InvalidConfig, "cert_file, key_file: no pair of a PEM certificate and its PEM key without a passphrase: %v", err)
	}
	return []tls.Certificate{pair}, nil
}

// parseURL returns how to connect and the name that a certificate has to have.
func parseURL(text string) (dialer, string, error) {
	if text == "" {
		return dialer{}, "", sdk.Errorf(sdk.InvalidConfig, "url: missing")
	}
	if rest, ok := strings.CutPrefix(text, "ldapi://"); ok {
		path, err := url.PathUnescape(strings.TrimSuffix(rest, "/"))
		if err != nil || !strings.HasPrefix(path, "/") {
			return dialer{}, "", sdk.Errorf(sdk.InvalidConfig, "url: got %q, want ldapi:///PATH/OF/SOCKET or ldapi://%%2FPATH%%2FOF%%2FSOCKET", text)
		}
		return dialer{network: "unix", address: path}, "", nil
	}
	address, err := url.Parse(text)
	if err != nil || address.Hostname() == "" || address.User != nil || strings.Trim(address.Path, "/") != "" || address.RawQuery != "" || address.Fragment != "" {
		return dialer{}, "", sdk.Errorf(sdk.InvalidConfig, "url: want ldaps://HOST[:PORT] or ldap://HOST[:PORT] and nothing else")
	}
	made, port := dialer{network: "tcp"}, address.Port()
	switch strings.ToLower(address.Scheme) {
	case "ldaps":
		made.tls = &tls.Config{}
		port = either(port, "636")
	case "ldap":
		port = either(port, "389")
	default:
		return dialer{}, "", sdk.Errorf(sdk.InvalidConfig, "url: got scheme %q, want ldaps, ldap or ldapi", address.Scheme)
	}
	made.address = net.JoinHostPort(address.Hostname(), port)
	return made, address.Hostname(), nil
}

func either(first, second string) string {
	if first != "" {
		return first
	}
	return second
}

func authorities(file string) (*x509.CertPool, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, sdk.Errorf(sdk.InvalidConfig, "ca_file: %v", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(text) {
		return nil, sdk.Errorf(sdk.InvalidConfig, "ca_file: %q holds no PEM certificate", file)
	}
	return pool, nil
}

// clear reports whether passwords will travel in clear to another machine. A
// connection that is neither secure nor a socket of this machine is refused
// unless it is wanted, to loopback too: who listens on a port of this machine
// nobody knows. Active Directory takes no password in clear at all.
func clear(dialer dialer, mode mode, insecure bool) (bool, error) {
	switch {
	case dialer.tls != nil:
		return false, nil
	case mode == modeAD:
		return false, sdk.Errorf(sdk.InsecureTransport, "url: mode ad needs ldaps:// or start_tls")
	case dialer.network == "unix":
		return false, nil
	case !insecure:
		return false, sdk.Errorf(sdk.InsecureTransport, "url: ldap:// would carry passwords in clear; use ldaps:// or start_tls = True, or say insecure = True")
	}
	return !loopback(dialer.address), nil
}

// catalogue reports the ports of Windows' global catalogue.
func catalogue(address string) bool {
	_, port, err := net.SplitHostPort(address)
	return err == nil && (port == "3268" || port == "3269")
}

func loopback(address string) bool {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return false
	}
	ip, err := netip.ParseAddr(host)
	return strings.EqualFold(host, "localhost") || err == nil && ip.Unmap().IsLoopback()
}
