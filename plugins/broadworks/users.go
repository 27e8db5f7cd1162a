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
)

// directory asks for the users of a group, page by page.
type directory struct{ *Instance }

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

// whole refuses a list shorter than its own total.
func whole(page page, count int) error {
	if page.paged && count < page.total {
		return sdk.Errorf(sdk.TargetError, "the list has %d of %d users", count, page.total)
	}
	return nil
}

func (i directory) page(ctx context.Context, values url.Values, offset int) (page page, failure *rest.Failure) {
	if offset > 0 {
		values.Set("offset", strconv.Itoa(offset))
	}
	failure = logins(i).as(ctx, func(do exchange) (failed *rest.Failure) {
		page, failed = users(do, get("/users", values))
		return failed
	})
	return page, failure
}

func (i directory) query(filter string) (url.Values, error) {
	given, err := url.ParseQuery(filter)
	if err != nil {
		return nil, sdk.Errorf(sdk.InvalidOperation, "filter %q: is not a query such as lastName=B*&extension=10*", filter)
	}
	values := rules(i).ofGroup()
	for name := range given {
		if !slices.Contains(filters, name) {
			return nil, sdk.Errorf(sdk.InvalidOperation, "filter %q: %q is none of %s", filter, name, strings.Join(filters, ", "))
		}
		values.Set(name, given.Get(name))
	}
	return values, nil
}

// made is an answer of a generator.
type made struct {
	Password, Passcode   string
	Passwords, Passcodes []string
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
