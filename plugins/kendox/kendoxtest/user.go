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
func (s *Server) Add(u User, password string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if u.ID == "" {
		u.ID = newID()
	}
	u.Hash = s.Hash(password)
	u.Hashes = []string{u.Hash}
	s.users[strings.ToLower(u.ID)] = &u
	s.order = nil
	return u.ID
}

// User returns a copy of the user of that login and whether there is one.
func (s *Server) User(login string) (User, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	u := s.byLogin(login)
	if u == nil {
		return User{}, false
	}
	c := *u
	c.Hashes, c.Rights = slices.Clone(c.Hashes), slices.Clone(c.Rights)
	return c, true
}

// Accepts reports whether the user could log on with the password.
func (s *Server) Accepts(login, password string) bool {
	u, ok := s.User(login)
	return ok && u.Hash == s.Hash(password)
}

// Update changes a user behind the back of the protocol.
func (s *Server) Update(login string, f func(*User)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if u := s.byLogin(login); u != nil {
		f(u)
		s.order = nil
	}
}

func (s *Server) byLogin(login string) *User {
	for _, u := range s.sorted() {
		if strings.EqualFold(u.Login, login) {
			return u
		}
	}
	return nil
}

// sorted returns the users by login, then id.
func (s *Server) sorted() []*User {
	if s.order == nil {
		s.order = slices.SortedFunc(maps.Values(s.users), func(a, b *User) int {
			return cmp.Or(strings.Compare(a.Login, b.Login), strings.Compare(a.ID, b.ID))
		})
	}
	return s.order
}

// take gives the user a new hash.
func (s *Server) take(u *User, hash string) {
	u.Hash = hash
	u.Hashes = append(u.Hashes, hash)
	s.changed++
}

// isHash reports whether the text is the Base64 of 64 bytes.
func isHash(text string) bool {
	b, err := base64.StdEncoding.DecodeString(text)
	return err == nil && len(b) == sha512.Size
}

// broken returns the code of the first rule that a password breaks; 0: none.
func (r Rules) broken(password string) int {
	has := func(is func(rune) bool) bool { return strings.IndexFunc(password, is) >= 0 }
	switch {
	case len([]rune(password)) < r.MinLength:
		return codeTooShort
	case r.Letter && !has(unicode.IsLetter):
		return codeLetter
	case r.Special && !has(func(c rune) bool { return !unicode.IsLetter(c) && !unicode.IsDigit(c) }):
		return codeSpecial
	case r.Mixed && (!has(unicode.IsUpper) || !has(unicode.IsLower)):
		return codeMixed
	case r.Digit && !has(unicode.IsDigit):
		return codeDigit
	}
	return 0
}
