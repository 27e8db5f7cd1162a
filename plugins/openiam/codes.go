package openiam

import (
	"strings"

	"github.com/rekey-host/rekey/sdk"
)

// meaning is what a failure code says of an operation that changes something.
type meaning struct {
	outcome sdk.Outcome
	code    sdk.Code
	rule    sdk.Rule // of a PolicyViolation
	text    string
}

// meanings are by the code's letters alone, in upper case: that makes the
// constants' names, the values on the wire and the documentation's spelling
// one. What the policy or the look-up refuses has changed nothing; what comes
// from a connector or a database may come after OpenIAM's own copy was changed.
var meanings = map[string]meaning{
	"PRINCIPALNOTFOUND":  refuse(sdk.AccountNotFound, "no such identity"),
	"OBJECTNOTFOUND":     refuse(sdk.AccountNotFound, "no such object"),
	"USERNOTFOUND":       refuse(sdk.UserNotFound, "the identity exists, its user does not"),
	"USERSTATUS":         refuse(sdk.AccountStatus, "the user's status does not allow it"),
	"DUPLICATEPRINCIPAL": refuse(sdk.Ambiguous, "several identities match"),

	"FAILPASSWORDPOLICY":          policy(sdk.RuleOpaque, "the policy refuses the value and does not say why"),
	"FAILLENGTHRULE":              policy(sdk.RuleOpaque, "too short or too long"),
	"FAILALPHACHARRULE":           policy(sdk.RuleLetters, "the number of letters (a to z, A to Z)"),
	"FAILNUMERICCHARRULE":         policy(sdk.RuleDigits, "the number of digits"),
	"FAILLOWERCASERULE":           policy(sdk.RuleLower, "the number of lower-case letters"),
	"FAILUPPERCASERULE":           policy(sdk.RuleUpper, "the number of upper-case letters"),
	"FAILNONAPHANUMERICRULE":      policy(sdk.RuleSymbols, "the number of symbols; only ! to / and : to @ count"),
	"FAILNONALPHANUMERICRULE":     policy(sdk.RuleSymbols, "the number of symbols; only ! to / and : to @ count"),
	"FAILHISTORYRULE":             policy(sdk.RuleHistory, "used before"),
	"FAILNEQNAME":                 policy(sdk.RuleContainsName, "contains the first or last name"),
	"FAILNEQPRINCIPAL":            policy(sdk.RuleContainsName, "contains the principal"),
	"FAILNEQPASSWORD":             policy(sdk.RuleContainsWord, "contains the word password"),
	"FAILNEQPASSWORD0":            policy(sdk.RuleContainsWord, "contains the word password"),
	"FAILREJECTCHARSINPSWD":       policy(sdk.RuleForbidden, "has a character that the policy forbids"),
	"FAILPASSWORDCHANGEFREQUENCY": policy(sdk.RuleChangeCount, "changed too often; resetPassword, which is set(must_change = True), or the server's nightly task sets the counter back"),

	"FAILPASSWORDCHANGEALLOW": refuse(sdk.ChangeNotAllowed, "the policy allows no change"),
	"PASSWORDPOLICYNOTFOUND":  refuse(sdk.TargetError, "the server has no password policy for this user"),
	"FAILENCRYPTION":          refuse(sdk.TargetError, "the server cannot encrypt the value; its key is missing or wrong"),
	"FAILDECRYPTION":          refuse(sdk.TargetError, "the server cannot decrypt what it holds; its key is missing or wrong"),

	"FAILCONNECTION":              doubt(sdk.TargetUnavailable, "the server has no connection to the managed system"),
	"FAILCONNECTOR":               doubt(sdk.TargetError, "the managed system's connector failed"),
	"COMMUNICATIONEXCEPTION":      doubt(sdk.TargetUnavailable, "the connector lost the managed system"),
	"SERVICEUNAVAILABLEEXCEPTION": doubt(sdk.TargetUnavailable, "the managed system is not available"),
	"LIMITEXCEEDEDEXCEPTION":      doubt(sdk.TargetUnavailable, "the managed system has reached a limit"),
	"DIRECTORYNAMINGEXCEPTION":    doubt(sdk.TargetError, "the managed system's directory refused a name"),
	"SCHEMAVIOLATIONEXCEPTION":    doubt(sdk.TargetError, "the managed system's schema refused it"),
	"PERMISSIONEXCEPTION":         doubt(sdk.TargetError, "the connector may not do this on the managed system"),
	"AUTHENTICATIONEXCEPTION":     doubt(sdk.TargetError, "the managed system refuses the connector's login"),
	"IOEXCEPTION":                 doubt(sdk.TargetError, "the connector's input or output failed"),
	"FILEEXCEPTION":               doubt(sdk.TargetError, "the connector's file failed"),
	"SQLEXCEPTION":                doubt(sdk.TargetError, "the connector's database failed"),
	"WSSERVICEEXCEPTION":          doubt(sdk.TargetError, "the connector's web service failed"),
	"SYNCHRONIZATIONEXCEPTION":    doubt(sdk.TargetError, "the synchronisation failed"),
	"FAILSQLERROR":                doubt(sdk.TargetError, "the server's database failed"),
	"FAILSQLERORR":                doubt(sdk.TargetError, "the server's database failed"),
	"FAILOTHER":                   doubt(sdk.TargetError, "it failed for a reason that the server does not tell"),
	"CLASSNOTFOUND":               doubt(sdk.TargetError, "the server lacks a class"),
	"SUPERVISORNOTFOUND":          doubt(sdk.TargetError, "the user's supervisor does not exist"),
	"SUPERVISORLNOTFOUND":         doubt(sdk.TargetError, "the user's supervisor does not exist"),
	"GROUPIDNULL":                 doubt(sdk.TargetError, "a group id is missing"),
	"GROUPIDINVALID":              doubt(sdk.TargetError, "a group id is not valid"),
	"ROLEIDNULL":                  doubt(sdk.TargetError, "a role id is missing"),
	"ROLEIDINVALID":               doubt(sdk.TargetError, "a role id is not valid"),
	"OBJECTIDINVALID":             doubt(sdk.TargetError, "an object id is not valid"),
}

func refuse(code sdk.Code, text string) meaning { return meaning{sdk.Refused, code, "", text} }

func policy(rule sdk.Rule, text string) meaning {
	return meaning{sdk.Refused, sdk.PolicyViolation, rule, text}
}

func doubt(code sdk.Code, text string) meaning { return meaning{sdk.Unknown, code, "", text} }

// mean returns what a code means. An unknown one leaves the outcome
// open.
func mean(native string) meaning {
	if meaning, ok := meanings[normal(native)]; ok {
		return meaning
	}
	if native == "" {
		return meaning{sdk.Unknown, sdk.TargetError, "", "a failure without a code"}
	}
	return meaning{sdk.Unknown, sdk.TargetError, "", "a failure of a kind that this plugin does not know"}
}

// normal reduces a code to its letters and digits, in upper case.
func normal(native string) string {
	return strings.Map(func(letter rune) rune {
		switch {
		case letter >= 'a' && letter <= 'z':
			return letter - 'a' + 'A'
		case letter >= 'A' && letter <= 'Z', letter >= '0' && letter <= '9':
			return letter
		}
		return -1
	}, native)
}

// err is the meaning as an error with the server's own name for it.
func (m meaning) err(native, detail string) *sdk.Error {
	failure := &sdk.Error{Code: m.code, Native: native, Message: m.text + detail}
	if m.rule != "" {
		failure.Violations = []sdk.Violation{{Rule: m.rule, Native: native, Message: m.text}}
	}
	return failure
}
