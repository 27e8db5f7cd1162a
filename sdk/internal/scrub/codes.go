package scrub

import "unicode/utf8"

// code is an alphabet in which each letter stands for some bits.
type code struct {
	bits  int
	value [256]int8 // -1: no letter of it, -2: passed over
}

// passed are the signs between the letters of one run.
func newCode(bits int, passed string, alphabets ...string) *code {
	made := &code{bits: bits}
	for i := range made.value {
		made.value[i] = -1
	}
	for _, alphabet := range alphabets {
		for i := range len(alphabet) {
			made.value[alphabet[i]] = int8(i)
		}
	}
	for i := range len(passed) {
		made.value[passed[i]] = -2
	}
	return made
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
	count := 1
	for count*c.bits%8 != 0 {
		count++
	}
	return count
}

// run is a part of a text that consists of letters of a code and of whatever is
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
func (c *code) decode(run run, skip int, builder *builder) {
	begun := len(builder.text)
	var bits, have, first int
	for i := run.from; i < run.to; i++ {
		value := int(c.value[builder.of.text[i]])
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
			builder.byte(byte(bits>>have), first, i+1)
			bits &= 1<<have - 1
			first = i
		}
	}
	if len(builder.text) > begun {
		builder.add(string(barrier), run.to-1, run.to)
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
	count := 0
	for i := range len(token) {
		depth := int(codes[0].value[token[i]])
		if depth < 0 || depth >= base {
			return 0, false
		}
		count = count*base + depth
	}
	return rune(count), count <= utf8.MaxRune
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

// listBases returns those of the lists that a text may have: an empty list, if fewer
// numbers stand in it.
func listBases(text string, least int) []int {
	found, before := 0, byte(' ')
	for i := range len(text) {
		if char := text[i]; char >= '0' && char <= '9' && (before < '0' || before > '9') {
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
func numbers(view view, base, least int) (view, bool) {
	made := builder{of: view}
	var list []listed
	last := 0
	for i := 0; i < len(view.text); {
		if separates(view.text[i]) || view.text[i] >= utf8.RuneSelf {
			i++
			continue
		}
		from := i
		for i < len(view.text) && view.text[i] < utf8.RuneSelf && !separates(view.text[i]) {
			i++
		}
		letter, ok := number(view.text[from:i], base)
		if !ok || from-last > gap {
			addList(&made, list, least)
			list = list[:0]
		}
		if ok {
			list = append(list, listed{letter, from, i})
		}
		last = i
	}
	addList(&made, list, least)
	w := made.view()
	w.coded = true
	return w, len(made.text) > 0
}

// listed is a number of a list.
type listed struct {
	n        rune
	from, to int
}

func addList(b *builder, list []listed, least int) {
	if len(list) < least {
		return
	}
	for _, listed := range list {
		if listed.n < 256 {
			b.byte(byte(listed.n), listed.from, listed.to)
			continue
		}
		b.add(string(listed.n), listed.from, listed.to)
	}
	b.add(string(barrier), list[len(list)-1].to-1, list[len(list)-1].to)
}
