package backendtest

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/rekey-host/rekey/sdk"
	"github.com/rekey-host/rekey/sdk/secret"
)

// request and reply are one line each, in JSON.
type request struct{ Do, Account, Value string }
type reply struct {
	OK    bool
	Last  bool // of a list
	Name  string
	Stamp string
}

// bank is a server of accounts.
type bank struct {
	listener net.Listener
	mu       sync.Mutex
	values   map[string]string
	changes  int
}

func startBank(t testing.TB, accounts ...string) *bank {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	made := &bank{listener: listener, values: map[string]string{}}
	for _, account := range accounts {
		made.values[account] = ""
	}
	t.Cleanup(func() { _ = listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go made.serve(conn)
		}
	}()
	return made
}

func (b *bank) serve(conn net.Conn) {
	defer func() { _ = conn.Close() }()
	in, out := json.NewDecoder(conn), json.NewEncoder(conn)
	for {
		var asked request
		if in.Decode(&asked) != nil {
			return
		}
		for _, answer := range b.answer(asked) {
			if out.Encode(answer) != nil {
				return
			}
			if asked.Do == "list" {
				time.Sleep(time.Millisecond)
			}
		}
	}
}

func (b *bank) answer(asked request) []reply {
	b.mu.Lock()
	defer b.mu.Unlock()
	value, known := b.values[asked.Account]
	switch {
	case asked.Do == "hello":
		return []reply{{OK: true}}
	case asked.Do == "list":
		var all []reply
		for name := range b.values {
			all = append(all, reply{OK: true, Name: name})
		}
		return append(all, reply{OK: true, Last: true})
	case !known:
		return []reply{{}}
	case asked.Do == "set":
		b.values[asked.Account] = asked.Value
		b.changes++
	case asked.Do == "verify":
		return []reply{{OK: value == asked.Value, Name: asked.Account}}
	}
	return []reply{{OK: true, Name: asked.Account, Stamp: fmt.Sprint(b.changes)}}
}

func (b *bank) holds(account, _, value string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return value != "" && b.values[account] == value
}

// banked is a target that is a bank.
func banked(t testing.TB) Target {
	accounts := []string{"ann", "bob", "cy", "dee"}
	made := startBank(t, accounts...)
	address := made.listener.Addr().String()
	return Target{Config: sdk.Config{Values: map[string]any{"address": address}}, Accounts: accounts, Missing: "nobody", Holds: made.holds,
		Server: address, Setting: "address", Down: func() { _ = made.listener.Close() }}
}

// teller is a backend of banks, honest unless a hook says otherwise.
type teller struct {
	cut      func(*sdk.Error) sdk.Receipt                                     // an answer that was lost
	apply    func(t *till, ctx context.Context, op sdk.Operation) sdk.Receipt // instead of Apply
	verify   func(error) (sdk.Verdict, error)                                 // a bank that cannot be asked
	find     func(error) error                                                // the same
	short    bool                                                             // a list that breaks is a short one
	patient  bool                                                             // looks at no deadline
	receipts func(sdk.Receipt) sdk.Receipt
	describe func(*sdk.Description)
	stray    string // what it asks of home, whatever its setting says
	home     string
}

func (b *teller) Describe() sdk.Description {
	made := sdk.Description{Name: "bank", Version: "1", Summary: "a bank", Verbs: []sdk.Verb{sdk.Set}, ReplaySafe: []sdk.Verb{sdk.Set}, MustChange: new(false),
		Config: []sdk.Field{{Name: "address", Type: sdk.String, Required: true, Doc: "where it is"}}, Abilities: sdk.AbilitiesOf((*till)(nil)), Egress: []string{"{address}"}}
	if b.describe != nil {
		b.describe(&made)
	}
	return made
}

func (b *teller) Configure(_ context.Context, c sdk.Config) (sdk.Instance, error) {
	return &till{teller: b, address: c.Text("address"), past: map[string]bool{}}, nil
}

// till is one instance.
type till struct {
	*teller
	address string
	mu      sync.Mutex
	past    map[string]bool
}

func (t *till) Close() error { return nil }

