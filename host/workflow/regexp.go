package workflow

import (
	"errors"
	"regexp"
	"regexp/syntax"
	"strconv"
	"strings"

	"go.starlark.net/starlark"
)

// The bounds of what re works on.
const (
	maxPattern  = 4 << 10
	maxSearched = 256 << 10
	maxReplaced = 4 << 20
	// maxMatching is the length of a program times that of the text, which the
	// time of a search grows with; nothing can interrupt it.
	maxMatching = 512 << 20
)

// patternAndText returns the call's pattern, compiled, and its text.
func patternAndText(args *arguments, before, after string) (*regexp.Regexp, string, error) {
	pattern, text := args.text("pattern"), args.text("text")
	switch {
	case len(pattern) > maxPattern:
		return nil, "", args.misuse("the pattern is longer than %d bytes", maxPattern)
	case len(text) > maxSearched:
		return nil, "", args.misuse("the text is longer than %d bytes", maxSearched)
	}
	known := &args.in.patterns
	compiled, err := known.compile(pattern) // first by itself: "a)(b" is a mistake
	if before != "" && err == nil {
		compiled, err = known.compile(before + pattern + after)
	}
	var flaw *syntax.Error
	switch {
	case errors.As(err, &flaw):
		return nil, "", args.misuse("pattern %q: %s", pattern, flaw.Code)
	case err != nil:
		return nil, "", args.misuse("pattern %q: %s", pattern, err)
	case compiled.size*len(text) > maxMatching:
		return nil, "", args.misuse("the pattern is too large for a text of %d bytes", len(text))
	}
	return compiled.Regexp, text, nil
}

func evalReMatch(args *arguments) (starlark.Value, error) { return firstMatch(args, `\A(?:`, `)`) }

func evalReSearch(args *arguments) (starlark.Value, error) { return firstMatch(args, "", "") }

func firstMatch(args *arguments, before, after string) (starlark.Value, error) {
	pattern, text, err := patternAndText(args, before, after)
	if err != nil {
		return nil, err
	}
	at := pattern.FindStringSubmatchIndex(text)
	if at == nil {
		return starlark.None, nil
	}
	return &matchValue{names: pattern.SubexpNames(), text: text, at: at}, nil
}

func evalReFindall(args *arguments) (starlark.Value, error) {
	pattern, text, err := patternAndText(args, "", "")
	if err != nil {
		return nil, err
	}
	var all []starlark.Value
	for _, at := range pattern.FindAllStringSubmatchIndex(text, -1) {
		made := &matchValue{text: text, at: at}
		switch groups := made.groups(); len(groups) {
		case 0:
			all = append(all, made.group(0))
		case 1:
			all = append(all, groups[0])
		default:
			all = append(all, groups)
		}
	}
	return starlark.NewList(all), nil
}

func evalReSub(args *arguments) (starlark.Value, error) {
	pattern, text, err := patternAndText(args, "", "")
	if err != nil {
		return nil, err
	}
	parts, err := readTemplate(args, args.text("replacement"), pattern)
	if err != nil {
		return nil, err
	}
	most := args.number("count", 0)
	if most == 0 {
		most = -1
	}
	var out strings.Builder
	last := 0
	for _, at := range pattern.FindAllStringSubmatchIndex(text, most) {
		out.WriteString(text[last:at[0]])
		made := &matchValue{text: text, at: at}
		for _, piece := range parts {
			out.WriteString(piece.of(made))
			if out.Len() > maxReplaced {
				return nil, args.misuse("the result is longer than %d bytes", maxReplaced)
			}
		}
		last = at[1]
	}
	return starlark.String(out.String() + text[last:]), nil
}

// piece is literal text of a replacement, or a group.
type piece struct {
	text  string
	group int // -1: the text
}

func (p piece) of(match *matchValue) string {
	if p.group < 0 {
		return p.text
	}
	text, _ := starlark.AsString(match.group(p.group))
	return text
}

// template reads \1, \g<name> and \\ in a replacement.
func readTemplate(args *arguments, text string, pattern *regexp.Regexp) ([]piece, error) {
	var parts []piece
	for {
		plain, rest, found := strings.Cut(text, `\`)
		parts = append(parts, piece{plain, -1})
		if !found {
			return parts, nil
		}
		p, left, err := readEscape(args, rest, pattern)
		if err != nil {
			return nil, err
		}
		parts, text = append(parts, p), left
	}
}

// escape reads what follows a backslash.
func readEscape(args *arguments, text string, pattern *regexp.Regexp) (p piece, rest string, err error) {
	name, isNamed := "", false
	switch {
	case strings.HasPrefix(text, `\`):
		return piece{`\`, -1}, text[1:], nil
	case strings.HasPrefix(text, "g<"):
		name, rest, isNamed = strings.Cut(text[2:], ">")
	default:
		count := 0
		for count < len(text) && count < 2 && text[count] >= '0' && text[count] <= '9' {
			count++
		}
		name, rest, isNamed = text[:count], text[count:], count > 0
	}
	if !isNamed {
		return p, "", args.misuse(`the replacement has a \ that is neither \1, \g<name> nor \\`)
	}
	group := pattern.SubexpIndex(name)
	if count, err := strconv.Atoi(name); err == nil {
		group = count
	}
	if group < 0 || group > pattern.NumSubexp() {
		return p, "", args.misuse("there is no group %q", name)
	}
	return piece{"", group}, rest, nil
}

func evalReSplit(args *arguments) (starlark.Value, error) {
	pattern, text, err := patternAndText(args, "", "")
	if err != nil {
		return nil, err
	}
	most := args.number("maxsplit", 0) + 1
	if most == 1 {
		most = -1
	}
	var all []starlark.Value
	for _, part := range pattern.Split(text, most) {
		all = append(all, starlark.String(part))
	}
	return starlark.NewList(all), nil
}
