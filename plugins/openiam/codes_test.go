package openiam_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/rekey-host/rekey/plugins/openiam/openiamtest"
	"github.com/rekey-host/rekey/sdk"
	"github.com/rekey-host/rekey/sdk/rest/resttest"
	"github.com/rekey-host/rekey/sdk/secret"
)

// exit is what a run of this one user ends with.
func exit(r sdk.Receipt) int {
	switch {
	case r.Outcome == sdk.Unknown:
		return 5
	case r.Outcome != sdk.Refused:
		return 0
	case r.Err.Code == sdk.InvalidConfig || r.Err.Code == sdk.SecondFactorNeeded:
		return 4
	}
	return 3
}

func TestEveryFailureCodeHasItsMeaning(t *testing.T) {
	const gone = ` "jdoe" in domain "USR_SEC_DOMAIN" on managed system 0`
	for _, test := range []struct {
		native string // several spellings of one code
		rule   sdk.Rule
		limit  int
		exit   int
		line   string
	}{
		{"principalNotFound PRINCIPAL_NOT_FOUND", "", 0, 3, `refused AccountNotFound: no such identity:` + gone},
		{"objectNotFound OBJECT_NOT_FOUND", "", 0, 3, `refused AccountNotFound: no such object:` + gone},
		{"userNotFound USER_NOT_FOUND", "", 0, 3, `refused UserNotFound: the identity exists, its user does not`},
		{`userStatus USER_STATUS USER_STATUS"`, "", 0, 3, `refused AccountStatus: the user's status does not allow it: active`},
		{"DUPLICATE_PRINCIPAL", "", 0, 3, `refused Ambiguous: several identities match`},

		{"failPasswordPolicy FAIL_PASSWORD_POLICY", sdk.RuleOpaque, 0, 3, `refused PolicyViolation: the policy refuses the value and does not say why`},
		{"FAIL_LENGTH_RULE", sdk.RuleMaxLength, 12, 3, `refused PolicyViolation: too long: at most 12 characters`},
		{"FAIL_ALPHA_CHAR_RULE", sdk.RuleLetters, 0, 3, `refused PolicyViolation: the number of letters (a to z, A to Z)`},
		{"FAIL_NUMERIC_CHAR_RULE", sdk.RuleDigits, 1, 3, `refused PolicyViolation: the number of digits`},
		{"FAIL_LOWER_CASE_RULE", sdk.RuleLower, 0, 3, `refused PolicyViolation: the number of lower-case letters`},
		{"FAIL_UPPER_CASE_RULE", sdk.RuleUpper, 0, 3, `refused PolicyViolation: the number of upper-case letters`},
		{"FAIL_NON_APHANUMERIC_RULE FAIL_NON_ALPHANUMERIC_RULE", sdk.RuleSymbols, 0, 3, `refused PolicyViolation: the number of symbols; only ! to / and : to @ count`},
		{"FAIL_HISTORY_RULE", sdk.RuleHistory, 6, 3, `refused PolicyViolation: used before`},
		{"FAIL_NEQ_NAME", sdk.RuleContainsName, 0, 3, `refused PolicyViolation: contains the first or last name`},
		{"FAIL_NEQ_PRINCIPAL", sdk.RuleContainsName, 0, 3, `refused PolicyViolation: contains the principal`},
		{"FAIL_NEQ_PASSWORD FAIL_NEQ_PASSWORD0", sdk.RuleContainsWord, 0, 3, `refused PolicyViolation: contains the word password`},
		{"FAIL_REJECT_CHARS_IN_PSWD", sdk.RuleForbidden, 0, 3, `refused PolicyViolation: has a character that the policy forbids`},
		{"FAIL_PASSWORD_CHANGE_FREQUENCY", sdk.RuleChangeCount, 1, 3, `refused PolicyViolation: changed too often; resetPassword, which is set(must_change = True), or the server's nightly task sets the counter back`},

		{"FAIL_PASSWORD_CHANGE_ALLOW", "", 0, 3, `refused ChangeNotAllowed: the policy allows no change`},
		{"PASSWORD_POLICY_NOT_FOUND", "", 0, 3, `refused TargetError: the server has no password policy for this user`},
		{"FAIL_ENCRYPTION", "", 0, 3, `refused TargetError: the server cannot encrypt the value; its key is missing or wrong`},
		{"FAIL_DECRYPTION", "", 0, 3, `refused TargetError: the server cannot decrypt what it holds; its key is missing or wrong`},

		{"FAIL_CONNECTION", "", 0, 5, `unknown TargetUnavailable: the server has no connection to the managed system`},
		{"FAIL_CONNECTOR", "", 0, 5, `unknown TargetError: the managed system's connector failed`},
		{"COMMUNICATION_EXCEPTION", "", 0, 5, `unknown TargetUnavailable: the connector lost the managed system`},
		{"SERVICE_UNAVAILABLE_EXCEPTION", "", 0, 5, `unknown TargetUnavailable: the managed system is not available`},
		{"LIMIT_EXCEEDED_EXCEPTION", "", 0, 5, `unknown TargetUnavailable: the managed system has reached a limit`},
		{"DIRECTORY_NAMING_EXCEPTION", "", 0, 5, `unknown TargetError: the managed system's directory refused a name`},
		{"SCHEMA_VIOLATION_EXCEPTION", "", 0, 5, `unknown TargetError: the managed system's schema refused it`},
		{"PERMISSION_EXCEPTION", "", 0, 5, `unknown TargetError: the connector may not do this on the managed system`},
		{"AUTHENTICATION_EXCEPTION", "", 0, 5, `unknown TargetError: the managed system refuses the connector's login`},
		{"IO_EXCEPTION", "", 0, 5, `unknown TargetError: the connector's input or output failed`},
		{"FILE_EXCEPTION", "", 0, 5, `unknown TargetError: the connector's file failed`},
		{"SQL_EXCEPTION", "", 0, 5, `unknown TargetError: the connector's database failed`},
		{"WS_SERVICE_EXCEPTION", "", 0, 5, `unknown TargetError: the connector's web service failed`},
		{"SYNCHRONIZATION_EXCEPTION", "", 0, 5, `unknown TargetError: the synchronisation failed`},
		{"FAIL_SQL_ERROR FAIL_SQL_ERORR", "", 0, 5, `unknown TargetError: the server's database failed`},
		{"FAIL_OTHER", "", 0, 5, `unknown TargetError: it failed for a reason that the server does not tell`},
		{"classNotFound CLASS_NOT_FOUND", "", 0, 5, `unknown TargetError: the server lacks a class`},
		{"supervisorlNotFound supervisorNotFound SUPERVISOR_NOT_FOUND", "", 0, 5, `unknown TargetError: the user's supervisor does not exist`},
		{"groupIdNull GROUP_ID_NULL", "", 0, 5, `unknown TargetError: a group id is missing`},
		{"groupIdInvalid GROUP_ID_INVALID", "", 0, 5, `unknown TargetError: a group id is not valid`},
		{"roleIdNull ROLE_ID_NULL", "", 0, 5, `unknown TargetError: a role id is missing`},
		{"roleIdInvalid ROLE_ID_INVALID", "", 0, 5, `unknown TargetError: a role id is not valid`},
		{"objectIdInvalid OBJECT_ID_INVALID", "", 0, 5, `unknown TargetError: an object id is not valid`},
		{"SOMETHING_NEW", "", 0, 5, `unknown TargetError: a failure of a kind that this plugin does not know`},
	} {
		for _, native := range strings.Fields(test.native) {
			for _, operation := range []string{"setPassword", "resetPassword"} {
				s, i := begin(t, openiamtest.Options{})
				s.Faults.Add(resttest.Fault{Op: operation, Times: 1, Answer: s.Failure(native)})
				r := i.Apply(t.Context(), mustChange(set("jdoe", "new-password-1"), operation == "resetPassword"))
				if line(r) != test.line || exit(r) != test.exit {
					t.Errorf("%s %s: %s, exit %d; want %s, %d", operation, native, line(r), exit(r), test.line, test.exit)
				}
				if r.Err.Native != native {
					t.Errorf("%s %s: native %q", operation, native, r.Err.Native)
				}
				compareViolation(t, r, test.rule, test.limit, native)
			}
		}
	}
}

