package password

import (
	"fmt"
	"strings"

	"github.com/rekey-host/rekey/sdk"
)

// script is the owner of what the script itself demands.
const script = "the script"

// wishedLength is how long a value is where nobody says otherwise.
const wishedLength = 20

// The characters of each class: those that are not mistaken for each other
// come first and are used unless a demand leaves none of them.
const (
	plainLower, allLower     = "abcdefghijkmnpqrstuvwxyz", "abcdefghijklmnopqrstuvwxyz"
	plainUpper, allUpper     = "ABCDEFGHJKLMNPQRSTUVWXYZ", "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
	plainDigits, allDigits   = "23456789", "0123456789"
	plainSymbols, allSymbols = "!#$%&*+-.:=?@_~", "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~"
)

// Contradiction says that no value can satisfy every demand. Each rule names
// its owner: "cloud wants 8 or more characters".
type Contradiction struct {
	Rules []string
}

// Error returns the rules that clash.
func (c *Contradiction) Error() string {
	return "no password can satisfy all demands: " + strings.Join(c.Rules, ", but ")
}

// bound is a number and who asks for it.
type bound struct {
	n     int
	owner string
}

// raise keeps the larger demand.
func (b *bound) raise(n int, owner string) {
	if n > b.n {
		b.n, b.owner = n, owner
	}
}

// lower keeps the smaller limit; 0 is none.
func (b *bound) lower(n int, owner string) {
	if n > 0 && (b.n == 0 || n < b.n) {
		b.n, b.owner = n, owner
	}
}

// class is one kind of characters, what of it may be used and how much must be.
type class struct {
	name       string
	plain, all string
	chars      []byte
	least      bound
	wished     bool   // least is a wish, to be dropped if need be
	excluded   string // who leaves no character of it
	unwanted   bool   // the script asks for none
}

// merged is all demands in one.
type merged struct {
	min, max                      bound
	lower, upper, digits, symbols class
	letters, nonLetters, classes  bound
	repeat, sequence              bound
	noName, blocklist             bool
	forbidFirst                   string
	words                         []string
	alphabets, allowed, forbidden []owned
	dropped                       []string
}

// owned is a set of characters and whose rule it is.
type owned struct{ chars, owner string }

func (m *merged) all() []*class { return []*class{&m.lower, &m.upper, &m.digits, &m.symbols} }

// Combine merges what the script asks for (nil: nothing) and what each owner
// demands into a recipe. Demands that no value can satisfy together are a
// *Contradiction; wishes give way and are listed by Recipe.Dropped.
func Combine(spec *Spec, demands []Demand) (*Recipe, error) {
	m := &merged{noName: true, blocklist: true}
	m.lower = class{name: "lower-case letter", plain: plainLower, all: allLower}
	m.upper = class{name: "upper-case letter", plain: plainUpper, all: allUpper}
	m.digits = class{name: "digit", plain: plainDigits, all: allDigits}
	m.symbols = class{name: "symbol", plain: plainSymbols, all: allSymbols}
	for _, d := range demands {
		m.demand(d.Policy, d.Owner)
	}
	if spec != nil {
		m.spec(*spec)
	}
	if err := m.characters(); err != nil {
		return nil, err
	}
	length, err := m.length(spec)
	if err != nil {
		return nil, err
	}
	return m.recipe(length)
}

func (m *merged) demand(p sdk.Policy, owner string) {
	m.min.raise(p.MinLength, owner)
	m.max.lower(p.MaxLength, owner)
	m.max.lower(p.MaxBytes, owner) // generated values are ASCII
	m.lower.least.raise(p.Lower, owner)
	m.upper.least.raise(p.Upper, owner)
	m.digits.least.raise(p.Digits, owner)
	m.symbols.least.raise(p.Symbols, owner)
	m.letters.raise(p.Letters, owner)
	m.nonLetters.raise(p.NonLetters, owner)
	m.classes.raise(p.Classes, owner)
	m.repeat.lower(p.MaxRepeat, owner)
	m.sequence.lower(p.MaxSequence, owner)
	m.forbidFirst += p.ForbidFirst
	m.words = append(m.words, p.ForbidWords...)
	add := func(list *[]owned, chars string) {
		if chars != "" {
			*list = append(*list, owned{chars, owner})
		}
	}
	add(&m.alphabets, p.Alphabet)
	add(&m.allowed, p.AllowedSymbols)
	add(&m.forbidden, p.Forbid)
}

