package broadworks

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/rekey-host/rekey/sdk"
	"github.com/rekey-host/rekey/sdk/rest"
	"github.com/rekey-host/rekey/sdk/secret"
)

// The values of the setting sip_generator.
const (
	bySIP      = "sip-password"
	byPassword = "password"
)

// filters are what GET /users can select by.
var filters = []string{"macAddress", "lastName", "firstName", "dn", "emailAddress", "userId", "extension"}

// user is a user as the interface tells it: its fields by their names.
type user map[string]any

func (u user) text(name string) string {
	switch v := u[name].(type) {
	case nil, map[string]any, []any:
		return ""
	case float64:
		return strconv.FormatFloat(v, 'f', -1, 64)
	default:
		return fmt.Sprint(v)
	}
}

// account takes every existing user for active: the interface tells no other
// state.
func (u user) account() sdk.Account {
	id := u.text("userId")
	name := strings.TrimSpace(u.text("firstName") + " " + u.text("lastName"))
	return sdk.Account{Account: id, ID: id, Login: id, Name: name, Mail: u.text("emailAddress"), Status: sdk.StatusActive}
}

// Find returns the user and which of the kinds it has, by its services:
// AccountNotFound without one.
func (i *Instance) Find(ctx context.Context, account string) (sdk.Account, error) {
	if account == "" {
		return sdk.Account{}, sdk.Errorf(sdk.InvalidOperation, "the account is empty")
	}
	var found user
	kinds := []string{}
	failure := i.as(ctx, func(do exchange) *rest.Failure {
		kinds = kinds[:0]
		list, failed := users(do, get("/users", url.Values{"userId": {account}}))
		if failed != nil {
			return failed
		}
		if len(list.data) != 1 || list.data[0].text("userId") == "" {
			return rest.Refusal(sdk.Errorf(sdk.AccountNotFound, "there is no such user"))
		}
		found = list.data[0]
		for _, kind := range []string{SIP, Voicemail} {
			failure := assigned(do, account, credentials[kind])
			switch {
			case failure == nil:
				kinds = append(kinds, kind)
			case failure.Err.Code != sdk.NoCredential:
				return failure
			}
		}
		return nil
	})
	if failure != nil {
		return sdk.Account{}, failure.AsError()
	}
	a := found.account()
	a.Kinds = append(kinds, Web)
	return a, nil
}

// page is an answer of GET /users: one user, an array of all, or the envelope
// of the paged interface.
type page struct {
	data  []user
	paged bool
	total int
}

func users(do exchange, request rest.Request) (page, *rest.Failure) {
	var raw json.RawMessage
	if failure := decode(do, request, &raw); failure != nil {
		return page{}, failure
	}
	var p page
	var envelope struct {
		Total rest.Int
		Data  *[]user
	}
	var one user
	switch {
	case json.Unmarshal(raw, &p.data) == nil:
	case json.Unmarshal(raw, &envelope) == nil && envelope.Data != nil && envelope.Total.Known:
		p = page{*envelope.Data, true, int(envelope.Total.N)}
	case json.Unmarshal(raw, &one) == nil:
		p.data = []user{one}
	default:
		return page{}, rest.Refusal(sdk.Errorf(sdk.TargetError, "the answer's JSON has another form than expected"))
	}
	return p, nil
}

// List calls yield for the users of the group that the filter selects, such as
// "lastName=B*&extension=10*". A filter by another field is InvalidOperation.
func (i *Instance) List(ctx context.Context, filter string, attributes []string, yield func(sdk.Account) error) error {
	values, err := i.query(filter)
	if err != nil {
		return err
	}
	seen := map[string]bool{}
	for offset := 0; ; {
		page, failure := i.page(ctx, values, offset)
		if failure != nil {
			return failure.AsError()
		}
		for _, user := range page.data {
			id := user.text("userId")
			if id == "" {
				return sdk.Errorf(sdk.TargetError, "the list has a user without userId")
			}
			if seen[id] {
				continue
			}
			seen[id] = true
			account := user.account()
			account.Attributes = map[string]string{}
			for _, name := range attributes {
				account.Attributes[name] = user.text(name)
			}
			if err := yield(account); err != nil {
				return err
			}
		}
		if offset += len(page.data); !page.paged || offset >= page.total {
			return whole(page, len(seen))
		}
		if len(page.data) == 0 || len(seen) < offset {
			return sdk.Errorf(sdk.TargetError, "the list stops at %d of %d users", len(seen), page.total)
		}
	}
}

