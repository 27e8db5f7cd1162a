package openiamtest

import (
	"fmt"
	"slices"
	"strings"
)

// wsdl describes the services, so that clients can be made from it.
type wsdl struct{ *Server }

// parameter is one element of a message or of a type.
type parameter struct{ name, kind string }

// port describes one service, so that a client can be made from its address:
// the types that it uses and, by operation, what goes in and which type the
// element "return" has. Names of types without a prefix are of the service's
// own namespace.
type port struct {
	name, service string
	types         []string // XML of complex types
	operations    []signature
}

type signature struct {
	name    string
	in      []parameter
	returns string
}

const userNamespace = "urn:idm.openiam.org/srvc/user/dto"

func sequence(list ...parameter) string {
	var out strings.Builder
	out.WriteString("<xs:sequence>")
	for _, parameter := range list {
		bounds := ` minOccurs="0"`
		if before, many := strings.CutSuffix(parameter.kind, "*"); many {
			parameter.kind, bounds = before, bounds+` maxOccurs="unbounded"`
		}
		fmt.Fprintf(&out, `<xs:element%s name="%s" type="%s"/>`, bounds, parameter.name, typeName(parameter.kind))
	}
	out.WriteString("</xs:sequence>")
	return out.String()
}

func typeName(kind string) string {
	if strings.Contains(kind, ":") {
		return kind
	}
	return "tns:" + kind
}

func texts(names ...string) []parameter {
	list := make([]parameter, len(names))
	for i, name := range names {
		list[i] = parameter{name, "xs:string"}
	}
	return list
}

func complexType(name string, list ...parameter) string {
	return `<xs:complexType name="` + name + `">` + sequence(list...) + `</xs:complexType>`
}

// extension is a type that adds to Response.
func extension(name string, list ...parameter) string {
	return `<xs:complexType name="` + name + `"><xs:complexContent><xs:extension base="tns:Response">` + sequence(list...) +
		`</xs:extension></xs:complexContent></xs:complexType>`
}

// response is the base of most answers: status is an attribute.
func response() string {
	return `<xs:simpleType name="ResponseStatus"><xs:restriction base="xs:string"><xs:enumeration value="success"/><xs:enumeration value="failure"/></xs:restriction></xs:simpleType>` +
		`<xs:complexType name="Response">` + sequence(parameter{"errorCode", "xs:string"}, parameter{"responseValue", "xs:anyType"}, parameter{"errorText", "xs:string"}) +
		`<xs:attribute name="status" type="tns:ResponseStatus" use="required"/></xs:complexType>`
}

// port returns the description of the service of that namespace.
func (s wsdl) port(namespace string) port {
	switch namespace {
	case s.o.Namespace:
		return s.provisionPort()
	case PasswordNamespace:
		return passwordPort()
	case LoginNamespace:
		return loginPort()
	}
	return authPort()
}

func (s wsdl) provisionPort() port {
	fields := make([]parameter, 0, 15)
	for _, name := range provision(s).sequence() {
		switch name {
		case "selected", "validateRequest", "passThruAttributes":
			fields = append(fields, parameter{name, "xs:boolean"})
		case "attributeList":
			fields = append(fields, parameter{name, "xs:anyType*"})
		default:
			fields = append(fields, parameter{name, "xs:string"})
		}
	}
	sync := []parameter{{"passwordSync", "PasswordSync"}}
	return port{name: "ProvisionControllerService", service: "ProvisioningService",
		types:      []string{response(), complexType("PasswordSync", fields...), extension("PasswordResponse", texts("password")...)},
		operations: []signature{{"resetPassword", sync, "PasswordResponse"}, {"setPassword", sync, "Response"}}}
}

func key() []parameter { return texts("domainId", "principal", "managedSysId") }

func loginPort() port {
	return port{name: "LoginDataWebService", service: "LoginDataWebService",
		types: []string{response(),
			complexType("LoginId", texts("domainId", "login", "managedSysId")...),
			complexType("Login", slices.Concat([]parameter{{"id", "LoginId"}}, texts("userId", "password", "pwdChanged", "pwdExp", "firstTimeLogin", "resetPassword", "isLocked", "gracePeriod"),
				[]parameter{{"authFailCount", "xs:int"}, {"selected", "xs:boolean"}, {"passwordChangeCount", "xs:int"}})...),
			extension("LoginResponse", parameter{"principal", "Login"}), extension("UserResponse", parameter{"user", "u:User"})},
		operations: []signature{
			{"bulkResetPasswordChangeCount", nil, "Response"}, {"getLoginByManagedSys", key(), "LoginResponse"}, {"getUserByLogin", key(), "UserResponse"},
			{"isPasswordEq", append(key(), texts("newPassword")...), "Response"}, {"loginExists", key(), "Response"}, {"unLockLogin", key(), "Response"}}}
}

