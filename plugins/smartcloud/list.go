package smartcloud

import (
	"context"
	"net/http"
	"net/url"
	"strconv"

	"github.com/rekey-host/rekey/sdk"
	"github.com/rekey-host/rekey/sdk/rest"
	"github.com/rekey-host/rekey/sdk/secret"
)

// List calls yield for the subscribers of a filter: the query parameters
// customer or emailAddress, and SubscriberState, which is looked at here. Any
// other is InvalidOperation. A subscriber that moves between two pages while
// they are read is yielded once.
func (i *Instance) List(ctx context.Context, filter string, attributes []string, yield func(sdk.Account) error) error {
	values, state, err := parseFilter(filter)
	if err != nil {
		return err
	}
	seen := map[string]bool{}
	for page := 1; ; page++ {
		list, failure := i.page(ctx, values, page)
		if failure != nil {
			return failure.AsError()
		}
		if len(list) == 0 {
			return nil // a short page may not be the last one: the server may have a limit of its own
		}
		fresh := 0
		for _, subscriber := range list {
			if seen[string(subscriber.Id)] {
				continue
			}
			seen[string(subscriber.Id)] = true
			fresh++
			if state != "" && string(subscriber.SubscriberState) != state {
				continue
			}
			account := subscriber.account()
			account.Attributes = subscriber.attributes(attributes)
			if err := yield(account); err != nil {
				return err
			}
		}
		if fresh == 0 {
			return sdk.Errorf(sdk.TargetError, "page %d of the subscribers repeats earlier ones: the list cannot be trusted to be whole", page)
		}
	}
}

func (i *Instance) page(ctx context.Context, values url.Values, page int) (list []subscriber, failure *rest.Failure) {
	values.Set("_pageNumber", strconv.Itoa(page))
	values.Set("_pageSize", strconv.Itoa(pageSize))
	failure = i.session.Do(ctx, func(secret.Value) (failed *rest.Failure) {
		list, failed = i.list(ctx, rest.Request{Method: http.MethodGet, Path: resource, Query: values, ReadOnly: true})
		return failed
	})
	return list, failure
}

func parseFilter(filter string) (values url.Values, state string, err error) {
	given, err := url.ParseQuery(filter)
	if err != nil {
		return nil, "", sdk.Errorf(sdk.InvalidOperation, "filter %q: is not a query such as customer=ID&SubscriberState=ACTIVE", filter)
	}
	values = url.Values{}
	for name := range given {
		switch name {
		case "customer":
			values.Set("_namedQuery", "getSubscriberByCustomer")
		case "emailAddress":
			values.Set("_namedQuery", "getSubscriberByEmailAddress")
		case "SubscriberState":
			state = given.Get(name)
			continue
		default:
			return nil, "", sdk.Errorf(sdk.InvalidOperation, "filter %q: %q is none of customer, emailAddress, SubscriberState", filter, name)
		}
		values.Set(name, given.Get(name))
	}
	if values.Has("customer") && values.Has("emailAddress") {
		return nil, "", sdk.Errorf(sdk.InvalidOperation, "filter %q: customer and emailAddress are two different queries", filter)
	}
	return values, state, nil
}
