package workflow

import (
	"errors"
	"fmt"
	"regexp"
	"regexp/syntax"
	"strconv"
	"strings"
	"sync"

	"go.starlark.net/starlark"
)

// The bounds of what re works on.
const (
	maxPattern  = 4 << 10
	maxSearched = 256 << 10
	maxReplaced = 4 << 20
	maxPatterns = 256
	// maxMatching is the length of a program times that of the text, which the
	// time of a search grows with; nothing can interrupt it.
	maxMatching = 512 << 20
)

// regexps keeps compiled patterns. It is safe for concurrent use.
type regexps struct {
	mu    sync.Mutex
	known map[string]compiled
}

// compiled is a pattern and the length of its program.
type compiled struct {
	*regexp.Regexp
	size int
}

func (r *regexps) compile(pattern string) (compiled, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if x, ok := r.known[pattern]; ok {
		return x, nil
	}
	x, err := compilePattern(pattern)
	if err != nil {
		return compiled{}, err
	}
	if r.known == nil || len(r.known) >= maxPatterns {
		r.known = map[string]compiled{}
	}
	r.known[pattern] = x
	return x, nil
}

func compilePattern(pattern string) (compiled, error) {
	tree, err := syntax.Parse(pattern, syntax.Perl)
	if err != nil {
		return compiled{}, err
	}
	program, err := syntax.Compile(tree.Simplify())
	if err != nil {
		return compiled{}, err
	}
	x, err := regexp.Compile(pattern)
	return compiled{x, len(program.Inst)}, err
}

// regexp returns the call's pattern, compiled, and its text.
func (c *call) regexp(before, after string) (*regexp.Regexp, string, error) {
	pattern, text := c.text("pattern"), c.text("text")
	switch {
	case len(pattern) > maxPattern:
		return nil, "", c.misuse("the pattern is longer than %d bytes", maxPattern)
	case len(text) > maxSearched:
		return nil, "", c.misuse("the text is longer than %d bytes", maxSearched)
	}
	known := &c.state.in.regexps
	x, err := known.compile(pattern) // first by itself: "a)(b" is no pattern
	if before != "" && err == nil {
		x, err = known.compile(before + pattern + after)
	}
	var flaw *syntax.Error
	switch {
	case errors.As(err, &flaw):
		return nil, "", c.misuse("pattern %q: %s", pattern, flaw.Code)
	case err != nil:
		return nil, "", c.misuse("pattern %q: %s", pattern, err)
	case x.size*len(text) > maxMatching:
		return nil, "", c.misuse("the pattern is too large for a text of %d bytes", len(text))
	}
	return x.Regexp, text, nil
}

func (c *call) misuse(format string, args ...any) error {
	return &misuse{message: c.entry.name + ": " + fmt.Sprintf(format, args...)}
}

func (c *call) reMatch() (starlark.Value, error) { return c.match(`\A(?:`, `)`) }

func (c *call) reSearch() (starlark.Value, error) { return c.match("", "") }

func (c *call) match(before, after string) (starlark.Value, error) {
	x, text, err := c.regexp(before, after)
	if err != nil {
		return nil, err
	}
	at := x.FindStringSubmatchIndex(text)
	if at == nil {
		return starlark.None, nil
	}
	return &matchValue{names: x.SubexpNames(), text: text, at: at}, nil
}

func (c *call) reFindall() (starlark.Value, error) {
	x, text, err := c.regexp("", "")
	if err != nil {
		return nil, err
	}
	var all []starlark.Value
	for _, at := range x.FindAllStringSubmatchIndex(text, -1) {
		m := &matchValue{text: text, at: at}
		switch groups := m.groups(); len(groups) {
		case 0:
			all = append(all, m.group(0))
		case 1:
			all = append(all, groups[0])
		default:
			all = append(all, groups)
		}
	}
	return starlark.NewList(all), nil
}

func (c *call) reSub() (starlark.Value, error) {
	x, text, err := c.regexp("", "")
	if err != nil {
		return nil, err
	}
	parts, err := c.template(c.text("replacement"), x)
	if err != nil {
		return nil, err
	}
	most := c.number("count", 0)
	if most == 0 {
		most = -1
	}
	var b strings.Builder
	last := 0
	for _, at := range x.FindAllStringSubmatchIndex(text, most) {
		b.WriteString(text[last:at[0]])
		m := &matchValue{text: text, at: at}
		for _, p := range parts {
			b.WriteString(p.of(m))
			if b.Len() > maxReplaced {
				return nil, c.misuse("the result is longer than %d bytes", maxReplaced)
			}
		}
		last = at[1]
	}
	return starlark.String(b.String() + text[last:]), nil
}

