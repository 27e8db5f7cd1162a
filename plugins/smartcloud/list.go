package smartcloud

import (
	"net/url"

	"github.com/rekey-host/rekey/sdk"
)

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
