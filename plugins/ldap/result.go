package ldap

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"

	goldap "github.com/go-ldap/ldap/v3"

	"github.com/rekey-host/rekey/plugins/ldap/internal/ldapwire"
	"github.com/rekey-host/rekey/sdk"
)

// Result codes, RFC 4511 appendix A, that are more than a row of the table.
const (
	resultSuccess         = 0
	resultOperations      = 1
	resultTimeLimit       = 3
	resultSizeLimit       = 4
	resultStrongerAuth    = 8
	resultAdminLimit      = 11
	resultConfidentiality = 13
	resultNoSuchAttribute = 16
	resultUndefinedType   = 17
	resultNoMatching      = 18
	resultConstraint      = 19
	resultInvalidSyntax   = 21
	resultNoSuchObject    = 32
	resultInvalidDN       = 34
	resultInappropriate   = 48
	resultInvalidLogin    = 49
	resultAccess          = 50
	resultBusy            = 51
	resultUnavailable     = 52
	resultUnwilling       = 53
	resultOther           = 80
)

// result is the answer of a server, read for what it means to rekey.
type result struct{ ldapwire.Result }

// meaning is what a result code says of a write.
type meaning struct {
	outcome sdk.Outcome
	code    sdk.Code
}

// meanings of the result codes. A server that answers with an error has
// usually changed nothing; those of which proxies and failing disks make use
// too are Unknown. What is not here is an Unknown TargetError.
var meanings = map[int]meaning{
	1:   {sdk.Unknown, sdk.TargetError},          // operationsError
	2:   {sdk.Refused, sdk.Unsupported},          // protocolError: the server does not know the request
	3:   {sdk.Unknown, sdk.Timeout},              // timeLimitExceeded
	4:   {sdk.Refused, sdk.TargetError},          // sizeLimitExceeded
	7:   {sdk.Refused, sdk.Unsupported},          // authMethodNotSupported
	8:   {sdk.Refused, sdk.InsecureTransport},    // strongerAuthRequired
	10:  {sdk.Refused, sdk.ReadOnly},             // referral: this server takes no writes
	11:  {sdk.Refused, sdk.RateLimited},          // adminLimitExceeded
	12:  {sdk.Refused, sdk.Unsupported},          // unavailableCriticalExtension
	13:  {sdk.Refused, sdk.InsecureTransport},    // confidentialityRequired
	14:  {sdk.Refused, sdk.SecondFactorNeeded},   // saslBindInProgress
	16:  {sdk.Refused, sdk.NoCredential},         // noSuchAttribute
	17:  {sdk.Refused, sdk.Unsupported},          // undefinedAttributeType
	18:  {sdk.Refused, sdk.InvalidOperation},     // inappropriateMatching
	19:  {sdk.Refused, sdk.PolicyViolation},      // constraintViolation
	20:  {sdk.Refused, sdk.PolicyViolation},      // attributeOrValueExists: it is the present one
	21:  {sdk.Refused, sdk.InvalidOperation},     // invalidAttributeSyntax
	32:  {sdk.Refused, sdk.AccountNotFound},      // noSuchObject
	33:  {sdk.Refused, sdk.InvalidOperation},     // aliasProblem
	34:  {sdk.Refused, sdk.InvalidOperation},     // invalidDNSyntax
	36:  {sdk.Refused, sdk.InvalidOperation},     // aliasDereferencingProblem
	48:  {sdk.Refused, sdk.NoCredential},         // inappropriateAuthentication
	49:  {sdk.Refused, sdk.WrongCurrentPassword}, // invalidCredentials
	50:  {sdk.Refused, sdk.PermissionDenied},     // insufficientAccessRights
	51:  {sdk.Refused, sdk.RateLimited},          // busy
	52:  {sdk.Refused, sdk.TargetUnavailable},    // unavailable
	53:  {sdk.Refused, sdk.ChangeNotAllowed},     // unwillingToPerform
	54:  {sdk.Refused, sdk.TargetError},          // loopDetect
	64:  {sdk.Refused, sdk.InvalidOperation},     // namingViolation
	65:  {sdk.Refused, sdk.NoCredential},         // objectClassViolation: the entry cannot have one
	66:  {sdk.Refused, sdk.InvalidOperation},     // notAllowedOnNonLeaf
	67:  {sdk.Refused, sdk.InvalidOperation},     // notAllowedOnRDN
	68:  {sdk.Refused, sdk.InvalidOperation},     // entryAlreadyExists
	69:  {sdk.Refused, sdk.InvalidOperation},     // objectClassModsProhibited
	71:  {sdk.Refused, sdk.InvalidOperation},     // affectsMultipleDSAs
	80:  {sdk.Unknown, sdk.TargetError},          // other
	118: {sdk.Unknown, sdk.Cancelled},            // canceled
	122: {sdk.Refused, sdk.Conflict},             // assertionFailed
	123: {sdk.Refused, sdk.PermissionDenied},     // authorizationDenied
}

