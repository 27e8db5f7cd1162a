package scrub

import "unicode/utf8"

// code is an alphabet in which each letter stands for some bits.
type code struct {
	bits  int
	value [256]int8 // -1: no letter of it, -2: passed over
}

// passed are the signs between the letters of one run.
func newCode(bits int, passed string, alphabets ...string) *code {
	c := &code{bits: bits}
	for i := range c.value {
		c.value[i] = -1
	}
	for _, alphabet := range alphabets {
		for i := range len(alphabet) {
			c.value[alphabet[i]] = int8(i)
		}
	}
	for i := range len(passed) {
		c.value[passed[i]] = -2
	}
	return c
}

// The alphabets.
var codes = [...]*code{
	newCode(4, " :;-,._/|+\r\n\t", "0123456789abcdef", "0123456789ABCDEF"),
	newCode(6, "\r\n", letters64+"+/", letters64+"-_"),
	newCode(5, "\r\n", "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", "abcdefghijklmnopqrstuvwxyz234567"),
	newCode(5, "\r\n", "0123456789ABCDEFGHIJKLMNOPQRSTUV", "0123456789abcdefghijklmnopqrstuv"),
}

const letters64 = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"

// alignments is how many letters apart two places are at which bytes begin.
func (c *code) alignments() int {
	n := 1
	for n*c.bits%8 != 0 {
		n++
	}
	return n
}

// run is a part of a text that consists of letters of a code and of what is
// passed over.
type run struct{ from, to, letters int }

// runs returns the runs of at least so many letters.
func (c *code) runs(text string, least int, to []run) []run {
	to = to[:0]
	now := run{}
	for i := 0; i <= len(text); i++ {
		kind := int8(-1)
		if i < len(text) {
			kind = c.value[text[i]]
		}
		switch {
		case kind >= 0:
			if now.letters == 0 {
				now.from = i
			}
			now.letters++
			now.to = i + 1
		case kind == -1:
			if now.letters >= least {
				to = append(to, now)
			}
			now = run{}
		}
	}
	return to
}

// decode appends the bytes of a run, the first of which begins with a letter of
// the given number, and a barrier.
func (c *code) decode(r run, skip int, b *builder) {
	begun := len(b.text)
	var bits, have, first int
	for i := r.from; i < r.to; i++ {
		value := int(c.value[b.of.text[i]])
		if value < 0 {
			continue
		}
		if skip > 0 {
			skip--
			continue
		}
		if have == 0 {
			first = i
		}
		bits, have = bits<<c.bits|value, have+c.bits
		if have >= 8 {
			have -= 8
			b.byte(byte(bits>>have), first, i+1)
			bits &= 1<<have - 1
			first = i
		}
	}
	if len(b.text) > begun {
		b.add(string(barrier), r.to-1, r.to)
	}
}

func (b *builder) byte(c byte, from, to int) {
	b.text, b.from, b.to = append(b.text, c), append(b.from, b.of.start(from)), append(b.to, b.of.end(to-1))
}

// texts returns the stretches of at least so many bytes that may be text, which
// may have something over itself.
func (b *builder) texts(least int) builder {
	out := builder{of: b.of}
	from := 0
	for i := 0; i < len(b.text); {
		r, n := utf8.DecodeRune(b.text[i:])
		if r == utf8.RuneError && n == 1 || r < ' ' && r != '\t' && r != '\n' && r != '\r' || r == barrier {
			out.stretch(b, from, i, least)
			from = i + n
		}
		i += n
	}
	out.stretch(b, from, len(b.text), least)
	return out
}

func (b *builder) stretch(of *builder, from, to, least int) {
	if to-from < least {
		return
	}
	b.text = append(append(b.text, of.text[from:to]...), string(barrier)...)
	b.from, b.to = append(b.from, of.from[from:to]...), append(b.to, of.to[from:to]...)
	for range len(string(barrier)) {
		b.from, b.to = append(b.from, of.from[to-1]), append(b.to, of.to[to-1])
	}
}

// number reads a token as a byte or a character.
func number(token string, base int) (rune, bool) {
	if base == 16 {
		token = hexToken(token)
	}
	if len(token) == 0 || len(token) > 7 {
		return 0, false
	}
	n := 0
	for i := range len(token) {
		d := int(codes[0].value[token[i]])
		if d < 0 || d >= base {
			return 0, false
		}
		n = n*base + d
	}
	return rune(n), n <= utf8.MaxRune
}

// hexToken takes the mark of a number in hex away.
func hexToken(token string) string {
	for _, mark := range [...]string{"0x", "0X", "x", "X", "u", "U"} {
		if len(token) > len(mark) && token[:len(mark)] == mark {
			return token[len(mark):]
		}
	}
	return token
}

// bases are those of lists of numbers.
var bases = [...]int{10, 16, 8}

// listBases returns those of the lists that a text may have: none, if fewer
// numbers stand in it.
func listBases(text string, least int) []int {
	found, before := 0, byte(' ')
	for i := range len(text) {
		if c := text[i]; c >= '0' && c <= '9' && (before < '0' || before > '9') {
			if found++; found == least {
				return bases[:]
			}
		}
		before = text[i]
	}
	return nil
}

// gap is how many bytes may stand between two numbers of a list.
const gap = 4

// numbers returns what lists of at least so many numbers stand for.
func numbers(v view, base, least int) (view, bool) {
	b := builder{of: v}
	var list []listed
	last := 0
	for i := 0; i < len(v.text); {
		if separates(v.text[i]) || v.text[i] >= utf8.RuneSelf {
			i++
			continue
		}
		from := i
		for i < len(v.text) && v.text[i] < utf8.RuneSelf && !separates(v.text[i]) {
			i++
		}
		n, ok := number(v.text[from:i], base)
		if !ok || from-last > gap {
			b.list(list, least)
			list = list[:0]
		}
		if ok {
			list = append(list, listed{n, from, i})
		}
		last = i
	}
	b.list(list, least)
	w := b.view()
	w.coded = true
	return w, len(b.text) > 0
}

// listed is a number of a list.
type listed struct {
	n        rune
	from, to int
}

func (b *builder) list(list []listed, least int) {
	if len(list) < least {
		return
	}
	for _, x := range list {
		if x.n < 256 {
			b.byte(byte(x.n), x.from, x.to)
			continue
		}
		b.add(string(x.n), x.from, x.to)
	}
	b.add(string(barrier), list[len(list)-1].to-1, list[len(list)-1].to)
}
