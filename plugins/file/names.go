package file

import (
	"regexp"
	"slices"
	"strings"

	"github.com/rekey-host/rekey/sdk"
)

// refuseNames returns why places cannot be told of: a pattern may fit a password too,
// and the name of a place may say that it holds one.
func refuseNames(names []string, format string) *sdk.Error {
	for _, place := range names {
		switch {
		case format == formatPgpass || format == formatTemplate:
			return sdk.Errorf(sdk.InvalidConfig, "names: %q: every place of format %s holds a password; leave names out", place, format)
		case strings.ContainsAny(place, "*?["):
			return sdk.Errorf(sdk.InvalidConfig, "names: %q looks like a pattern, which may fit a password too; name each place as it stands in the file, such as DB_USER", place)
		case secretive(place):
			return sdk.Errorf(sdk.InvalidConfig, "names: %q is called like a password, which find would show; name the places of names of accounts alone", place)
		}
		if failure := refusePlace(place); failure != nil {
			return sdk.Errorf(sdk.InvalidConfig, "names: %s", failure.Message)
		}
	}
	return nil
}

var (
	humps   = regexp.MustCompile(`([a-z0-9])([A-Z])`)
	between = regexp.MustCompile(`[^\pL]+`)
)

// What the words of a secret's name have in them, or at their end, or are; and what
// stands last where the name says something about a secret, as in AWS_ACCESS_KEY_ID.
var (
	within = []string{"passw", "passphrase", "passcode", "secret", "token", "credential", "kennwort", "contraseña", "wachtwoord"}
	atEnd  = []string{"key", "keys", "pwd", "pass"}
	whole  = []string{"pw", "pin", "hash", "senha", "hasło", "parola", "mdp"}
	about  = []string{"id", "name", "user", "username", "login", "account", "role"}
)

// secretive reports whether the own name of a place, which is its last part that is no
// number, is one of a secret.
func secretive(place string) bool {
	parts := strings.FieldsFunc(place, func(letter rune) bool { return strings.ContainsRune("/.", letter) })
	for index := len(parts) - 1; index >= 0; index-- {
		words := strings.Fields(between.ReplaceAllString(strings.ToLower(humps.ReplaceAllString(parts[index], "$1 $2")), " "))
		if len(words) > 0 {
			return !slices.Contains(about, words[len(words)-1]) && slices.ContainsFunc(words, ofSecret)
		}
	}
	return false
}

func ofSecret(word string) bool {
	return slices.ContainsFunc(within, func(part string) bool { return strings.Contains(word, part) }) ||
		slices.ContainsFunc(atEnd, func(end string) bool { return strings.HasSuffix(word, end) }) ||
		slices.Contains(whole, word)
}
