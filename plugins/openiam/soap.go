package openiam

import (
	"bytes"
	"context"
	"encoding/xml"
	"mime"
	"net/http"
	"strings"

	"github.com/rekey-host/rekey/sdk"
	"github.com/rekey-host/rekey/sdk/rest"
	"github.com/rekey-host/rekey/sdk/secret"
)

const (
	envelopeNamespace = "http://schemas.xmlsoap.org/soap/envelope/"
	securityNamespace = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-secext-1.0.xsd"
	passwordText      = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-username-token-profile-1.0#PasswordText"
)

// service is one port: where it is and the namespace of its operations.
type service struct {
	client    *rest.Client
	path      string
	namespace string
}

// field is an element without a namespace that holds text.
type field struct{ name, value string }

// message is one request.
type message struct {
	operation string
	inside    string  // the element that the fields are in; "": the operation itself
	fields    []field // in the schema's order
	secrets   []secret.Value
	readOnly  bool
}

// token is a WS-Security UsernameToken; the zero value is none.
type token struct {
	user     string
	password secret.Value
}

// call sends the message and returns the element "return" of the answer, nil
// if the answer has none.
func (i *Instance) call(ctx context.Context, s service, m message) (*node, *rest.Failure) {
	answer, f := s.client.Do(ctx, rest.Request{Method: http.MethodPost, Path: s.path, Body: i.envelope(s.namespace, m),
		ContentType: "text/xml; charset=UTF-8", Header: http.Header{"Soapaction": {`""`}, "Accept": {"text/xml"}},
		Secrets: m.secrets, ReadOnly: m.readOnly})
	if f != nil {
		i.advise(f)
		return nil, f
	}
	ret, f := read(answer, m)
	if f != nil {
		i.advise(f)
		f.Err.Message, f.Err.Native = s.client.Scrub(ctx, f.Err.Message, m.secrets...), s.client.Scrub(ctx, f.Err.Native, m.secrets...)
	}
	return ret, f
}

func (i *Instance) advise(f *rest.Failure) {
	if i.basic {
		f.Err.Message = strings.TrimSuffix(f.Err.Message, basicHint)
	}
}

// read finds the element "return" in a 2xx answer, or the fault that some
// servers send as one.
func read(answer rest.Answer, m message) (*node, *rest.Failure) {
	body, err := open(answer)
	if fault := body.child("Fault"); fault != nil {
		f := &rest.Failure{Err: &sdk.Error{}}
		fault.explain(f)
		if m.readOnly {
			f.Outcome = sdk.Refused
		}
		return nil, f
	}
	if err == nil && body.child(m.operation+"Response") == nil {
		err = errXML("answers something else")
	}
	if err != nil {
		return nil, &rest.Failure{Outcome: outcome(m.readOnly), Err: sdk.Errorf(sdk.TargetError, "the answer %v", err)}
	}
	return body.child(m.operation+"Response", "return"), nil
}

// outcome is what it means that an answer cannot be understood.
func outcome(readOnly bool) sdk.Outcome {
	if readOnly {
		return sdk.Refused
	}
	return sdk.Unknown
}

// envelope writes the request. The values are the only parts that vary, and
// all of them are escaped.
func (i *Instance) envelope(namespace string, m message) []byte {
	var b bytes.Buffer
	b.WriteString(`<?xml version="1.0" encoding="UTF-8"?><soap:Envelope xmlns:soap="` + envelopeNamespace + `">`)
	if i.token.user != "" {
		i.token.write(&b)
	}
	b.WriteString(`<soap:Body><p:` + m.operation + ` xmlns:p="`)
	escape(&b, namespace)
	b.WriteString(`">`)
	if m.inside != "" {
		b.WriteString("<" + m.inside + ">")
	}
	for _, f := range m.fields {
		element(&b, f.name, f.value)
	}
	if m.inside != "" {
		b.WriteString("</" + m.inside + ">")
	}
	b.WriteString(`</p:` + m.operation + `></soap:Body></soap:Envelope>`)
	return b.Bytes()
}

