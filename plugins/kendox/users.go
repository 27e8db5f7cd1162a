package kendox

import (
	"context"
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
	"sync"
	"time"

	"github.com/rekey-host/rekey/sdk"
	"github.com/rekey-host/rekey/sdk/rest"
)

// directory finds users by what an account is called, in the list of all of them.
type directory struct{ *Instance }

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
func (u *user) UnmarshalJSON(data []byte) error {
	type plain user
	if err := json.Unmarshal(data, (*plain)(u)); err != nil {
		return err
	}
	return json.Unmarshal(data, &u.fields)
}

// store is the list of all users, which is the only way from a login name to an
// id: the server has no search. It is read once, and again when a name is missing.
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
func (i directory) resolve(ctx context.Context, account string) (user, *rest.Failure) {
	store := &i.store
	store.mu.Lock()
	defer store.mu.Unlock()
	u, err := store.lookup(account)
	if err == nil && store.fresh {
		return u, nil
	}
	if store.fresh && time.Since(store.read) < staleAfter {
		return user{}, rest.Refusal(err)
	}
	if failure := i.refresh(ctx); failure != nil {
		return user{}, failure
	}
	if u, err = store.lookup(account); err != nil {
		return user{}, rest.Refusal(err)
	}
	return u, nil
}

// lookup finds a user in the list: by id, by login, by domain and login.
func (s *store) lookup(account string) (user, *sdk.Error) {
	if guid.MatchString(account) {
		if user, ok := s.ids[strings.ToLower(strings.Trim(account, "{}"))]; ok {
			return user, nil
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
	for _, user := range list {
		if strings.EqualFold(string(user.Domain), domain) {
			found = append(found, user)
		}
	}
	return found
}

// only returns the active user if there is one, else all.
func only(list []user) []user {
	var active []user
	for _, user := range list {
		if !user.Obsolete.On && (!user.Active.Known || user.Active.On) {
			active = append(active, user)
		}
	}
	if len(active) == 1 {
		return active
	}
	return list
}

// refresh reads the list; the store's lock is held.
func (i directory) refresh(ctx context.Context) *rest.Failure {
	users, failure := i.users(ctx)
	if failure != nil {
		return failure
	}
	store := &i.store
	store.logins, store.ids = map[string][]user{}, map[string]user{}
	for _, user := range users {
		login := strings.ToLower(user.Login)
		store.logins[login] = append(store.logins[login], user)
		store.ids[strings.ToLower(user.ID)] = user
	}
	store.read, store.fresh = time.Now(), true
	return nil
}

// users asks for all users: by GetUserStore, which has their flags, or where
// refused, by GetAllUsersSimple, which has not.
func (i directory) users(ctx context.Context) ([]user, *rest.Failure) {
	result, failure := i.in(ctx, call{service: "Common", method: "GetUserStore", readOnly: true, bulk: true})
	if failure == nil {
		var all struct{ Users []user }
		failure = decode(result, &all)
		return all.Users, failure
	}
	switch failure.Err.Code {
	case sdk.PermissionDenied, sdk.InvalidConfig, sdk.TargetError:
	default:
		return nil, failure
	}
	simple, second := i.simpleUsers(ctx)
	if second != nil {
		return nil, failure
	}
	return simple, nil
}

func (i directory) simpleUsers(ctx context.Context) ([]user, *rest.Failure) {
	filter := map[string]any{"RemoveDeletedUsers": false, "RemoveInactiveUsers": false, "RemoveHiddenUsers": false, "RemoveExternalLicenseUsers": false}
	result, failure := i.in(ctx, call{service: "Common", method: "GetAllUsersSimple", arguments: map[string]any{"userFilter": filter}, readOnly: true, bulk: true})
	if failure != nil {
		return nil, failure
	}
	var all struct{ ActiveUsers, InactiveAndObsoleteUsers []user }
	if failed := decode(result, &all); failed != nil {
		return nil, failed
	}
	for index := range all.InactiveAndObsoleteUsers {
		all.InactiveAndObsoleteUsers[index].Active = rest.Bool{Known: true}
	}
	return append(all.ActiveUsers, all.InactiveAndObsoleteUsers...), nil
}

func (u user) account(name string) sdk.Account {
	account := sdk.Account{Account: name, ID: u.ID, Login: u.Login, Name: string(u.Name), Mail: string(u.Mail), Status: sdk.StatusActive}
	switch {
	case u.Obsolete.On:
		account.Status = sdk.StatusDeleted
	case u.Active.Known && !u.Active.On:
		account.Status = sdk.StatusDisabled
	}
	return account
}

// attributes are fields of a user by InfoShare's names for them.
func (u user) attributes(names []string) map[string]string {
	if len(names) == 0 {
		return nil
	}
	table := map[string]string{}
	for _, name := range names {
		var value any
		if raw, ok := u.fields[name]; ok && json.Unmarshal(raw, &value) == nil && value != nil {
			table[name] = fmt.Sprint(value)
		}
	}
	return table
}
