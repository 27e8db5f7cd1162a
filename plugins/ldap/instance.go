package ldap

import (
	"context"
	"time"

	"github.com/rekey-host/rekey/sdk"
	"github.com/rekey-host/rekey/sdk/secret"
)

// Instance is one directory. Every method may be called concurrently.
type Instance struct {
	server   *server
	resolver *resolver
	reader   *reader
	prover   *prover
	policies *policies
	writer   *writer
	changer  *changer
	handover *handover
	checker  *checker
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
	made := &Instance{server: newServer(settings, now)}
	dialect := newDialect(settings)
	made.resolver = &resolver{server: made.server}
	made.reader = &reader{server: made.server, dialect: dialect, resolver: made.resolver}
	made.prover = &prover{server: made.server, resolver: made.resolver, reader: made.reader}
	made.policies = &policies{server: made.server, resolver: made.resolver}
	made.writer = &writer{server: made.server, dialect: dialect, resolver: made.resolver, prover: made.prover, companions: &companions{made.server}}
	made.changer = &changer{server: made.server, dialect: dialect, reader: made.reader, prover: made.prover, writer: made.writer}
	made.handover = &handover{server: made.server, resolver: made.resolver, changer: made.changer}
	made.checker = &checker{server: made.server, reader: made.reader}
	return made
}

// Resolve returns the entry behind each name: its unique id, else its DN. All
// logins go in one search and all DNs in one flight, and what is found is
// remembered for the operations that follow.
func (i *Instance) Resolve(ctx context.Context, names []string) ([]sdk.Identity, error) {
	return i.resolver.resolve(ctx, names)
}

// Find returns what the directory tells of an account. ID is the DN.
func (i *Instance) Find(ctx context.Context, account string) (sdk.Account, error) {
	return i.reader.find(ctx, account)
}

// List calls yield for the entries under base_dn that filter selects, a page
// at a time; an empty filter selects those that have a login. Values that are
// not text are base 64.
func (i *Instance) List(ctx context.Context, filter string, attributes []string, yield func(sdk.Account) error) error {
	return i.reader.list(ctx, filter, attributes, yield)
}

// Policy returns the rules for an account: those of the ppolicy entry or the
// Windows settings object that it names, else what holds for all. What bind_dn
// may not read is no rule.
func (i *Instance) Policy(ctx context.Context, account, _ string) (sdk.Policy, error) {
	return i.policies.of(ctx, account)
}

// Verify logs on as the account, once. Must-change and expired answers, which
// a server gives only to the right value, are AcceptedMustChange.
func (i *Instance) Verify(ctx context.Context, account, _ string, value secret.Value) (sdk.Verdict, error) {
	return i.prover.verify(ctx, account, value)
}

// Check connects, logs on, and asks the server what it is. Whether bind_dn may
// write passwords only Active Directory tells before it is tried.
func (i *Instance) Check(ctx context.Context) []sdk.Finding { return i.checker.check(ctx) }

// Apply sets or changes one value, or hands the service account over.
func (i *Instance) Apply(ctx context.Context, op sdk.Operation) sdk.Receipt {
	if failed := i.writer.refuse(op); failed != nil {
		return sdk.Refuse(failed)
	}
	if op.Verb == sdk.Handover {
		return i.handover.apply(ctx, op)
	}
	do := i.writer.set
	if op.Verb == sdk.Change {
		do = i.changer.change
	}
	return i.writer.onEntry(ctx, op, do)
}

// Unlock lifts a lock that wrong values caused, or that an administrator set
// with pwdAccountLockedTime. It does not enable a disabled account.
func (i *Instance) Unlock(ctx context.Context, op sdk.Operation) sdk.Receipt {
	return i.writer.onEntry(ctx, op, i.writer.unlock)
}

// Close ends the connections.
func (i *Instance) Close() error {
	i.server.close()
	return nil
}

// Reset lets the server make the value, and returns it.
func (i *resetting) Reset(ctx context.Context, op sdk.Operation) sdk.Receipt {
	return i.writer.onEntry(ctx, op, i.writer.reset)
}
