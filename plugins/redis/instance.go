package redis

import (
	"cmp"
	"context"
	"sync/atomic"

	"github.com/gomodule/redigo/redis"

	"github.com/rekey-host/rekey/plugins/internal/reach"
	"github.com/rekey-host/rekey/sdk"
	"github.com/rekey-host/rekey/sdk/secret"
)

// Instance is one server. Every method may be called concurrently.
type Instance struct {
	settings
	admin  *pool
	guests *pool // logged in as anybody: to prove values
	saver  *saver
	saved  bool                   // by the last save; of the saver's rounds alone
	total  int                    // users at the last list; likewise
	meek   bool                   // may not list users, or not try commands as one; likewise
	self   atomic.Pointer[string] // the user that rekey is logged in as
}

var _ interface {
	sdk.Finder
	sdk.Lister
	sdk.PolicyReader
	sdk.Verifier
	sdk.Checker
	sdk.Revoker
	sdk.Resolver
	sdk.BatchApplier
} = (*Instance)(nil)

// settings of one instance, checked.
type settings struct {
	reach.Place
	user        string
	password    secret.Value
	save        string
	connections int
}

const (
	defaultUser = "default"
	connections = 8 // each carries many operations at once
)

func newSettings(config sdk.Config) (settings, error) {
	place, err := kind.Place(config)
	if err != nil {
		return settings{}, err
	}
	made := settings{Place: place, user: config.Text("user"), password: config.Secret("password"), save: config.Text("save"), connections: min(max(config.Concurrency, 1), connections)}
	if made.user == "" {
		made.user = defaultUser
	}
	switch made.save {
	case "":
		made.save = saveACL
	case saveACL, saveConfig, saveNone:
	default:
		return settings{}, sdk.Errorf(sdk.InvalidConfig, "save: got %q, want %s, %s or %s", made.save, saveACL, saveConfig, saveNone)
	}
	return made, nil
}

func newInstance(settings settings) *Instance {
	instance := &Instance{settings: settings}
	instance.admin = instance.pool(instance.login)
	instance.guests = instance.pool(func(context.Context, *link) error { return nil })
	instance.saver = newSaver(instance.carry)
	return instance
}

// pool keeps connections that were greeted.
func (i *Instance) pool(greet func(context.Context, *link) error) *pool {
	return newPool(i.connections, func(ctx context.Context) (*link, error) {
		link, err := dial(ctx, i.Place)
		if err != nil {
			return nil, err
		}
		if err := greet(ctx, link); err != nil {
			_ = link.Close() // it was only opened
			return nil, err
		}
		return link, nil
	})
}

// login makes a connection rekey's own.
func (i *Instance) login(ctx context.Context, link *link) error {
	commands := []command{{"ACL", "WHOAMI"}}
	if i.password.Present() {
		commands = append([]command{{"AUTH", i.user, i.password.Reveal()}}, commands...)
	}
	replies, err := link.pipeline(ctx, commands)
	if err != nil {
		return i.Fault(err)
	}
	for _, reply := range replies {
		if answer, ok := reply.(redis.Error); ok {
			return i.refusedLogin(answer)
		}
	}
	self, err := redis.String(replies[len(replies)-1], nil)
	if err != nil {
		return sdk.Errorf(sdk.TargetError, "ACL WHOAMI: %v", err)
	}
	i.self.Store(&self)
	return nil
}

// Close ends the connections.
func (i *Instance) Close() error {
	i.saver.close()
	i.guests.close()
	i.admin.close()
	return nil
}

// failure is why commands have no replies. Sent says whether the server may have
// acted on them.
type failure struct {
	sent bool
	err  *sdk.Error
}

// receipt is Unknown if the server may have acted.
func (f *failure) receipt() sdk.Receipt {
	copied := *f.err
	if f.sent {
		return sdk.Lost(&copied)
	}
	return sdk.Refuse(&copied)
}

// send sends commands at once over one connection of a pool and returns a reply
// each.
func (i *Instance) send(ctx context.Context, pool *pool, commands []command) ([]any, *failure) {
	if err := ctx.Err(); err != nil {
		return nil, &failure{err: i.Fault(err)}
	}
	var replies []any
	begun, err := pool.use(ctx, func(link *link) (err error) {
		replies, err = link.pipeline(ctx, commands)
		return err
	})
	switch {
	case err == nil:
		return replies, nil
	case begun:
		return nil, &failure{sent: true, err: i.Lost(cmp.Or(ctx.Err(), err))}
	}
	return nil, &failure{err: i.Fault(err)}
}

// ask sends commands that change nothing: a connection that is lost is replaced
// once.
func (i *Instance) ask(ctx context.Context, commands []command) ([]any, *sdk.Error) {
	for try := 0; ; try++ {
		replies, failed := i.send(ctx, i.admin, commands)
		switch {
		case failed == nil:
			return replies, nil
		case failed.sent && try == 0 && ctx.Err() == nil:
			continue
		case failed.err.Code == sdk.ConnectionLost:
			return nil, sdk.Errorf(sdk.Unreachable, "%s", failed.err.Message)
		}
		return nil, failed.err
	}
}
