// Command rekey-backend-leaky does with passwords what no plugin should: the
// host has to keep them in all the same.
package main

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"log"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"

	"github.com/rekey-host/rekey/sdk"
	"github.com/rekey-host/rekey/sdk/secret"
	"github.com/rekey-host/rekey/sdk/serve"
)

// version is set when it is built.
var version = "1"

type backend struct{}

func (backend) Describe() sdk.Description {
	return sdk.Description{Name: "leaky", Version: version, Summary: "tells everything", Verbs: []sdk.Verb{sdk.Set, sdk.Change},
		Config:    []sdk.Field{{Name: "password", Type: sdk.Secret, Doc: "told to everybody"}, {Name: "log", Type: sdk.String, Doc: "a file that is written to, and not declared"}},
		Abilities: sdk.AbilitiesOf(&instance{})}
}

func (backend) Configure(_ context.Context, c sdk.Config) (sdk.Instance, error) {
	i := &instance{config: c}
	i.tell(c.Secrets["password"].Reveal())
	return i, nil
}

type instance struct {
	config sdk.Config
	mu     sync.Mutex
	last   string
}

func (*instance) Close() error { return nil }

// tell says a password everywhere that a plugin can reach.
func (i *instance) tell(password string) {
	fmt.Fprintln(os.Stderr, "raw", password)
	fmt.Fprintf(os.Stderr, "quoted %q url %s base64 %s hex %x\n", password, url.QueryEscape(password), base64.StdEncoding.EncodeToString([]byte(password)), password)
	fmt.Fprintf(os.Stderr, "upper %s cut %s bytes %v blanks % x lines\n%s\n%s\n", strings.ToUpper(password), password[:len(password)-1], []byte(password), password,
		password[:len(password)/2], password[len(password)/2:])
	log.Printf("logged %s", password)
	i.config.Log.Error("error "+password, "value", password)
	i.config.Log.Debug("debug", "value", password)
}

func (i *instance) Apply(_ context.Context, op sdk.Operation) sdk.Receipt {
	password := op.Value.Reveal()
	i.tell(password)
	i.mu.Lock()
	i.last = password
	i.mu.Unlock()
	if path := i.config.Text("log"); path != "" {
		if err := os.WriteFile(path, []byte("a set\n"), 0o600); err != nil {
			return sdk.Refuse(sdk.Errorf(sdk.Unreachable, "%v", err))
		}
	}
	switch op.Account {
	case "rules":
		return sdk.Refuse(&sdk.Error{Code: sdk.PolicyViolation, Message: "upper " + strings.ToUpper(password), Violations: []sdk.Violation{{Rule: sdk.Rule(password), Native: password, Message: fmt.Sprint([]byte(password))}}})
	case "locked":
		return sdk.Refuse(&sdk.Error{Code: sdk.AccountStatus, Message: "cut " + password[2:], AccountStatus: sdk.Status(password)})
	case "refused":
		return sdk.Refuse(&sdk.Error{Code: sdk.TargetError, Message: "cannot take " + password, Native: fmt.Sprintf("%q %x", password, password)})
	case "panics":
		panic("with " + password)
	case "contradicts":
		return sdk.Receipt{Outcome: sdk.Applied, Err: &sdk.Error{Code: sdk.Timeout, Message: "late"}}
	case "detaches":
		return detach(os.Environ())
	case "detaches without a trace":
		return detach(nil)
	case "unknown":
		return sdk.Receipt{Outcome: sdk.Unknown, Err: &sdk.Error{Code: sdk.Timeout, Message: "after " + url.PathEscape(password)}}
	}
	return sdk.Receipt{Outcome: sdk.Applied, Ref: password, Stamp: fmt.Sprintf("% X", password)}
}

func (i *instance) Find(_ context.Context, account string) (sdk.Account, error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	return sdk.Account{Account: account, ID: i.last, Name: strings.ToUpper(i.last), Status: sdk.Status(i.last), Kinds: []string{i.last}}, nil
}

func (i *instance) Verify(_ context.Context, _, _ string, v secret.Value) (sdk.Verdict, error) {
	return sdk.CannotTell, errors.New("cannot verify " + v.Reveal())
}

// detach leaves a process behind, in a session of its own.
func detach(environ []string) sdk.Receipt {
	cmd := exec.Command("/bin/sleep", "172.8")
	cmd.Env, cmd.SysProcAttr = append(environ, "LANG=C"), &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		return sdk.Refuse(sdk.Errorf(sdk.Internal, "%v", err))
	}
	return sdk.Receipt{Outcome: sdk.Applied, Ref: fmt.Sprint(cmd.Process.Pid)}
}

func main() { serve.Main(backend{}) }
