// Package reachtest is what the tests of database backends share: certificates,
// free ports, and a relay that cuts connections when it is told to.
package reachtest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	mrand "math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"
)

// FreePort returns a port that is not listened on, in the range that the kernel
// leaves to servers: one of the range of clients may stay taken by a connection
// that was closed.
func FreePort(t testing.TB) int {
	t.Helper()
	for range 100 {
		port := 20000 + mrand.IntN(12000)
		listener, err := net.Listen("tcp", "127.0.0.1:"+strconv.Itoa(port))
		if err == nil {
			_ = listener.Close() // it was only tried
			return port
		}
	}
	t.Fatal("no free port from 20000 to 31999")
	return 0
}

// Authority signs certificates. File holds its own.
type Authority struct {
	File        string
	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
}

// Names are what a certificate is for.
type Names struct {
	Hosts   []string // none: it has a common name only
	Expired bool
}

// Pair are the files of a certificate and of its key.
type Pair struct{ Certificate, Key string }

// NewAuthority makes one, for the time of the test.
func NewAuthority(t testing.TB) *Authority {
	t.Helper()
	authority := &Authority{key: newKey(t)}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "reachtest CA"}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageCertSign, NotBefore: time.Now().Add(-48 * time.Hour), NotAfter: time.Now().Add(24 * time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &authority.key.PublicKey, authority.key)
	if err == nil {
		authority.certificate, err = x509.ParseCertificate(der)
	}
	if err != nil {
		t.Fatal(err)
	}
	authority.File = write(t, "ca.pem", "CERTIFICATE", der)
	return authority
}

// Certificate makes one for a server on this machine.
func (a *Authority) Certificate(t testing.TB, names Names) Pair {
	t.Helper()
	key := newKey(t)
	template := &x509.Certificate{SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: "server"},
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		NotBefore: time.Now().Add(-24 * time.Hour), NotAfter: time.Now().Add(24 * time.Hour)}
	for _, host := range names.Hosts {
		if ip := net.ParseIP(host); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
			continue
		}
		template.DNSNames = append(template.DNSNames, host)
	}
	if names.Expired {
		template.NotAfter = time.Now().Add(-time.Hour)
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.certificate, &key.PublicKey, a.key)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return Pair{Certificate: write(t, "server.pem", "CERTIFICATE", der), Key: write(t, "server.key", "PRIVATE KEY", raw)}
}

// Serve listens with a certificate until the test ends, and returns the port.
func (a *Authority) Serve(t testing.TB, pair Pair) string {
	t.Helper()
	certificate, err := tls.LoadX509KeyPair(pair.Certificate, pair.Key)
	if err != nil {
		t.Fatal(err)
	}
	return listen(t, func(conn net.Conn) {
		_ = tls.Server(conn, &tls.Config{Certificates: []tls.Certificate{certificate}}).Handshake()
	})
}

// Closing listens until the test ends, ends each connection at once, and returns
// the port.
func Closing(t testing.TB) string { t.Helper(); return listen(t, func(net.Conn) {}) }

func listen(t testing.TB, serve func(net.Conn)) string {
	t.Helper()
	listener, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", FreePort(t)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			serve(conn)
			_ = conn.Close() // the client is gone, or is to be
		}
	}()
	_, port, _ := net.SplitHostPort(listener.Addr().String())
	return port
}

func newKey(t testing.TB) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func write(t testing.TB, name, kind string, der []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}
