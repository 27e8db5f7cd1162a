package kendoxtest

import (
	"cmp"
	"crypto/sha512"
	"encoding/base64"
	"encoding/binary"
	"maps"
	"slices"
	"strings"
	"unicode"
	"unicode/utf16"
)

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

// Hash returns the Base64 of the SHA-512 of a password as this server hashes
// it.
func (s *Server) Hash(password string) string {
	text := []byte(password)
	if s.o.UTF16 {
		text = nil
		for _, unit := range utf16.Encode([]rune(password)) {
			text = binary.LittleEndian.AppendUint16(text, unit)
		}
	}
	sum := sha512.Sum512(text)
	return base64.StdEncoding.EncodeToString(sum[:])
}

// Add adds a user with a password and returns its id; without one it gets a
// new id.
func (s *Server) Add(user User, password string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if user.ID == "" {
		user.ID = newID()
	}
	user.Hash = s.Hash(password)
	user.Hashes = []string{user.Hash}
	s.users[strings.ToLower(user.ID)] = &user
	s.order = nil
	return user.ID
}

// User returns a copy of the user of that login and whether there is one.
func (s *Server) User(login string) (User, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	user := s.byLogin(login)
	if user == nil {
		return User{}, false
	}
	c := *user
	c.Hashes, c.Rights = slices.Clone(c.Hashes), slices.Clone(c.Rights)
	return c, true
}

// Accepts reports whether the user could log on with the password.
func (s *Server) Accepts(login, password string) bool {
	user, ok := s.User(login)
	return ok && user.Hash == s.Hash(password)
}

// Update changes a user behind the back of the protocol.
func (s *Server) Update(login string, call func(*User)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if user := s.byLogin(login); user != nil {
		call(user)
		s.order = nil
	}
}

func (s *Server) byLogin(login string) *User {
	for _, user := range s.sorted() {
		if strings.EqualFold(user.Login, login) {
			return user
		}
	}
	return nil
}

// sorted returns the users by login, then id.
func (s *Server) sorted() []*User {
	if s.order == nil {
		s.order = slices.SortedFunc(maps.Values(s.users), func(user, b *User) int {
			return cmp.Or(strings.Compare(user.Login, b.Login), strings.Compare(user.ID, b.ID))
		})
	}
	return s.order
}

// take gives the user a new hash.
func (s *Server) take(user *User, hash string) {
	user.Hash = hash
	user.Hashes = append(user.Hashes, hash)
	s.changed++
}

// isHash reports whether the text is the Base64 of 64 bytes.
func isHash(text string) bool {
	data, err := base64.StdEncoding.DecodeString(text)
	return err == nil && len(data) == sha512.Size
}

// broken returns the code of the first rule that a password breaks; 0: it is good.
func (r Rules) broken(password string) int {
	has := func(is func(rune) bool) bool { return strings.IndexFunc(password, is) >= 0 }
	switch {
	case len([]rune(password)) < r.MinLength:
		return codeTooShort
	case r.Letter && !has(unicode.IsLetter):
		return codeLetter
	case r.Special && !has(func(letter rune) bool { return !unicode.IsLetter(letter) && !unicode.IsDigit(letter) }):
		return codeSpecial
	case r.Mixed && (!has(unicode.IsUpper) || !has(unicode.IsLower)):
		return codeMixed
	case r.Digit && !has(unicode.IsDigit):
		return codeDigit
	}
	return 0
}