// whole refuses a list shorter than its own total.
func whole(page page, count int) error {
	if page.paged && count < page.total {
		return sdk.Errorf(sdk.TargetError, "the list has %d of %d users", count, page.total)
	}
	return nil
}

func (i *Instance) page(ctx context.Context, values url.Values, offset int) (page page, failure *rest.Failure) {
	if offset > 0 {
		values.Set("offset", strconv.Itoa(offset))
	}
	failure = i.as(ctx, func(do exchange) (failed *rest.Failure) {
		page, failed = users(do, get("/users", values))
		return failed
	})
	return page, failure
}

func (i *Instance) query(filter string) (url.Values, error) {
	given, err := url.ParseQuery(filter)
	if err != nil {
		return nil, sdk.Errorf(sdk.InvalidOperation, "filter %q: is not a query such as lastName=B*&extension=10*", filter)
	}
	values := i.ofGroup()
	for name := range given {
		if !slices.Contains(filters, name) {
			return nil, sdk.Errorf(sdk.InvalidOperation, "filter %q: %q is none of %s", filter, name, strings.Join(filters, ", "))
		}
		values.Set(name, given.Get(name))
	}
	return values, nil
}

// Generate asks the platform for count values of the kind. It is TargetError if
// they are fewer, or more, or empty: a value too few must not become a user
// without one.
func (i *Instance) Generate(ctx context.Context, kind string, count int) ([]secret.Value, error) {
	if count < 1 {
		return nil, sdk.Errorf(sdk.InvalidOperation, "generate: got %d values to make, want at least 1", count)
	}
	if _, ok := credentials[kind]; !ok {
		return nil, sdk.Errorf(sdk.InvalidOperation, "kind %q: want %s, %s or %s", kind, SIP, Voicemail, Web)
	}
	var values []string
	failure := i.as(ctx, func(do exchange) (failed *rest.Failure) {
		values, failed = i.generate(do, kind, count)
		return failed
	})
	if failure != nil {
		return nil, failure.AsError()
	}
	if len(values) != count {
		return nil, sdk.Errorf(sdk.TargetError, "the generator made %d values, want %d", len(values), count)
	}
	list := make([]secret.Value, count)
	for index, value := range values {
		if value == "" {
			return nil, sdk.Errorf(sdk.TargetError, "the generator made an empty value")
		}
		list[index] = secret.New(value)
	}
	return list, nil
}

// made is an answer of a generator.
type made struct {
	Password, Passcode   string
	Passwords, Passcodes []string
}

func (i *Instance) generate(do exchange, kind string, count int) ([]string, *rest.Failure) {
	path, values := "/password/generate", i.ofGroup()
	switch {
	case kind == Voicemail:
		path = "/passcode/generate"
	case kind == SIP && i.generator == byPassword:
		values = url.Values{}
	case kind == SIP:
		return oneByOne(do, count)
	}
	if count > 1 {
		values.Set("limit", strconv.Itoa(count))
	}
	return ask(do, path, values)
}

// oneByOne is for SIP, whose generator makes one value a request.
func oneByOne(do exchange, count int) ([]string, *rest.Failure) {
	var all []string
	for range count {
		one, failure := ask(do, "/sip-password/generate", nil)
		if failure != nil {
			return nil, failure
		}
		all = append(all, one...)
	}
	return all, nil
}

func ask(do exchange, path string, values url.Values) ([]string, *rest.Failure) {
	var m made
	if failure := decode(do, get(path, values), &m); failure != nil {
		return nil, failure
	}
	list := append(m.Passwords, m.Passcodes...)
	for _, one := range []string{m.Password, m.Passcode} {
		if one != "" {
			list = append(list, one)
		}
	}
	return list, nil
}
