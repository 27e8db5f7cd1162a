package ledger

import (
	"strings"
	"testing"

	"github.com/rekey-host/rekey/host/journal"
	"golang.org/x/mod/sumdb/note"
)

func TestKeyNameIsOneWordOfPrintableLetters(t *testing.T) {
	for host, want := range map[string]string{
		"":           "rekey",
		"host":       "rekey-host",
		"a b":        "rekey-a-b",
		"a+b":        "rekey-a-b",
		"a~b!c":      "rekey-a~b!c",
		"a\x7fb":     "rekey-a-b",
		"h\u00e9":    "rekey-h",
		"x.example.": "rekey-x.example.",
	} {
		if got := (&Store{host: host}).keyName(); got != want {
			t.Errorf("keyName() of %q = %q, want %q", host, got, want)
		}
	}
}

func TestAuditKeyThatIsNoneIsRefused(t *testing.T) {
	skey, _, err := note.GenerateKey(&counter{}, "x")
	must(t, err)
	if _, err := parseAuditKey(skey); err != nil {
		t.Fatal(err)
	}
	for _, bad := range []string{"", "x", skey[:len(skey)-4], skey + "AAAA", "PRIVATE+KEY", strings.Replace(skey, "PRIVATE", "PUBLIC", 1), skey + "+" + skey} {
		if _, err := parseAuditKey(bad); err == nil || strings.Contains(err.Error(), skey[len(skey)-8:]) {
			t.Errorf("a key of %d bytes: %v", len(bad), err)
		}
	}
}

// counter is a source of bytes that are all different for a while.
type counter struct{ n byte }

func (c *counter) Read(b []byte) (int, error) {
	for i := range b {
		c.n++
		b[i] = c.n
	}
	return len(b), nil
}

// TestCommitThatCannotBeSignedIsNone: nobody takes it for one that is.
func TestCommitThatCannotBeSignedIsNone(t *testing.T) {
	s := newStore(t)
	k := newKeys(t, s)
	r := newRun(t, s, k, 1)
	must(t, r.Close())
	must(t, replace(s.dir+"/audit.key", []byte("nonsense")))
	s = opened(t, s.dir, "test host")
	again, err := s.Lock(r.ID(), k)
	must(t, err)
	defer again.Close()
	if err := again.Commit([]*journal.Record{{Kind: journal.Revealed}}); err == nil {
		t.Error("Commit() gave no error")
	}
	if a, err := s.Verify(r.ID(), ""); err != nil || a.Size != 2 {
		t.Errorf("the log has %d records, %v", a.Size, err)
	}
}
