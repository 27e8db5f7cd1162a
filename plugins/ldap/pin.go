package ldap

import (
	"context"
	"strings"
	"sync"

	"github.com/rekey-host/rekey/plugins/ldap/internal/ldapwire"
	"github.com/rekey-host/rekey/sdk"
)

// pin keeps an instance at the one domain controller that answered first. A
// domain's name has the addresses of all its controllers, and what one was told
// another learns later: a verify there would refuse a value that is set, and an
// old one would be taken for what the account has. It is safe for concurrent
// use.
type pin struct {
	wanted bool // else any server that answers will do

	mu      sync.Mutex
	address string // where it was reached, "" while none has answered
	service string // what it calls itself
}

// at is where to connect: the address of the controller, once it is known.
func (p *pin) at(address string) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return either(p.address, address)
}

// keep reports whether a new connection leads to the server to stay with; the
// first one does. One that was opened elsewhere before that was known has to be
// opened again. A relay before several controllers has one address, and their
// names tell them apart: an error.
func (p *pin) keep(ctx context.Context, link *conn) (bool, error) {
	if !p.wanted {
		return true, nil
	}
	service, err := serviceName(ctx, link)
	if err != nil {
		return false, err
	}
	address := link.raw.RemoteAddr().String()
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.address == "":
		p.address, p.service = address, service
	case p.address != address:
		return false, nil
	case !strings.EqualFold(p.service, service):
		return false, sdk.Errorf(sdk.Unreachable, "url: leads to several domain controllers, %q and now %q, and what one was told the other learns later: write the name of one", p.service, service)
	}
	return true, nil
}

// serviceName is what a domain controller calls itself; it tells anybody.
func serviceName(ctx context.Context, link *conn) (string, error) {
	name := ""
	made := ldapwire.Search{Scope: ldapwire.ScopeBase, Filter: ldapwire.FilterPresent("objectClass"), Attributes: []string{"dsServiceName"}}
	_, _, err := link.search(ctx, made, nil, func(item entry) error {
		name = item.First("dsServiceName")
		return nil
	})
	return name, err
}
