package ldap

import (
	"bufio"
	"bytes"
	"testing"

	"github.com/rekey-host/rekey/plugins/ldap/internal/ldapwire"
	"github.com/rekey-host/rekey/sdk"
)

// wire is an answer as a server sends it.
func wire(tag byte, code int, text string, controls ...ldapwire.Control) []byte {
	op := ldapwire.Encode(tag, ldapwire.Int(ldapwire.TagEnumerated, code), ldapwire.Text(ldapwire.TagOctets, ""), ldapwire.Text(ldapwire.TagOctets, text))
	return ldapwire.Frame(7, op, controls...)
}

// ppError is the control with an error of a policy.
func ppError(n byte) ldapwire.Control {
	return ldapwire.Control{OID: ldapwire.OIDPPolicy, Value: ldapwire.Encode(ldapwire.TagSequence, ldapwire.Encode(0x81, []byte{n}))}
}

// received takes an answer off the wire.
func received(t *testing.T, b []byte) result {
	t.Helper()
	m, err := ldapwire.ReadMessage(bufio.NewReader(bytes.NewReader(b)))
	if err != nil {
		t.Fatal(err)
	}
	r, err := m.Result()
	if err != nil {
		t.Fatal(err)
	}
	return result{r}
}

func TestAnswersToWritesFromTheBytesToTheReceipt(t *testing.T) {
	pp := func(n byte) []ldapwire.Control { return []ldapwire.Control{ppError(n)} }
	tests := []struct {
		name     string
		code     int
		text     string
		controls []ldapwire.Control
		want     string
		native   string
	}{
		{"success", 0, "", nil, "applied", ""},
		{"success with a warning", 0, "", []ldapwire.Control{{OID: ldapwire.OIDPPolicy, Value: ldapwire.Encode(ldapwire.TagSequence, ldapwire.Encode(0xa0, ldapwire.Encode(ldapwire.PolicyWarningExpiry, []byte{60})))}}, "applied", ""},
		{"operationsError", 1, "", nil, "unknown TargetError", "1"},
		{"protocolError", 2, "unsupported extended operation", nil, "refused Unsupported", "2"},
		{"timeLimitExceeded", 3, "", nil, "unknown Timeout", "3"},
		{"authMethodNotSupported", 7, "", nil, "refused Unsupported", "7"},
		{"strongerAuthRequired", 8, "", nil, "refused InsecureTransport", "8"},
		{"referral", 10, "", nil, "refused ReadOnly", "10"},
		{"adminLimitExceeded", 11, "", nil, "refused RateLimited", "11"},
		{"unavailableCriticalExtension", 12, "", nil, "refused Unsupported", "12"},
		{"confidentialityRequired", 13, "confidentiality required", nil, "refused InsecureTransport", "13"},
		{"noSuchAttribute", 16, "", nil, "refused NoCredential", "16"},
		{"undefinedAttributeType", 17, "pwdReset: attribute type undefined", nil, "refused Unsupported", "17"},
		{"constraintViolation", 19, "", nil, "refused PolicyViolation opaque", "19"},
		{"attributeOrValueExists", 20, "", nil, "refused PolicyViolation same_as_current", "20"},
		{"invalidAttributeSyntax", 21, "", nil, "refused InvalidOperation", "21"},
		{"noSuchObject", 32, "", nil, "refused AccountNotFound", "32"},
		{"invalidDNSyntax", 34, "invalid DN", nil, "refused InvalidOperation", "34"},
		{"inappropriateAuthentication", 48, "", nil, "refused NoCredential", "48"},
		{"invalidCredentials", 49, "", nil, "refused WrongCurrentPassword", "49"},
		{"insufficientAccessRights", 50, "", nil, "refused PermissionDenied", "50"},
		{"busy", 51, "", nil, "refused RateLimited", "51"},
		{"unavailable", 52, "", nil, "refused TargetUnavailable", "52"},
		{"unwillingToPerform", 53, "", nil, "refused ChangeNotAllowed", "53"},
		{"loopDetect", 54, "", nil, "refused TargetError", "54"},
		{"objectClassViolation", 65, "attribute 'userPassword' not allowed", nil, "refused NoCredential", "65"},
		{"other", 80, "internal error", nil, "unknown TargetError", "80"},
		{"other, of a DN that is in no tree", 80, "unable to retrieve SASL username", nil, "refused AccountNotFound", "80"},
		{"assertionFailed", 122, "", nil, "refused Conflict", "122"},
		{"authorizationDenied", 123, "", nil, "refused PermissionDenied", "123"},
		{"a code that nobody knows", 4711, "", nil, "unknown TargetError", "4711"},

		{"slapd: read-only", 53, "operation restricted", nil, "refused ReadOnly", "53"},
		{"slapd: a replica", 53, "shadow context; no update referral", nil, "refused ReadOnly", "53"},
		{"slapd: the old value", 53, "unwilling to verify old password", nil, "refused WrongCurrentPassword", "53"},
		{"389: inactivated", 53, "Account inactivated. Contact system administrator.", nil, "refused AccountStatus disabled", "53"},

		{"ppolicy: expired says nothing of a write", 50, "", pp(0), "refused PermissionDenied", "50"},
		{"ppolicy: passwordModNotAllowed", 50, "User alteration of password is not allowed", pp(3), "refused ChangeNotAllowed", "50"},
		{"ppolicy: mustSupplyOldPassword", 50, "Must supply old password to be changed as well as new one", pp(4), "refused ChangeNotAllowed", "50"},
		{"ppolicy: insufficientPasswordQuality", 19, "Password fails quality checking policy", pp(5), "refused PolicyViolation quality", "19"},
		{"ppolicy: passwordTooShort", 19, "Password fails quality checking policy", pp(6), "refused PolicyViolation min_length", "19"},
		{"ppolicy: passwordTooYoung", 19, "Password is too young to change", pp(7), "refused PolicyViolation min_age", "19"},
		{"ppolicy: passwordInHistory", 19, "Password is in history of old passwords", pp(8), "refused PolicyViolation history", "19"},
		{"ppolicy: the present one", 19, "Password is not being changed from existing value", pp(8), "refused PolicyViolation same_as_current", "19"},
		{"ppolicy: passwordTooLong", 19, "", pp(9), "refused PolicyViolation max_length", "19"},
		{"389: history, without the control", 19, "password in history", nil, "refused PolicyViolation history", "19"},
		{"389: too short, without the control", 19, "invalid password syntax - password must be at least 8 characters long", nil, "refused PolicyViolation min_length", "19"},

		{"AD: unknown account", 32, "0000208D: NameErr: DSID-03100241, problem 2001 (NO_OBJECT), data 0, best match of:\n\t'DC=acme'\n\x00", nil, "refused AccountNotFound", "0000208D"},
		{"AD: no rights", 50, "00000005: SecErr: DSID-031A1256, problem 4003 (INSUFF_ACCESS_RIGHTS), data 0\n\x00", nil, "refused PermissionDenied", "00000005"},
		{"AD: policy", 53, "0000052D: SvcErr: DSID-031A12D2, problem 5003 (WILL_NOT_PERFORM), data 0\n\x00", nil, "refused PolicyViolation opaque", "0000052D"},
		{"AD: policy of a change", 19, "0000052D: AtrErr: DSID-03191083, #1:\n\t0: 0000052D: DSID-03191083, problem 1005 (CONSTRAINT_ATT_TYPE), data 0, Att 9005a (unicodePwd)\n\x00", nil, "refused PolicyViolation opaque", "0000052D"},
		{"AD: wrong old value", 19, "00000056: AtrErr: DSID-03191083, #1:\n\t0: 00000056: DSID-03191083, problem 1005 (CONSTRAINT_ATT_TYPE), data 0, Att 9005a (unicodePwd)\n\x00", nil, "refused WrongCurrentPassword", "00000056"},
		{"AD: no TLS", 53, "0000001F: SvcErr: DSID-031A12D2, problem 5003 (WILL_NOT_PERFORM), data 0\n\x00", nil, "refused InsecureTransport", "0000001F"},
		{"AD: logged out", 1, "000004DC: LdapErr: DSID-0C090A5C, comment: In order to perform this operation a successful bind must be completed on the connection., data 0, v4563\x00", nil, "refused LoginExpired", "000004DC"},
		{"AD: disabled", 53, "00000533: SvcErr: DSID-031A12D2, problem 5003 (WILL_NOT_PERFORM), data 0\n\x00", nil, "refused AccountStatus disabled", "00000533"},
		{"AD: locked", 53, "00000775: SvcErr: DSID-031A12D2, problem 5003 (WILL_NOT_PERFORM), data 0\n\x00", nil, "refused AccountStatus locked", "00000775"},
		{"AD: busy", 51, "00002024: SysErr: DSID-0, problem 1 (BUSY), data 0\x00", nil, "refused RateLimited", "00002024"},
		{"Samba: too short", 19, "0000052D: Constraint violation - check_password_restrictions: the password is too short. It should be equal or longer than 7 characters!", nil, "refused PolicyViolation min_length", "0000052D"},
		{"Samba: complexity", 19, "0000052D: Constraint violation - check_password_restrictions: the password does not meet the complexity criteria!", nil, "refused PolicyViolation classes", "0000052D"},
		{"Samba: history", 19, "0000052D: Constraint violation - check_password_restrictions: the password was already used (in history)!", nil, "refused PolicyViolation history", "0000052D"},
		{"Samba: minimum age", 19, "0000052D: Constraint violation - check_password_restrictions: password is too young to change!", nil, "refused PolicyViolation min_age", "0000052D"},
		{"Samba: wrong old value", 19, "00000056: Constraint violation - check_password_restrictions: The old password specified doesn't match!", nil, "refused WrongCurrentPassword", "00000056"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := received(t, wire(ldapwire.TagModifyResponse, tt.code, tt.text, tt.controls...)).receipt()
			wantReceipt(t, r, tt.want)
			if r.Err != nil && r.Err.Native != tt.native {
				t.Errorf("native code %q, want %q", r.Err.Native, tt.native)
			}
		})
	}
}

