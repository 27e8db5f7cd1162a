package openiamtest_test

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/rekey-host/rekey/plugins/openiam/openiamtest"
)

var jdoe = openiamtest.Key{Principal: "jdoe"}

func begin(t *testing.T, o openiamtest.Options) *openiamtest.Server {
	t.Helper()
	s := openiamtest.New(o)
	if err := s.Listen("127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	s.Add(openiamtest.User{ID: "3001", First: "Jane", Last: "Doe"}, jdoe, "old-pass-0")
	return s
}

// post sends one operation's element to a service and returns status and body.
func post(t *testing.T, s *openiamtest.Server, service, operation string) (int, string) {
	t.Helper()
	body := `<e:Envelope xmlns:e="http://schemas.xmlsoap.org/soap/envelope/" xmlns:p="` + openiamtest.ProvisionNamespace + `" xmlns:l="` +
		openiamtest.LoginNamespace + `" xmlns:w="` + openiamtest.PasswordNamespace + `" xmlns:a="` + openiamtest.AuthNamespace + `"><e:Body>` + operation + `</e:Body></e:Envelope>`
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.Host()+openiamtest.Services+service, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header["Content-Type"], r.Header["Soapaction"] = []string{"text/xml; charset=UTF-8"}, []string{`""`}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = answer.Body.Close() }()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer.StatusCode, string(text)
}

func provision(operation, inside string) string {
	return "<p:" + operation + "><passwordSync>" + inside + "</passwordSync></p:" + operation + ">"
}

const (
	who  = "<securityDomain>USR_SEC_DOMAIN</securityDomain><managedSystemId>0</managedSystemId><principal>jdoe</principal>"
	rest = "<validateRequest>true</validateRequest><passThruAttributes>true</passThruAttributes>"
)

func value(v string) string { return "<password>" + v + "</password>" }

func TestAnswersOfTheProvisioningService(t *testing.T) {
	for _, test := range []struct {
		name, operation, inside string
		options                 openiamtest.Options
		status                  int
		want                    string
	}{
		{"set", "setPassword", who + value("new-pass-1") + rest, openiamtest.Options{}, 200, `<return status="success"/>`},
		{"reset with a value", "resetPassword", who + value("x") + rest, openiamtest.Options{}, 200, `<return status="success"/>`},
		{"reset without a value", "resetPassword", who + rest, openiamtest.Options{}, 200, `<return status="success"/>`},
		{"reset as documented", "resetPassword", who + value("x") + rest, openiamtest.Options{ReturnResets: true}, 200, `<password>x</password>`},
		{"no such principal", "setPassword", strings.Replace(who, "jdoe", "nobody", 1) + value("x") + rest, openiamtest.Options{}, 200, `<errorCode>principalNotFound</errorCode>`},
		{"managed system left out", "setPassword", strings.Replace(who, "<managedSystemId>0</managedSystemId>", "", 1) + value("x") + rest, openiamtest.Options{}, 200, `<errorCode>principalNotFound</errorCode>`},
		{"as a constant", "setPassword", strings.Replace(who, "jdoe", "nobody", 1) + value("x") + rest, openiamtest.Options{Constants: true}, 200, `<errorCode>PRINCIPAL_NOT_FOUND</errorCode>`},
		{"domain left out", "setPassword", "<principal>jdoe</principal>" + value("x") + rest, openiamtest.Options{}, 500, `<faultcode>soap:Server</faultcode>`},
		{"blank set", "setPassword", who + rest, openiamtest.Options{}, 200, `<errorCode>FAIL_LENGTH_RULE</errorCode>`},
		{"blank set as documented", "setPassword", who + rest, openiamtest.Options{BlankSets: true}, 200, `<return status="success"/>`},
		{"wrong order", "setPassword", value("x") + who + rest, openiamtest.Options{Strict: true}, 500, "Unmarshalling Error"},
		{"validateRequest left out", "setPassword", who + value("x") + "<passThruAttributes>true</passThruAttributes>", openiamtest.Options{Strict: true}, 500, "Unmarshalling Error"},
		{"newer field, older schema", "setPassword", who + value("x") + rest, openiamtest.Options{BasicFields: true}, 500, "Unmarshalling Error"},
		{"qualified children", "setPassword", strings.ReplaceAll(strings.ReplaceAll(who, "<", "<p:"), "<p:/", "</p:"), openiamtest.Options{}, 500, "Unmarshalling Error"},
	} {
		s := begin(t, test.options)
		status, body := post(t, s, "ProvisionControllerService", provision(test.operation, test.inside))
		if status != test.status || !strings.Contains(body, test.want) {
			t.Errorf("%s: %d %s; want %d with %s", test.name, status, body, test.status, test.want)
		}
	}
}