// piece is literal text of a replacement, or a group.
type piece struct {
	text  string
	group int // -1: the text
}

func (p piece) of(m *matchValue) string {
	if p.group < 0 {
		return p.text
	}
	s, _ := starlark.AsString(m.group(p.group))
	return s
}

// template reads \1, \g<name> and \\ in a replacement.
func (c *call) template(text string, x *regexp.Regexp) ([]piece, error) {
	var parts []piece
	for {
		plain, rest, found := strings.Cut(text, `\`)
		parts = append(parts, piece{plain, -1})
		if !found {
			return parts, nil
		}
		p, left, err := c.escape(rest, x)
		if err != nil {
			return nil, err
		}
		parts, text = append(parts, p), left
	}
}

// escape reads what follows a backslash.
func (c *call) escape(text string, x *regexp.Regexp) (p piece, rest string, err error) {
	name, rest, isNamed := "", text, false
	switch {
	case strings.HasPrefix(text, `\`):
		return piece{`\`, -1}, text[1:], nil
	case strings.HasPrefix(text, "g<"):
		name, rest, isNamed = strings.Cut(text[2:], ">")
	default:
		n := 0
		for n < len(text) && n < 2 && text[n] >= '0' && text[n] <= '9' {
			n++
		}
		name, rest, isNamed = text[:n], text[n:], n > 0
	}
	if !isNamed {
		return p, "", c.misuse(`the replacement has a \ that is neither \1, \g<name> nor \\`)
	}
	group := x.SubexpIndex(name)
	if n, err := strconv.Atoi(name); err == nil {
		group = n
	}
	if group < 0 || group > x.NumSubexp() {
		return p, "", c.misuse("there is no group %q", name)
	}
	return piece{"", group}, rest, nil
}

func (c *call) reSplit() (starlark.Value, error) {
	x, text, err := c.regexp("", "")
	if err != nil {
		return nil, err
	}
	most := c.number("maxsplit", 0) + 1
	if most == 1 {
		most = -1
	}
	var all []starlark.Value
	for _, part := range x.Split(text, most) {
		all = append(all, starlark.String(part))
	}
	return starlark.NewList(all), nil
}

// matchValue is a match: m[0], m[1], m["name"], m.groups, m.start, m.end.
type matchValue struct {
	names []string
	text  string
	at    []int
}

var (
	_ starlark.HasAttrs = (*matchValue)(nil)
	_ starlark.Mapping  = (*matchValue)(nil)
)

func (m *matchValue) String() string        { return fmt.Sprintf("match(%s)", m.group(0)) }
func (m *matchValue) Type() string          { return "match" }
func (m *matchValue) Freeze()               {}
func (m *matchValue) Truth() starlark.Bool  { return true }
func (m *matchValue) Hash() (uint32, error) { return 0, errors.New("a match is no key") }
func (m *matchValue) AttrNames() []string   { return []string{"end", "groups", "start"} }

// group returns a group's text; None if it took no part in the match.
func (m *matchValue) group(i int) starlark.Value {
	if m.at[2*i] < 0 {
		return starlark.None
	}
	return starlark.String(m.text[m.at[2*i]:m.at[2*i+1]])
}

func (m *matchValue) groups() starlark.Tuple {
	all := make(starlark.Tuple, len(m.at)/2-1)
	for i := range all {
		all[i] = m.group(i + 1)
	}
	return all
}

// Attr returns groups, start or end.
func (m *matchValue) Attr(name string) (starlark.Value, error) {
	switch name {
	case "groups":
		return m.groups(), nil
	case "start":
		return starlark.MakeInt(m.at[0]), nil
	case "end":
		return starlark.MakeInt(m.at[1]), nil
	}
	return nil, nil
}

// Get returns a group by its number or name.
func (m *matchValue) Get(k starlark.Value) (starlark.Value, bool, error) {
	if name, ok := starlark.AsString(k); ok {
		for i, n := range m.names {
			if n == name && name != "" {
				return m.group(i), true, nil
			}
		}
		return nil, false, &misuse{fmt.Sprintf("the pattern has no group %q", name), didYouMean(name, m.names)}
	}
	i, err := starlark.AsInt32(k)
	if err != nil || i < 0 || 2*i >= len(m.at) {
		return nil, false, &misuse{fmt.Sprintf("the pattern has no group %s", k), ""}
	}
	return m.group(i), true, nil
}
