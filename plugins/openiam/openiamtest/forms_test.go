package openiamtest_test

import (
	"encoding/xml"
	"io"
	"net/http"
	"os/exec"
	"strings"
	"testing"

	"github.com/rekey-host/rekey/plugins/openiam/openiamtest"
)

// form is one way in which clients write a request.
type form struct {
	name            string
	headers         map[string]string
	operation       string
	inside          string
	lenient, strict string // a part of the answer
	options         openiamtest.Options
}

const (
	taken   = `status="success"`
	schema  = "Unmarshalling Error"
	nothing = "principalNotFound"
)

// TestRequestFormsOfClients holds the simulator against the forms that clients
// of other people's making send: those that the server's own classes read, and
// with Strict those of the schema only.
func TestRequestFormsOfClients(t *testing.T) {
	soap := map[string]string{"Content-Type": "text/xml; charset=UTF-8", "Soapaction": `""`}
	set := value("New-pass-1")
	for _, f := range []form{
		{name: "the schema's", headers: soap, operation: "setPassword", inside: who + set + rest, lenient: taken, strict: taken},
		{name: "another order", headers: soap, operation: "setPassword", inside: rest + set + who, lenient: taken, strict: schema},
		{name: "no passThruAttributes", headers: soap, operation: "setPassword", inside: who + set + "<validateRequest>true</validateRequest>", lenient: taken, strict: schema},
		{name: "no validateRequest", headers: soap, operation: "setPassword", inside: who + set + "<passThruAttributes>true</passThruAttributes>", lenient: taken, strict: schema},
		{name: "1 for true", headers: soap, operation: "resetPassword", inside: who + set + "<validateRequest>1</validateRequest><passThruAttributes>0</passThruAttributes>", lenient: taken, strict: taken},
		{name: "True with a capital", headers: soap, operation: "resetPassword", inside: who + set + "<validateRequest>True</validateRequest><passThruAttributes>true</passThruAttributes>", lenient: taken, strict: schema},
		{name: "no SOAPAction", headers: map[string]string{"Content-Type": "text/xml"}, operation: "setPassword", inside: who + set + rest, lenient: taken, strict: "SOAPAction"},
		{name: "an unquoted SOAPAction", headers: map[string]string{"Content-Type": "text/xml;charset=utf-8", "Soapaction": ""}, operation: "setPassword", inside: who + set + rest, lenient: taken, strict: taken},
		{name: "the documentation's fields", headers: soap, operation: "resetPassword", inside: "<securityDomain>USR_SEC_DOMAIN</securityDomain><principal>jdoe</principal><validateRequest>true</validateRequest>", lenient: nothing, strict: schema},
		{name: "the documentation's fields, as documented", headers: soap, operation: "resetPassword", options: openiamtest.Options{}.Documented(),
			inside: "<securityDomain>USR_SEC_DOMAIN</securityDomain><principal>jdoe</principal><validateRequest>true</validateRequest>", lenient: "<password>", strict: schema},
		{name: "set as documented", headers: soap, operation: "setPassword", options: openiamtest.Options{}.Documented(),
			inside: "<securityDomain>USR_SEC_DOMAIN</securityDomain><principal>jdoe</principal>" + set, lenient: taken, strict: schema},
		{name: "a blank set as documented", headers: soap, operation: "setPassword", options: openiamtest.Options{}.Documented(),
			inside: "<securityDomain>USR_SEC_DOMAIN</securityDomain><principal>jdoe</principal>", lenient: taken, strict: schema},
		{name: "an element that nobody knows", headers: soap, operation: "setPassword", inside: who + set + "<userId>3001</userId>" + rest, lenient: schema, strict: schema},
		{name: "JSON", headers: map[string]string{"Content-Type": "application/json"}, operation: "setPassword", inside: who + set + rest, lenient: "content type", strict: "content type"},
	} {
		for _, strict := range []bool{false, true} {
			f.options.Strict = strict
			want := f.lenient
			if strict {
				want = f.strict
			}
			if got := f.send(t, begin(t, f.options)); !strings.Contains(got, want) {
				t.Errorf("%s, strict %t: %s; want %s", f.name, strict, got, want)
			}
		}
	}
}

func (f form) send(t *testing.T, s *openiamtest.Server) string {
	t.Helper()
	body := `<e:Envelope xmlns:e="http://schemas.xmlsoap.org/soap/envelope/" xmlns:p="` + openiamtest.ProvisionNamespace + `"><e:Body>` + provision(f.operation, f.inside) + `</e:Body></e:Envelope>`
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.URL(), strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for name, v := range f.headers {
		r.Header[name] = []string{v}
	}
	return text(t, r)
}

func text(t *testing.T, r *http.Request) string {
	t.Helper()
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = answer.Body.Close() }()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer.Status + " " + string(body)
}

func services() map[string][]string {
	return map[string][]string{
		"ProvisionControllerService": {"resetPassword", "setPassword"}, "ProvisioningService": {"resetPassword", "setPassword"},
		"PasswordWebService":  {"daysToPasswordExpiration", "getPasswordPolicy", "isPasswordChangeAllowed", "isPasswordValid", "passwordChangeCount"},
		"LoginDataWebService": {"bulkResetPasswordChangeCount", "getLoginByManagedSys", "getUserByLogin", "isPasswordEq", "loginExists", "unLockLogin"}, "AuthenticationService": {"passwordAuth"},
	}
}

