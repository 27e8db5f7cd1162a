package ldaptest

import (
	"crypto/rand"
	"crypto/sha1"
	"encoding/base64"
	"fmt"
	mrand "math/rand/v2"
	"net"
	"strings"
)

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