// ask asks a question on a connection of its own. sent says whether it was put.
func (t *till) ask(ctx context.Context, asked request, each func(reply) bool) (sent bool, failure *sdk.Error) {
	address := t.address
	if asked.Do == t.stray {
		address = t.home
	}
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", address)
	if err != nil {
		return false, sdk.Errorf(sdk.Unreachable, "no connection")
	}
	defer func() { _ = conn.Close() }()
	if deadline, ok := ctx.Deadline(); ok && !t.patient {
		_ = conn.SetDeadline(deadline)
		defer context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })()
	} else if !t.patient {
		defer context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })()
	}
	in, out := json.NewDecoder(bufio.NewReader(conn)), json.NewEncoder(conn)
	var answer reply
	if out.Encode(request{Do: "hello"}) != nil || in.Decode(&answer) != nil {
		return false, sdk.Errorf(sdk.Unreachable, "no word of the bank")
	}
	if ctx.Err() != nil && !t.patient {
		return false, sdk.Errorf(sdk.Timeout, "too late")
	}
	err = out.Encode(asked)
	for goesOn := true; err == nil && goesOn; {
		if err = in.Decode(&answer); err == nil {
			goesOn = each(answer)
		}
	}
	if err != nil {
		return true, sdk.Errorf(sdk.ConnectionLost, "cut")
	}
	return true, nil
}

func (t *till) Apply(ctx context.Context, op sdk.Operation) sdk.Receipt {
	var receipt sdk.Receipt
	if t.apply != nil {
		receipt = t.apply(t, ctx, op)
	} else {
		receipt = t.set(ctx, op)
	}
	if t.receipts != nil {
		receipt = t.receipts(receipt)
	}
	return receipt
}

func (t *till) set(ctx context.Context, op sdk.Operation) sdk.Receipt {
	if ctx.Err() != nil && !t.patient {
		return sdk.Refuse(sdk.Errorf(sdk.Timeout, "too late"))
	}
	var told reply
	sent, failure := t.ask(ctx, request{"set", op.Account, op.Value.Reveal()}, func(answer reply) bool { told = answer; return false })
	switch {
	case failure != nil && !sent:
		return sdk.Refuse(failure)
	case failure != nil && t.cut != nil:
		return t.cut(failure)
	case failure != nil:
		return sdk.Lost(failure)
	case !told.OK:
		return sdk.Refuse(sdk.Errorf(sdk.AccountNotFound, "no such account"))
	}
	return sdk.Receipt{Outcome: sdk.Applied, Stamp: told.Stamp}
}

func (t *till) Verify(ctx context.Context, account, _ string, value secret.Value) (sdk.Verdict, error) {
	var told reply
	_, failure := t.ask(ctx, request{"verify", account, value.Reveal()}, func(answer reply) bool { told = answer; return false })
	switch {
	case failure != nil && t.verify != nil:
		return t.verify(failure)
	case failure != nil:
		return sdk.CannotTell, failure
	case told.Name == "":
		return sdk.CannotTell, sdk.Errorf(sdk.AccountNotFound, "no such account")
	case told.OK:
		return sdk.Accepted, nil
	}
	return sdk.Rejected, nil
}

func (t *till) Find(ctx context.Context, account string) (sdk.Account, error) {
	var told reply
	_, failure := t.ask(ctx, request{"find", account, ""}, func(answer reply) bool { told = answer; return false })
	switch {
	case failure != nil && t.find != nil:
		return sdk.Account{}, t.find(failure)
	case failure != nil:
		return sdk.Account{}, failure
	case !told.OK:
		return sdk.Account{}, sdk.Errorf(sdk.AccountNotFound, "no such account")
	}
	return sdk.Account{Account: account, ID: account}, nil
}

func (t *till) List(ctx context.Context, _ string, _ []string, yield func(sdk.Account) error) error {
	var stopped error
	_, failure := t.ask(ctx, request{Do: "list"}, func(answer reply) bool {
		if answer.Last {
			return false
		}
		stopped = yield(sdk.Account{Account: answer.Name, ID: answer.Name})
		return stopped == nil
	})
	if stopped != nil || failure == nil || t.short {
		return stopped
	}
	return failure
}
