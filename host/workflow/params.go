package workflow

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.starlark.net/starlark"
	"go.starlark.net/syntax"

	"github.com/rekey-host/rekey/host/internal/home"
	"github.com/rekey-host/rekey/host/source"
)

// paramType is one of param's members: how text becomes a value.
type paramType struct {
	name string
	zero starlark.Value
	// read turns text into a value, or says why it cannot.
	read func(text string) (starlark.Value, *misuse)
	// write is read backwards, for a default.
	write func(v starlark.Value) string
}

func textOf(v starlark.Value) string { s, _ := starlark.AsString(v); return s }

func readText(text string) (starlark.Value, *misuse) { return starlark.String(text), nil }

func (c *call) paramString() (starlark.Value, error) {
	return c.param(paramType{"string", starlark.String(""), readText, textOf})
}

func (c *call) paramPath() (starlark.Value, error) {
	return c.param(paramType{"path", starlark.String(""), func(text string) (starlark.Value, *misuse) {
		if text == "" {
			return nil, &misuse{"the path is empty", ""}
		}
		path, err := home.Expand(text, c.state.in.opts.Home)
		if err != nil {
			return nil, &misuse{err.Error(), ""}
		}
		return readText(path)
	}, textOf})
}

func (c *call) paramInt() (starlark.Value, error) {
	least, most := c.value("min"), c.value("max")
	return c.param(paramType{"int", starlark.MakeInt(0), func(text string) (starlark.Value, *misuse) {
		n, err := strconv.ParseInt(strings.TrimSpace(text), 10, 64)
		if err != nil {
			return nil, &misuse{fmt.Sprintf("%q is not a whole number", text), "write it in digits"}
		}
		v := starlark.MakeInt64(n)
		return v, outside(v, text, least, most)
	}, func(v starlark.Value) string { return v.String() }})
}

// outside says that a value is not within the limits, which may be nil.
func outside(v starlark.Value, text string, least, most starlark.Value) *misuse {
	if least != nil && isLess(v, least) {
		return &misuse{fmt.Sprintf("%s is too small", text), "want at least " + shownLimit(least)}
	}
	if most != nil && isLess(most, v) {
		return &misuse{fmt.Sprintf("%s is too large", text), "want at most " + shownLimit(most)}
	}
	return nil
}

func isLess(a, b starlark.Value) bool {
	less, err := starlark.Compare(syntax.LT, a, b)
	return err == nil && less
}

func shownLimit(v starlark.Value) string {
	if s, ok := starlark.AsString(v); ok {
		return s
	}
	return v.String()
}

func (c *call) paramBool() (starlark.Value, error) {
	return c.param(paramType{"bool", starlark.False, func(text string) (starlark.Value, *misuse) {
		switch strings.ToLower(text) {
		case "true", "yes", "1":
			return starlark.True, nil
		case "false", "no", "0":
			return starlark.False, nil
		}
		return nil, &misuse{fmt.Sprintf("%q is neither true nor false", text), "write true, false, yes, no, 1 or 0"}
	}, func(v starlark.Value) string { return strings.ToLower(v.String()) }})
}

func (c *call) paramDuration() (starlark.Value, error) {
	limit := func(name string) *time.Duration {
		if !c.has(name) {
			return nil
		}
		d := c.duration(name)
		return &d
	}
	least, most := limit("min"), limit("max")
	return c.param(paramType{"duration", starlark.String("0s"), func(text string) (starlark.Value, *misuse) {
		d, bad := parseDuration(text)
		switch {
		case bad != nil:
			return nil, bad
		case least != nil && d < *least:
			return nil, &misuse{text + " is too short", "want at least " + least.String()}
		case most != nil && d > *most:
			return nil, &misuse{text + " is too long", "want at most " + most.String()}
		}
		return readText(text)
	}, textOf})
}

// parseDuration reads "90s", "10m", "1h30m".
func parseDuration(text string) (time.Duration, *misuse) {
	d, err := time.ParseDuration(text)
	switch {
	case err != nil:
		return 0, &misuse{fmt.Sprintf("%q is not a duration", text), `write a number and a unit: "500ms", "90s", "10m", "1h30m"`}
	case d < 0:
		return 0, &misuse{fmt.Sprintf("%q is negative", text), ""}
	}
	return d, nil
}

// duration returns an argument of kind duration, or its default, 0 for None.
func (c *call) duration(name string) time.Duration {
	text := c.text(name)
	if text == "" && !c.has(name) {
		return 0
	}
	d, bad := parseDuration(text)
	if bad != nil {
		c.badValue(name, bad.fix, "%s: %s", name, bad.message)
	}
	return d
}

func (c *call) paramChoice() (starlark.Value, error) {
	choices := c.texts("choices")
	if len(choices) == 0 {
		c.bad("choices", "", "choices is empty")
		return c.param(paramType{"choice", starlark.String(""), readText, textOf})
	}
	spelling := map[string]string{}
	for _, w := range choices {
		spelling[strings.ToLower(w)] = w
	}
	if d, ok := c.value("aliases").(*starlark.Dict); ok {
		c.aliases(d, spelling)
	}
	return c.param(paramType{"choice", starlark.String(choices[0]), func(text string) (starlark.Value, *misuse) {
		if w, ok := spelling[strings.ToLower(text)]; ok {
			return starlark.String(w), nil
		}
		fix := didYouMean(text, choices)
		if fix == "" {
			fix = "write " + listed(choices)
		}
		return nil, &misuse{fmt.Sprintf("%q is none of %s", text, strings.Join(choices, ", ")), fix}
	}, textOf})
}

