package postgres

import (
	"context"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/rekey-host/rekey/sdk"
	"github.com/rekey-host/rekey/sdk/secret"
)

// handOver changes the password of the role that rekey logs in as, and goes on
// with the new one when a session of its own has logged in with it.
func (i *Instance) handOver(ctx context.Context, op sdk.Operation) sdk.Receipt {
	met, failed := i.met(ctx)
	switch {
	case failed != nil:
		return sdk.Refuse(failed)
	case op.Account != met.session:
		return sdk.Refuse(op.NotOwn(met.session))
	}
	if failed := met.breaks(op.Account, op.Value.Reveal()); failed != nil {
		return sdk.Refuse(failed)
	}
	present, failed := i.present(ctx)
	if failed != nil {
		return sdk.Refuse(failed)
	}
	if receipt, already := op.InForce(present); already {
		return receipt
	}
	i.login.Expect(op.Value)
	verifier := newVerifier(op.Value, i.iterations)
	receipt := i.alter(ctx, change{op.Account, statement(op.Account, verifier, ""), met})
	if receipt.Outcome != sdk.Applied {
		return scrub(receipt, verifier)
	}
	if seen, err := i.session(ctx, op.Value); err != nil {
		return sdk.Lost(i.noConnection(err))
	} else if failed := seen.proves(); failed != nil {
		return sdk.Lost(failed)
	}
	i.login.Prefer(op.Value)
	i.admin.Reset() // sessions of before end
	return receipt
}

// present logs in with each value that the password may be, until one works, and
// returns it.
func (i *Instance) present(ctx context.Context) (secret.Value, *sdk.Error) {
	var seen *challenge
	var err error
	for _, value := range i.login.Values() {
		if seen, err = i.session(ctx, value); err == nil {
			i.login.Prefer(value)
			return value, seen.proves()
		}
		if !wrongPassword(err) {
			break
		}
	}
	return secret.Value{}, i.noConnection(err)
}

// session logs in with a value and out again, and returns what it was asked.
func (i *Instance) session(ctx context.Context, value secret.Value) (*challenge, error) {
	config, err := i.config(i.user, value)
	if err != nil {
		return nil, err
	}
	seen := &challenge{}
	config.BuildFrontend = seen.refusing(i.TLS == nil && i.Network != "unix")
	conn, err := pgconn.ConnectConfig(ctx, &config.Config)
	if err == nil {
		_ = conn.Close(ctx) // it was only opened
	}
	return seen, err
}

// proves refuses a logon that says nothing of the password: who is let in without
// one would be let in with any.
func (c *challenge) proves() *sdk.Error {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.clear:
		return unproven("asks for the password itself (password, ldap, pam or radius): the server does not keep it")
	case !c.asked:
		return unproven("asks for no password (trust, peer, ident or cert): the role needs none to be handed over")
	}
	return nil
}

// wrongPassword reports whether a server did not take a password.
func wrongPassword(err error) bool {
	answer, ok := answered(err)
	return ok && answer.Code == stateWrongPassword
}
