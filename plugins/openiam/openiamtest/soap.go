package openiamtest

import (
	"bytes"
	"cmp"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
)

// soap reads the calls of SOAP, hands them to their operation and writes the answer.
type soap struct{ *Server }

const (
	envelopeNamespace = "http://schemas.xmlsoap.org/soap/envelope/"
	securityNamespace = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-secext-1.0.xsd"
	envelopeStart     = `<soap:Envelope xmlns:soap="` + envelopeNamespace + `"><soap:Body>`
	envelopeEnd       = `</soap:Body></soap:Envelope>`
	largestRequest    = 1 << 20
)

// element is one parsed element.
type element struct {
	name     xml.Name
	attrs    []xml.Attr
	text     string
	children []*element
}

func (e *element) child(space, local string) *element {
	if e == nil {
		return nil
	}
	for _, element := range e.children {
		if element.name.Space == space && element.name.Local == local {
			return element
		}
	}
	return nil
}

// all returns the children; a missing element has an empty list.
func (e *element) all() []*element {
	if e == nil {
		return nil
	}
	return e.children
}

// value returns the text of an unqualified child and whether it is there.
func (e *element) value(local string) (string, bool) {
	element := e.child("", local)
	if element == nil {
		return "", false
	}
	return element.text, true
}

// text of an unqualified child, "" if it is missing.
func (e *element) get(local string) string { value, _ := e.value(local); return value }

// parse reads a document; a DTD is refused.
func parse(body []byte) (*element, error) {
	decoder := xml.NewDecoder(bytes.NewReader(body))
	root := &element{}
	stack := []*element{root}
	for {
		t, err := decoder.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, err
		}
		top := stack[len(stack)-1]
		switch t := t.(type) {
		case xml.Directive:
			return nil, errors.New("document type declarations are not allowed")
		case xml.StartElement:
			made := &element{name: t.Name, attrs: t.Attr}
			top.children = append(top.children, made)
			stack = append(stack, made)
		case xml.EndElement:
			stack = stack[:len(stack)-1]
		case xml.CharData:
			top.text += string(t)
		}
	}
	if len(root.children) != 1 {
		return nil, errors.New("no document element")
	}
	return root.children[0], nil
}

// call is one request to an operation.
type call struct {
	operation string
	namespace string
	body      *element // the operation's element
}

// key reads the three parts that the companion services name an identity by.
func (c call) key() Key {
	return Key{c.body.get("domainId"), c.body.get("principal"), c.body.get("managedSysId")}
}

// reply is the inner XML of an answer, or a fault.
type reply struct {
	xml   string
	fault *fault
}

type fault struct{ code, text string }

func serverFault(format string, args ...any) reply {
	return reply{fault: &fault{"soap:Server", fmt.Sprintf(format, args...)}}
}

func clientFault(format string, args ...any) reply {
	return reply{fault: &fault{"soap:Client", fmt.Sprintf(format, args...)}}
}

// nullPointer is how the source fails where it does not check for null.
func nullPointer() reply { return serverFault("java.lang.NullPointerException") }

type operation func(c call) reply

// service serves the operations of one port.
func (s soap) service(namespace string, ops map[string]operation) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet {
			s.describe(w, r, namespace)
			return
		}
		call, answer := s.receive(r, namespace)
		if answer.fault != nil {
			write(w, call, answer)
			return
		}
		s.serve(w, call, ops)
	})
}

// describe answers ?wsdl, in any case. ?wsdl= is another address.
func (s soap) describe(w http.ResponseWriter, r *http.Request, namespace string) {
	if !strings.EqualFold(r.URL.RawQuery, "wsdl") || s.o.NoWSDL {
		http.NotFound(w, r)
		return
	}
	w.Header().Set("Content-Type", "text/xml;charset=UTF-8")
	_, _ = io.WriteString(w, wsdl(s).wsdl(namespace, "http://"+r.Host+r.URL.Path))
}

func (s soap) serve(w http.ResponseWriter, call call, ops map[string]operation) {
	op := ops[call.operation]
	if op == nil || call.body.name.Space != call.namespace {
		write(w, call, clientFault("Message part {%s}%s was not recognized.  (Does it exist in service WSDL?)", call.body.name.Space, call.operation))
		return
	}
	s.count(call.operation)
	write(w, call, op(call))
}

func (s soap) count(operation string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls[operation]++
}

