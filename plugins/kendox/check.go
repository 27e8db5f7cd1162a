package kendox

import (
	"context"
	"strings"
	"sync"

	"github.com/rekey-host/rekey/sdk"
	"github.com/rekey-host/rekey/sdk/rest"
	"github.com/rekey-host/rekey/sdk/secret"
)

// diagnosis finds what is wrong with an instance that is asked to check.
type diagnosis struct{ *Instance }

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
func (i diagnosis) mayChange(ctx context.Context) *rest.Failure {
	i.rights.mu.Lock()
	defer i.rights.mu.Unlock()
	if i.rights.seen {
		return nil
	}
	missing, failure := i.missing(ctx)
	if failure != nil {
		return failure
	}
	if len(missing) > 0 {
		return rest.Refusal(lacks(missing))
	}
	i.rights.seen = true
	return nil
}

func lacks(missing []right) *sdk.Error {
	var names []string
	for _, right := range missing {
		names = append(names, right.name+" ("+right.id+")")
	}
	failure := sdk.Errorf(sdk.PermissionDenied, "the service account lacks the right %s", strings.Join(names, ", "))
	failure.Native = "10071"
	return failure
}

// missing returns which of the needed rights the service account lacks.
func (i diagnosis) missing(ctx context.Context) ([]right, *rest.Failure) {
	result, failure := i.in(ctx, call{service: "Common", method: "GetUserAdminAccessRights", arguments: map[string]any{"userId": nil}, readOnly: true})
	if failure != nil {
		return nil, failure
	}
	var have []string
	if failed := decode(result, &have); failed != nil {
		return nil, failed
	}
	held := map[string]bool{}
	for _, id := range have {
		held[strings.ToLower(strings.Trim(id, "{}"))] = true
	}
	var missing []right
	for _, right := range needed() {
		if !held[right.id] {
			missing = append(missing, right)
		}
	}
	return missing, nil
}

// diagnose says why the login failed.
func (i diagnosis) diagnose(ctx context.Context, failure *rest.Failure) sdk.Finding {
	bad := sdk.Finding{Severity: sdk.Bad, Code: failure.Err.Code, Message: "" + failure.Err.Message}
	switch {
	case failure.Err.Native == "10006":
		return i.tryOther(ctx, bad)
	case failure.Err.Code == sdk.SecondFactorNeeded:
		bad.Fix = "use a service account without a second factor"
	case failure.Err.Code == sdk.Unreachable:
		bad.Fix = "check url, and that InfoShare runs"
	}
	return bad
}

// tryOther logs on once with the other encoding: the one thing that a refused
// logon may mean besides a wrong name or password.
func (i diagnosis) tryOther(ctx context.Context, bad sdk.Finding) sdk.Finding {
	other := utf16leText
	if i.encoding == utf16leText {
		other = utf8Text
	}
	bad.Fix = "check tenant, user and password; neither hash_encoding works"
	logonResult, failure := logins(i).authenticate(ctx, i.user, digest(i.password, other))
	if failure != nil {
		return bad
	}
	logins(i).logoff(ctx, secret.New(logonResult.ConnectionID))
	bad.Code = sdk.InvalidConfig
	bad.Message = "the server refuses the logon with hash_encoding = \"" + i.encoding + "\" and takes it with \"" + other + "\""
	bad.Fix = "hash_encoding = \"" + other + "\""
	return bad
}