func (t token) write(b *bytes.Buffer) {
	b.WriteString(`<soap:Header><wsse:Security soap:mustUnderstand="1" xmlns:wsse="` + securityNamespace + `"><wsse:UsernameToken>`)
	element(b, "wsse:Username", t.user)
	b.WriteString(`<wsse:Password Type="` + passwordText + `">`)
	escape(b, t.password.Reveal())
	b.WriteString(`</wsse:Password></wsse:UsernameToken></wsse:Security></soap:Header>`)
}

func element(b *bytes.Buffer, name, value string) {
	b.WriteString("<" + name + ">")
	escape(b, value)
	b.WriteString("</" + name + ">")
}

func escape(b *bytes.Buffer, s string) { _ = xml.EscapeText(b, []byte(s)) }

// open returns the body of an answer's envelope.
func open(a rest.Answer) (*node, error) {
	if _, p, err := mime.ParseMediaType(a.Header.Get("Content-Type")); err == nil {
		if set := p["charset"]; set != "" && !strings.EqualFold(set, "utf-8") {
			return nil, errXML("is not UTF-8")
		}
	}
	root, err := parseXML(a.Body)
	if err != nil {
		return nil, err
	}
	body := root.child("Body")
	if root.space != envelopeNamespace || root.name != "Envelope" || body == nil {
		return nil, errXML("is not a SOAP 1.1 envelope")
	}
	return body, nil
}

// explain reads what a status other than 2xx came with.
func explain(f *rest.Failure) {
	switch f.Answer.Status {
	case http.StatusNotFound, http.StatusGone:
		f.Err.Code, f.Err.Message = sdk.InvalidConfig, "there is no such service; check the url"
	case http.StatusUnauthorized:
		f.Err.Code, f.Err.Message = sdk.InvalidConfig, "the server wants a login of its own, or another one; check user and password"
	}
	if f.Answer.Form() != "XML" {
		return
	}
	body, err := open(f.Answer)
	if fault := body.child("Fault"); err == nil && fault != nil {
		fault.explain(f)
	}
}

// basicHint is no advice where it is followed already.
const basicHint = `; a server with an older schema needs fields = "basic"`

// explain turns a fault into what it says of the operation. One whose code is
// Client was refused before the operation began; after any other the effect is
// possible.
func (n *node) explain(f *rest.Failure) {
	code, reason := n.value("faultcode"), n.value("faultstring")
	_, local, ok := strings.Cut(code, ":")
	if !ok {
		local = code
	}
	f.Outcome = sdk.Unknown
	f.Err.Code, f.Err.Native, f.Err.Message = sdk.TargetError, "Fault "+code, "fault: "+reason
	switch local {
	case "FailedAuthentication", "InvalidSecurity", "InvalidSecurityToken", "SecurityError", "FailedCheck", "UnsupportedSecurityToken", "SecurityTokenUnavailable":
		f.Outcome, f.Err.Code = sdk.Refused, sdk.InvalidConfig
		f.Err.Message += "; check user and password"
	case "MustUnderstand":
		f.Outcome, f.Err.Code = sdk.Refused, sdk.InvalidConfig
		f.Err.Message += "; the server takes no UsernameToken: leave out user and password"
	case "Client", "VersionMismatch":
		f.Outcome, f.Err.Code = sdk.Refused, sdk.InvalidOperation
		if noOperation(reason) {
			f.Err.Code = sdk.InvalidConfig
			f.Err.Message += "; check namespace and url"
		}
		if strings.Contains(reason, "Unmarshalling") {
			f.Err.Message += basicHint
		}
	}
}

// noOperation reports whether a fault's text is how a stack says that it has no
// such operation: CXF, the reference implementation of JAX-WS, Axis.
func noOperation(reason string) bool {
	for _, words := range []string{"was not recognized", "Cannot find dispatch method", "Operation not found", "No such operation"} {
		if strings.Contains(reason, words) {
			return true
		}
	}
	return false
}

// unrecognised reports whether a service was there and knew no such operation.
func unrecognised(f *rest.Failure) bool {
	return strings.HasPrefix(f.Err.Native, "Fault") && noOperation(f.Err.Message)
}

// absent reports whether a service, or an operation of it, is not there.
func absent(f *rest.Failure) bool {
	return f.Answer.Status == http.StatusNotFound || f.Answer.Status == http.StatusGone || unrecognised(f)
}
