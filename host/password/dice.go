package password

import (
	"encoding/binary"
	"io"
)

// dice turns random bytes into uniform numbers. After the reader's first error
// it rolls zeros; err says so.
type dice struct {
	from io.Reader
	err  error
	used int // of buf, where it has been filled
	full bool
	buf  [128]byte // what a value of 20 characters takes
}

// bytes returns the next n random bytes.
func (d *dice) bytes(n int) []byte {
	if !d.full || d.used+n > len(d.buf) {
		d.fill()
	}
	d.used += n
	return d.buf[d.used-n : d.used]
}

func (d *dice) fill() {
	if _, err := io.ReadFull(d.from, d.buf[:]); err != nil && d.err == nil {
		d.err = err
	}
	if d.err != nil {
		clear(d.buf[:])
	}
	d.used, d.full = 0, true
}

// uint63 returns a number below 1<<63.
func (d *dice) uint63() uint64 { return binary.LittleEndian.Uint64(d.bytes(8)) >> 1 }

// below returns a number below n, of 65,536 at most, each equally likely: of
// two random bytes times n the upper half is the number, and those lower
// halves that would come once too often for some numbers are rolled again
// (Lemire, Fast Random Integer Generation in an Interval).
func (d *dice) below(n int) int {
	for {
		m := uint32(binary.LittleEndian.Uint16(d.bytes(2))) * uint32(n)
		if low := m & 0xFFFF; low >= uint32(n) || low >= 0x10000%uint32(n) || d.err != nil {
			return int(m >> 16)
		}
	}
}
