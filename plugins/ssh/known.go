package ssh

import (
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"slices"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/knownhosts"

	"github.com/rekey-host/rekey/sdk"
)

// known are the keys of hosts in a file.
type known struct {
	file  string
	check ssh.HostKeyCallback
}

func readKnown(file string) (*known, *sdk.Error) {
	check, err := knownhosts.New(file)
	if err != nil {
		return nil, sdk.Errorf(sdk.InvalidConfig, "known_hosts: %s", err)
	}
	return &known{file: file, check: check}, nil
}

// callback refuses a key that is not the host's, with what to do.
func (k *known) callback(where address) ssh.HostKeyCallback {
	return func(name string, remote net.Addr, key ssh.PublicKey) error {
		err := k.check(name, remote, key)
		var wrong *knownhosts.KeyError
		var revoked *knownhosts.RevokedError
		switch {
		case err == nil:
			return nil
		case errors.As(err, &revoked):
			return sdk.Errorf(sdk.InsecureTransport, "host %s: its key is revoked by %s:%d", where, revoked.Revoked.Filename, revoked.Revoked.Line)
		case errors.As(err, &wrong) && len(wrong.Want) > 0:
			return k.changed(where, key, wrong.Want)
		case errors.As(err, &wrong):
			return sdk.Errorf(sdk.InsecureTransport, "host %s: %s has no key of it; it shows %s %s: compare that with the host's own, then add it: ssh-keyscan -p %d %s >>%s",
				where, k.file, key.Type(), ssh.FingerprintSHA256(key), where.port, where.host, k.file)
		}
		return sdk.Errorf(sdk.InsecureTransport, "host %s: %s", where, err)
	}
}

func (k *known) changed(where address, key ssh.PublicKey, want []knownhosts.KnownKey) *sdk.Error {
	first := want[0]
	for _, one := range want {
		if one.Key.Type() == key.Type() {
			first = one
		}
	}
	return sdk.Errorf(sdk.InsecureTransport, "host %s: its key is not the one of %s:%d (%s), it shows %s %s: another machine may be in between, or the host was installed anew; only if that is certain: ssh-keygen -R '%s' -f %s, and add the new key",
		where, first.Filename, first.Line, ssh.FingerprintSHA256(first.Key), key.Type(), ssh.FingerprintSHA256(key), knownhosts.Normalize(where.String()), k.file)
}

// algorithms are those of the keys that the file has of a host: a server that has
// several keys must not choose one that is not there. Nil: any.
func (k *known) algorithms(where address, remote net.Addr) []string {
	var wrong *knownhosts.KeyError
	if !errors.As(k.check(where.String(), remote, nobodys{}), &wrong) {
		return nil
	}
	var list []string
	for _, one := range wrong.Want {
		kinds := []string{one.Key.Type()}
		if kinds[0] == ssh.KeyAlgoRSA {
			kinds = []string{ssh.KeyAlgoRSASHA512, ssh.KeyAlgoRSASHA256}
		}
		for _, kind := range kinds {
			if !slices.Contains(list, kind) {
				list = append(list, kind)
			}
		}
	}
	return list
}

// nobodys is a key that no host has.
type nobodys struct{}

// Type is that of no key.
func (nobodys) Type() string { return "nobody's" }

// Marshal is the key's text, which is in no file.
func (nobodys) Marshal() []byte {
	return []byte(base64.StdEncoding.EncodeToString([]byte(fmt.Sprintf("%T", nobodys{}))))
}

// Verify fails.
func (nobodys) Verify([]byte, *ssh.Signature) error { return errors.New("nobody's key") }
