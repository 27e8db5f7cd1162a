package kendox

import (
	"context"
	"encoding/json"
	"fmt"
	"path"
	"regexp"
	"strings"
	"sync"
	"time"

	"github.com/rekey-host/rekey/sdk"
	"github.com/rekey-host/rekey/sdk/rest"
)

// user is one user as a list has it; flags are not known where it does not say.
type user struct {
	ID       string    `json:"Id"`
	Login    string    `json:"LoginName"`
	Name     rest.Text `json:"DisplayName"`
	Domain   rest.Text `json:"Domain"`
	Mail     rest.Text `json:"Email"`
	Active   rest.Bool `json:"Active"`
	Obsolete rest.Bool `json:"Obsolete"`
	Internal rest.Bool `json:"LoginWithInternalPassword"`

	fields map[string]json.RawMessage // all of it, for attributes
}

// UnmarshalJSON keeps every field besides those that have a name here.
func (u *user) UnmarshalJSON(b []byte) error {
	type plain user
	if err := json.Unmarshal(b, (*plain)(u)); err != nil {
		return err
	}
	return json.Unmarshal(b, &u.fields)
}

// store is the list of all users, which is the only way from a login name to an
// id: there is no search. It is read once, and again when a name is missing.
type store struct {
	mu     sync.Mutex // also held while the list is read: one reads, all wait
	read   time.Time
	fresh  bool
	logins map[string][]user // by login in lower case
	ids    map[string]user   // by id in lower case
}

// staleAfter is how old a list may be before a name that it lacks makes it be
// read again: names that do not exist must not cost a list each.
const staleAfter = 10 * time.Second

// forget makes the next lookup read the list again.
func (s *store) forget() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fresh = false
}

var guid = regexp.MustCompile(`^\{?[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}\}?$`)

// resolve returns the user that an account names.
func (i *Instance) resolve(ctx context.Context, account string) (user, *rest.Failure) {
	s := &i.store
	s.mu.Lock()
	defer s.mu.Unlock()
	u, err := s.lookup(account)
	if err == nil && s.fresh {
		return u, nil
	}
	if s.fresh && time.Since(s.read) < staleAfter {
		return user{}, rest.Refusal(err)
	}
	if f := i.refresh(ctx); f != nil {
		return user{}, f
	}
	if u, err = s.lookup(account); err != nil {
		return user{}, rest.Refusal(err)
	}
	return u, nil
}