func TestBlankSetWithAHistoryIsAFault(t *testing.T) {
	s := begin(t, openiamtest.Options{})
	post(t, s, "ProvisioningService", provision("setPassword", who+value("new-pass-1")+rest))
	status, body := post(t, s, "ProvisioningService", provision("setPassword", who+rest))
	if status != 500 || !strings.Contains(body, "NullPointerException") {
		t.Errorf("blank set = %d %s, want the source's null dereference", status, body)
	}
}

func TestNamespacesAndDocumentTypesAreRefused(t *testing.T) {
	s := begin(t, openiamtest.Options{Namespace: "urn:other"})
	if status, body := post(t, s, "ProvisioningService", provision("setPassword", who+value("new-pass-1")+rest)); status != 500 || !strings.Contains(body, "was not recognized") {
		t.Errorf("another namespace = %d %s", status, body)
	}
	if status, body := post(t, s, "ProvisioningService", "<p:lockUser/>"); status != 500 || !strings.Contains(body, "was not recognized") {
		t.Errorf("an operation that is not there = %d %s", status, body)
	}
	answer, err := http.Post(s.URL(), "text/xml", strings.NewReader("<!DOCTYPE a []><a/>"))
	if err != nil {
		t.Fatal(err)
	}
	_ = answer.Body.Close()
	if answer.StatusCode != 500 {
		t.Errorf("a document type = %d", answer.StatusCode)
	}
}

func TestResetClearsAndSetCounts(t *testing.T) {
	now := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	s := begin(t, openiamtest.Options{Now: func() time.Time { return now }})
	s.Update(jdoe, func(i *openiamtest.Identity, u *openiamtest.User) {
		i.Locked, i.FailedLogons, u.SecondaryStatus = true, 2, "LOCKED"
	})
	post(t, s, "ProvisioningService", provision("resetPassword", who+value("a<!-- -->b")+rest))
	got, _ := s.Identity(jdoe)
	if got.Password != "ab" || got.Locked || got.FailedLogons != 0 || !got.MustChange || len(got.History) != 0 ||
		got.Expires != now.AddDate(0, 0, 2) || got.GraceEnds != now.AddDate(0, 0, 7) {
		t.Errorf("after a reset: %+v", got)
	}
	post(t, s, "ProvisioningService", provision("setPassword", who+value("new-pass-1")+rest))
	got, _ = s.Identity(jdoe)
	if got.ChangeCount != 1 || got.MustChange || len(got.History) != 1 || got.Expires != now.AddDate(0, 0, 90) || got.GraceEnds != now.AddDate(0, 0, 95) {
		t.Errorf("after a set: %+v", got)
	}
	if _, body := post(t, s, "ProvisioningService", provision("setPassword", who+value("new-pass-2")+rest)); !strings.Contains(body, "FAIL_PASSWORD_CHANGE_FREQUENCY") {
		t.Errorf("second set = %s", body)
	}
	post(t, s, "LoginDataWebService", "<l:bulkResetPasswordChangeCount/>")
	if _, body := post(t, s, "ProvisioningService", provision("setPassword", who+value("new-pass-2")+rest)); !strings.Contains(body, "success") {
		t.Errorf("set after the nightly task = %s", body)
	}
}