// spec adds what the script sets.
func (m *merged) spec(s Spec) {
	p := sdk.Policy{MinLength: value(s.MinLength), MaxLength: value(s.MaxLength), Lower: value(s.Lower), Upper: value(s.Upper),
		Digits: value(s.Digits), Symbols: value(s.Symbols), MaxRepeat: value(s.MaxRepeat)}
	if s.Length != nil {
		p.MinLength, p.MaxLength = *s.Length, *s.Length
	}
	if s.Forbid != nil {
		p.Forbid = *s.Forbid
	}
	if s.AllowedSymbols != nil {
		p.AllowedSymbols = *s.AllowedSymbols
		m.symbols.unwanted = *s.AllowedSymbols == ""
	}
	if s.Pin {
		p.Alphabet, p.MaxSequence = allDigits, 3
		m.digits.plain = allDigits
	}
	m.demand(p, script)
	for c, n := range map[*class]*int{&m.lower: s.Lower, &m.upper: s.Upper, &m.digits: s.Digits, &m.symbols: s.Symbols} {
		c.unwanted = c.unwanted || n != nil && *n == 0
	}
	m.noName = s.NoAccountName == nil || *s.NoAccountName
	m.blocklist = s.Blocklist == nil || *s.Blocklist
}

func value(p *int) int {
	if p == nil {
		return 0
	}
	return *p
}

// characters settles what may be used of each class, and wishes for one of
// each.
func (m *merged) characters() error {
	for _, c := range m.all() {
		m.usable(c)
		switch {
		case len(c.chars) == 0 && c.least.n > 0:
			return &Contradiction{Rules: []string{
				fmt.Sprintf("%s wants %d or more %ss", c.least.owner, c.least.n, c.name),
				fmt.Sprintf("%s leaves none", c.excluded)}}
		case len(c.chars) == 0 && c.excluded != script:
			m.dropped = append(m.dropped, fmt.Sprintf("a %s (%s leaves none)", c.name, c.excluded))
		case len(c.chars) > 0 && c.least.n == 0:
			c.least, c.wished = bound{1, "the default"}, true
		}
	}
	return nil
}

// usable finds the characters of a class that every owner allows.
func (m *merged) usable(c *class) {
	if c.unwanted && c.least.n == 0 {
		c.excluded = script
		return
	}
	for _, set := range []string{c.plain, c.all} {
		for i := range len(set) {
			if m.allows(c, set[i]) {
				c.chars = append(c.chars, set[i])
			}
		}
		if len(c.chars) > 0 {
			return
		}
	}
}

// allows reports whether every owner allows the character, and notes who does
// not.
func (m *merged) allows(c *class, char byte) bool {
	for _, a := range m.alphabets {
		if strings.IndexByte(a.chars, char) < 0 {
			c.excluded = a.owner
			return false
		}
	}
	for _, a := range m.allowed {
		if c == &m.symbols && strings.IndexByte(a.chars, char) < 0 {
			c.excluded = a.owner
			return false
		}
	}
	for _, f := range m.forbidden {
		if strings.IndexByte(f.chars, char) >= 0 {
			c.excluded = f.owner
			return false
		}
	}
	return true
}

// length picks the length, and lets wishes give way where it is too short.
func (m *merged) length(spec *Spec) (int, error) {
	if m.max.n > 0 && m.min.n > m.max.n {
		return 0, &Contradiction{Rules: []string{
			fmt.Sprintf("%s wants %d or more characters", m.min.owner, m.min.n),
			fmt.Sprintf("%s wants %d or fewer", m.max.owner, m.max.n)}}
	}
	n := max(wishedLength, m.min.n)
	if spec != nil && spec.Pin && spec.Length == nil {
		n = max(6, m.min.n)
	}
	if m.max.n > 0 {
		n = min(n, m.max.n)
	}
	for _, c := range m.all() {
		if c.wished && m.needed() > n {
			c.least, c.wished = bound{}, false
			m.dropped = append(m.dropped, fmt.Sprintf("a %s (there is no room for one)", c.name))
		}
	}
	if m.needed() > n {
		return 0, &Contradiction{Rules: append(m.wants(), fmt.Sprintf("%s wants %d or fewer characters", m.max.owner, m.max.n))}
	}
	return n, nil
}

// needed is how many characters the classes take together.
func (m *merged) needed() int {
	letters := max(m.lower.least.n+m.upper.least.n, m.letters.n)
	others := max(m.digits.least.n+m.symbols.least.n, m.nonLetters.n)
	return letters + others
}

// wants lists the demands of the classes with their owners.
func (m *merged) wants() []string {
	var list []string
	for _, c := range m.all() {
		if c.least.n > 0 {
			list = append(list, fmt.Sprintf("%s wants %d %ss", c.least.owner, c.least.n, c.name))
		}
	}
	return list
}
