package source

import (
	"crypto/cipher"
	"crypto/rand"
	"encoding/binary"
	"io"
	"os"

	"golang.org/x/crypto/chacha20poly1305"
)

// sealedChunk is how much of a sealed file is sealed at once.
const sealedChunk = 64 << 10

// sealed is a file on a disk that only this process can read: it is encrypted
// and authenticated with a key that lives and ends with the process.
// It is written once, to its end, and then read from its start as often as
// wanted. A key is used for one file, so the number of a chunk is its nonce.
type sealed struct {
	file  *os.File
	aead  cipher.AEAD
	plain []byte // of the chunk under way
	buf   []byte
	n     uint64 // written chunks
	size  int64  // of the file's content, in clear
}

// newSealed returns a sealed file without a name in a directory.
func newSealed(dir string) (*sealed, error) {
	key := make([]byte, chacha20poly1305.KeySize)
	defer clear(key)
	if _, err := rand.Read(key); err != nil {
		return nil, err
	}
	aead, err := chacha20poly1305.New(key)
	if err != nil {
		return nil, err
	}
	file, err := nameless(dir)
	if err != nil {
		return nil, err
	}
	return &sealed{file: file, aead: aead, plain: make([]byte, 0, sealedChunk)}, nil
}

// nonce is that of a chunk.
func (s *sealed) nonce(count uint64) []byte {
	return binary.LittleEndian.AppendUint64(make([]byte, 4, chacha20poly1305.NonceSize), count)
}

// Write appends.
func (s *sealed) Write(data []byte) (int, error) {
	written := len(data)
	for len(data) > 0 {
		count := min(len(data), sealedChunk-len(s.plain))
		s.plain = append(s.plain, data[:count]...)
		data = data[count:]
		if len(s.plain) == sealedChunk {
			if err := s.flush(); err != nil {
				return 0, err
			}
		}
	}
	s.size += int64(written)
	return written, nil
}

// flush writes the chunk under way. After the last one comes no
// more Write.
func (s *sealed) flush() error {
	s.buf = s.aead.Seal(s.buf[:0], s.nonce(s.n), s.plain, nil)
	clear(s.plain)
	s.plain = s.plain[:0]
	s.n++
	_, err := s.file.Write(s.buf)
	return err
}

// reader reads the file from its start, in clear.
func (s *sealed) reader() io.Reader { return &sealedReader{of: s} }

func (s *sealed) close() error {
	clear(s.plain[:cap(s.plain)])
	return s.file.Close()
}

// sealedReader is one reading of a sealed file.
type sealedReader struct {
	of   *sealed
	next uint64 // chunk
	left []byte // of the present one, in clear
	buf  []byte
}

// Read opens a chunk after the other. A changed file is
// an error.
func (r *sealedReader) Read(data []byte) (int, error) {
	if len(r.left) == 0 {
		if err := r.open(); err != nil {
			return 0, err
		}
	}
	count := copy(data, r.left)
	r.left = r.left[count:]
	return count, nil
}

// open opens the next chunk.
func (r *sealedReader) open() error {
	at := int64(r.next) * sealedChunk
	if at >= r.of.size {
		return io.EOF
	}
	length := int(min(sealedChunk, r.of.size-at)) + r.of.aead.Overhead()
	if r.buf == nil {
		r.buf = make([]byte, sealedChunk+r.of.aead.Overhead())
	}
	text := r.buf[:length]
	if _, err := r.of.file.ReadAt(text, int64(r.next)*int64(sealedChunk+r.of.aead.Overhead())); err != nil {
		if err == io.EOF { // a short file is not a short list
			err = io.ErrUnexpectedEOF
		}
		return err
	}
	var err error
	r.left, err = r.of.aead.Open(text[:0], r.of.nonce(r.next), text, nil)
	r.next++
	return err
}
