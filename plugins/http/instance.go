package http

import (
	"context"
	"errors"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/rekey-host/rekey/plugins/internal/definition"
	"github.com/rekey-host/rekey/sdk"
	"github.com/rekey-host/rekey/sdk/rest"
	"github.com/rekey-host/rekey/sdk/secret"
)

// Instance is one target, by one definition. Its methods may be called concurrently.
type Instance struct {
	definition *definition.Definition
	settings   definition.Prepared
	config     sdk.Config
	own        string // the account that rekey logs in as; "": it is not told
	agent      string
	base       *url.URL
	main       *rest.Client // of the setting url
	session    *rest.Session

	mu      sync.Mutex
	clients map[string]*rest.Client // of addresses that requests name in full, by scheme and host
	ends    time.Time               // of the session; zero: it is not told
}

var (
	_ sdk.Finder       = (*Instance)(nil)
	_ sdk.Lister       = (*Instance)(nil)
	_ sdk.PolicyReader = (*Instance)(nil)
	_ sdk.Verifier     = (*Instance)(nil)
	_ sdk.Checker      = (*Instance)(nil)
	_ sdk.Resetter     = (*Instance)(nil)
	_ sdk.Unlocker     = (*Instance)(nil)
	_ sdk.Revoker      = (*Instance)(nil)
	_ sdk.Partial      = (*Instance)(nil)
)

// Lacks returns the abilities that the definition has no function for.
func (i *Instance) Lacks() []sdk.Ability {
	if i == nil || i.definition == nil {
		return nil
	}
	var lacks []sdk.Ability
	for _, ability := range []sdk.Ability{sdk.CanFind, sdk.CanList, sdk.CanPolicy, sdk.CanVerify, sdk.CanCheck, sdk.CanReset, sdk.CanUnlock, sdk.CanRevoke} {
		if !i.definition.Has(string(ability)) {
			lacks = append(lacks, ability)
		}
	}
	return lacks
}

// Close drops the connections.
func (i *Instance) Close() error {
	i.session.Close()
	i.mu.Lock()
	defer i.mu.Unlock()
	i.main.Close()
	for _, client := range i.clients {
		client.Close()
	}
	return nil
}

// connect makes the client of the setting url.
func (i *Instance) connect() error {
	client, err := i.newClient(i.config.Text("url"))
	if err != nil {
		return err
	}
	i.main, i.clients = client, map[string]*rest.Client{}
	i.base, err = url.Parse(i.config.Text("url"))
	return err
}

func (i *Instance) newClient(base string) (*rest.Client, error) {
	var secrets []secret.Value
	for _, value := range i.config.Secrets {
		secrets = append(secrets, value)
	}
	return rest.New(rest.Options{Base: base, Insecure: i.config.Bool("insecure"), CAFile: i.config.Text("ca_file"), Proxy: rest.ProxyOf(i.config),
		Concurrency: i.config.Concurrency, Timeout: i.config.Timeout, UserAgent: i.agent, Secrets: secrets, Log: i.config.Log})
}