// receive reads a request up to the operation's element.
func (s soap) receive(r *http.Request, namespace string) (call, reply) {
	made := call{namespace: namespace, body: &element{}}
	if r.Method != http.MethodPost {
		return made, clientFault("Method %s is not supported", r.Method)
	}
	if kind := r.Header.Get("Content-Type"); !strings.HasPrefix(strings.ToLower(kind), "text/xml") {
		return made, clientFault("Cannot create message for content type %q", kind)
	}
	if _, ok := r.Header["Soapaction"]; !ok && s.o.Strict {
		return made, clientFault("The SOAPAction header is missing")
	}
	body, err := io.ReadAll(io.LimitReader(r.Body, largestRequest))
	if err != nil {
		return made, clientFault("Couldn't read the message")
	}
	root, err := parse(body)
	if err != nil {
		return made, clientFault("Error reading XMLStreamReader: %v", err)
	}
	return s.open(made, root)
}

func (s soap) open(call call, root *element) (call, reply) {
	if root.name != (xml.Name{Space: envelopeNamespace, Local: "Envelope"}) {
		return call, clientFault("%q is not a SOAP 1.1 envelope", root.name.Local)
	}
	if refused := s.authenticate(root.child(envelopeNamespace, "Header")); refused.fault != nil {
		return call, refused
	}
	body := root.child(envelopeNamespace, "Body")
	if body == nil || len(body.children) != 1 {
		return call, clientFault("The body does not hold one operation")
	}
	call.body = body.children[0]
	call.operation = call.body.name.Local
	return call, reply{}
}

// named tells a fault the operation and the principal of a request.
func named(_ *http.Request, body []byte) (operation, principal string) {
	root, err := parse(body)
	if err != nil {
		return "", ""
	}
	for _, element := range root.child(envelopeNamespace, "Body").all() {
		operation, principal = element.name.Local, element.get("principal")
		for _, inner := range element.children {
			principal = cmp.Or(inner.get("principal"), principal)
		}
	}
	return operation, principal
}

func (s soap) authenticate(header *element) reply {
	s.mu.Lock()
	name, secret := s.o.User, s.o.Password
	s.mu.Unlock()
	if name == "" {
		return reply{}
	}
	token := header.child(securityNamespace, "Security").child(securityNamespace, "UsernameToken")
	if token == nil {
		return reply{fault: &fault{"wsse:InvalidSecurity", "An error was discovered processing the <wsse:Security> header"}}
	}
	user, password := token.child(securityNamespace, "Username"), token.child(securityNamespace, "Password")
	if user == nil || password == nil || user.text != name || password.text != secret {
		return reply{fault: &fault{"wsse:FailedAuthentication", "The security token could not be authenticated or authorized"}}
	}
	return reply{}
}

// write sends an answer in its envelope.
func write(w http.ResponseWriter, call call, answer reply) {
	w.Header().Set("Content-Type", "text/xml;charset=UTF-8")
	if fault := answer.fault; fault != nil {
		w.WriteHeader(http.StatusInternalServerError)
		_, _ = fmt.Fprintf(w, `%s<soap:Fault xmlns:wsse="%s"><faultcode>%s</faultcode><faultstring>%s</faultstring></soap:Fault>%s`,
			envelopeStart, securityNamespace, fault.code, escape(fault.text), envelopeEnd)
		return
	}
	_, _ = fmt.Fprintf(w, `%s<ns2:%sResponse xmlns:ns2="%s">%s</ns2:%sResponse>%s`,
		envelopeStart, call.operation, escape(call.namespace), answer.xml, call.operation, envelopeEnd)
}

func escape(text string) string {
	var out strings.Builder
	_ = xml.EscapeText(&out, []byte(text))
	return out.String()
}

// tag returns an element with text, or nothing for no text.
func tag(name, text string) string {
	if text == "" {
		return ""
	}
	return "<" + name + ">" + escape(text) + "</" + name + ">"
}

// success returns a Response of status success with its content.
func success(inner string) reply {
	if inner == "" {
		return reply{xml: `<return status="success"/>`}
	}
	return reply{xml: `<return status="success">` + inner + `</return>`}
}

// failure returns a Response of status failure.
func failure(code string) reply {
	return reply{xml: `<return status="failure">` + tag("errorCode", code) + `</return>`}
}

// anyValue returns a responseValue of a schema type.
func anyValue(kind, value string) string {
	return `<responseValue xmlns:xs="http://www.w3.org/2001/XMLSchema" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:type="xs:` +
		kind + `">` + value + `</responseValue>`
}
