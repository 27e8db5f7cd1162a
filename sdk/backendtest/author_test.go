package backendtest_test

import (
	"context"
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/json"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/rekey-host/rekey/sdk"
	"github.com/rekey-host/rekey/sdk/backendtest"
	"github.com/rekey-host/rekey/sdk/secret"
)

// This file is what a new backend takes: accounts in a JSON file, their
// passwords as hashes, and the test that it keeps the contract.

type jsonFile struct{}

func (jsonFile) Describe() sdk.Description {
	return sdk.Description{
		Name: "jsonfile", Version: "1.0.0", Summary: "accounts in a JSON file",
		Config:     []sdk.Field{{Name: "path", Type: sdk.Path, Required: true, Doc: "the file"}},
		Verbs:      []sdk.Verb{sdk.Set},
		ReplaySafe: []sdk.Verb{sdk.Set},
		Abilities:  sdk.AbilitiesOf((*file)(nil)),
		Paths:      []string{"{path}"},
	}
}

func (jsonFile) Configure(_ context.Context, c sdk.Config) (sdk.Instance, error) {
	return &file{path: c.Text("path")}, nil
}

type hash struct{ Salt, Sum []byte }

type file struct {
	path string
	mu   sync.Mutex
}

func (f *file) Apply(ctx context.Context, op sdk.Operation) sdk.Receipt {
	switch {
	case op.Verb != sdk.Set || op.HashFormat != "" || op.Kind != "":
		return sdk.Refuse(sdk.Errorf(sdk.Unsupported, "only plain values can be set"))
	case op.Value.Empty():
		return sdk.Refuse(sdk.Errorf(sdk.InvalidOperation, "the value is empty"))
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	accounts, err := f.read()
	if err != nil {
		return sdk.Refuse(sdk.Errorf(sdk.TargetUnavailable, "%v", err))
	}
	if _, known := accounts[op.Account]; !known {
		return sdk.Refuse(sdk.Errorf(sdk.AccountNotFound, "there is no account %q", op.Account))
	}
	salt := make([]byte, 16)
	_, _ = rand.Read(salt) // never fails
	accounts[op.Account] = hash{salt, sum(op.Value, salt)}
	text, _ := json.Marshal(accounts)
	if ctx.Err() != nil {
		return sdk.Refuse(sdk.Errorf(sdk.Timeout, "the deadline passed before the file was written"))
	}
	if err := os.WriteFile(f.path+".new", text, 0o600); err != nil {
		return sdk.Refuse(sdk.Errorf(sdk.ReadOnly, "%v", err))
	}
	if err := os.Rename(f.path+".new", f.path); err != nil {
		return sdk.Lost(sdk.Errorf(sdk.TargetError, "%v", err))
	}
	return sdk.OK()
}

func (f *file) Verify(_ context.Context, account, _ string, v secret.Value) (sdk.Verdict, error) {
	accounts, err := f.read()
	h, known := accounts[account]
	if err == nil && known && subtle.ConstantTimeCompare(h.Sum, sum(v, h.Salt)) == 1 {
		return sdk.Accepted, nil
	}
	return sdk.Rejected, err
}

func (f *file) Close() error { return nil }

func (f *file) read() (accounts map[string]hash, err error) {
	text, err := os.ReadFile(f.path)
	if err != nil {
		return nil, err
	}
	return accounts, json.Unmarshal(text, &accounts)
}

func sum(v secret.Value, salt []byte) []byte {
	key, _ := pbkdf2.Key(sha256.New, v.Reveal(), salt, 1000, 32) // fails for lengths that are not these
	return key
}

func TestJSONFileKeepsTheContract(t *testing.T) {
	backendtest.Run(t, backendtest.Options{Backend: jsonFile{}, Target: func(t testing.TB) backendtest.Target {
		path := filepath.Join(t.TempDir(), "accounts.json")
		if err := os.WriteFile(path, []byte(`{"ann": {}, "bob": {}, "cy": {}}`), 0o600); err != nil {
			t.Fatal(err)
		}
		return backendtest.Target{
			Config:   sdk.Config{Values: map[string]any{"path": path}},
			Accounts: []string{"ann", "bob", "cy"},
			Missing:  "nobody",
			Down:     func() { _ = os.Remove(path) },
		}
	}})
}
