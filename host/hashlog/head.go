package hashlog

import (
	"crypto/ed25519"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// Head is a signed head as it is kept.
type Head struct {
	Size int64  // records under it
	At   int64  // µs since 1970, when it was signed
	Note string // golang.org/x/mod/sumdb/note of what HeadText returns
}

// HeadText is the text of a signed head, a checkpoint: origin, size and root
// on a line each.
func HeadText(run string, size int64, root Hash) string {
	return fmt.Sprintf("rekey/run/%s\n%d\n%s\n", run, size, root)
}

// ParseHead takes HeadText apart, whatever follows it.
func ParseHead(text string) (run string, size int64, root Hash, err error) {
	lines := strings.Split(text, "\n")
	if len(lines) < 4 || !strings.HasPrefix(lines[0], "rekey/run/") {
		return "", 0, root, errors.New("not the head of a run")
	}
	size, err = strconv.ParseInt(lines[1], 10, 64)
	if err != nil || size < 0 {
		return "", 0, root, errors.New("head: not a size")
	}
	root, err = tlog.ParseHash(lines[2])
	return strings.TrimPrefix(lines[0], "rekey/run/"), size, root, err
}

// HeadString is how a head is printed: SIZE:HASH, the hash in hexadecimal.
func HeadString(size int64, root Hash) string { return fmt.Sprintf("%d:%x", size, root[:]) }

// HeadOf returns the run of a text that is its signed head, or "".
func HeadOf(text string) string {
	run, _, _, err := ParseHead(strings.ReplaceAll(text, "\r\n", "\n"))
	if err != nil {
		return ""
	}
	return run
}

// Signer signs heads.
type Signer struct {
	signer note.Signer
	vkey   string
}

// GenerateSigner makes a signing key whose signatures are from a name: notes allow
// no spaces and no plus in it.
func GenerateSigner(rand io.Reader, name string) (skey string, err error) {
	skey, _, err = note.GenerateKey(rand, name)
	return skey, err
}

// ParseSigner reads what GenerateSigner made. An error has nothing of it.
func ParseSigner(skey string) (*Signer, error) {
	signer, err := note.NewSigner(skey)
	if err != nil {
		return nil, errors.New("not a signing key")
	}
	// PRIVATE+KEY+NAME+HASH+BASE64(1, seed)
	fields := strings.SplitN(skey, "+", 5)
	raw, err := base64.StdEncoding.DecodeString(fields[len(fields)-1])
	if err != nil || len(raw) != 1+ed25519.SeedSize {
		return nil, errors.New("not a signing key")
	}
	defer clear(raw)
	public := ed25519.NewKeyFromSeed(raw[1:]).Public().(ed25519.PublicKey)
	vkey, err := note.NewEd25519VerifierKey(signer.Name(), public)
	return &Signer{signer, vkey}, err
}

// Sign signs a head as a note.
func (s *Signer) Sign(run string, size int64, root Hash) (string, error) {
	text, err := note.Sign(&note.Note{Text: HeadText(run, size, root)}, s.signer)
	return string(text), err
}

// VerifierKey returns the public key.
func (s *Signer) VerifierKey() string { return s.vkey }

// Verifier returns what checks the signer's signatures.
func (s *Signer) Verifier() (*Verifier, error) { return newVerifier(s.vkey) }

// Verifier checks signatures of heads.
type Verifier struct{ note.Verifier }

func newVerifier(vkey string) (*Verifier, error) {
	v, err := note.NewVerifier(vkey)
	return &Verifier{v}, err
}

// Signed reports whether a text is a note signed with the key.
func (v *Verifier) Signed(text string) bool {
	_, err := note.Open([]byte(text), note.VerifierList(v.Verifier))
	return err == nil
}
