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

// account takes a user that is there for active: the interface tells no other
// state.
func (u user) account() sdk.Account {
	id := u.text("userId")
	name := strings.TrimSpace(u.text("firstName") + " " + u.text("lastName"))
	return sdk.Account{Account: id, ID: id, Login: id, Name: name, Mail: u.text("emailAddress"), Status: sdk.StatusActive}
}

// Find returns the user and which of the kinds it has, by its services:
// AccountNotFound if there is none.
func (i *Instance) Find(ctx context.Context, account string) (sdk.Account, error) {
	if account == "" {
		return sdk.Account{}, sdk.Errorf(sdk.InvalidOperation, "the account is empty")
	}
	var found user
	kinds := []string{}
	f := i.as(ctx, func(do exchange) *rest.Failure {
		kinds = kinds[:0]
		list, f := users(do, get("/users", url.Values{"userId": {account}}))
		if f != nil {
			return f
		}
		if len(list.data) != 1 || list.data[0].text("userId") == "" {
			return rest.Refusal(sdk.Errorf(sdk.AccountNotFound, "there is no such user"))
		}
		found = list.data[0]
		for _, kind := range []string{SIP, Voicemail} {
			f := assigned(do, account, credentials[kind])
			switch {
			case f == nil:
				kinds = append(kinds, kind)
			case f.Err.Code != sdk.NoCredential:
				return f
			}
		}
		return nil
	})
	if f != nil {
		return sdk.Account{}, f.AsError()
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

func users(do exchange, r rest.Request) (page, *rest.Failure) {
	var raw json.RawMessage
	if f := decode(do, r, &raw); f != nil {
		return page{}, f
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
	q, err := i.query(filter)
	if err != nil {
		return err
	}
	seen := map[string]bool{}
	for offset := 0; ; {
		p, f := i.page(ctx, q, offset)
		if f != nil {
			return f.AsError()
		}
		for _, u := range p.data {
			id := u.text("userId")
			if id == "" {
				return sdk.Errorf(sdk.TargetError, "the list has a user without userId")
			}
			if seen[id] {
				continue
			}
			seen[id] = true
			a := u.account()
			a.Attributes = map[string]string{}
			for _, name := range attributes {
				a.Attributes[name] = u.text(name)
			}
			if err := yield(a); err != nil {
				return err
			}
		}
		if offset += len(p.data); !p.paged || offset >= p.total {
			return whole(p, len(seen))
		}
		if len(p.data) == 0 || len(seen) < offset {
			return sdk.Errorf(sdk.TargetError, "the list stops at %d of %d users", len(seen), p.total)
		}
	}
}

// whole refuses a list that is shorter than its own total.
func whole(p page, n int) error {
	if p.paged && n < p.total {
		return sdk.Errorf(sdk.TargetError, "the list has %d of %d users", n, p.total)
	}
	return nil
}

func (i *Instance) page(ctx context.Context, q url.Values, offset int) (p page, f *rest.Failure) {
	if offset > 0 {
		q.Set("offset", strconv.Itoa(offset))
	}
	f = i.as(ctx, func(do exchange) (f *rest.Failure) {
		p, f = users(do, get("/users", q))
		return f
	})
	return p, f
}

func (i *Instance) query(filter string) (url.Values, error) {
	given, err := url.ParseQuery(filter)
	if err != nil {
		return nil, sdk.Errorf(sdk.InvalidOperation, "filter %q: is not a query such as lastName=B*&extension=10*", filter)
	}
	q := i.ofGroup()
	for name := range given {
		if !slices.Contains(filters, name) {
			return nil, sdk.Errorf(sdk.InvalidOperation, "filter %q: %q is none of %s", filter, name, strings.Join(filters, ", "))
		}
		q.Set(name, given.Get(name))
	}
	return q, nil
}

// Generate asks the platform for n values of the kind. It is TargetError if
// they are fewer, or more, or empty: a value too few must not become a user
// without one.
func (i *Instance) Generate(ctx context.Context, kind string, n int) ([]secret.Value, error) {
	if n < 1 {
		return nil, sdk.Errorf(sdk.InvalidOperation, "generate: got %d values to make, want at least 1", n)
	}
	if _, ok := credentials[kind]; !ok {
		return nil, sdk.Errorf(sdk.InvalidOperation, "kind %q: want %s, %s or %s", kind, SIP, Voicemail, Web)
	}
	var values []string
	f := i.as(ctx, func(do exchange) (f *rest.Failure) {
		values, f = i.generate(do, kind, n)
		return f
	})
	if f != nil {
		return nil, f.AsError()
	}
	if len(values) != n {
		return nil, sdk.Errorf(sdk.TargetError, "the generator made %d values, want %d", len(values), n)
	}
	list := make([]secret.Value, n)
	for k, v := range values {
		if v == "" {
			return nil, sdk.Errorf(sdk.TargetError, "the generator made an empty value")
		}
		list[k] = secret.New(v)
	}
	return list, nil
}

// made is an answer of a generator.
type made struct {
	Password, Passcode   string
	Passwords, Passcodes []string
}

func (i *Instance) generate(do exchange, kind string, n int) ([]string, *rest.Failure) {
	path, q := "/password/generate", i.ofGroup()
	switch {
	case kind == Voicemail:
		path = "/passcode/generate"
	case kind == SIP && i.generator == byPassword:
		q = url.Values{}
	case kind == SIP:
		return oneByOne(do, n)
	}
	if n > 1 {
		q.Set("limit", strconv.Itoa(n))
	}
	return ask(do, path, q)
}

// oneByOne is for SIP, whose generator makes one value a request.
func oneByOne(do exchange, n int) ([]string, *rest.Failure) {
	var all []string
	for range n {
		one, f := ask(do, "/sip-password/generate", nil)
		if f != nil {
			return nil, f
		}
		all = append(all, one...)
	}
	return all, nil
}

func ask(do exchange, path string, q url.Values) ([]string, *rest.Failure) {
	var m made
	if f := decode(do, get(path, q), &m); f != nil {
		return nil, f
	}
	list := append(m.Passwords, m.Passcodes...)
	for _, one := range []string{m.Password, m.Passcode} {
		if one != "" {
			list = append(list, one)
		}
	}
	return list, nil
}
