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

func newInstance(settings settings, now func() time.Time) *Instance {
	instance := &Instance{settings: settings, now: now, login: newLogin(settings.bindDN, settings.password, settings.directory, now)}
	instance.login.external, instance.login.where = settings.external, instance.place()
	instance.admin = newPool(settings.concurrency, func(ctx context.Context) (*conn, *sdk.Error) {
		link, failed := instance.connect(ctx)
		if failed != nil {
			return nil, failed
		}
		if failed := instance.login.bind(ctx, link); failed != nil {
			link.broken = true
			link.close()
			return nil, failed
		}
		return link, nil
	})
	instance.guests = newPool(settings.concurrency, instance.connect)
	return instance
}

func (i *Instance) connect(ctx context.Context) (*conn, *sdk.Error) {
	conn, err := i.dial(ctx)
	if err != nil {
		return nil, i.place().fault(err)
	}
	return conn, nil
}

// Close ends the connections.
func (i *Instance) Close() error {
	i.admin.close()
	i.guests.close()
	return nil
}