func TestEveryResultCodeHasAMeaningOfTheContract(t *testing.T) {
	known := make(map[sdk.Code]bool)
	for _, c := range sdk.Codes() {
		known[c] = true
	}
	for code := range 130 {
		r := received(t, wire(ldapwire.TagExtendedResponse, code, "")).receipt()
		switch {
		case code == resultSuccess:
			wantReceipt(t, r, "applied")
		case r.Err == nil || !known[r.Err.Code] || r.Outcome == sdk.Applied || r.Outcome == sdk.AlreadyApplied:
			t.Errorf("result %d: %s", code, say(r))
		case (r.Err.Code == sdk.PolicyViolation) != (len(r.Err.Violations) > 0):
			t.Errorf("result %d: %s with %d violations", code, r.Err.Code, len(r.Err.Violations))
		}
	}
}

// What a logon of the service account that fails comes to.
func TestAnswersToTheOwnLogon(t *testing.T) {
	tests := []struct {
		name     string
		code     int
		text     string
		controls []ldapwire.Control
		want     sdk.Code // "": logged in
	}{
		{"success", 0, "", nil, ""},
		{"success, has to be changed first", 0, "", []ldapwire.Control{ppError(2)}, sdk.LoginExpired},
		{"wrong", 49, "", nil, sdk.LoginExpired},
		{"locked", 49, "", []ldapwire.Control{ppError(1)}, sdk.LoginExpired},
		{"expired", 49, "", []ldapwire.Control{ppError(0)}, sdk.LoginExpired},
		{"AD: wrong", 49, "80090308: LdapErr: DSID-0C090447, comment: AcceptSecurityContext error, data 52e, v3839\x00", nil, sdk.LoginExpired},
		{"TLS wanted", 13, "confidentiality required", nil, sdk.InsecureTransport},
		{"signing wanted", 8, "", nil, sdk.InsecureTransport},
		{"no DN", 34, "invalid DN", nil, sdk.InvalidConfig},
		{"busy", 51, "", nil, sdk.RateLimited},
		{"unavailable", 52, "", nil, sdk.TargetUnavailable},
	}
	l := &login{dn: "cn=rotator,dc=x"}
	for _, tt := range tests {
		got := l.refusal(received(t, wire(ldapwire.TagBindResponse, tt.code, tt.text, tt.controls...)))
		if tt.want == "" && got != nil || tt.want != "" && (got == nil || got.Code != tt.want) {
			t.Errorf("%s: %v, want %s", tt.name, got, tt.want)
		}
	}
}

