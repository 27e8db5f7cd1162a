package memory

import "github.com/rekey-host/rekey/sdk"

// login is the account that an instance itself logs in as.
type login struct {
	account   string
	passwords *sdk.Passwords // one of which the account has to have
}

// newLogin returns the account of a configuration; nil: the instance needs none.
func newLogin(config sdk.Config) *login {
	if config.Text("login") == "" {
		return nil
	}
	return &login{config.Text("login"), sdk.NewPasswords(config.Handed, config.Secret("login_password"))}
}

// makeLogin makes the account that the instance logs in as, if it is missing,
// with the configured password.
func (i *Instance) makeLogin() {
	if i.login == nil {
		return
	}
	i.accounts.seed(i.login.account, sdk.StatusActive)
	known := i.login.passwords.Values()
	sh := i.accounts.shard(i.login.account)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	if own := sh.m[i.login.account].credential(i.ownKind()); !own.set {
		own.take(i.accounts.digest(i.login.account, i.ownKind(), known[len(known)-1]), 0)
	}
}

// ownKind is the kind of credential with which the instance logs in.
func (i *Instance) ownKind() string {
	if len(i.kinds) == 0 {
		return ""
	}
	return i.kinds[0].Name
}

// enters reports why the instance is not let in; nil: it is.
func (i *Instance) enters() *sdk.Error {
	if i.login == nil {
		return nil
	}
	known := i.login.passwords.Values()
	sh := i.accounts.shard(i.login.account)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	own := sh.m[i.login.account].lookup(i.ownKind())
	for _, value := range known {
		if own != nil && own.digest == i.accounts.digest(i.login.account, i.ownKind(), value) {
			return nil
		}
	}
	return sdk.Errorf(sdk.LoginExpired, "login: account %q has another password", i.login.account)
}

// ownOnly refuses a handover of any other account than the instance's own, and
// everything else of that.
func (i *Instance) ownOnly(op sdk.Operation) *sdk.Error {
	own := i.login != nil && op.Account == i.login.account && op.Kind == i.ownKind()
	switch {
	case own == (op.Verb == sdk.Handover):
		return nil
	case own:
		return sdk.Errorf(sdk.Protected, "the instance logs in as %q: hand it over", op.Account)
	default:
		return sdk.Errorf(sdk.InvalidOperation, "only the account in login is handed over")
	}
}

// handOver is Handover: the account is given the value, and the instance goes on
// with it.
func (i *Instance) handOver(op sdk.Operation) sdk.Receipt {
	receipt := i.give(op)
	if receipt.Outcome == sdk.Applied || receipt.Outcome == sdk.AlreadyApplied {
		i.login.passwords.Prefer(op.Value)
	}
	return receipt
}