// windowsMeanings are of the codes that Active Directory puts in front of its texts; they
// say more than the result code.
var windowsMeanings = map[string]meaning{
	"00000056": {sdk.Refused, sdk.WrongCurrentPassword}, // ERROR_INVALID_PASSWORD
	"0000052B": {sdk.Refused, sdk.WrongCurrentPassword}, // ERROR_WRONG_PASSWORD
	"0000052C": {sdk.Refused, sdk.PolicyViolation},      // ERROR_ILL_FORMED_PASSWORD
	"0000052D": {sdk.Refused, sdk.PolicyViolation},      // ERROR_PASSWORD_RESTRICTION
	"800708C5": {sdk.Refused, sdk.PolicyViolation},      // NERR_PasswordTooShort
	"0000001F": {sdk.Refused, sdk.InsecureTransport},    // ERROR_GEN_FAILURE: no TLS under unicodePwd
	"00000533": {sdk.Refused, sdk.AccountStatus},        // ERROR_ACCOUNT_DISABLED
	"00000701": {sdk.Refused, sdk.AccountStatus},        // ERROR_ACCOUNT_EXPIRED
	"00000775": {sdk.Refused, sdk.AccountStatus},        // ERROR_ACCOUNT_LOCKED_OUT
	"000004DC": {sdk.Refused, sdk.LoginExpired},         // ERROR_NOT_AUTHENTICATED
}

// states are the account states that codes of Active Directory tell: of binds
// as "data 533", of writes as "00000533".
var states = map[string]sdk.Status{
	"530": sdk.StatusDisabled, // not at this hour
	"531": sdk.StatusDisabled, // not from this computer
	"533": sdk.StatusDisabled,
	"701": sdk.StatusExpired,
	"775": sdk.StatusLocked,
}

var (
	windowsCode = regexp.MustCompile(`^([0-9A-Fa-f]{8}):`)
	bindData    = regexp.MustCompile(`\bdata ([0-9a-fA-F]{3,8})\b`)
	atLeast     = regexp.MustCompile(`(?:at least|equal or longer than) (\d+) char`)
)

// windows is Active Directory's own code of a write, "" from other servers.
func (r result) windows() string {
	if list := windowsCode.FindStringSubmatch(r.Text); list != nil {
		return strings.ToUpper(list[1])
	}
	return ""
}

// data is Active Directory's own code of a bind, "" from other servers.
func (r result) data() string {
	if list := bindData.FindStringSubmatch(r.Text); list != nil && r.windows() != "" {
		return strings.TrimLeft(strings.ToLower(list[1]), "0")
	}
	return ""
}

// native is the most telling code there is: "52e", "0000052D", "53".
func (r result) native() string {
	if dir := r.data(); dir != "" && r.Code == resultInvalidLogin {
		return dir
	}
	if word := r.windows(); word != "" {
		return word
	}
	return strconv.Itoa(r.Code)
}

// describe says in words what the server answered.
func (r result) describe() string {
	name := goldap.LDAPResultCodeMap[uint16(r.Code)]
	if name == "" {
		name = "an unknown result"
	}
	text := fmt.Sprintf("%d %s", r.Code, strings.ToLower(name))
	if r.Text != "" {
		text += ": " + r.Text
	}
	if r.Referral != "" {
		text += ", refers to " + r.Referral
	}
	return text
}

// loggedOut reports that the connection is no longer bound.
func (r result) loggedOut() bool { return r.Code == resultOperations && r.windows() == "000004DC" }

// meaning of the answer to a write.
func (r result) meaning() meaning {
	if meaning, ok := windowsMeanings[r.windows()]; ok && r.Code != resultSuccess {
		return meaning
	}
	switch r.Policy.Code() {
	case ldapwire.PolicyModNotAllowed, ldapwire.PolicyMustSupplyOld:
		return meaning{sdk.Refused, sdk.ChangeNotAllowed}
	case ldapwire.PolicyQuality, ldapwire.PolicyTooShort, ldapwire.PolicyTooYoung, ldapwire.PolicyInHistory, ldapwire.PolicyTooLong:
		return meaning{sdk.Refused, sdk.PolicyViolation}
	}
	switch {
	case r.Code == resultUnwilling:
		return meaning{sdk.Refused, unwilling(r.Text)}
	case r.Code == resultOther && strings.Contains(r.Text, "unable to retrieve SASL username"):
		// slapd takes a DN that is in none of its trees for another kind of name.
		return meaning{sdk.Refused, sdk.AccountNotFound}
	}
	if meaning, ok := meanings[r.Code]; ok {
		return meaning
	}
	return meaning{sdk.Unknown, sdk.TargetError}
}