func passwordPort() port {
	return port{name: "PasswordWebService", service: "PasswordWebService",
		types: []string{response(),
			complexType("Password", texts("domainId", "principal", "password", "managedSysId", "requestBy", "srcApplicationId")...),
			complexType("PolicyAttribute", texts("policyId", "name", "value1", "value2")...),
			complexType("Policy", append(texts("policyId", "policyDefId", "name", "status"), parameter{"policyAttributes", "PolicyAttribute*"})...),
			extension("PolicyResponse", parameter{"policy", "Policy"}),
			`<xs:complexType name="BooleanResponse"><xs:attribute name="value" type="xs:boolean"/></xs:complexType>`},
		operations: []signature{
			{"daysToPasswordExpiration", key(), "Response"}, {"getPasswordPolicy", key(), "PolicyResponse"}, {"isPasswordChangeAllowed", key(), "BooleanResponse"},
			{"isPasswordValid", []parameter{{"pswd", "Password"}}, "Response"}, {"passwordChangeCount", key(), "Response"}}}
}

func authPort() port {
	subject := slices.Concat([]parameter{{"readOnly", "xs:boolean"}, {"expirationTime", "xs:long"}, {"resultCode", "xs:int"}, {"daysToPwdExp", "xs:int"}}, texts("domainId", "userId", "principal"))
	return port{name: "AuthenticationService", service: "AuthenticationService",
		types: []string{response(), complexType("Subject", subject...),
			extension("AuthenticationResponse", parameter{"subject", "Subject"}, parameter{"authErrorCode", "xs:int"}, parameter{"authErrorMessage", "xs:string"})},
		operations: []signature{{"passwordAuth", texts("domainId", "principal", "password"), "AuthenticationResponse"}}}
}

// wsdl writes the description: document/literal wrapped, as CXF and JAX-WS do.
func (s wsdl) wsdl(namespace, address string) string {
	port := s.port(namespace)
	var out strings.Builder
	fmt.Fprintf(&out, `<?xml version="1.0" encoding="UTF-8"?>
<wsdl:definitions xmlns:wsdl="http://schemas.xmlsoap.org/wsdl/" xmlns:soap="http://schemas.xmlsoap.org/wsdl/soap/" xmlns:xs="http://www.w3.org/2001/XMLSchema" xmlns:u="%s" xmlns:tns="%s" name="%s" targetNamespace="%[2]s">
<wsdl:types>
`, userNamespace, escape(namespace), port.service)
	port.schemas(&out, escape(namespace))
	out.WriteString("</wsdl:types>\n")
	port.messages(&out)
	port.bound(&out, escape(address))
	out.WriteString("</wsdl:definitions>\n")
	return out.String()
}

// schemas writes the types: those of a user are another schema's, qualified.
func (p port) schemas(out *strings.Builder, namespace string) {
	fmt.Fprintf(out, `<xs:schema elementFormDefault="qualified" targetNamespace="%s">%s</xs:schema>`+"\n", userNamespace,
		complexType("User", texts("firstName", "lastName", "status", "secondaryStatus", "userId", "email")...))
	fmt.Fprintf(out, `<xs:schema elementFormDefault="unqualified" targetNamespace="%s"><xs:import namespace="%s"/>`+"\n", namespace, userNamespace)
	for _, text := range p.types {
		out.WriteString(text + "\n")
	}
	for _, signature := range p.operations {
		fmt.Fprintf(out, `<xs:element name="%s"><xs:complexType>%s</xs:complexType></xs:element>`+"\n", signature.name, sequence(signature.in...))
		fmt.Fprintf(out, `<xs:element name="%sResponse"><xs:complexType>%s</xs:complexType></xs:element>`+"\n", signature.name, sequence(parameter{"return", signature.returns}))
	}
	out.WriteString("</xs:schema>\n")
}

func (p port) messages(out *strings.Builder) {
	for _, signature := range p.operations {
		for _, name := range []string{signature.name, signature.name + "Response"} {
			fmt.Fprintf(out, `<wsdl:message name="%[1]s"><wsdl:part name="parameters" element="tns:%[1]s"/></wsdl:message>`+"\n", name)
		}
	}
}

// bound writes port type, binding and service.
func (p port) bound(out *strings.Builder, address string) {
	fmt.Fprintf(out, `<wsdl:portType name="%s">`+"\n", p.name)
	for _, signature := range p.operations {
		fmt.Fprintf(out, `<wsdl:operation name="%[1]s"><wsdl:input message="tns:%[1]s"/><wsdl:output message="tns:%[1]sResponse"/></wsdl:operation>`+"\n", signature.name)
	}
	fmt.Fprintf(out, `</wsdl:portType>
<wsdl:binding name="%[1]sSoapBinding" type="tns:%[1]s"><soap:binding style="document" transport="http://schemas.xmlsoap.org/soap/http"/>
`, p.name)
	for _, signature := range p.operations {
		fmt.Fprintf(out, `<wsdl:operation name="%s"><soap:operation soapAction="" style="document"/><wsdl:input><soap:body use="literal"/></wsdl:input><wsdl:output><soap:body use="literal"/></wsdl:output></wsdl:operation>`+"\n", signature.name)
	}
	fmt.Fprintf(out, `</wsdl:binding>
<wsdl:service name="%[2]s"><wsdl:port name="%[1]sPort" binding="tns:%[1]sSoapBinding"><soap:address location="%[3]s"/></wsdl:port></wsdl:service>
`, p.name, p.service, address)
}
