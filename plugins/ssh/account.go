package ssh

import (
	"errors"
	"net"
	"regexp"
	"strconv"
	"strings"

	"github.com/rekey-host/rekey/sdk"
)

// address is a host and its port.
type address struct {
	host string
	port int
}

// String is HOST:PORT.
func (a address) String() string { return net.JoinHostPort(a.host, strconv.Itoa(a.port)) }

// account is one user of one host.
type account struct {
	user string
	address
}

// String is USER@HOST:PORT, the same for every spelling.
func (a account) String() string { return a.user + "@" + a.address.String() }

// userNames are what shadow files of Linux have; no shell and no tool reads them
// otherwise than as names.
var userNames = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_.-]{0,255}\$?$`)

var hostNames = regexp.MustCompile(`^[a-z0-9_]([a-z0-9_.-]*[a-z0-9_])?$`)

// parse takes USER@HOST[:PORT].
func (s settings) parse(name string) (account, *sdk.Error) {
	at := strings.LastIndexByte(name, '@')
	if at < 0 {
		return account{}, sdk.Errorf(sdk.InvalidOperation, "account %q: not USER@HOST or USER@HOST:PORT", name)
	}
	if !userNames.MatchString(name[:at]) {
		return account{}, sdk.Errorf(sdk.InvalidOperation, "account %q: %q is no name of a local user", name, name[:at])
	}
	where, err := parseAddress(name[at+1:], s.port)
	if err != nil {
		return account{}, sdk.Errorf(sdk.InvalidOperation, "account %q: %s", name, err)
	}
	return account{name[:at], where}, nil
}

// parseAddress takes HOST, HOST:PORT, or an IPv6 address, which is in brackets
// where a port follows.
func parseAddress(text string, port int) (address, error) {
	host := text
	if net.ParseIP(text) == nil && strings.Contains(text, ":") {
		var digits string
		var err error
		if host, digits, err = net.SplitHostPort(text); err != nil {
			return address{}, errors.New("not HOST or HOST:PORT")
		}
		if port, err = strconv.Atoi(digits); err != nil || port < 1 || port > 65535 || strconv.Itoa(port) != digits {
			return address{}, errors.New("the port is none")
		}
	}
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	if ip := net.ParseIP(host); ip != nil {
		return address{ip.String(), port}, nil
	}
	if !hostNames.MatchString(host) || len(host) > 253 {
		return address{}, errors.New("the host's name is none")
	}
	return address{host, port}, nil
}
