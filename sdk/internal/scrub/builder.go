package scrub

import "unicode/utf8"

// builder makes a view of a view.
type builder struct {
	of       view
	text     []byte
	from, to []int32
	plain    bool // the texts alone are wanted
}

func (b *builder) byte(char byte, from, to int) {
	b.text, b.from, b.to = append(b.text, char), append(b.from, b.of.start(from)), append(b.to, b.of.end(to-1))
}

// texts returns the stretches of at least so many bytes that may be text, which
// may have something over itself.
func (b *builder) texts(least int) builder {
	out := builder{of: b.of}
	from := 0
	for i := 0; i < len(b.text); {
		letter, count := utf8.DecodeRune(b.text[i:])
		if letter == utf8.RuneError && count == 1 || letter < ' ' && letter != '\t' && letter != '\n' && letter != '\r' || letter == barrier {
			out.stretch(b, from, i, least)
			from = i + count
		}
		i += count
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

// add appends bytes that stand for the text at from..to of the view below.
func (b *builder) add(bytes string, from, to int) {
	b.text = append(b.text, bytes...)
	if b.plain {
		return
	}
	start, end := b.of.start(from), b.of.end(to-1)
	for range len(bytes) {
		b.from, b.to = append(b.from, start), append(b.to, end)
	}
}

// reset makes room for another view.
func (b *builder) reset(of view) {
	b.of, b.text, b.from, b.to = of, b.text[:0], b.from[:0], b.to[:0]
}

func (b *builder) view() view {
	return view{text: string(b.text), from: b.from, to: b.to, depth: b.of.depth + 1, coded: b.of.coded}
}

func newBuilder(of view, plain bool) *builder {
	made := &builder{of: of, plain: plain, text: make([]byte, 0, len(of.text))}
	if !plain {
		made.from, made.to = make([]int32, 0, len(of.text)), make([]int32, 0, len(of.text))
	}
	return made
}
