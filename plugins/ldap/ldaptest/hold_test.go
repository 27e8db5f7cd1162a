package ldaptest

import (
	"testing"
	"time"

	"github.com/go-ldap/ldap/v3"
)

// A request that is held takes effect when it is released, whatever became of
// who sent it, and after others that were sent later.
func TestHolderDeliversLater(t *testing.T) {
	s := Start(t, Options{Users: 1})
	h := StartHolder(t, s, 1)
	set := func(value string) error {
		c, err := ldap.DialURL(h.URL)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = c.Close() }()
		c.SetTimeout(200 * time.Millisecond)
		if err := c.Bind(s.BindDN, s.Password); err != nil {
			t.Fatal(err)
		}
		_, err = c.PasswordModify(ldap.NewPasswordModifyRequest(s.UserDN(0), "", value))
		return err
	}
	h.Hold(100, 0)
	if err := set("the first"); err == nil {
		t.Fatal("a request that is held is answered")
	}
	h.Hold(0, 0)
	if err := set("the second"); err != nil {
		t.Fatal(err)
	}
	if err := s.Bind(s.UserDN(0), "the second"); err != nil {
		t.Errorf("before the release: %v", err)
	}
	h.Release()
	if err := s.Bind(s.UserDN(0), "the first"); err != nil || h.Held() != 1 {
		t.Errorf("after the release: %v; %d held", err, h.Held())
	}
}