// unwilling sorts what servers are not willing to do by their words, there
// being no other sign.
func unwilling(text string) sdk.Code {
	text = strings.ToLower(text)
	for _, w := range []struct {
		words string
		code  sdk.Code
	}{
		{"verify old password", sdk.WrongCurrentPassword},
		{"operation restricted", sdk.ReadOnly}, // slapd's readonly
		{"read-only", sdk.ReadOnly},
		{"shadow context", sdk.ReadOnly},
		{"no update referral", sdk.ReadOnly},
		{"inactivated", sdk.AccountStatus}, // 389 Directory Server
	} {
		if strings.Contains(text, w.words) {
			return w.code
		}
	}
	return sdk.ChangeNotAllowed
}

// readCode is the code of a search that the server refused.
func (r result) readCode() sdk.Code {
	switch code := r.meaning().code; code {
	case sdk.PolicyViolation, sdk.WrongCurrentPassword, sdk.ChangeNotAllowed, sdk.NoCredential:
		return sdk.TargetError
	default:
		return code
	}
}

// expired reports the answer to a right value that is too old or was set by
// somebody else.
func (r result) expired() bool {
	return r.Code == resultInvalidLogin && (r.Policy.Code() == ldapwire.PolicyExpired || r.data() == "532" || r.data() == "773")
}

// receipt of a write.
func (r result) receipt() sdk.Receipt {
	if r.Code == resultSuccess {
		return sdk.OK()
	}
	meaning := r.meaning()
	return sdk.Receipt{Outcome: meaning.outcome, Err: r.error(meaning.code)}
}

// error of an answer, with what belongs to its code.
func (r result) error(code sdk.Code) *sdk.Error {
	failure := &sdk.Error{Code: code, Native: r.native(), Message: "the server answers " + r.describe()}
	switch code {
	case sdk.PolicyViolation:
		failure.Violations = []sdk.Violation{r.violation()}
		failure.Message += policyReasons[r.Policy.Code()]
	case sdk.AccountStatus:
		failure.AccountStatus = r.status()
	case sdk.ChangeNotAllowed:
		if r.Policy.Code() == ldapwire.PolicyMustSupplyOld {
			failure.Message += "; its policy wants the old value: use change"
		}
	}
	return failure
}

// policyReasons are what the policy control says beyond the text of the answer.
var policyReasons = map[int]string{
	ldapwire.PolicyTooShort: "; it is too short", ldapwire.PolicyTooLong: "; it is too long", ldapwire.PolicyInHistory: "; the account had it before", ldapwire.PolicyTooYoung: "; the present one is too young to be changed",
}

// status of an account that the answer tells.
func (r result) status() sdk.Status {
	if r.Policy.Code() == ldapwire.PolicyLocked {
		return sdk.StatusLocked
	}
	if status, ok := states[r.data()]; ok && r.Code == resultInvalidLogin {
		return status
	}
	if word := r.windows(); word != "" {
		return states[strings.TrimLeft(word, "0")]
	}
	if r.Code == resultUnwilling {
		return sdk.StatusDisabled
	}
	return sdk.StatusUnknown
}

// violation is the broken rule: from the policy control, else from the words.
func (r result) violation() sdk.Violation {
	violation := sdk.Violation{Rule: sdk.RuleOpaque, Native: r.native(), Message: r.Text}
	text := strings.ToLower(r.Text)
	switch position := r.Policy.Code(); {
	case strings.Contains(text, "not being changed from existing value"), r.Code == 20:
		violation.Rule = sdk.RuleSameAsCurrent
	case position == ldapwire.PolicyInHistory, strings.Contains(text, "history"):
		violation.Rule = sdk.RuleHistory
	case position == ldapwire.PolicyTooYoung, strings.Contains(text, "too young"), strings.Contains(text, "minimum age"):
		violation.Rule = sdk.RuleMinAge
	case position == ldapwire.PolicyTooShort, strings.Contains(text, "too short"), atLeast.MatchString(text), violation.Native == "800708C5":
		violation.Rule = sdk.RuleMinLength
	case position == ldapwire.PolicyTooLong, strings.Contains(text, "too long"):
		violation.Rule = sdk.RuleMaxLength
	case strings.Contains(text, "complexity"):
		violation.Rule, violation.Limit = sdk.RuleClasses, 3
	case position == ldapwire.PolicyQuality, strings.Contains(text, "quality"):
		violation.Rule = sdk.RuleQuality
	}
	if list := atLeast.FindStringSubmatch(text); list != nil && violation.Rule == sdk.RuleMinLength {
		violation.Limit, _ = strconv.Atoi(list[1])
	}
	return violation
}

// repeated reports a refusal that the same request, made before, explains.
func repeated(receipt sdk.Receipt) (same, history bool) {
	if receipt.Outcome != sdk.Refused || receipt.Err == nil {
		return false, false
	}
	for _, violation := range receipt.Err.Violations {
		switch violation.Rule {
		case sdk.RuleSameAsCurrent:
			return true, true
		case sdk.RuleHistory, sdk.RuleMinAge:
			history = true
		}
	}
	return false, history
}