// lookup finds a user in the list: by id, by login, by domain and login.
func (s *store) lookup(account string) (user, *sdk.Error) {
	if guid.MatchString(account) {
		if u, ok := s.ids[strings.ToLower(strings.Trim(account, "{}"))]; ok {
			return u, nil
		}
		return user{}, sdk.Errorf(sdk.AccountNotFound, "no user has the id %q", account)
	}
	list := s.logins[strings.ToLower(account)]
	if domain, login, ok := strings.Cut(account, `\`); ok && len(list) == 0 {
		list = inDomain(s.logins[strings.ToLower(login)], domain)
	}
	if len(list) > 1 {
		list = only(list)
	}
	switch len(list) {
	case 0:
		return user{}, sdk.Errorf(sdk.AccountNotFound, "no user has the login name %q", account)
	case 1:
		return list[0], nil
	}
	return user{}, sdk.Errorf(sdk.Ambiguous, "%d users have the login name %q; use DOMAIN\\login or the id", len(list), account)
}

func inDomain(list []user, domain string) []user {
	var found []user
	for _, u := range list {
		if strings.EqualFold(string(u.Domain), domain) {
			found = append(found, u)
		}
	}
	return found
}

// only returns the active user if there is one, else all.
func only(list []user) []user {
	var active []user
	for _, u := range list {
		if !u.Obsolete.On && (!u.Active.Known || u.Active.On) {
			active = append(active, u)
		}
	}
	if len(active) == 1 {
		return active
	}
	return list
}

// refresh reads the list; the store's lock is held.
func (i *Instance) refresh(ctx context.Context) *rest.Failure {
	users, f := i.users(ctx)
	if f != nil {
		return f
	}
	s := &i.store
	s.logins, s.ids = map[string][]user{}, map[string]user{}
	for _, u := range users {
		login := strings.ToLower(u.Login)
		s.logins[login] = append(s.logins[login], u)
		s.ids[strings.ToLower(u.ID)] = u
	}
	s.read, s.fresh = time.Now(), true
	return nil
}

// users asks for all users: by GetUserStore, which has their flags, or where
// that is refused by GetAllUsersSimple, which has not.
func (i *Instance) users(ctx context.Context) ([]user, *rest.Failure) {
	result, f := i.in(ctx, call{service: "Common", method: "GetUserStore", readOnly: true, bulk: true})
	if f == nil {
		var all struct{ Users []user }
		f = decode(result, &all)
		return all.Users, f
	}
	switch f.Err.Code {
	case sdk.PermissionDenied, sdk.InvalidConfig, sdk.TargetError:
	default:
		return nil, f
	}
	simple, second := i.simpleUsers(ctx)
	if second != nil {
		return nil, f
	}
	return simple, nil
}

func (i *Instance) simpleUsers(ctx context.Context) ([]user, *rest.Failure) {
	filter := map[string]any{"RemoveDeletedUsers": false, "RemoveInactiveUsers": false, "RemoveHiddenUsers": false, "RemoveExternalLicenseUsers": false}
	result, f := i.in(ctx, call{service: "Common", method: "GetAllUsersSimple", arguments: map[string]any{"userFilter": filter}, readOnly: true, bulk: true})
	if f != nil {
		return nil, f
	}
	var all struct{ ActiveUsers, InactiveAndObsoleteUsers []user }
	if f := decode(result, &all); f != nil {
		return nil, f
	}
	for n := range all.InactiveAndObsoleteUsers {
		all.InactiveAndObsoleteUsers[n].Active = rest.Bool{Known: true}
	}
	return append(all.ActiveUsers, all.InactiveAndObsoleteUsers...), nil
}

// Find returns what the list of users says of one.
func (i *Instance) Find(ctx context.Context, account string) (sdk.Account, error) {
	u, f := i.resolve(ctx, account)
	if f != nil {
		return sdk.Account{}, f.AsError()
	}
	return u.account(account), nil
}

func (u user) account(name string) sdk.Account {
	a := sdk.Account{Account: name, ID: u.ID, Login: u.Login, Name: string(u.Name), Mail: string(u.Mail), Status: sdk.StatusActive}
	switch {
	case u.Obsolete.On:
		a.Status = sdk.StatusDeleted
	case u.Active.Known && !u.Active.On:
		a.Status = sdk.StatusDisabled
	}
	return a
}

// List calls yield for the users whose login name matches the pattern, deleted
// ones left out.
func (i *Instance) List(ctx context.Context, filter string, attributes []string, yield func(sdk.Account) error) error {
	if _, err := path.Match(filter, ""); err != nil {
		return sdk.Errorf(sdk.InvalidOperation, "filter %q: is not a shell pattern", filter)
	}
	users, f := i.users(ctx)
	if f != nil {
		return f.AsError()
	}
	for _, u := range users {
		if ok, _ := path.Match(strings.ToLower(filter), strings.ToLower(u.Login)); u.Obsolete.On || filter != "" && !ok {
			continue
		}
		a := u.account(u.Login)
		a.Attributes = u.attributes(attributes)
		if err := yield(a); err != nil {
			return err
		}
	}
	return nil
}

// attributes are fields of a user by InfoShare's names for them.
func (u user) attributes(names []string) map[string]string {
	if len(names) == 0 {
		return nil
	}
	m := map[string]string{}
	for _, name := range names {
		var v any
		if raw, ok := u.fields[name]; ok && json.Unmarshal(raw, &v) == nil && v != nil {
			m[name] = fmt.Sprint(v)
		}
	}
	return m
}
