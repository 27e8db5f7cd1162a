package hashlog

import (
	"bytes"
	"encoding/binary"
)

// A packed body is the stored frames of a group in half the room: what they have in
// common is there once a block.
//
//	packed = block*
//	block  = mark length content
//	content = index at user record*
//	record  = at user sign rest
//
// mark is two bytes, the first of which begins no body of frames; length is that of
// the content, an unsigned varint. index, at and user are those of the first record; each
// has one index more than the one before, and signed varints of how much more at and user
// are than the first one's. sign is an unsigned varint: the number of the record's
// signature, from 1, or 0 and a new one, with its length before it: version, kind, and all
// from step to digest. rest is the frame from sealed on, its sum included. A block needs no
// other, and is short: a lost page takes no more than one along.
const (
	packedSize = 1200 // of a content to which nothing more is added
	packLeast  = 64   // records of a group worth it
)

// PackMark is how each block begins.
const PackMark = "\x00\xd5"

// Packed returns the body of the group as it is to be kept: packed, if that is worth it.
func (g *Group) Packed() []byte {
	if g.N < packLeast {
		return g.Body
	}
	p := packer{out: make([]byte, 0, len(g.Body)*2/3)}
	for list := (Frames{g.Body}); len(list.Rest) > 0; {
		if !p.add(list.Next()) {
			return g.Body
		}
	}
	p.end()
	return p.out
}

// packer makes blocks.
type packer struct {
	out     []byte
	content []byte
	signs   [][]byte // of the block
	at      int64    // of its first record
	user    int64
	index   int64 // of the record before
}

// add packs one frame, and reports whether it could.
func (p *packer) add(frame []byte) bool {
	if len(frame) < 2 {
		return false
	}
	r := reader{rest: frame[2:]}
	index, at, user := r.uint(), r.int(), r.uint()
	if r.bad {
		return false
	}
	if len(p.content) > packedSize || index != p.index+1 {
		p.end()
	}
	if len(p.content) == 0 {
		p.content = binary.AppendUvarint(p.content, uint64(index))
		p.content = binary.AppendVarint(p.content, at)
		p.content = binary.AppendUvarint(p.content, uint64(user))
		p.at, p.user = at, user
	}
	p.content = binary.AppendVarint(p.content, at-p.at)
	p.content = binary.AppendVarint(p.content, user-p.user)
	p.index = index
	return p.sign(frame[:2], r.rest)
}

// sign packs a frame from its step on, of which head is the version and the kind.
func (p *packer) sign(head, rest []byte) bool {
	for i, sign := range p.signs {
		if sign[1] == head[1] && sign[0] == head[0] && bytes.HasPrefix(rest, sign[2:]) {
			p.content = binary.AppendUvarint(p.content, uint64(i+1))
			p.content = append(p.content, rest[len(sign)-2:]...)
			return true
		}
	}
	r := reader{rest: rest}
	r.uint() // step
	r.uint() // try
	r.uint() // origin
	r.byte() // outcome
	r.uint() // attempt
	for range 6 {
		r.bytes() // verb to digest
	}
	if r.bad {
		return false
	}
	sign := append(append([]byte(nil), head...), rest[:len(rest)-len(r.rest)]...)
	p.signs = append(p.signs, sign)
	p.content = appendString(append(p.content, 0), sign)
	p.content = append(p.content, r.rest...)
	return true
}

// end ends the block.
func (p *packer) end() {
	if len(p.content) > 0 {
		p.out = appendString(append(p.out, PackMark...), p.content)
	}
	p.content, p.signs = p.content[:0], p.signs[:0]
}

// IsPacked reports whether a body, or a piece of one, begins with a block.
func IsPacked(body []byte) bool { return bytes.HasPrefix(body, []byte(PackMark)) }

// Unpacked returns the frames that a body is kept as, each with its length before it.
// What cannot be unpacked is its last frame, as in a body that was not packed.
func Unpacked(body []byte) []byte {
	if !IsPacked(body) {
		return body
	}
	out, whole := make([]byte, 0, 2*len(body)), true
	for whole && len(body) > 0 {
		out, body, whole = UnpackBlock(out, body)
	}
	if !whole || len(body) > 0 {
		out = append(binary.AppendUvarint(out, uint64(len(body)+1)), body...) // longer than it is: no frame
	}
	return out
}

