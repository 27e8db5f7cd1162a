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

// soap calls the operations of the services and reads what they answer.
type soap struct{ *Instance }

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

// token is a WS-Security UsernameToken; the zero value is absent.
type token struct {
	user     string
	password secret.Value
}

// call sends the message and returns the element "return" of the answer, nil
// without one.
func (i soap) call(ctx context.Context, service service, message message) (*node, *rest.Failure) {
	answer, failure := service.client.Do(ctx, rest.Request{Method: http.MethodPost, Path: service.path, Body: i.envelope(service.namespace, message),
		ContentType: "text/xml; charset=UTF-8", Header: http.Header{"Soapaction": {`""`}, "Accept": {"text/xml"}},
		Secrets: message.secrets, ReadOnly: message.readOnly})
	if failure != nil {
		i.advise(failure)
		return nil, failure
	}
	ret, failure := read(answer, message)
	if failure != nil {
		i.advise(failure)
		failure.Err.Message, failure.Err.Native = service.client.Scrub(ctx, failure.Err.Message, message.secrets...), service.client.Scrub(ctx, failure.Err.Native, message.secrets...)
	}
	return ret, failure
}

func (i soap) advise(failure *rest.Failure) {
	if i.basic {
		failure.Err.Message = strings.TrimSuffix(failure.Err.Message, basicHint)
	}
}

// read finds the element "return" in a 2xx answer, or the fault that some
// servers send as one.
func read(answer rest.Answer, message message) (*node, *rest.Failure) {
	body, err := open(answer)
	if fault := body.child("Fault"); fault != nil {
		failure := &rest.Failure{Err: &sdk.Error{}}
		fault.explain(failure)
		if message.readOnly {
			failure.Outcome = sdk.Refused
		}
		return nil, failure
	}
	if err == nil && body.child(message.operation+"Response") == nil {
		err = errXML("answers something else")
	}
	if err != nil {
		return nil, &rest.Failure{Outcome: outcome(message.readOnly), Err: sdk.Errorf(sdk.TargetError, "the answer %v", err)}
	}
	return body.child(message.operation+"Response", "return"), nil
}

// outcome is the meaning of an answer that cannot be understood.
func outcome(readOnly bool) sdk.Outcome {
	if readOnly {
		return sdk.Refused
	}
	return sdk.Unknown
}

// envelope writes the request. The values are the only parts that vary, and
// all of them are escaped.
func (i soap) envelope(namespace string, message message) []byte {
	var buffer bytes.Buffer
	buffer.WriteString(`<?xml version="1.0" encoding="UTF-8"?><soap:Envelope xmlns:soap="` + envelopeNamespace + `">`)
	if i.token.user != "" {
		i.token.write(&buffer)
	}
	buffer.WriteString(`<soap:Body><p:` + message.operation + ` xmlns:p="`)
	escape(&buffer, namespace)
	buffer.WriteString(`">`)
	if message.inside != "" {
		buffer.WriteString("<" + message.inside + ">")
	}
	for _, field := range message.fields {
		element(&buffer, field.name, field.value)
	}
	if message.inside != "" {
		buffer.WriteString("</" + message.inside + ">")
	}
	buffer.WriteString(`</p:` + message.operation + `></soap:Body></soap:Envelope>`)
	return buffer.Bytes()
}

func (t token) write(buffer *bytes.Buffer) {
	buffer.WriteString(`<soap:Header><wsse:Security soap:mustUnderstand="1" xmlns:wsse="` + securityNamespace + `"><wsse:UsernameToken>`)
	element(buffer, "wsse:Username", t.user)
	buffer.WriteString(`<wsse:Password Type="` + passwordText + `">`)
	escape(buffer, t.password.Reveal())
	buffer.WriteString(`</wsse:Password></wsse:UsernameToken></wsse:Security></soap:Header>`)
}

func element(buffer *bytes.Buffer, name, value string) {
	buffer.WriteString("<" + name + ">")
	escape(buffer, value)
	buffer.WriteString("</" + name + ">")
}

func escape(buffer *bytes.Buffer, text string) { _ = xml.EscapeText(buffer, []byte(text)) }

// open returns the body of an answer's envelope.
func open(answer rest.Answer) (*node, error) {
	if _, table, err := mime.ParseMediaType(answer.Header.Get("Content-Type")); err == nil {
		if set := table["charset"]; set != "" && !strings.EqualFold(set, "utf-8") {
			return nil, errXML("is not UTF-8")
		}
	}
	root, err := parseXML(answer.Body)
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
func explain(failure *rest.Failure) {
	switch failure.Answer.Status {
	case http.StatusNotFound, http.StatusGone:
		failure.Err.Code, failure.Err.Message = sdk.InvalidConfig, "there is no such service; check the url"
	case http.StatusUnauthorized:
		failure.Err.Code, failure.Err.Message = sdk.InvalidConfig, "the server wants a login of its own, or another one; check user and password"
	}
	if failure.Answer.Form() != "XML" {
		return
	}
	body, err := open(failure.Answer)
	if fault := body.child("Fault"); err == nil && fault != nil {
		fault.explain(failure)
	}
}

// basicHint is silent where it is followed already.
const basicHint = `; a server with an older schema needs fields = "basic"`

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
func unrecognised(failure *rest.Failure) bool {
	return strings.HasPrefix(failure.Err.Native, "Fault") && noOperation(failure.Err.Message)
}

// absent reports whether a service, or an operation of it, is not there.
func absent(failure *rest.Failure) bool {
	return failure.Answer.Status == http.StatusNotFound || failure.Answer.Status == http.StatusGone || unrecognised(failure)
}