func compareViolation(t *testing.T, r sdk.Receipt, rule sdk.Rule, limit int, native string) {
	t.Helper()
	var want []sdk.Violation
	if rule != "" {
		want = []sdk.Violation{{Rule: rule, Limit: limit, Native: native}}
	}
	got := append([]sdk.Violation(nil), r.Err.Violations...)
	for n := range got {
		got[n].Message = ""
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s: violations (-want +got):\n%s", native, diff)
	}
}

// What the simulator's own rules answer, in the wire's names, the constants'
// and the documentation's one.
func TestPolicyIsEnforcedAndNamed(t *testing.T) {
	policy := openiamtest.DefaultPolicy().With("UPPERCASE_CHARS", "1").With("LOWERCASE_CHARS", "1").With("NON_ALPHA_CHARS", "1").
		With("ALPHA_CHARS", "2").With("PWD_LOGIN", "true").With("PWD_NAME", "true").With("PWD_EQ_PWD", "true")
	for _, test := range []struct {
		value  string
		native string
		rule   sdk.Rule
	}{
		{"Ab1!", "FAIL_LENGTH_RULE", sdk.RuleMinLength},
		{"Abcdefghij1!x", "FAIL_LENGTH_RULE", sdk.RuleMaxLength},
		{"Abcdefgh!", "FAIL_NUMERIC_CHAR_RULE", sdk.RuleDigits},
		{"Abcdefgh٣!", "FAIL_NUMERIC_CHAR_RULE", sdk.RuleDigits},
		{"abcdefg1!", "FAIL_UPPER_CASE_RULE", sdk.RuleUpper},
		{"Äbcdefg1!", "FAIL_UPPER_CASE_RULE", sdk.RuleUpper},
		{"ABCDEFG1!", "FAIL_LOWER_CASE_RULE", sdk.RuleLower},
		{"Abcdefg1_", "FAIL_NON_APHANUMERIC_RULE", sdk.RuleSymbols},
		{"Abcdefg1~", "FAIL_NON_APHANUMERIC_RULE", sdk.RuleSymbols},
		{"xJDOEy1!", "FAIL_NEQ_PRINCIPAL", sdk.RuleContainsName},
		{"xJANEy1!z", "FAIL_NEQ_NAME", sdk.RuleContainsName},
		{"xPassword1!", "FAIL_NEQ_PASSWORD", sdk.RuleContainsWord},
		{"Abcd<fg1!", "FAIL_REJECT_CHARS_IN_PSWD", sdk.RuleForbidden},
	} {
		for _, o := range []openiamtest.Options{{}, {Constants: true}, {PolicyCode: true}} {
			s, i := begin(t, o)
			s.SetPolicy("GLOBAL", policy)
			r := i.Apply(t.Context(), set("jdoe", test.value))
			want, rule := test.native, test.rule
			if o.PolicyCode {
				want, rule = "failPasswordPolicy", sdk.RuleOpaque
			}
			if r.Outcome != sdk.Refused || r.Err.Code != sdk.PolicyViolation || r.Err.Native != want || r.Err.Violations[0].Rule != rule {
				t.Errorf("%q: %s, native %q; want refused PolicyViolation, %s", test.value, line(r), r.Err.Native, want)
			}
			if got, _ := s.Identity(openiamtest.Key{Principal: "jdoe"}); got.Password != "old-pass-0" {
				t.Errorf("%q was set", test.value)
			}
		}
	}
}