// Every operation has its messages, its elements, its binding and its address.
func TestTheDescriptionIsWhole(t *testing.T) {
	s := begin(t, openiamtest.Options{})
	for service, operations := range services() {
		for _, query := range []string{"?wsdl", "?WSDL"} {
			r, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, s.Host()+openiamtest.Services+service+query, nil)
			got := text(t, r)
			if err := xml.Unmarshal([]byte(strings.TrimPrefix(got, "200 OK ")), new(struct{ XMLName xml.Name })); err != nil {
				t.Errorf("%s: %v", service, err)
			}
			for _, part := range []string{"<wsdl:binding ", "<wsdl:service ", `<soap:address location="` + s.Host() + openiamtest.Services + service + `"/>`} {
				if !strings.Contains(got, part) {
					t.Errorf("%s: no %s", service, part)
				}
			}
			for _, op := range operations {
				for _, part := range []string{`<xs:element name="` + op + `">`, `<xs:element name="` + op + `Response">`, `<wsdl:message name="` + op + `">`, `<wsdl:message name="` + op + `Response">`} {
					if strings.Count(got, part) != 1 {
						t.Errorf("%s has %d of %s", service, strings.Count(got, part), part)
					}
				}
				if n := strings.Count(got, `<wsdl:operation name="`+op+`">`); n != 2 {
					t.Errorf("%s: operation %s stands %d times, want port type and binding", service, op, n)
				}
			}
		}
	}
}

// Some stacks tell ?wsdl from ?wsdl=.
func TestTheDescriptionHasOneAddress(t *testing.T) {
	for query, want := range map[string]string{"?wsdl": "200 OK", "?wsdl=": "404 Not Found", "?xsd=1": "404 Not Found", "": "404 Not Found"} {
		r, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, begin(t, openiamtest.Options{}).URL()+query, nil)
		if got := text(t, r); !strings.HasPrefix(got, want) {
			t.Errorf("%q = %s, want %s", query, got, want)
		}
	}
	r, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, begin(t, openiamtest.Options{NoWSDL: true}).URL()+"?wsdl", nil)
	if got := text(t, r); !strings.HasPrefix(got, "404 Not Found") {
		t.Errorf("a description that is not published = %s", got)
	}
}

// client is a client that knows nothing but the addresses: zeep makes its
// methods and types from the descriptions.
const client = `
import sys, zeep
base = sys.argv[1]
def service(name):
    return zeep.Client(base + name + "?wsdl").service
provision, logins, passwords, logons = map(service, ["ProvisionControllerService", "LoginDataWebService", "PasswordWebService", "AuthenticationService"])
key = dict(domainId="USR_SEC_DOMAIN", principal="jdoe", managedSysId="0")
sync = dict(securityDomain="USR_SEC_DOMAIN", managedSystemId="0", principal="jdoe", validateRequest=True, passThruAttributes=True)
def expect(what, got, want):
    if got != want:
        sys.exit("%s: %r, want %r" % (what, got, want))
expect("set", provision.setPassword(passwordSync=dict(sync, password="New-pass-1")).status, "success")
expect("equal", logins.isPasswordEq(newPassword="New-pass-1", **key).responseValue, True)
expect("second set", provision.setPassword(passwordSync=dict(sync, password="New-pass-2")).errorCode, "FAIL_PASSWORD_CHANGE_FREQUENCY")
told = provision.resetPassword(passwordSync=sync)
expect("reset", told.status, "success")
login = logins.getLoginByManagedSys(**key).principal
expect("login", (login.id.login, login.resetPassword, login.passwordChangeCount), ("jdoe", "1", 0))
expect("user", logins.getUserByLogin(**key).user.firstName, "Jane")
expect("exists", logins.loginExists(domainId="USR_SEC_DOMAIN", principal="nobody", managedSysId="0").status, "failure")
expect("unlock", logins.unLockLogin(**key).status, "success")
expect("bulk", logins.bulkResetPasswordChangeCount().responseValue, 1)
policy = passwords.getPasswordPolicy(**key).policy
expect("policy", [(a.value1, a.value2) for a in policy.policyAttributes if a.name == "PWD_LEN"], [("8", "12")])
expect("allowed", passwords.isPasswordChangeAllowed(**key).value, True)
expect("count", passwords.passwordChangeCount(**key).responseValue, 0)
expect("days", passwords.daysToPasswordExpiration(**key).responseValue, 1)
expect("valid", passwords.isPasswordValid(pswd=dict(key, password="short")).errorCode, "FAIL_LENGTH_RULE")
logon = logons.passwordAuth(domainId="USR_SEC_DOMAIN", principal="jdoe", password=told.password)
expect("logon", (logon.status, logon.subject.principal), ("success", "jdoe"))
expect("wrong logon", logons.passwordAuth(domainId="USR_SEC_DOMAIN", principal="jdoe", password="x").authErrorCode, 101)
`

// TestAClientCanBeMadeFromTheAddress holds every description against zeep, which
// nobody here wrote, both lenient and strict.
func TestAClientCanBeMadeFromTheAddress(t *testing.T) {
	const python = "/usr/bin/python3" // Debian's, for which make test installs python3-zeep
	if out, err := exec.CommandContext(t.Context(), python, "-c", "import zeep").CombinedOutput(); err != nil {
		t.Fatalf("apt-get install python3-zeep, as make test does: %v\n%s", err, out)
	}
	for _, strict := range []bool{false, true} {
		s := begin(t, openiamtest.Options{Strict: strict, ReturnResets: true})
		if out, err := exec.CommandContext(t.Context(), python, "-c", client, s.Host()+openiamtest.Services).CombinedOutput(); err != nil {
			t.Errorf("strict %t: %v\n%s", strict, err, out)
		}
	}
}