// client returns that of a request, and whether it is the instance's own server. What
// is no egress of the definition is not asked.
func (i *Instance) client(address string) (client *rest.Client, own bool, err *sdk.Error) {
	if address == "" {
		return i.main, true, nil
	}
	own = sameHost(i.base, address)
	if !own && !i.reaches(address) {
		return nil, false, sdk.Errorf(sdk.InvalidConfig, "%s: asks %s, which is none of its egress; add egress = [%q]", i.definition.File, address, address)
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	if client = i.clients[address]; client == nil {
		made, failed := i.newClient(address)
		if failed != nil {
			return nil, false, sdk.AsError(failed, sdk.InvalidConfig)
		}
		i.clients[address], client = made, made
	}
	return client, own, nil
}

// reaches reports whether an address is one of the definition's egress.
func (i *Instance) reaches(address string) bool {
	asked, err := url.Parse(address)
	if err != nil {
		return false
	}
	for _, entry := range i.definition.Egress {
		if name, ok := strings.CutPrefix(entry, "{"); ok {
			entry = i.config.Text(strings.TrimSuffix(name, "}"))
		}
		if !strings.Contains(entry, "://") {
			entry = "https://" + entry
		}
		if sameHost(asked, entry) {
			return true
		}
	}
	return false
}

// sameHost reports whether an address has the scheme, host and port of another.
func sameHost(first *url.URL, address string) bool {
	second, err := url.Parse(address)
	return err == nil && first.Scheme == second.Scheme && strings.EqualFold(first.Hostname(), second.Hostname()) && portOf(first) == portOf(second)
}

func portOf(address *url.URL) string {
	switch {
	case address.Port() != "":
		return address.Port()
	case address.Scheme == "http":
		return "80"
	}
	return "443"
}

// logIn runs auth of the definition. With a login that is no request, such as basic(),
// a check shows whether it still works: two thousand users must not lock the account
// that rekey logs in as.
func (i *Instance) logIn(ctx context.Context, old secret.Value) (secret.Value, *rest.Failure) {
	if !i.definition.Has("auth") {
		return secret.New(old.Reveal() + "-"), nil
	}
	call := &call{Instance: i, verb: "auth"}
	got, failure := call.run(ctx, definition.Given{"settings": i.settings})
	if failure != nil {
		return secret.Value{}, failure
	}
	login, ok := got.(*definition.Login)
	if !ok {
		return secret.Value{}, rest.Refusal(sdk.Errorf(sdk.InvalidConfig, "%s: auth made no login; end it with bearer(), basic() or authorization()", i.definition.File))
	}
	i.mu.Lock()
	i.ends = time.Time{}
	if login.Holds > 0 {
		i.ends = time.Now().Add(login.Holds - min(login.Holds/10, 30*time.Second))
	}
	i.mu.Unlock()
	if old.Present() && call.asked == nil && i.definition.Has("check") {
		return login.Header, i.proven(ctx, login.Header)
	}
	return login.Header, nil
}

// proven asks check with a login that was refused before.
func (i *Instance) proven(ctx context.Context, login secret.Value) *rest.Failure {
	_, failure := (&call{Instance: i, verb: "check", login: login}).run(ctx, definition.Given{"settings": i.settings})
	if failure != nil && failure.Err.Code != sdk.LoginExpired {
		return nil // it says nothing of the login
	}
	return failure
}

// late reports whether the session is over by the target's own word.
func (i *Instance) late() bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	return !i.ends.IsZero() && time.Now().After(i.ends)
}

// do runs a function of the definition with a login, renewed once.
func (i *Instance) do(ctx context.Context, verb string, given definition.Given) (got any, failure *rest.Failure) {
	given["settings"] = i.settings
	return i.carried(ctx, &call{Instance: i, verb: verb}, given)
}

// carried runs a call with a login, and with a new one from where the first expired.
func (i *Instance) carried(ctx context.Context, call *call, given definition.Given) (any, *rest.Failure) {
	return i.within(ctx, func(login secret.Value) (any, *rest.Failure) {
		call.login = login
		return call.run(ctx, given)
	})
}

// within calls what needs a login.
func (i *Instance) within(ctx context.Context, op func(login secret.Value) (any, *rest.Failure)) (got any, failure *rest.Failure) {
	first := true
	failure = i.session.Do(ctx, func(login secret.Value) (failed *rest.Failure) {
		if first && i.late() {
			first = false
			return rest.Refusal(sdk.Errorf(sdk.LoginExpired, "the login is over"))
		}
		first = false
		got, failed = op(login)
		return failed
	})
	return got, failure
}

// mistake is what a fault in the definition, or the end of its time, means: nothing was
// changed, or it is not known what the target made of it.
func mistake(ctx context.Context, err error, changed bool) *rest.Failure {
	var own *sdk.Error
	var fault *definition.Fault
	switch {
	case ctx.Err() == context.DeadlineExceeded:
		own = sdk.Errorf(sdk.Timeout, "the deadline passed")
	case ctx.Err() != nil:
		own = sdk.Errorf(sdk.Cancelled, "given up")
	case errors.As(err, &fault) && errors.As(fault.Unwrap(), &own):
	case errors.As(err, &own):
	default:
		own = sdk.Errorf(sdk.TargetError, "%s", err)
	}
	failure := *own
	if changed {
		return &rest.Failure{Outcome: sdk.Unknown, Err: &failure}
	}
	return rest.Refusal(&failure)
}