func TestDocumentedCodesFromTheServer(t *testing.T) {
	for _, constants := range []bool{false, true} {
		o := openiamtest.Options{Constants: constants, CheckStatus: true}
		s, i := begin(t, o)
		s.AddOrphan(openiamtest.Key{Principal: "orphan"}, "x")
		s.Add(openiamtest.User{ID: "off", Status: openiamtest.Disabled}, openiamtest.Key{Principal: "off"}, "x")
		for account, want := range map[string]string{
			"nobody": `refused AccountNotFound: no such identity: "nobody" in domain "USR_SEC_DOMAIN" on managed system 0`,
			"orphan": `refused UserNotFound: the identity exists, its user does not`,
			"off":    `refused AccountStatus: the user's status does not allow it: disabled`,
		} {
			r := i.Apply(t.Context(), set(account, "new-pass-1"))
			if line(r) != want {
				t.Errorf("%s: %s, want %s", account, line(r), want)
			}
		}
		if r := i.Apply(t.Context(), set("off", "new-pass-1")); r.Err.AccountStatus != sdk.StatusDisabled {
			t.Errorf("account status = %v, want disabled", r.Err.AccountStatus)
		}
	}
}

func TestHistoryAndChangeCounter(t *testing.T) {
	s, i := begin(t, openiamtest.Options{})
	reset := func() { i.Apply(t.Context(), mustChange(set("jdoe", "between-1"), true)) }
	if got := line(i.Apply(t.Context(), set("jdoe", "new-pass-1"))); got != "applied" {
		t.Fatal(got)
	}
	if r := i.Apply(t.Context(), set("jdoe", "new-pass-2")); r.Err == nil || r.Err.Violations[0].Rule != sdk.RuleChangeCount || r.Err.Violations[0].AnotherValueHelps() {
		t.Errorf("second set = %s, want the change counter's refusal", line(r))
	}
	reset()
	if r := i.Apply(t.Context(), set("jdoe", "new-pass-1")); r.Err == nil || r.Err.Violations[0].Rule != sdk.RuleHistory {
		t.Errorf("an old value = %s, want the history's refusal", line(r))
	}
	if got := line(i.Apply(t.Context(), set("jdoe", "between-1"))); got != "applied" {
		t.Errorf("the value of a reset, which is in no history: %s", got)
	}
	reset()
	s.SetPolicy("GLOBAL", openiamtest.DefaultPolicy().With("PASSWORD_CHANGE_ALLOWED", "0"))
	if got := line(i.Apply(t.Context(), set("jdoe", "new-pass-9"))); got != "refused ChangeNotAllowed: the policy allows no change (PASSWORD_CHANGE_ALLOWED is 0)" {
		t.Errorf("a policy without changes: %s", got)
	}
}

