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

// bytes returns the next count random bytes.
func (d *dice) bytes(count int) []byte {
	if !d.full || d.used+count > len(d.buf) {
		d.fill()
	}
	d.used += count
	return d.buf[d.used-count : d.used]
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

// below returns a number below count, of 65,536 at most, each equally likely: of
// two random bytes times count the upper half is the number, and those lower
// halves that would come once too often for some numbers are rolled again
// (Lemire, Fast Random Integer Generation in an Interval).
func (d *dice) below(count int) int {
	for {
		number := uint32(binary.LittleEndian.Uint16(d.bytes(2))) * uint32(count)
		if low := number & 0xFFFF; low >= uint32(count) || low >= 0x10000%uint32(count) || d.err != nil {
			return int(number >> 16)
		}
	}
}
