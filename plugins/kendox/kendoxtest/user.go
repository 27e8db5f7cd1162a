package kendoxtest

import (
	"cmp"
	"crypto/sha512"
	"encoding/base64"
	"maps"
	"slices"
	"strings"
)

// directory is the users. Whoever asks it holds the lock.
type directory struct{ *Server }

// User is one user. The zero values of the flags are those of an ordinary
// active user with an internal password.
type User struct {
	ID, Login, Name, Domain, Mail string
	Inactive, Obsolete            bool // Obsolete: deleted
	NoInternalPassword            bool // logs in by Windows or a certificate only
	SecondFactor                  bool
	MustChange                    bool
	Rights                        []string // administrative access rights

	Hash   string   // what the server holds
	Hashes []string // every hash that took effect, the first at creation
}

func (u *User) contract() map[string]any {
	return map[string]any{"Id": u.ID, "LoginName": u.Login, "DisplayName": u.Name, "Domain": u.Domain, "Email": u.Mail, "PhoneNumber": "",
		"Language": "en", "Active": !u.Inactive, "Obsolete": u.Obsolete, "NamedUser": false, "ApplicationUser": false,
		"LoginWithInternalPassword": !u.NoInternalPassword, "LoginWithWindowsUser": u.NoInternalPassword, "LoginWithCertificate": false,
		"LoginWithoutPassword": false, "HasEmailNotification": false, "CanChangeLanguage": true, "CanChangeOptions": true, "CanExecuteDefaultSearch": true}
}

func (s directory) byLogin(login string) *User {
	for _, user := range s.sorted() {
		if strings.EqualFold(user.Login, login) {
			return user
		}
	}
	return nil
}

// sorted returns the users by login, then id.
func (s directory) sorted() []*User {
	if s.order == nil {
		s.order = slices.SortedFunc(maps.Values(s.users), func(user, b *User) int {
			return cmp.Or(strings.Compare(user.Login, b.Login), strings.Compare(user.ID, b.ID))
		})
	}
	return s.order
}

// take gives the user a new hash.
func (s directory) take(user *User, hash string) {
	user.Hash = hash
	user.Hashes = append(user.Hashes, hash)
	s.changed++
}

// isHash reports whether the text is the Base64 of 64 bytes.
func isHash(text string) bool {
	data, err := base64.StdEncoding.DecodeString(text)
	return err == nil && len(data) == sha512.Size
}