func TestAResetOfAnotherValueThanTheGivenIsNotTakenForSuccess(t *testing.T) {
	s, i := begin(t, openiamtest.Options{})
	s.Faults.Add(resttest.Fault{Op: "resetPassword", Times: 1, Answer: resttest.Say(200, "text/xml; charset=UTF-8", envelope(`<n:resetPasswordResponse xmlns:n="x"><return status="success"><password>other</password></return></n:resetPasswordResponse>`))})
	r := i.Apply(t.Context(), mustChange(set("jdoe", "new-pass-1"), true))
	if line(r) != "unknown TargetError: the server answered success and another password than the one it was given" {
		t.Errorf("Apply = %s", line(r))
	}
}

func envelope(inside string) string {
	return `<soap:Envelope xmlns:soap="http://schemas.xmlsoap.org/soap/envelope/"><soap:Body>` + inside + `</soap:Body></soap:Envelope>`
}

func TestFaults(t *testing.T) {
	fault := func(code, text string) string {
		return envelope(`<soap:Fault><faultcode>` + code + `</faultcode><faultstring>` + text + `</faultstring></soap:Fault>`)
	}
	for _, test := range []struct {
		name, body string
		status     int
		line       string
	}{
		{"server", fault("soap:Server", "java.lang.NullPointerException"), 500, `unknown TargetError: fault: java.lang.NullPointerException`},
		{"server, as 200", fault("soap:Server", "x"), 200, `unknown TargetError: fault: x`},
		{"server, as 404", fault("soap:Server", "x"), 404, `unknown TargetError: fault: x`},
		{"no code", fault("", ""), 500, `unknown TargetError: fault:`},
		{"not recognized", fault("soap:Client", "Message part {x}y was not recognized."), 500,
			`refused InvalidConfig: fault: Message part {x}y was not recognized.; check namespace and url`},
		{"schema", fault("soap:Client", "Unmarshalling Error: unexpected element"), 500,
			`refused InvalidOperation: fault: Unmarshalling Error: unexpected element; a server with an older schema needs fields = "basic"`},
		{"wrong token", fault("wsse:FailedAuthentication", "no"), 500, `refused InvalidConfig: fault: no; check user and password`},
		{"token not understood", fault("soap:MustUnderstand", "no"), 500, `refused InvalidConfig: fault: no; the server takes no UsernameToken: leave out user and password`},
		{"secret in the text", fault("soap:Server", "cannot parse new-pass-1"), 500, `unknown TargetError: fault: cannot parse [redacted]`},
		{"secret in the text, as 200", fault("soap:Server", "cannot parse new-pass-1"), 200, `unknown TargetError: fault: cannot parse [redacted]`},
	} {
		s, i := begin(t, openiamtest.Options{})
		s.Faults.Add(resttest.Fault{Op: "setPassword", Times: 1, Answer: resttest.Say(test.status, "text/xml; charset=UTF-8", test.body)})
		if r := i.Apply(t.Context(), set("jdoe", "new-pass-1")); line(r) != test.line {
			t.Errorf("%s: %s, want %s", test.name, line(r), test.line)
		}
	}
}

func TestErrorTextIsToldWithoutTheSecret(t *testing.T) {
	s, i := begin(t, openiamtest.Options{})
	s.Faults.Add(resttest.Fault{Op: "setPassword", Times: 1, Answer: resttest.Say(200, "text/xml; charset=UTF-8", envelope(`<n:setPasswordResponse xmlns:n="x"><return status="failure">`+
		`<errorCode>FAIL_OTHER</errorCode><errorText>value new-pass-1 &lt;b&gt; refused</errorText></return></n:setPasswordResponse>`))})
	r := i.Apply(t.Context(), sdk.Operation{Attempt: 1, Verb: sdk.Set, Account: "jdoe", Value: secret.New("new-pass-1")})
	if line(r) != `unknown TargetError: it failed for a reason that the server does not tell: value [redacted] <b> refused` {
		t.Errorf("Apply = %s", line(r))
	}
}
