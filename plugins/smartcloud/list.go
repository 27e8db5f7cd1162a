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
	q, state, err := parseFilter(filter)
	if err != nil {
		return err
	}
	seen := map[string]bool{}
	for page := 1; ; page++ {
		list, f := i.page(ctx, q, page)
		if f != nil {
			return f.AsError()
		}
		if len(list) == 0 {
			return nil // a short page may not be the last one: the server may have a limit of its own
		}
		fresh := 0
		for _, s := range list {
			if seen[string(s.Id)] {
				continue
			}
			seen[string(s.Id)] = true
			fresh++
			if state != "" && string(s.SubscriberState) != state {
				continue
			}
			a := s.account()
			a.Attributes = s.attributes(attributes)
			if err := yield(a); err != nil {
				return err
			}
		}
		if fresh == 0 {
			return sdk.Errorf(sdk.TargetError, "page %d of the subscribers repeats earlier ones: the list cannot be trusted to be whole", page)
		}
	}
}

func (i *Instance) page(ctx context.Context, q url.Values, page int) (list []subscriber, f *rest.Failure) {
	q.Set("_pageNumber", strconv.Itoa(page))
	q.Set("_pageSize", strconv.Itoa(pageSize))
	f = i.session.Do(ctx, func(secret.Value) (f *rest.Failure) {
		list, f = i.list(ctx, rest.Request{Method: http.MethodGet, Path: resource, Query: q, ReadOnly: true})
		return f
	})
	return list, f
}

func parseFilter(filter string) (q url.Values, state string, err error) {
	given, err := url.ParseQuery(filter)
	if err != nil {
		return nil, "", sdk.Errorf(sdk.InvalidOperation, "filter %q: is not a query such as customer=ID&SubscriberState=ACTIVE", filter)
	}
	q = url.Values{}
	for name := range given {
		switch name {
		case "customer":
			q.Set("_namedQuery", "getSubscriberByCustomer")
		case "emailAddress":
			q.Set("_namedQuery", "getSubscriberByEmailAddress")
		case "SubscriberState":
			state = given.Get(name)
			continue
		default:
			return nil, "", sdk.Errorf(sdk.InvalidOperation, "filter %q: %q is none of customer, emailAddress, SubscriberState", filter, name)
		}
		q.Set(name, given.Get(name))
	}
	if q.Has("customer") && q.Has("emailAddress") {
		return nil, "", sdk.Errorf(sdk.InvalidOperation, "filter %q: customer and emailAddress are two different queries", filter)
	}
	return q, state, nil
}