func TestConnectorsFailInSilence(t *testing.T) {
	s := begin(t, openiamtest.Options{})
	s.AddSystem(openiamtest.System{ID: "110", Broken: true})
	other := openiamtest.Key{Principal: "jdoe", System: "110"}
	s.Add(openiamtest.User{ID: "3001"}, other, "old-pass-0")
	if _, body := post(t, s, "ProvisioningService", provision("setPassword", who+value("new-pass-1")+rest)); !strings.Contains(body, "success") {
		t.Fatal(body)
	}
	if got, _ := s.Identity(other); got.Password != "new-pass-1" || got.Passed != "old-pass-0" {
		t.Errorf("OpenIAM holds %q, the system %q", got.Password, got.Passed)
	}
}

func TestLogons(t *testing.T) {
	now := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	s := begin(t, openiamtest.Options{Now: func() time.Time { return now }})
	logon := func(v, want string) {
		t.Helper()
		_, body := post(t, s, "AuthenticationService", "<a:passwordAuth><domainId>USR_SEC_DOMAIN</domainId><principal>jdoe</principal><password>"+v+"</password></a:passwordAuth>")
		if !strings.Contains(body, want) {
			t.Errorf("logon = %s, want %s", body, want)
		}
	}
	logon("wrong", "<authErrorCode>101</authErrorCode>")
	logon("wrong", "<authErrorCode>101</authErrorCode>")
	logon("old-pass-0", "<resultCode>1</resultCode>")
	post(t, s, "ProvisioningService", provision("resetPassword", who+value("new-pass-1")+rest))
	now = now.AddDate(0, 0, 3)
	logon("new-pass-1", "<resultCode>2</resultCode>")
	now = now.AddDate(0, 0, 5)
	logon("new-pass-1", "<authErrorCode>102</authErrorCode>")
	for range 2 {
		logon("wrong", "<authErrorCode>101</authErrorCode>")
	}
	logon("wrong", "<authErrorCode>103</authErrorCode>")
	logon("new-pass-1", "<authErrorCode>103</authErrorCode>")
}

func TestPasswordServiceAnswers(t *testing.T) {
	s := begin(t, openiamtest.Options{})
	key := "<domainId>USR_SEC_DOMAIN</domainId><principal>jdoe</principal><managedSysId>0</managedSysId>"
	for operation, want := range map[string]string{
		"<w:passwordChangeCount>" + key + "</w:passwordChangeCount>":                                                                         ">0</responseValue>",
		"<w:daysToPasswordExpiration>" + key + "</w:daysToPasswordExpiration>":                                                               ">9999</responseValue>",
		"<w:isPasswordChangeAllowed>" + key + "</w:isPasswordChangeAllowed>":                                                                 `value="true"`,
		"<w:getPasswordPolicy>" + key + "</w:getPasswordPolicy>":                                                                             "<value1>&lt;&gt;</value1>",
		"<w:isPasswordValid><pswd>" + strings.Replace(key, "<managed", "<password>ab</password><managed", 1) + "</pswd></w:isPasswordValid>": "FAIL_LENGTH_RULE",
	} {
		if _, body := post(t, s, "PasswordWebService", operation); !strings.Contains(body, want) {
			t.Errorf("%s = %s, want %s", operation, body, want)
		}
	}
}

func TestStatusShowsNoSecrets(t *testing.T) {
	s := begin(t, openiamtest.Options{})
	post(t, s, "ProvisioningService", provision("setPassword", who+value("new-pass-1")+"<srcSystemId>hr</srcSystemId><validateRequest>true</validateRequest><requestorId>op-17</requestorId><passThruAttributes>true</passThruAttributes>"))
	for page, want := range map[string]string{"status": `"changes": 1`, "audit": `"requestorId": "op-17"`} {
		answer, err := http.Get(s.Host() + "/simulator/" + page)
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(answer.Body)
		_ = answer.Body.Close()
		if !strings.Contains(string(body), want) || strings.Contains(string(body), "pass-") {
			t.Errorf("%s = %s", page, body)
		}
	}
	if rows := s.Audit(); len(rows) != 1 || rows[0].SourceSystem != "hr" {
		t.Errorf("audit = %+v", rows)
	}
}
