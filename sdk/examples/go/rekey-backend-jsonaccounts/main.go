// Command rekey-backend-jsonaccounts is an example of a backend in Go: accounts
// in a JSON file, {"ann": {}, "bob": {}}, their values as salted hashes.
package main

import (
	"context"
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/json"
	"os"
	"sync"

	"github.com/rekey-host/rekey/sdk"
	"github.com/rekey-host/rekey/sdk/secret"
	"github.com/rekey-host/rekey/sdk/serve"
)

func main() { serve.Main(backend{}) }

type backend struct{}

func (backend) Describe() sdk.Description {
	return sdk.Description{
		Name: "jsonaccounts", Version: "1.0.0", Summary: "accounts in a JSON file, an example in Go",
		Config:     []sdk.Field{{Name: "path", Type: sdk.Path, Required: true, Doc: "the file"}},
		Verbs:      []sdk.Verb{sdk.Set},
		MustChange: new(false),
		ReplaySafe: []sdk.Verb{sdk.Set},
		Abilities:  sdk.AbilitiesOf((*instance)(nil)),
		Paths:      []string{"write {path}"},
	}
}

func (backend) Configure(_ context.Context, config sdk.Config) (sdk.Instance, error) {
	return &instance{path: config.Text("path")}, nil
}

type instance struct {
	path string
	mu   sync.Mutex // the file has to be this process's alone
}

type account struct{ Salt, Hash []byte }

// Apply gives an account a value.
func (i *instance) Apply(ctx context.Context, op sdk.Operation) sdk.Receipt {
	i.mu.Lock()
	defer i.mu.Unlock()
	accounts, err := i.read(op.Account)
	if err != nil {
		return sdk.Refuse(err)
	}
	salt := []byte(rand.Text())
	accounts[op.Account] = account{salt, hash(op.Value, salt)}
	text, _ := json.Marshal(accounts) // such a map always can be
	if ctx.Err() != nil {
		return sdk.Refuse(sdk.Errorf(sdk.Timeout, "the deadline passed before the file was written"))
	}
	if err := os.WriteFile(i.path+".new", text, 0o600); err != nil {
		return sdk.Refuse(sdk.Errorf(sdk.ReadOnly, "%v", err))
	}
	if err := os.Rename(i.path+".new", i.path); err != nil {
		return sdk.Lost(sdk.Errorf(sdk.TargetError, "%v", err))
	}
	return sdk.OK()
}

// Verify tells whether the value is the present one.
func (i *instance) Verify(_ context.Context, name, _ string, value secret.Value) (sdk.Verdict, error) {
	accounts, err := i.read(name)
	switch account := accounts[name]; {
	case err != nil:
		return sdk.CannotTell, err
	case subtle.ConstantTimeCompare(account.Hash, hash(value, account.Salt)) == 1:
		return sdk.Accepted, nil
	}
	return sdk.Rejected, nil
}

func (i *instance) Close() error { return nil }

// read returns all accounts, among which the named one has to be.
func (i *instance) read(name string) (accounts map[string]account, _ *sdk.Error) {
	text, err := os.ReadFile(i.path)
	if err == nil {
		err = json.Unmarshal(text, &accounts)
	}
	if err != nil {
		return nil, sdk.Errorf(sdk.TargetUnavailable, "%v", err)
	}
	if _, known := accounts[name]; !known {
		return nil, sdk.Errorf(sdk.AccountNotFound, "there is no account %q", name)
	}
	return accounts, nil
}

func hash(value secret.Value, salt []byte) []byte {
	sum, _ := pbkdf2.Key(sha256.New, value.Reveal(), salt, 4096, 32) // fails for other lengths only
	return sum
}
