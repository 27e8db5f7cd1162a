package hashlog

import (
	"crypto/rand"
	"strings"
	"testing"

	"golang.org/x/mod/sumdb/note"
)

func TestAuditKeyThatIsNoneIsRefused(t *testing.T) {
	skey, _, err := note.GenerateKey(rand.Reader, "x")
	must(t, err)
	if _, err := ParseSigner(skey); err != nil {
		t.Fatal(err)
	}
	for _, bad := range []string{"", "x", skey[:len(skey)-4], skey + "AAAA", "PRIVATE+KEY", strings.Replace(skey, "PRIVATE", "PUBLIC", 1), skey + "+" + skey} {
		if _, err := ParseSigner(bad); err == nil || strings.Contains(err.Error(), skey[len(skey)-8:]) {
			t.Errorf("a key of %d bytes: %v", len(bad), err)
		}
	}
}
