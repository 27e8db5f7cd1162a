package password

import (
	"fmt"
	"io"
	"math"
	"strings"

	"github.com/rekey-host/rekey/sdk"
	"github.com/rekey-host/rekey/sdk/secret"
)

// neverFirst are the characters that make a spreadsheet run a cell.
const neverFirst = "=+-@\t\r"

// attempts is how many values are made before a recipe gives up. Of the usual
// ones a few in a hundred are thrown away; a recipe that needs more than this
// leaves too little to choose from.
const attempts = 1000

// common are passwords that everybody tries first.
var common = []string{"password", "passwort", "qwerty", "letmein", "welcome", "iloveyou", "admin", "123456", "12345678", "abc123"}

// Recipe makes values that satisfy every demand it was combined from. It is
// immutable and safe for concurrent use.
type Recipe struct {
	length      int
	required    []part // characters that each class must have
	any         []byte // what the rest is picked from
	rules       sdk.Policy
	noName      bool
	blocklist   bool
	forbidFirst string
	dropped     []string
}

// part is so many characters of a set.
type part struct {
	n     int
	chars []byte
}

// recipe turns the merged demands into one.
func (m *merged) recipe(length int) (*Recipe, error) {
	r := &Recipe{length: length, noName: m.noName, blocklist: m.blocklist, dropped: m.dropped, forbidFirst: neverFirst + m.forbidFirst}
	r.rules = sdk.Policy{MaxRepeat: m.repeat.n, MaxSequence: m.sequence.n, NoAccountName: m.noName, ForbidWords: m.words, Classes: m.classes.n}
	for _, c := range m.all() {
		r.any = append(r.any, c.chars...)
		if c.least.n > 0 {
			r.required = append(r.required, part{c.least.n, c.chars})
		}
	}
	letters := append(append([]byte(nil), m.lower.chars...), m.upper.chars...)
	others := append(append([]byte(nil), m.digits.chars...), m.symbols.chars...)
	if err := r.fill(m.letters, m.lower.least.n+m.upper.least.n, letters, "letters"); err != nil {
		return nil, err
	}
	if err := r.fill(m.nonLetters, m.digits.least.n+m.symbols.least.n, others, "digits or symbols"); err != nil {
		return nil, err
	}
	if len(r.any) == 0 {
		return nil, &Contradiction{Rules: []string{"a password needs characters", "none is allowed"}}
	}
	return r, r.classesFit(m)
}

// fill adds what a demand for two classes together leaves open.
func (r *Recipe) fill(want bound, have int, chars []byte, what string) error {
	if want.n <= have {
		return nil
	}
	if len(chars) == 0 {
		return &Contradiction{Rules: []string{fmt.Sprintf("%s wants %d %s", want.owner, want.n, what), "none is allowed"}}
	}
	r.required = append(r.required, part{want.n - have, chars})
	return nil
}

// classesFit checks that enough classes are left for a demand for several.
func (r *Recipe) classesFit(m *merged) error {
	left := 0
	for _, c := range m.all() {
		if len(c.chars) > 0 {
			left++
		}
	}
	if m.classes.n > left || m.classes.n > r.length {
		return &Contradiction{Rules: []string{fmt.Sprintf("%s wants %d kinds of characters", m.classes.owner, m.classes.n),
			fmt.Sprintf("only %d are left", min(left, r.length))}}
	}
	return nil
}

// Length is how many characters a value has.
func (r *Recipe) Length() int { return r.length }

// Dropped lists the wishes that gave way, for the plan.
func (r *Recipe) Dropped() []string { return r.dropped }

// Entropy is a lower bound in bits: that of the picks alone. The shuffle adds
// to it; what is thrown away takes less than a tenth of a bit off.
func (r *Recipe) Entropy() float64 {
	bits, left := 0.0, r.length
	for _, p := range r.required {
		bits += float64(p.n) * math.Log2(float64(len(p.chars)))
		left -= p.n
	}
	return bits + float64(left)*math.Log2(float64(len(r.any)))
}

// Generate makes one value from the random bytes of rand: the characters that
// each class must have, the rest from all, shuffled. It never contains one of
// the names, and never begins with what a spreadsheet would run. An error is
// rand's, or that the demands leave nothing to choose from.
func (r *Recipe) Generate(rand io.Reader, names []string) (secret.Value, error) {
	d := dice{from: rand}
	text := make([]byte, 0, r.length)
	for range attempts {
		text = r.pick(&d, text[:0])
		if d.err != nil {
			return secret.Value{}, fmt.Errorf("generate: %w", d.err)
		}
		if r.good(string(text), names) {
			v := secret.New(string(text))
			clear(text)
			return v, nil
		}
	}
	return secret.Value{}, fmt.Errorf("generate: none of %d values satisfies every rule; loosen max_repeat, forbidden words or the length", attempts)
}

func (r *Recipe) pick(d *dice, text []byte) []byte {
	for _, p := range r.required {
		for range p.n {
			text = append(text, p.chars[d.roll(len(p.chars))])
		}
	}
	for len(text) < r.length {
		text = append(text, r.any[d.roll(len(r.any))])
	}
	for i := len(text) - 1; i > 0; i-- {
		j := d.roll(i + 1)
		text[i], text[j] = text[j], text[i]
	}
	return text
}

// good checks what cannot be had by construction.
func (r *Recipe) good(text string, names []string) bool {
	if strings.IndexByte(r.forbidFirst, text[0]) >= 0 {
		return false
	}
	if r.blocklist && containsAny(text, common, 1) {
		return false
	}
	return len(Check(r.rules, secret.New(text), names)) == 0
}

// Check returns the rules of the recipe that a given value breaks.
func (r *Recipe) Check(v secret.Value, names []string) []sdk.Violation {
	return Check(r.rules, v, names)
}

// dice makes uniform numbers from random bytes: a byte at or above the largest
// multiple of n is thrown away, because a remainder would favour small numbers.
type dice struct {
	from io.Reader
	buf  [64]byte
	left []byte
	err  error
}

// roll returns a number below n, which is at most 256.
func (d *dice) roll(n int) int {
	limit := 256 - 256%n
	for d.err == nil {
		if len(d.left) == 0 {
			if _, d.err = io.ReadFull(d.from, d.buf[:]); d.err != nil {
				break
			}
			d.left = d.buf[:]
		}
		b := int(d.left[0])
		d.left = d.left[1:]
		if b < limit {
			return b % n
		}
	}
	return 0
}