// UnpackBlock appends the frames of the block that a body begins with, each with its
// length before it, and returns what follows. whole is false if it has others, which
// cannot be unpacked.
func UnpackBlock(out, body []byte) (frames, behind []byte, whole bool) {
	u, behind, whole := unpackerOf(body)
	u.out = out
	for len(u.rest) > 0 && !u.bad {
		u.next()
	}
	return u.out, behind, whole && !u.bad
}

// Sift calls fn for the frames for which sound is true of the block that a piece of a
// body begins with, which may be broken anywhere, and returns how long the block is; 0:
// it has none.
func Sift(piece []byte, sound func(frame []byte) bool, fn func(frame []byte) error) (size int, err error) {
	u, behind, whole := unpackerOf(piece)
	content, index, found := u.rest, u.index, false
	for at, next := 0, 0; at < len(content) && err == nil; {
		frame := u.sift(content[at:], index, sound)
		if frame == nil {
			if at == next { // a broken record: those behind may have its signature
				u.learn(content[at:])
			}
			at++
			continue
		}
		at, index, found = len(content)-len(u.rest), u.index, true
		next = at
		err = fn(frame)
	}
	switch {
	case !found:
		return 0, err
	case !whole: // where it ends is not known
		return len(PackMark), err
	}
	return len(piece) - len(behind), err
}

// unpackerOf begins the block that a body begins with, and returns what follows.
func unpackerOf(body []byte) (u unpacker, behind []byte, whole bool) {
	if !IsPacked(body) {
		return u, body, false
	}
	u.rest = body[len(PackMark):]
	size := u.uint()
	whole = !u.bad && size <= int64(len(u.rest))
	size = min(size, int64(len(u.rest)))
	behind, u.rest = u.rest[size:], u.rest[:size]
	u.index, u.firstAt, u.firstUser = u.uint()-1, u.int(), u.uint()
	return u, behind, whole
}

// unpacker reads the content of a block.
type unpacker struct {
	reader
	out       []byte
	signs     [][]byte
	firstAt   int64
	firstUser int64
	index     int64 // of the record before
	room      [3 * binary.MaxVarintLen64]byte
}

// next unpacks a record, if it is whole.
func (u *unpacker) next() {
	at, user, sign := u.firstAt+u.int(), u.firstUser+u.int(), u.sign()
	size := tail(u.rest)
	if u.bad || size == 0 || user < 0 {
		u.fail()
		return
	}
	u.index++
	numbers := binary.AppendUvarint(u.room[:0], uint64(u.index))
	numbers = binary.AppendVarint(numbers, at)
	numbers = binary.AppendUvarint(numbers, uint64(user))
	u.out = binary.AppendUvarint(u.out, uint64(len(sign)+len(numbers)+size))
	u.out = append(append(append(append(u.out, sign[:2]...), numbers...), sign[2:]...), u.rest[:size]...)
	u.rest = u.rest[size:]
}

// sift returns the sound frame of the record that content begins with, which has an
// index behind one; nil: there is none.
func (u *unpacker) sift(content []byte, index int64, sound func(frame []byte) bool) []byte {
	signs := u.signs
	for skipped := range int64(packedSize / sumSize) {
		u.reader, u.signs, u.out, u.index = reader{rest: content}, signs, u.out[:0], index+skipped
		if u.next(); u.bad {
			break
		}
		list := Frames{u.out}
		if frame := list.Next(); sound(frame) {
			return frame
		}
	}
	u.signs = signs
	return nil
}

// learn takes over the signature of a broken record.
func (u *unpacker) learn(content []byte) {
	known := u.signs
	u.reader = reader{rest: content}
	u.int()
	u.int()
	if u.sign(); u.bad {
		u.signs = known
	}
}

// sign reads which signature a record has.
func (u *unpacker) sign() (sign []byte) {
	number := u.uint()
	switch {
	case number == 0:
		sign = u.bytes()
		u.signs = append(u.signs, sign)
	case number <= int64(len(u.signs)):
		sign = u.signs[number-1]
	}
	if len(sign) < 2 {
		u.fail()
	}
	return sign
}

// tail is the length of the part of a frame from sealed on that b begins with; 0: it
// is not whole.
func tail(b []byte) int {
	at := 0
	for range 4 { // sealed, old, account, detail
		if at < len(b) && b[at] < 0x80 { // by far the most
			at += 1 + int(b[at])
			continue
		}
		n, head := binary.Uvarint(b[min(at, len(b)):])
		if head <= 0 || n > uint64(len(b)) {
			return 0
		}
		at += head + int(n)
	}
	if at += sumSize; at > len(b) {
		return 0
	}
	return at
}
