package htpasswd

import (
	"context"
	"fmt"
	"path"
	"path/filepath"
	"time"

	"github.com/rekey-host/rekey/plugins/internal/files"
	"github.com/rekey-host/rekey/sdk"
	"github.com/rekey-host/rekey/sdk/secret"
)

// Instance is one password file. Every method may be called concurrently.
type Instance struct {
	file     book
	hasher   hasher
	hashing  *hashing
	checks   slots         // comparing with a hash waits for no hash that is made
	timeout  time.Duration // of one operation
	rewrites *rewrites
}

var _ interface {
	sdk.BatchApplier
	sdk.Finder
	sdk.Lister
	sdk.PolicyReader
	sdk.Verifier
	sdk.Checker
	sdk.Resolver
} = (*Instance)(nil)

// Apply does one operation. Many are better given to ApplyBatch.
func (i *Instance) Apply(ctx context.Context, op sdk.Operation) sdk.Receipt {
	return i.ApplyBatch(ctx, []sdk.Operation{op})[0]
}

// Close gives up the hashes that nobody will ask for.
func (i *Instance) Close() error {
	i.hashing.close()
	return nil
}

// Find returns what the file tells of an account. Its stamp is a digest of the
// hash; accounts whose hash has no salt have none.
func (i *Instance) Find(_ context.Context, account string) (sdk.Account, error) {
	entry, failed := i.lookup(account)
	if failed != nil {
		return sdk.Account{}, failed
	}
	return entry.account(), nil
}

func (i *Instance) lookup(account string) (entry, *sdk.Error) {
	if failed := refuseName(account); failed != nil {
		return entry{}, failed
	}
	return i.file.lookup(account)
}

// Resolve returns the name, which the file compares byte for byte, with the
// file behind symbolic links: other instances may write it too.
func (i *Instance) Resolve(_ context.Context, names []string) ([]sdk.Identity, error) {
	target := i.file.canonical()
	found := make([]sdk.Identity, len(names))
	for index, name := range names {
		if found[index].Err = refuseName(name); found[index].Err == nil {
			found[index] = sdk.Identity{Target: target, ID: name}
		}
	}
	return found, nil
}

func notFound(account string) *sdk.Error {
	return sdk.Errorf(sdk.AccountNotFound, "account %q: the file has no such line", account)
}

// List calls yield for the accounts whose name matches filter, a shell
// pattern, in the order of the file.
func (i *Instance) List(ctx context.Context, filter string, attributes []string, yield func(sdk.Account) error) error {
	if _, err := path.Match(filter, ""); err != nil {
		return sdk.Errorf(sdk.InvalidOperation, "filter %q: not a shell pattern", filter)
	}
	now, failed := i.file.read()
	if failed != nil {
		return failed
	}
	seen := make(map[string]bool)
	for entry := range entries(now.content, nil) {
		if err := ctx.Err(); err != nil {
			return err
		}
		account := entry.account()
		if match, _ := path.Match(filter, account.Login); seen[account.Login] || filter != "" && !match {
			continue
		}
		seen[account.Login] = true
		account.Attributes = entry.attributes(attributes)
		if err := yield(account); err != nil {
			return err
		}
	}
	return nil
}

// Policy returns the one rule there is: the longest value that the hash takes.
func (i *Instance) Policy(context.Context, string, string) (sdk.Policy, error) {
	return sdk.Policy{MinLength: 1, MaxBytes: i.hasher.maxBytes()}, nil
}

// Verify compares value with the hash in the file, as a server would; one that
// was made here from the same value needs no second making. It is CannotTell for
// hashes that are not known here.
func (i *Instance) Verify(ctx context.Context, account, _ string, value secret.Value) (sdk.Verdict, error) {
	entry, failed := i.lookup(account)
	if failed != nil {
		return sdk.CannotTell, failed
	}
	if i.hashing.knows(string(entry.hash), value) {
		return sdk.Accepted, nil
	}
	if !i.checks.begin(ctx) {
		return sdk.CannotTell, files.Error(ctx.Err())
	}
	defer i.checks.end()
	return verdict(string(entry.hash), []byte(value.Reveal())), nil
}

// Check tells whether the file can be read, understood and replaced.
func (i *Instance) Check(context.Context) []sdk.Finding {
	now, failed := i.file.read()
	if failed != nil {
		return []sdk.Finding{bad(failed, "")}
	}
	dir := filepath.Dir(now.target)
	if now.info == nil {
		return i.checkNew(dir)
	}
	found := files.Obstacles(dir, now.target, now.info)
	found = append(found, i.checkLines(now.content)...)
	return append(found, i.checkCost()...)
}

// checkNew looks at a file that create will make, and at the first of its
// directories that exists.
func (i *Instance) checkNew(dir string) []sdk.Finding {
	for !exists(dir) && dir != filepath.Dir(dir) {
		dir = filepath.Dir(dir)
	}
	found := []sdk.Finding{{Severity: sdk.Info, Message: fmt.Sprintf("%q does not exist and will be made", i.file.path)}}
	found = append(found, files.Obstacles(dir, "", nil)...)
	return append(found, i.checkCost()...)
}

// checkCost makes one hash: no operation can be done in its time if that alone
// takes longer.
func (i *Instance) checkCost() []sdk.Finding {
	start := time.Now()
	if _, err := i.hasher.hash([]byte("a value of no account")); err != nil {
		return []sdk.Finding{bad(sdk.Errorf(sdk.Internal, "hash %s: %v", i.hasher.kind, err), "")}
	}
	if took := time.Since(start); i.timeout > 0 && took > i.timeout/4 {
		return []sdk.Finding{{Severity: sdk.Warning, Fix: "lower cost, or raise timeout",
			Message: fmt.Sprintf("one hash of %s with cost %d takes %s here, of the %s that an operation has", i.hasher.kind, i.hasher.cost, took.Round(time.Millisecond), i.timeout)}}
	}
	return nil
}

// shown is how many broken lines are named before they are counted.
const shown = 5

func (i *Instance) checkLines(content []byte) []sdk.Finding {
	var found []sdk.Finding
	count := 0
	for _, flaw := range flaws(content, i.file.foreign) {
		message := fmt.Sprintf("%s:%d: %s", i.file.path, flaw.line, flaw.why)
		if flaw.mild {
			found = append(found, sdk.Finding{Severity: sdk.Warning, Message: message, Fix: flaw.fix})
			continue
		}
		if count++; count <= shown {
			found = append(found, bad(&sdk.Error{Code: sdk.InvalidConfig, Message: message}, flaw.fix))
		}
	}
	if count > shown {
		found = append(found, bad(sdk.Errorf(sdk.InvalidConfig, "%s: %d more broken lines", i.file.path, count-shown), ""))
	}
	return found
}

func bad(failure *sdk.Error, fix string) sdk.Finding {
	return sdk.Finding{Severity: sdk.Bad, Code: failure.Code, Message: failure.Message, Fix: fix}
}
