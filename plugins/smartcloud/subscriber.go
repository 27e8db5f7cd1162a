package smartcloud

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/rekey-host/rekey/sdk"
	"github.com/rekey-host/rekey/sdk/rest"
)

// directory asks for subscribers.
type directory struct{ *Instance }

// pageSize is how many subscribers are asked for at once.
const pageSize = 100

// subscriber is an account as the interface tells it.
type subscriber struct {
	Id              rest.Text
	SubscriberState rest.Text
	Person          struct {
		EmailAddress  string
		GivenName     rest.Text
		FamilyName    rest.Text
		SecurityRealm rest.Text
	}
	fields map[string]any // all of them, for List
}

// UnmarshalJSON keeps all fields beside those that have a name here.
func (s *subscriber) UnmarshalJSON(text []byte) error {
	type plain subscriber
	if err := json.Unmarshal(text, (*plain)(s)); err != nil {
		return err
	}
	return json.Unmarshal(text, &s.fields)
}

// status tells apart what decides whether there is a password to set.
// MODIFIED_FEDERATED and PARTIAL_FEDERATED accounts have one.
func (s subscriber) status() sdk.Status {
	switch s.SubscriberState {
	case "SOFT_DELETED", "CANCEL_PENDING", "REMOVE_PENDING", "DEREGISTER_PENDING":
		return sdk.StatusDeleted
	case "SUSPENDED":
		return sdk.StatusSuspended
	}
	if s.Person.SecurityRealm == "FEDERATED" {
		return sdk.StatusFederated
	}
	switch s.SubscriberState {
	case "ACTIVE":
		return sdk.StatusActive
	case "PENDING":
		return sdk.StatusPending
	}
	return sdk.StatusUnknown
}

// refuses returns why the operation is not sent for this account.
func (s subscriber) refuses(op sdk.Operation) *sdk.Error {
	switch status := s.status(); {
	case s.Person.SecurityRealm == "FEDERATED":
		return sdk.Errorf(sdk.NoCredential, "is federated: its password is with its organisation")
	case status == sdk.StatusSuspended, status == sdk.StatusDeleted:
		return s.state("no password can be set")
	case status == sdk.StatusPending && op.Verb == sdk.Set && !oneTime(op):
		return s.state("setUserPassword wants an ACTIVE account; change its temporary password, or set one with must_change = True")
	}
	return nil
}

func (s subscriber) state(why string) *sdk.Error {
	failure := sdk.Errorf(sdk.AccountStatus, "is %s: %s", s.SubscriberState, why)
	failure.AccountStatus = s.status()
	return failure
}

func (s subscriber) account() sdk.Account {
	name := strings.TrimSpace(string(s.Person.GivenName + " " + s.Person.FamilyName))
	mail := s.Person.EmailAddress
	return sdk.Account{Account: mail, ID: string(s.Id), Login: mail, Name: name, Mail: mail, Status: s.status()}
}

// attributes picks fields of the subscriber or of its Person by their names.
func (s subscriber) attributes(names []string) map[string]string {
	person, _ := s.fields["Person"].(map[string]any)
	picked := make(map[string]string, len(names))
	for _, name := range names {
		value, ok := person[name]
		if !ok {
			value = s.fields[name]
		}
		picked[name] = text(value)
	}
	return picked
}

func text(v any) string {
	switch v := v.(type) {
	case nil:
		return ""
	case []any:
		parts := make([]string, len(v))
		for index, part := range v {
			parts[index] = text(part)
		}
		return strings.Join(parts, ",")
	case float64:
		return strconv.FormatFloat(v, 'f', -1, 64)
	case map[string]any:
		return ""
	}
	return fmt.Sprint(v)
}

func byMail(account string) rest.Request {
	values := url.Values{"_namedQuery": {"getSubscriberByEmailAddress"}, "emailAddress": {account}}
	return rest.Request{Method: http.MethodGet, Path: resource, Query: values, ReadOnly: true}
}

func (i directory) subscriber(ctx context.Context, account string) (subscriber, *rest.Failure) {
	list, failure := i.list(ctx, byMail(account))
	if failure != nil {
		return subscriber{}, failure
	}
	return only(list, account)
}

// only returns the one of the list with the address that is not deleted, or
// else a deleted one.
func only(list []subscriber, account string) (subscriber, *rest.Failure) {
	var alive, dead []subscriber
	for _, subscriber := range list {
		switch {
		case !strings.EqualFold(subscriber.Person.EmailAddress, account):
		case subscriber.status() == sdk.StatusDeleted:
			dead = append(dead, subscriber)
		default:
			alive = append(alive, subscriber)
		}
	}
	switch {
	case len(alive) == 1:
		return alive[0], nil
	case len(alive) > 1:
		return subscriber{}, rest.Refusal(sdk.Errorf(sdk.Ambiguous, "%d subscribers have this e-mail address", len(alive)))
	case len(dead) > 0:
		return dead[0], nil
	}
	return subscriber{}, rest.Refusal(sdk.Errorf(sdk.AccountNotFound, "no subscriber has this e-mail address"))
}

// list sends a query and returns its subscribers; an empty list or 404 has none.
func (i directory) list(ctx context.Context, request rest.Request) ([]subscriber, *rest.Failure) {
	answer, failure := i.do(ctx, "subscriber", request)
	if failure != nil && failure.Err.Code == sdk.AccountNotFound {
		return nil, nil
	}
	if failure != nil {
		return nil, failure
	}
	return subscribers(answer)
}

// subscribers reads the answer to a query.
func subscribers(answer rest.Answer) ([]subscriber, *rest.Failure) {
	var body struct{ List *[]subscriber }
	err := answer.JSON(&body)
	if err == nil && body.List == nil {
		err = sdk.Errorf(sdk.TargetError, "the answer has no List")
	}
	if err != nil {
		return nil, rest.Refusal(sdk.AsError(err, sdk.TargetError))
	}
	return *body.List, nil
}
