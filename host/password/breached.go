package password

import (
	"bytes"
	"crypto/sha1"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strings"
)

const (
	hashDigits = 2 * sha1.Size
	// longestLine bounds a line of the list: a hash, a colon, a count, a line end.
	longestLine = hashDigits + 32
	// scanned is how much of the list is read line by line, once the search
	// knows that the hash can only be there.
	scanned = 4 << 10
)

// Breached is an offline list of breached passwords: one line each, the SHA-1
// of the password in hexadecimal digits, a colon and a count, sorted by hash,
// as the Pwned Passwords are downloaded. It is searched where it lies, and safe
// for concurrent use if its reader is.
type Breached struct {
	list io.ReaderAt
	size int64
}

// NewBreached returns the list of a reader with so many bytes. It looks at the
// first lines and at the last one only.
func NewBreached(list io.ReaderAt, size int64) (*Breached, error) {
	made := &Breached{list, size}
	head, err := made.read(0, scanned)
	if err != nil {
		return nil, err
	}
	before := ""
	for line := range bytes.Lines(head) {
		if line[len(line)-1] != '\n' && int64(len(head)) < size {
			break // cut off
		}
		hash, err := hashOf(line)
		if err != nil {
			return nil, err
		}
		if hash <= before {
			return nil, errUnsorted
		}
		before = hash
	}
	if before == "" {
		return nil, errors.New("the list is empty")
	}
	_, err = made.lineAt(max(0, size-longestLine))
	return made, err
}

var errUnsorted = errors.New("the list is not sorted by hash; download it ordered by hash")

// hashOf returns the hash of a line, in upper case.
func hashOf(line []byte) (string, error) {
	hash, count, ok := bytes.Cut(bytes.TrimRight(line, "\r\n"), []byte(":"))
	if len(hash) == 32 && ok {
		return "", errors.New("the list has NTLM hashes; download the one with SHA-1 hashes")
	}
	if _, err := hex.DecodeString(string(hash)); err != nil || len(hash) != hashDigits || !ok || len(count) == 0 {
		return "", errors.New("a line is not HASH:COUNT with a SHA-1 of 40 hexadecimal digits")
	}
	return strings.ToUpper(string(hash)), nil
}

// read returns some bytes of the list, fewer at its end.
func (b *Breached) read(from, count int64) ([]byte, error) {
	buf := make([]byte, min(count, b.size-from))
	if n, err := b.list.ReadAt(buf, from); n < len(buf) {
		return nil, fmt.Errorf("the list cannot be read: %w", err)
	}
	return buf, nil
}

// place is a line of the list: where it starts, where it ends, and its hash.
type place struct {
	from, to int64
	hash     string
}

// lineAt returns the first line that begins at a place or after it; its hash is
// "" at the end of the list.
func (b *Breached) lineAt(at int64) (place, error) {
	from := max(0, at-1) // a line begins after the end of another
	text, err := b.read(from, 2*longestLine)
	if err != nil {
		return place{}, err
	}
	if at > 0 {
		end := bytes.IndexByte(text, '\n')
		if end < 0 && from+int64(len(text)) < b.size {
			return place{}, fmt.Errorf("a line of the list has more than %d bytes", longestLine)
		}
		if end < 0 {
			return place{b.size, b.size, ""}, nil
		}
		text, from = text[end+1:], from+int64(end)+1
	}
	if len(text) == 0 {
		return place{b.size, b.size, ""}, nil
	}
	if end := bytes.IndexByte(text, '\n'); end >= 0 {
		text = text[:end+1]
	} else if from+int64(len(text)) < b.size {
		return place{}, fmt.Errorf("a line of the list has more than %d bytes", longestLine)
	}
	hash, err := hashOf(text)
	return place{from, from + int64(len(text)), hash}, err
}

// Holds reports whether a password is in the list. It reads a few kilobytes,
// however long the list is.
func (b *Breached) Holds(text string) (bool, error) {
	sum := sha1.Sum([]byte(text))
	want := strings.ToUpper(hex.EncodeToString(sum[:]))
	low, high := int64(0), b.size // the line begins here at the earliest, and before here
	after, before := "", "~"      // hashes around it
	for high-low > scanned {
		middle := low + (high-low)/2
		line, err := b.lineAt(middle)
		switch {
		case err != nil:
			return false, err
		case line.from >= high: // the last line before high began before the middle
			high = middle
			continue
		case line.hash <= after || line.hash >= before:
			return false, errUnsorted
		case line.hash == want:
			return true, nil
		case line.hash < want:
			low, after = line.to, line.hash
		default:
			high, before = line.from, line.hash
		}
	}
	return b.scan(low, high, want)
}

// scan looks at each line of a part of the list.
func (b *Breached) scan(low, high int64, want string) (bool, error) {
	for low < high {
		line, err := b.lineAt(low)
		if err != nil || line.hash == want {
			return err == nil, err
		}
		low = max(line.to, low+1)
	}
	return false, nil
}
