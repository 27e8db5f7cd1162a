// Package peer is how the two ends of a connection know each other where neither
// starts the other: by the SHA-256 of their public keys, both ways. It knows TLS and
// files; it refuses to know what is said over the connection.
package peer

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"os"
	"slices"
	"strings"
	"time"
)

// Identity is Read, but makes both files where neither exists.
func Identity(certFile, keyFile string) (tls.Certificate, error) {
	_, certErr := os.Lstat(certFile)
	_, keyErr := os.Lstat(keyFile)
	if errors.Is(certErr, fs.ErrNotExist) && errors.Is(keyErr, fs.ErrNotExist) {
		return made(certFile, keyFile)
	}
	return Read(certFile, keyFile)
}

// Read reads a certificate and its key from PEM files. Who can read the key can speak for
// its owner, so others may not.
func Read(certFile, keyFile string) (tls.Certificate, error) {
	_, certErr := os.Stat(certFile)
	info, keyErr := os.Stat(keyFile)
	switch {
	case certErr != nil || keyErr != nil:
		return tls.Certificate{}, errors.Join(certErr, keyErr)
	case info.Mode().Perm()&0o077 != 0:
		return tls.Certificate{}, fmt.Errorf("%s: others may read it; chmod 600 it, or make another key if somebody did", keyFile)
	}
	own, err := tls.LoadX509KeyPair(certFile, keyFile)
	if err != nil {
		return own, fmt.Errorf("%s, %s: %w", certFile, keyFile, err)
	}
	return own, nil
}

func made(certFile, keyFile string) (tls.Certificate, error) {
	cert, key, err := New()
	if err == nil {
		err = fresh(keyFile, key, 0o600)
	}
	if err == nil {
		err = fresh(certFile, cert, 0o644)
	}
	if err != nil {
		return tls.Certificate{}, err
	}
	return tls.X509KeyPair(cert, key)
}

// fresh writes a file that does not exist.
func fresh(path string, text []byte, mode fs.FileMode) error {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, mode)
	if err != nil {
		return err
	}
	_, err = file.Write(text)
	return errors.Join(err, file.Sync(), file.Close())
}

// New makes a key and a certificate of it, both in PEM.
func New() (cert, key []byte, err error) {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "rekey"}, DNSNames: []string{"localhost"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().AddDate(30, 0, 0), IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	if err != nil {
		return nil, nil, err
	}
	hidden, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		return nil, nil, err
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: hidden}), nil
}

// Pin is the SHA-256 of a certificate's public key in hex. It stays when the
// certificate is made anew of the same key.
func Pin(der []byte) (string, error) {
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(cert.RawSubjectPublicKeyInfo)
	return hex.EncodeToString(sum[:]), nil
}

// ValidPin reports whether a text is a pin.
func ValidPin(text string) bool {
	sum, err := hex.DecodeString(text)
	return err == nil && len(sum) == sha256.Size && text == strings.ToLower(text)
}

// StrangerError says that the other end has a key that is none of those it may have.
type StrangerError struct{ Pin string }

// Error names the key.
func (e *StrangerError) Error() string { return "its key is another: SHA-256 " + e.Pin }

// Config returns the settings of either end: it shows its own certificate, demands the
// other's, and goes on only if that has one of the pinned keys. Names and times in
// certificates count for nothing: the key says who it is.
func Config(own tls.Certificate, pins []string) *tls.Config {
	return &tls.Config{
		Certificates: []tls.Certificate{own}, ClientAuth: tls.RequireAnyClientCert, MinVersion: tls.VersionTLS13, NextProtos: []string{"h2"},
		InsecureSkipVerify: true, // VerifyConnection does, by the key
		VerifyConnection: func(state tls.ConnectionState) error {
			if len(state.PeerCertificates) == 0 {
				return errors.New("it shows no certificate")
			}
			pin, err := Pin(state.PeerCertificates[0].Raw)
			if err == nil && !slices.Contains(pins, pin) {
				err = &StrangerError{pin}
			}
			return err
		},
		SessionTicketsDisabled: true, // each connection shows the key
	}
}
