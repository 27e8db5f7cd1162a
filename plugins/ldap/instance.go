package ldap

import (
	"context"
	"time"

	"github.com/rekey-host/rekey/sdk"
)

// Instance is one directory. Every method may be called concurrently.
type Instance struct {
	settings
	login  *login
	admin  *pool // bound as the service account
	guests *pool // bound as anybody: to prove values
	names  names
	now    func() time.Time
}

// resetting is an instance whose server makes values.
type resetting struct{ *Instance }

var _ interface {
	sdk.Finder
	sdk.Lister
	sdk.PolicyReader
	sdk.Verifier
	sdk.Checker
	sdk.Resetter
	sdk.Unlocker
	sdk.Resolver
} = (*resetting)(nil)

func newInstance(s settings, now func() time.Time) *Instance {
	i := &Instance{settings: s, now: now, login: newLogin(s.bindDN, s.password, s.directory, now)}
	i.login.external, i.login.where = s.external, i.place()
	i.admin = newPool(s.concurrency, func(ctx context.Context) (*conn, *sdk.Error) {
		c, failed := i.connect(ctx)
		if failed != nil {
			return nil, failed
		}
		if failed := i.login.bind(ctx, c); failed != nil {
			c.broken = true
			c.close()
			return nil, failed
		}
		return c, nil
	})
	i.guests = newPool(s.concurrency, i.connect)
	return i
}

func (i *Instance) connect(ctx context.Context) (*conn, *sdk.Error) {
	c, err := i.dial(ctx)
	if err != nil {
		return nil, i.place().fault(err)
	}
	return c, nil
}

// Close ends the connections.
func (i *Instance) Close() error {
	i.admin.close()
	i.guests.close()
	return nil
}
