package ldap

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"strings"
	"syscall"
	"time"

	"github.com/rekey-host/rekey/sdk"
)

// place is where a server is looked for, as the settings say it: what goes wrong
// on the way there is told in their words.
type place struct {
	dialer
	now func() time.Time
}

// fault is the error of a connection that could not be opened, secured or
// logged in on. Nothing was changed.
func (p place) fault(err error) *sdk.Error {
	var known *sdk.Error
	var bad *tls.CertificateVerificationError
	var refused *startTLSError
	switch {
	case errors.As(err, &known), errors.Is(err, context.Canceled):
		return wireFault(err, false)
	case errors.As(err, &bad):
		return sdk.Errorf(sdk.InvalidConfig, "url: %s", p.certificate(bad))
	case errors.As(err, &refused):
		return sdk.Errorf(sdk.InvalidConfig, "start_tls: the server does not offer it (%s): use ldaps://, or have it switched on", refused)
	case errors.Is(err, context.DeadlineExceeded):
		return sdk.Errorf(sdk.Timeout, "url: %s was not reached within %s: is there a firewall in between, and is the port right?", p.address, p.patience)
	case alerted(err):
		return sdk.Errorf(sdk.InvalidConfig, "url: %s %s", p.address, p.unwelcome(err))
	case noTLS(err), hungUpOn(err):
		return sdk.Errorf(sdk.Unreachable, "url: %s", p.otherPort(err))
	}
	return sdk.Errorf(sdk.Unreachable, "url: %s", p.away(err))
}

// dropped is the error of a connection that was opened, and failed before rekey
// was logged on. Nothing was changed.
func (p place) dropped(err error) *sdk.Error {
	if p.tls != nil && hungUpOn(err) && !alerted(err) { // TLS 1.3 looks at certificates after its handshake
		return sdk.Errorf(sdk.Unreachable, "url: %s %s", p.address, p.unwelcome(err))
	}
	return p.fault(err)
}

// hungUpOn reports a server that ended the connection without a word.
func hungUpOn(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE)
}

// alerted reports a server that ends a handshake by saying why.
func alerted(err error) bool {
	var remote *net.OpError
	return errors.As(err, &remote) && remote.Op == "remote error"
}

// unwelcome says what a server has against the certificate that it was shown, or
// that it was shown none.
func (p place) unwelcome(err error) string {
	if p.tls != nil && len(p.tls.Certificates) > 0 {
		return fmt.Sprintf("ended TLS over the certificate of cert_file (%v): is it valid, and does the server trust who signed it?", err)
	}
	return fmt.Sprintf("ended TLS before the logon (%v): it may want a certificate of rekey's own (cert_file and key_file); its log says why", err)
}

// noTLS reports an answer that is none of TLS.
func noTLS(err error) bool {
	var header tls.RecordHeaderError
	return errors.As(err, &header)
}

// otherPort says what a server that hangs up usually means: the other of its
// two ports was meant.
func (p place) otherPort(err error) string {
	switch {
	case p.tls != nil && !p.startTLS:
		return fmt.Sprintf("%s does not speak TLS (%v): it may be the port of ldap://, which is secure with start_tls = True; that of ldaps:// is 636", p.address, err)
	case p.tls != nil:
		return fmt.Sprintf("%s ended the connection when TLS was begun (%v): look into the server's log", p.address, err)
	case p.network == "unix":
		return fmt.Sprintf("the socket %s was closed without an answer (%v): look into the server's log", p.address, err)
	}
	return fmt.Sprintf("%s closed the connection without an answer (%v): it may be the port of ldaps://; that of ldap:// is 389", p.address, err)
}

// away says why there is no connection.
func (p place) away(err error) string {
	var name *net.DNSError
	switch {
	case errors.As(err, &name) && name.IsNotFound:
		return fmt.Sprintf("the name %q does not resolve: is it spelled right?", name.Name)
	case errors.As(err, &name):
		return fmt.Sprintf("the name %q could not be looked up (%s): is the name server there?", name.Name, name.Err)
	case p.network == "unix" && errors.Is(err, fs.ErrNotExist):
		return fmt.Sprintf("there is no socket %s: does the server listen on ldapi:// there?", p.address)
	case errors.Is(err, fs.ErrPermission):
		return fmt.Sprintf("%s may not be opened: permission denied", p.address)
	case errors.Is(err, syscall.ECONNREFUSED):
		return fmt.Sprintf("nothing listens at %s (connection refused): is the server up, and the port right?", p.address)
	case errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.ENETUNREACH):
		return fmt.Sprintf("there is no way to %s: is this machine in the right network?", p.address)
	}
	return fmt.Sprintf("%s cannot be reached: %v", p.address, err)
}

// certificate says what is wrong with the server's certificate, and what mends
// that: for each kind it is something else.
func (p place) certificate(bad *tls.CertificateVerificationError) string {
	var authority x509.UnknownAuthorityError
	var name x509.HostnameError
	var invalid x509.CertificateInvalidError
	at := "the certificate of " + p.address
	switch {
	case errors.As(bad, &name):
		return at + p.wrongName(name)
	case errors.As(bad, &invalid) && invalid.Reason == x509.Expired:
		certificate := invalid.Cert
		if p.now().Before(certificate.NotBefore) {
			return fmt.Sprintf("%s is not valid before %s: is the clock of this machine right?", at, certificate.NotBefore.UTC().Format(time.RFC3339))
		}
		return fmt.Sprintf("%s expired at %s: have it renewed", at, certificate.NotAfter.UTC().Format(time.RFC3339))
	case errors.As(bad, &invalid) && invalid.Reason == x509.IncompatibleUsage:
		return at + " is not one for servers: have one issued with the extended key usage serverAuth"
	case errors.As(bad, &authority):
		return fmt.Sprintf("%s is signed by an authority that is not trusted (%s): ca_file names the authority to trust", at, issuer(authority.Cert))
	}
	return fmt.Sprintf("%s: %v", at, bad.Err)
}

func issuer(certificate *x509.Certificate) string {
	if certificate == nil {
		return "unknown"
	}
	return certificate.Issuer.String()
}

// wrongName says which names a certificate has instead of the one that was
// asked for.
func (p place) wrongName(hostnameError x509.HostnameError) string {
	names := append([]string(nil), hostnameError.Certificate.DNSNames...)
	for _, ip := range hostnameError.Certificate.IPAddresses {
		names = append(names, ip.String())
	}
	if len(names) == 0 {
		return fmt.Sprintf(" has a common name only (%s), which is not looked at any more: have it issued with a subject alternative name for %s", hostnameError.Certificate.Subject.CommonName, hostnameError.Host)
	}
	const most = 5
	if len(names) > most {
		names = append(names[:most], "…")
	}
	return fmt.Sprintf(" is for %s, not for %s: write one of its names in url, or in server_name where url has to have another", strings.Join(names, ", "), hostnameError.Host)
}

// startTLSError is what a server answers to a start_tls that it does not do.
type startTLSError struct{ result }

func (e *startTLSError) Error() string { return e.describe() }
