package reach

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

// Fault is the error of a connection that could not be opened or secured.
// Nothing was sent.
func (p Place) Fault(err error) *sdk.Error {
	var known *sdk.Error
	var bad *tls.CertificateVerificationError
	var header tls.RecordHeaderError
	switch {
	case errors.As(err, &known):
		return known
	case errors.Is(err, context.Canceled):
		return sdk.Errorf(sdk.Cancelled, "given up before anything was sent")
	case errors.As(err, &bad):
		return sdk.Errorf(sdk.InvalidConfig, "url: %s", p.certificate(bad))
	case timedOut(err):
		return sdk.Errorf(sdk.Timeout, "url: %s was not reached in time: is there a firewall in between, and is the port right?", p.Address)
	case errors.As(err, &header):
		return sdk.Errorf(sdk.InsecureTransport, "url: %s does not speak TLS: have it switched on, or say insecure = True", p.Address)
	}
	return sdk.Errorf(sdk.Unreachable, "url: %s", p.away(err))
}

// Lost is the error of a request that was sent and has no answer.
func (p Place) Lost(err error) *sdk.Error {
	switch {
	case errors.Is(err, context.Canceled):
		return sdk.Errorf(sdk.Cancelled, "given up before the server answered")
	case timedOut(err):
		return sdk.Errorf(sdk.Timeout, "the server did not answer in time")
	}
	return sdk.Errorf(sdk.ConnectionLost, "the connection was lost before the answer: %v", err)
}

func timedOut(err error) bool {
	var slow net.Error
	return errors.Is(err, context.DeadlineExceeded) || errors.As(err, &slow) && slow.Timeout()
}

// away says why there is no connection.
func (p Place) away(err error) string {
	var name *net.DNSError
	switch {
	case errors.As(err, &name) && name.IsNotFound:
		return fmt.Sprintf("the name %q does not resolve: is it spelled right?", name.Name)
	case errors.As(err, &name):
		return fmt.Sprintf("the name %q could not be looked up (%s): is the name server there?", name.Name, name.Err)
	case p.Network == "unix" && errors.Is(err, fs.ErrNotExist):
		return fmt.Sprintf("there is no socket %s: does the server listen there?", p.Address)
	case errors.Is(err, fs.ErrPermission):
		return fmt.Sprintf("%s may not be opened: permission denied", p.Address)
	case errors.Is(err, syscall.ECONNREFUSED):
		return fmt.Sprintf("nothing listens at %s (connection refused): is the server up, and the port right?", p.Address)
	case errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.ENETUNREACH):
		return fmt.Sprintf("there is no way to %s: is this machine in the right network?", p.Address)
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		return fmt.Sprintf("%s closed the connection without an answer: look into the server's log", p.Address)
	}
	return fmt.Sprintf("%s cannot be reached: %v", p.Address, err)
}

// certificate says what is wrong with the server's certificate, and what mends
// that: for each kind it is something else.
func (p Place) certificate(bad *tls.CertificateVerificationError) string {
	var authority x509.UnknownAuthorityError
	var name x509.HostnameError
	var invalid x509.CertificateInvalidError
	at := "the certificate of " + p.Address
	switch {
	case errors.As(bad, &name):
		return at + wrongName(name)
	case errors.As(bad, &invalid) && invalid.Reason == x509.Expired && p.Now().Before(invalid.Cert.NotBefore):
		return fmt.Sprintf("%s is not valid before %s: is the clock of this machine right?", at, invalid.Cert.NotBefore.UTC().Format(time.RFC3339))
	case errors.As(bad, &invalid) && invalid.Reason == x509.Expired:
		return fmt.Sprintf("%s expired at %s: have it renewed", at, invalid.Cert.NotAfter.UTC().Format(time.RFC3339))
	case errors.As(bad, &invalid) && invalid.Reason == x509.IncompatibleUsage:
		return at + " is not one for servers: have one issued with the extended key usage serverAuth"
	case errors.As(bad, &authority):
		return at + " is signed by an authority that is not trusted: ca_file names the authority to trust"
	}
	return fmt.Sprintf("%s: %v", at, bad.Err)
}

// wrongName says which names a certificate has instead of the one that was
// asked for.
func wrongName(wrong x509.HostnameError) string {
	names := append([]string(nil), wrong.Certificate.DNSNames...)
	for _, ip := range wrong.Certificate.IPAddresses {
		names = append(names, ip.String())
	}
	const most = 5
	switch {
	case len(names) == 0:
		return fmt.Sprintf(" has a common name only (%s): have it issued with a subject alternative name for %s", wrong.Certificate.Subject.CommonName, wrong.Host)
	case len(names) > most:
		names = append(names[:most], "…")
	}
	return fmt.Sprintf(" is for %s, not for %s: write one of its names in url, or in server_name where url has to have another", strings.Join(names, ", "), wrong.Host)
}
