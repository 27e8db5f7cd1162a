package mysql

import (
	"strings"
	"unicode/utf8"

	"github.com/rekey-host/rekey/sdk"
)

// name is an account's: the server tells users apart by case, and hosts not.
type name struct{ user, host string }

// parse reads an account as a script names it.
func parse(account string) (name, *sdk.Error) {
	user, host := account, "%"
	if at := strings.LastIndexByte(account, '@'); at >= 0 {
		user, host = account[:at], account[at+1:]
	}
	switch {
	case user == "":
		return name{}, sdk.Errorf(sdk.InvalidOperation, "account %q: the user is empty", account)
	case !utf8.ValidString(account):
		return name{}, sdk.Errorf(sdk.InvalidOperation, "account %q: the name is not UTF-8", account)
	case strings.ContainsRune(account, 0):
		return name{}, sdk.Errorf(sdk.InvalidOperation, "account %q: the name has a NUL", account)
	case strings.ContainsFunc(account, func(letter rune) bool { return letter > 0xffff }):
		return name{}, sdk.Errorf(sdk.InvalidOperation, "account %q: the name has a character that the server would replace by another", account)
	case strings.HasSuffix(user, " "):
		return name{}, sdk.Errorf(sdk.InvalidOperation, "account %q: the user ends in a space, which the server does not see", account)
	case host == "":
		return name{}, sdk.Errorf(sdk.InvalidOperation, "account %q: the host is empty; leave the @ out for %%", account)
	}
	return name{user, strings.ToLower(host)}, nil
}

// String is the account as scripts get it.
func (n name) String() string { return n.user + "@" + n.host }

// quoted is the account in a statement. Backticks mean the same in every mode.
func (n name) quoted() string { return identifier(n.user) + "@" + identifier(n.host) }

func identifier(text string) string { return "`" + strings.ReplaceAll(text, "`", "``") + "`" }

// literal is a string in a statement, as sql_mode = ” reads it.
func literal(text string) string {
	return "'" + strings.NewReplacer(`\`, `\\`, `'`, `''`).Replace(text) + "'"
}
