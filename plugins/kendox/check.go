package kendox

import (
	"context"
	"strings"
	"sync"

	"github.com/rekey-host/rekey/sdk"
	"github.com/rekey-host/rekey/sdk/rest"
	"github.com/rekey-host/rekey/sdk/secret"
)

// right is an administrative access right.
type right struct{ name, id string }

// needed are the rights that both password calls need.
func needed() []right {
	return []right{
		{"Access to users and user groups", "01002040-38a7-11d8-a902-0050bf427e8f"},
		{"Access to security edit access right", "01002050-38a7-11d8-a902-0050bf427e8f"},
		{"Reset user password", "01002059-38a7-11d8-a902-0050bf427e8f"},
	}
}

// rights remembers that the service account was seen to have all rights.
type rights struct {
	mu   sync.Mutex
	seen bool
}

// mayChange asks, before the first change of an instance, whether the service
// account has the rights for it.
func (i *Instance) mayChange(ctx context.Context) *rest.Failure {
	i.rights.mu.Lock()
	defer i.rights.mu.Unlock()
	if i.rights.seen {
		return nil
	}
	missing, f := i.missing(ctx)
	if f != nil {
		return f
	}
	if len(missing) > 0 {
		return rest.Refusal(lacks(missing))
	}
	i.rights.seen = true
	return nil
}

func lacks(missing []right) *sdk.Error {
	var names []string
	for _, r := range missing {
		names = append(names, r.name+" ("+r.id+")")
	}
	e := sdk.Errorf(sdk.PermissionDenied, "the service account lacks the right %s", strings.Join(names, ", "))
	e.Native = "10071"
	return e
}

// missing returns which of the needed rights the service account lacks.
func (i *Instance) missing(ctx context.Context) ([]right, *rest.Failure) {
	result, f := i.in(ctx, call{service: "Common", method: "GetUserAdminAccessRights", arguments: map[string]any{"userId": nil}, readOnly: true})
	if f != nil {
		return nil, f
	}
	var have []string
	if f := decode(result, &have); f != nil {
		return nil, f
	}
	held := map[string]bool{}
	for _, id := range have {
		held[strings.ToLower(strings.Trim(id, "{}"))] = true
	}
	var missing []right
	for _, r := range needed() {
		if !held[r.id] {
			missing = append(missing, r)
		}
	}
	return missing, nil
}

// Check logs on, with the other text encoding if the set one is refused, and
// asks for the rights and the list of users.
func (i *Instance) Check(ctx context.Context) []sdk.Finding {
	missing, f := i.missing(ctx)
	if f != nil {
		return []sdk.Finding{i.diagnose(ctx, f)}
	}
	var found []sdk.Finding
	for _, r := range missing {
		found = append(found, sdk.Finding{Severity: sdk.Bad, Code: sdk.PermissionDenied, Message: "" + lacks([]right{r}).Message,
			Fix: "give " + i.user + " the right in InfoShare's user administration"})
	}
	if i.readOnly.Load() {
		found = append(found, sdk.Finding{Severity: sdk.Warning, Message: "the service account's licence is read-only; changes may be refused", Fix: "use an account with a full licence"})
	}
	if _, f := i.users(ctx); f != nil {
		found = append(found, sdk.Finding{Severity: sdk.Bad, Code: f.Err.Code, Message: "the list of users cannot be read, so login names cannot be resolved: " + f.Err.Message})
	}
	if p := i.policy; p.MinLength+p.MaxLength+p.Lower+p.Upper+p.Digits+p.Symbols == 0 {
		found = append(found, sdk.Finding{Severity: sdk.Warning, Message: "no password rules are set, and the server cannot check a hash against its own",
			Fix: "enter the server's rules as min_length, max_length, lower, upper, digits, symbols"})
	}
	return found
}

// diagnose says why there is no session.
func (i *Instance) diagnose(ctx context.Context, f *rest.Failure) sdk.Finding {
	bad := sdk.Finding{Severity: sdk.Bad, Code: f.Err.Code, Message: "" + f.Err.Message}
	switch {
	case f.Err.Native == "10006":
		return i.tryOther(ctx, bad)
	case f.Err.Code == sdk.SecondFactorNeeded:
		bad.Fix = "use a service account without a second factor"
	case f.Err.Code == sdk.Unreachable:
		bad.Fix = "check url, and that InfoShare runs"
	}
	return bad
}

// tryOther logs on once with the other encoding: the one thing that a refused
// logon may mean besides a wrong name or password.
func (i *Instance) tryOther(ctx context.Context, bad sdk.Finding) sdk.Finding {
	other := utf16leText
	if i.encoding == utf16leText {
		other = utf8Text
	}
	bad.Fix = "check tenant, user and password; neither hash_encoding works"
	r, f := i.authenticate(ctx, i.user, digest(i.password, other))
	if f != nil {
		return bad
	}
	i.logoff(ctx, secret.New(r.ConnectionID))
	bad.Code = sdk.InvalidConfig
	bad.Message = "the server refuses the logon with hash_encoding = \"" + i.encoding + "\" and takes it with \"" + other + "\""
	bad.Fix = "hash_encoding = \"" + other + "\""
	return bad
}