// What a logon with an account's value says of it. Where a server says no more
// than "no", the entry is looked at: see TestVerdicts.
func TestAnswersToALogon(t *testing.T) {
	ad := func(data string) string {
		return "80090308: LdapErr: DSID-0C090447, comment: AcceptSecurityContext error, data " + data + ", v3839\x00"
	}
	tests := []struct {
		name     string
		code     int
		text     string
		controls []ldapwire.Control
		want     sdk.Verdict
		err      sdk.Code
	}{
		{"success", 0, "", nil, sdk.Accepted, ""},
		{"has to be changed", 0, "", []ldapwire.Control{ppError(2)}, sdk.AcceptedMustChange, ""},
		{"expired", 49, "", []ldapwire.Control{ppError(0)}, sdk.AcceptedMustChange, ""},
		{"locked", 49, "", []ldapwire.Control{ppError(1)}, sdk.Blocked, ""},
		{"AD: has to be changed", 49, ad("773"), nil, sdk.AcceptedMustChange, ""},
		{"AD: expired", 49, ad("532"), nil, sdk.AcceptedMustChange, ""},
		{"AD: locked", 49, ad("775"), nil, sdk.Blocked, ""},
		{"AD: disabled", 49, ad("533"), nil, sdk.Blocked, ""},
		{"AD: the account expired", 49, ad("701"), nil, sdk.Blocked, ""},
		{"AD: not at this hour", 49, ad("530"), nil, sdk.Blocked, ""},
		{"389: retry limit", 19, "Exceed password retry limit. Please try later.", nil, sdk.Blocked, ""},
		{"389: inactivated", 53, "Account inactivated.", nil, sdk.Blocked, ""},
		{"no value", 48, "", nil, sdk.CannotTell, sdk.NoCredential},
		{"busy", 51, "", nil, sdk.CannotTell, sdk.RateLimited},
		{"TLS wanted", 13, "", nil, sdk.CannotTell, sdk.InsecureTransport},
	}
	i := &prover{}
	for _, tt := range tests {
		got, err := i.judge(t.Context(), "uid=a,dc=b", received(t, wire(ldapwire.TagBindResponse, tt.code, tt.text, tt.controls...)))
		if e := sdk.AsError(err, sdk.Internal); got != tt.want || tt.err == "" && err != nil || tt.err != "" && (e == nil || e.Code != tt.err) {
			t.Errorf("%s: %v, %v, want %v %s", tt.name, got, err, tt.want, tt.err)
		}
	}
}

func TestTextsOfServersAreOneLine(t *testing.T) {
	r := received(t, wire(ldapwire.TagModifyResponse, 32, "0000208D: NameErr\n\t'DC=acme'\n\x00\x1b[31m\xff"))
	if want := "32 no such object: 0000208D: NameErr  'DC=acme'   [31m?"; r.describe() != want {
		t.Errorf("describe() = %q, want %q", r.describe(), want)
	}
}
