package openiam

import (
	"context"
	"fmt"
	"net/http"
	"strings"

	"github.com/rekey-host/rekey/sdk"
	"github.com/rekey-host/rekey/sdk/rest"
)

// diagnosis finds what is wrong with an instance that is asked to check.
type diagnosis struct{ *Instance }

// described reads the WSDL and compares it with the settings. A server that
// does not publish it may still be right.
func (i diagnosis) described(ctx context.Context) []sdk.Finding {
	// ?wsdl= is another address to some stacks, and not there.
	answer, failure := i.provision.client.Do(ctx, rest.Request{Method: http.MethodGet, RawQuery: "wsdl",
		Header: http.Header{"Accept": {"text/xml"}}, ReadOnly: true})
	if failure != nil && (failure.Answer.Status == 0 || failure.Err.Code == sdk.TargetUnavailable) {
		return bad(failure, "check url, and that OpenIAM runs")
	}
	if failure != nil {
		return i.undescribed(ctx, fmt.Sprintf("the server publishes no service description: HTTP %d to ?wsdl", failure.Answer.Status))
	}
	root, err := parseXML(answer.Body)
	if err != nil || root.name != "definitions" {
		return i.undescribed(ctx, "the url answers ?wsdl with something else than a service description")
	}
	return i.differs(root)
}

// undescribed asks for an operation that no service has. A service refuses it
// with a fault and does nothing; without the service, nothing else will
// work.
func (i diagnosis) undescribed(ctx context.Context, why string) []sdk.Finding {
	_, failure := soap(i).call(ctx, i.provision, message{operation: "rekeyCheck", readOnly: true})
	switch {
	case failure == nil, strings.HasPrefix(failure.Err.Native, "Fault") && failure.Err.Code != sdk.InvalidConfig, unrecognised(failure):
		return []sdk.Finding{{Severity: sdk.Warning, Message: why + "; the service is there", Fix: "compare namespace and fields with it before a long run"}}
	}
	if strings.Contains(failure.Err.Message, "; check ") { // it says what already
		return bad(failure, why)
	}
	return bad(failure, "check url, user and password: "+why)
}

func bad(failure *rest.Failure, fix string) []sdk.Finding {
	return []sdk.Finding{{Severity: sdk.Bad, Code: failure.Err.Code, Message: failure.Err.Message, Fix: fix}}
}

func (i diagnosis) differs(root *node) []sdk.Finding {
	var found []sdk.Finding
	if ns := root.attribute("targetNamespace"); ns != "" && ns != i.provision.namespace && operations(root)["setPassword"] {
		found = append(found, sdk.Finding{Severity: sdk.Bad, Code: sdk.InvalidConfig,
			Message: fmt.Sprintf("the server's namespace is %q, the setting is %q", ns, i.provision.namespace),
			Fix:     fmt.Sprintf("namespace = %q", ns)})
	}
	if sent := fieldsOf(root); len(sent) > 0 && !sent["passThruAttributes"] && !i.basic {
		found = append(found, sdk.Finding{Severity: sdk.Bad, Code: sdk.InvalidConfig,
			Message: "the server's PasswordSync has no passThruAttributes: it is of an older release", Fix: `fields = "basic"`})
	}
	return found
}

// operations are those of the description's port types.
func operations(root *node) map[string]bool {
	names := map[string]bool{}
	for _, port := range root.children {
		if port.name != "portType" {
			continue
		}
		for _, op := range port.children {
			names[op.attribute("name")] = true
		}
	}
	return names
}

// fieldsOf are the elements of PasswordSync; empty if the schema is elsewhere.
func fieldsOf(root *node) map[string]bool {
	names := map[string]bool{}
	types := root.child("types")
	if types == nil {
		return names
	}
	for _, schema := range types.children {
		for _, node := range schema.children {
			if node.attribute("name") == "PasswordSync" {
				node.elements(names)
			}
		}
	}
	return names
}

// without says what cannot be done where LoginDataWebService does not answer.
func (i diagnosis) without(failure *rest.Failure) []sdk.Finding {
	if failure.Err.Code == sdk.InvalidConfig && !absent(failure) {
		return bad(failure, "check user, password and url")
	}
	why := failure.Err.Message
	if failure.Answer.Status == http.StatusNotFound || failure.Answer.Status == http.StatusGone {
		why = fmt.Sprintf("it is not there (HTTP %d)", failure.Answer.Status)
	}
	if i.lookup {
		return []sdk.Finding{{Severity: sdk.Bad, Code: sdk.InvalidConfig,
			Message: "LoginDataWebService does not answer: " + why + "; the script looks identities up there",
			Fix:     "name the place of the services with services, or leave the look-up out: lookup=false of openiam_sync.star, lookup = \"optional\" of a backend"}}
	}
	return []sdk.Finding{{Severity: sdk.Warning, Code: failure.Err.Code,
		Message: "LoginDataWebService does not answer: " + why + "; find and verify will not work, and a set whose answer is lost stays unknown",
		Fix:     "name the place of the services with services, or verify = \"none\""}}
}

// policyKnown says whether values can be made to fit.
func (i diagnosis) policyKnown(ctx context.Context) []sdk.Finding {
	if i.policyPrincipal == "" {
		return []sdk.Finding{{Severity: sdk.Info,
			Message: "the password policy is not known beforehand; OpenIAM is shipped with 8 to 12 characters",
			Fix:     "policy_principal = an account whose policy stands for all, or policy(length = 12)"}}
	}
	target, err := i.target(i.policyPrincipal)
	if err != nil {
		return []sdk.Finding{{Severity: sdk.Bad, Code: sdk.InvalidConfig, Message: "policy_principal: " + err.Message}}
	}
	if _, failure := i.rules(ctx, target); failure != nil {
		fix := "name an account that exists"
		if absent(failure) {
			fix = "PasswordWebService is not there: name the place of the services with services, or leave policy_principal out"
		}
		return []sdk.Finding{{Severity: sdk.Bad, Code: sdk.InvalidConfig, Message: "policy_principal: " + failure.Err.Message, Fix: fix}}
	}
	answer, failed := soap(i).call(ctx, i.passwords, message{operation: "isPasswordChangeAllowed", fields: target.fields(), readOnly: true})
	if failed == nil && answer.attribute("value") == "false" {
		return []sdk.Finding{{Severity: sdk.Warning, Code: sdk.ChangeNotAllowed,
			Message: "the policy of policy_principal allows no change; setPassword will be refused",
			Fix:     "set with must_change = True, or change PASSWORD_CHANGE_ALLOWED"}}
	}
	return nil
}
