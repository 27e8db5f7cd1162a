package memory

import "github.com/rekey-host/rekey/sdk"

// login is the account that an instance itself logs in as.
type login struct {
	accounts  *accounts
	account   string
	kind      string         // of credential with which the instance logs in
	passwords *sdk.Passwords // one of which the account has to have
}

// newLogin returns the account of a configuration, which it makes, with the configured
// password, if it is missing; nil: the instance needs none.
func newLogin(config sdk.Config, accounts *accounts, kinds []sdk.Kind) *login {
	name := config.Text("login")
	if name == "" {
		return nil
	}
	made := &login{accounts: accounts, account: name, passwords: sdk.NewPasswords(config.Handed, config.Secret("login_password"))}
	if len(kinds) > 0 {
		made.kind = kinds[0].Name
	}
	known := made.passwords.Values()
	accounts.seed(name, sdk.StatusActive)
	sh := accounts.shard(name)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	if own := sh.m[name].credential(made.kind); !own.set {
		own.take(accounts.digest(name, made.kind, known[len(known)-1]), 0)
	}
	return made
}

// enters reports why the instance is not let in; nil: it is.
func (l *login) enters() *sdk.Error {
	if l == nil {
		return nil
	}
	known := l.passwords.Values()
	sh := l.accounts.shard(l.account)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	own := sh.m[l.account].lookup(l.kind)
	for _, value := range known {
		if own != nil && own.digest == l.accounts.digest(l.account, l.kind, value) {
			return nil
		}
	}
	return sdk.Errorf(sdk.LoginExpired, "login: account %q has another password", l.account)
}

// ownOnly refuses a handover of any other account than the instance's own, and
// everything else of that.
func (l *login) ownOnly(op sdk.Operation) *sdk.Error {
	own := l != nil && op.Account == l.account && op.Kind == l.kind
	switch {
	case own == (op.Verb == sdk.Handover):
		return nil
	case own:
		return sdk.Errorf(sdk.Protected, "the instance logs in as %q: hand it over", op.Account)
	default:
		return sdk.Errorf(sdk.InvalidOperation, "only the account in login is handed over")
	}
}
