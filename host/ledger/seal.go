package ledger

import (
	"bytes"
	"crypto/cipher"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"filippo.io/age"
	"golang.org/x/crypto/chacha20poly1305"

	"github.com/rekey-host/rekey/host/ledger/internal/rows"
	"github.com/rekey-host/rekey/sdk/secret"
)

// ErrNoKey is why sealed values of a run cannot be read: none of the
// identities opens its data key.
var ErrNoKey = errors.New("its sealed values do not open with this identity; set REKEY_AGE_IDENTITY to the file of one that the run was sealed to")

// ErrForgotten is why sealed values of a run cannot be read any more.
var ErrForgotten = errors.New("its sealed values were forgotten: the key is destroyed")

// padding is the step in which the lengths of sealed values grow: the ledger
// does not tell how long a password is.
const padding = 32

// sealer seals and opens the values of one run. It is safe for concurrent use.
//
// A sealed value is a random nonce of 24 bytes and the XChaCha20-Poly1305
// ciphertext of: its length as an unsigned varint, the value, zeros up to a
// multiple of 32 bytes. The additional data names its place, so that a sealed
// value does not open elsewhere.
type sealer struct {
	run  string
	aead cipher.AEAD
	rand io.Reader
}

func newSealer(run string, key []byte, rand io.Reader) (*sealer, error) {
	aead, err := chacha20poly1305.NewX(key)
	return &sealer{run, aead, rand}, err
}

// valuePlace names the place of a value of a step.
func (s *sealer) valuePlace(user int64, step, try int, role string) []byte {
	b := appendString(append(make([]byte, 0, 64), "rekey value\x00"...), s.run)
	b = binary.AppendUvarint(b, uint64(user))
	b = binary.AppendUvarint(b, uint64(step))
	b = binary.AppendUvarint(b, uint64(try))
	return appendString(b, role)
}

// cellPlace names the place of a cell of the source.
func (s *sealer) cellPlace(role string, seq int64) []byte {
	b := appendString(append(make([]byte, 0, 64), "rekey cell\x00"...), s.run)
	b = binary.AppendUvarint(b, uint64(seq))
	return appendString(b, role)
}

// appendString appends a text with its length before it.
func appendString(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

// seal returns nil for an absent value. A source of randomness that fails is a
// panic, as with crypto/rand: no safe way leads on.
func (s *sealer) seal(place []byte, v secret.Value) []byte {
	if !v.Present() {
		return nil
	}
	text := v.Reveal()
	var head [binary.MaxVarintLen64]byte
	n := binary.PutUvarint(head[:], uint64(len(text)))
	size := (n + len(text) + padding - 1) / padding * padding
	out := make([]byte, chacha20poly1305.NonceSizeX+size, chacha20poly1305.NonceSizeX+size+chacha20poly1305.Overhead)
	nonce, plain := out[:chacha20poly1305.NonceSizeX], out[chacha20poly1305.NonceSizeX:]
	if _, err := io.ReadFull(s.rand, nonce); err != nil {
		panic(fmt.Sprintf("ledger: the source of randomness broke: %v", err))
	}
	copy(plain, head[:n])
	copy(plain[n:], text)
	return s.aead.Seal(nonce, nonce, plain, place) // in place: the plain text is overwritten
}

func (s *sealer) open(place, sealed []byte) (secret.Value, error) {
	if len(sealed) < chacha20poly1305.NonceSizeX {
		return secret.Value{}, errDamaged
	}
	plain, err := s.aead.Open(nil, sealed[:chacha20poly1305.NonceSizeX], sealed[chacha20poly1305.NonceSizeX:], place)
	if err != nil {
		return secret.Value{}, errDamaged
	}
	defer clear(plain)
	n, head := binary.Uvarint(plain)
	if head <= 0 || n > uint64(len(plain)-head) {
		return secret.Value{}, errDamaged
	}
	return secret.New(string(plain[head : head+int(n)])), nil
}

var errDamaged = errors.New("sealed value: damaged, or not the one of this place")

// wrap seals the data key to every recipient, each by itself: so recipients of
// all kinds go together, and a broken one spoils no other.
func wrap(key []byte, recipients []age.Recipient) ([]byte, error) {
	if len(recipients) == 0 {
		return nil, errors.New("data key: there is no recipient to seal it to")
	}
	var files [][]byte
	for _, r := range recipients {
		var out bytes.Buffer
		w, err := age.Encrypt(&out, r)
		if err == nil {
			_, err = w.Write(key)
		}
		if err == nil {
			err = w.Close()
		}
		if err != nil {
			return nil, fmt.Errorf("data key: recipient %v: %w", r, err)
		}
		files = append(files, out.Bytes())
	}
	return json.Marshal(files)
}

// unwrap opens a data key with whichever identity fits.
func unwrap(wrapped []byte, identities []age.Identity) ([]byte, error) {
	if len(wrapped) == 0 {
		return nil, ErrForgotten
	}
	var files [][]byte
	if err := json.Unmarshal(wrapped, &files); err != nil {
		return nil, fmt.Errorf("data key: %w", err)
	}
	if len(identities) == 0 {
		return nil, ErrNoKey
	}
	for _, file := range files {
		r, err := age.Decrypt(bytes.NewReader(file), identities...)
		if err != nil {
			continue
		}
		key, err := io.ReadAll(io.LimitReader(r, chacha20poly1305.KeySize+1))
		if err == nil && len(key) == chacha20poly1305.KeySize {
			return key, nil
		}
	}
	return nil, ErrNoKey
}

// errOtherKey is why a run is not applied whose data key was exchanged: what
// was sealed does not open with it, and what would be sealed might not open
// with any.
var errOtherKey = errors.New("its wrapped data key is not the one that it was planned with: the row was changed or exchanged; put the newest copy of the run back")

// keyFact is the name under which the first record has the digest of the
// wrapped data key.
const keyFact = "key"

// keyIs reports whether the wrapped data key is the one of that digest, or missing as
// that of a forgotten run.
func keyIs(key rows.Key, digest string, forgot bool) bool {
	if !key.There {
		return forgot
	}
	return !forgot && digestOf(key.Wrapped) == digest
}
