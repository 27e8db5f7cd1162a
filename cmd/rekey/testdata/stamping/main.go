// Command rekey-backend-stamping loses the answer to the first set of each account: that
// of ann after it took effect, that of bob before. It cannot verify, a set is not safe to
// repeat, and find tells a stamp that moves with each change. The file journal holds what
// it was asked.
package main

import (
	"context"
	"fmt"
	"os"
	"sync"

	"github.com/rekey-host/rekey/sdk"
	"github.com/rekey-host/rekey/sdk/serve"
)

type backend struct{}

func (backend) Describe() sdk.Description {
	return sdk.Description{Name: "stamping", Version: "1", Summary: "loses answers", Verbs: []sdk.Verb{sdk.Set}, Abilities: sdk.AbilitiesOf((*instance)(nil)),
		Config: []sdk.Field{{Name: "journal", Type: sdk.Path, Required: true, Doc: "what it was asked"}}, Paths: []string{"write {journal}"}}
}

func (backend) Configure(_ context.Context, config sdk.Config) (sdk.Instance, error) {
	return &instance{journal: config.Text("journal"), changes: map[string]int{}, asked: map[string]int{}}, nil
}

type instance struct {
	journal string

	mu      sync.Mutex
	changes map[string]int
	asked   map[string]int
}

func (i *instance) Close() error { return nil }

func (i *instance) Find(_ context.Context, account string) (sdk.Account, error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	return sdk.Account{Account: account, Stamp: fmt.Sprint("change ", i.changes[account])}, i.note("find", account)
}

func (i *instance) Apply(_ context.Context, op sdk.Operation) sdk.Receipt {
	i.mu.Lock()
	defer i.mu.Unlock()
	if err := i.note("set", op.Account); err != nil {
		return sdk.Refuse(sdk.Errorf(sdk.Internal, "%v", err))
	}
	i.asked[op.Account]++
	first := i.asked[op.Account] == 1
	if !first || op.Account == "ann" {
		i.changes[op.Account]++
	}
	if first {
		return sdk.Lost(sdk.Errorf(sdk.ConnectionLost, "cut"))
	}
	return sdk.OK()
}

func (i *instance) note(what, account string) error {
	file, err := os.OpenFile(i.journal, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer file.Close()
	_, err = fmt.Fprintln(file, what, account)
	return err
}

func main() { serve.Main(backend{}) }