// aliases adds other spellings of choices.
func (c *call) aliases(d *starlark.Dict, spelling map[string]string) {
	for _, item := range d.Items() {
		alias, choice := textOf(item[0]), textOf(item[1])
		w, known := spelling[strings.ToLower(choice)]
		if !known {
			c.badValue("aliases", didYouMean(choice, c.texts("choices")), "alias %q: %q is no choice", alias, choice)
			continue
		}
		if _, taken := spelling[strings.ToLower(alias)]; taken {
			c.badValue("aliases", "", "alias %q is there already", alias)
			continue
		}
		spelling[strings.ToLower(alias)] = w
	}
}

func (c *call) paramList() (starlark.Value, error) {
	return c.param(paramType{"list", starlark.NewList(nil), func(text string) (starlark.Value, *misuse) {
		var all []starlark.Value
		if strings.TrimSpace(text) == "" {
			return starlark.NewList(nil), nil
		}
		for i, word := range strings.Split(text, ",") {
			if word = strings.TrimSpace(word); word == "" {
				return nil, &misuse{fmt.Sprintf("element %d is empty", i+1), "write words between commas"}
			}
			all = append(all, starlark.String(word))
		}
		return starlark.NewList(all), nil
	}, func(v starlark.Value) string {
		all, _ := elements(v)
		words := make([]string, len(all))
		for i, e := range all {
			words[i] = textOf(e)
		}
		return strings.Join(words, ",")
	}})
}

func (c *call) paramJSON() (starlark.Value, error) {
	return c.param(paramType{"json", starlark.None, func(text string) (starlark.Value, *misuse) {
		v, err := decodeJSON(text)
		if err != nil {
			return nil, &misuse{err.Error(), "write JSON"}
		}
		return v, nil
	}, func(v starlark.Value) string {
		text, err := encodeJSON(v)
		if err != nil {
			return "?"
		}
		return text
	}})
}

// param declares a parameter and returns its value: what was given, else the
// default, else an empty stand-in.
func (c *call) param(t paramType) (starlark.Value, error) {
	in, name := c.state.in, c.text("name")
	given, isGiven := in.opts.Params[name]
	p := Param{Name: name, Type: t.name, Help: c.text("help"), Given: isGiven}
	if i := c.entry.index("choices"); i >= 0 {
		p.Choices = c.texts("choices")
	}
	c.declare(name)
	fallback := c.value("default")
	hasDefault := fallback != nil
	if hasDefault {
		text := ""
		fallback, text = c.defaultOf(t, fallback)
		p.Default = &text
	}
	in.params = append(in.params, p)
	if isGiven {
		v, bad := t.read(given)
		if bad == nil {
			return v, nil
		}
		c.bad("name", bad.fix, "%s: %s", name, bad.message)
	}
	switch {
	case hasDefault:
		return fallback, nil
	case !isGiven && !in.opts.Placeholders:
		c.bad("name", "give "+name+"=VALUE", "%s (%s) is required", name, t.name)
	}
	return t.zero, nil
}

// defaultOf checks a default and returns it, with its text.
func (c *call) defaultOf(t paramType, v starlark.Value) (starlark.Value, string) {
	if v == starlark.None {
		return v, ""
	}
	text := t.write(v)
	if t.name == "json" {
		return v, text
	}
	if t.name == "string" || t.name == "list" {
		return v, text
	}
	checked, bad := t.read(text)
	if bad != nil {
		c.badValue("default", bad.fix, "default: %s", bad.message)
		return v, text
	}
	return checked, text
}

// declare checks a parameter's name.
func (c *call) declare(name string) {
	ok := name != ""
	for i, r := range name {
		letter := r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r == '_'
		ok = ok && (letter || i > 0 && (r >= '0' && r <= '9' || r == '-'))
	}
	if !ok {
		c.badValue("name", "use letters, digits, _ and -", "%q is no name of a parameter", name)
	}
	if slices.ContainsFunc(c.state.in.params, func(p Param) bool { return p.Name == name }) {
		c.badValue("name", "give it another name", "%s is declared twice", name)
	}
}

// missing reports whether a param.X() call has to do without what a run will
// give it.
func (in *interp) missing(n *syntax.CallExpr) bool {
	if _, given := in.opts.Params[paramName(n)]; given {
		return false
	}
	return in.opts.Placeholders || !in.hasDefault(n)
}

// hasDefault reports whether a param.X() call is given a default.
func (in *interp) hasDefault(n *syntax.CallExpr) bool {
	e := in.lang.byName["param."+n.Fn.(*syntax.DotExpr).Name.Name]
	if e == nil {
		return true
	}
	for i, a := range n.Args {
		kw, isKeyword := keywordOf(a)
		_, isStar := a.(*syntax.UnaryExpr)
		if isKeyword && kw == "default" || isStar || !isKeyword && i == e.index("default") {
			return true
		}
	}
	return false
}

// unknownParams notes what was given and not declared.
func (in *interp) unknownParams() {
	var declared, open []string
	for _, p := range in.params {
		declared = append(declared, p.Name)
		if !p.Given {
			open = append(open, p.Name)
		}
	}
	for _, name := range sortedKeys(in.opts.Params) {
		if slices.Contains(declared, name) {
			continue
		}
		fix := didYouMean(name, open)
		if fix == "" && len(declared) > 0 {
			fix = "it has " + strings.Join(declared, ", ")
		}
		in.note(source.Problem{File: in.script.shown, Message: fmt.Sprintf("there is no parameter %q", name), Fix: fix})
	}
}

func sortedKeys[V any](m map[string]V) []string {
	var keys []string
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
