package workflow

import (
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"go.starlark.net/starlark"

	"github.com/rekey-host/rekey/host/internal/home"
	"github.com/rekey-host/rekey/sdk"
	"github.com/rekey-host/rekey/sdk/secret"
)

// backendValue is what backend() makes. Its spec is filled in as far as the
// arguments allow; about one that is not known nothing is checked.
type backendValue struct {
	lang  *language
	spec  BackendSpec
	desc  sdk.Description
	known bool
	named bool // the script names its plugin in so many words
}

var _ starlark.HasAttrs = (*backendValue)(nil)

func (b *backendValue) String() string        { return fmt.Sprintf("backend(%q)", b.spec.Label) }
func (b *backendValue) Type() string          { return "backend" }
func (b *backendValue) Freeze()               {}
func (b *backendValue) Truth() starlark.Bool  { return true }
func (b *backendValue) Hash() (uint32, error) { return starlark.String(b.spec.Label).Hash() }
func (b *backendValue) AttrNames() []string   { return []string{"accounts", "label", "name"} }

// Attr returns accounts, name or label.
func (b *backendValue) Attr(name string) (starlark.Value, error) {
	switch name {
	case "accounts":
		lang := b.lang
		if lang == nil {
			lang = newLanguage()
		}
		return &builtin{lang: lang, entry: lang.byName["BACKEND.accounts"], recv: b}, nil
	case "label":
		return starlark.String(b.spec.Label), nil
	case "name":
		return starlark.String(b.spec.Name), nil
	}
	return nil, &misuse{fmt.Sprintf("a backend has no %q", name), didYouMean(name, b.AttrNames())}
}

// defaultTimeout is of an operation whose plugin names none.
const defaultTimeout = 30 * time.Second

func (c *call) backend() (starlark.Value, error) {
	in := c.state.in
	b := &backendValue{lang: in.lang}
	b.spec = BackendSpec{Name: c.text("name"), Label: c.text("label"), Attempts: c.number("attempts", 1), Patience: c.duration("patience"),
		Concurrency: c.number("concurrency", 1), Timeout: c.duration("timeout"), Values: map[string]any{}, Secrets: map[string]SecretRef{}}
	if b.spec.Label == "" {
		b.spec.Label = b.spec.Name
	}
	b.named = literal(argumentOf(c.site(), c.entry, "name")) != nil
	c.describe(b)
	c.labelled(b)
	c.limits(b)
	c.config(b)
	in.backends = append(in.backends, b)
	return b, nil
}

// describe asks what the backend says of itself.
func (c *call) describe(b *backendValue) {
	in := c.state.in
	if c.loose("name") && b.spec.Name == "" || in.opts.Describe == nil {
		return
	}
	if len(in.opts.BackendNames) > 0 && !slices.Contains(in.opts.BackendNames, b.spec.Name) {
		fix := didYouMean(b.spec.Name, in.opts.BackendNames)
		if fix == "" {
			fix = "there is " + strings.Join(in.opts.BackendNames, ", ")
		}
		c.badValue("name", fix, "there is no backend %q", b.spec.Name)
		return
	}
	c.state.watch.pause() // a plugin may have to be started for it
	d, err := in.opts.Describe(b.spec.Name)
	c.state.watch.resume()
	if err != nil {
		c.bad("name", "", "backend %q: %s", b.spec.Name, err)
		return
	}
	b.desc, b.known = d, true
}

// labelled checks that no other backend has the label.
func (c *call) labelled(b *backendValue) {
	label := b.spec.Label
	switch {
	case label == "" && !c.loose("label") && !c.loose("name"):
		c.bad("label", "", "the label is empty")
	case strings.ContainsAny(label, "/:") || strings.TrimSpace(label) != label || strings.ContainsFunc(label, unicode.IsControl):
		c.badValue("label", "use letters, digits, _ and -", "label %q has a character that reports give a meaning", label)
	case slices.ContainsFunc(c.state.in.backends, func(o *backendValue) bool { return o.spec.Label == label }) && !c.loose("label") && !c.loose("name"):
		fix := fmt.Sprintf("give one of them another: label = %q", label+"-2")
		c.bad("label", fix, "two backends are labelled %q", label)
	}
}

// limits checks what may only lower the plugin's own limits.
func (c *call) limits(b *backendValue) {
	if c.has("rate") {
		b.spec.Rate = c.rate()
	}
	most := b.desc.Limits
	if most.Concurrency > 0 && b.spec.Concurrency > most.Concurrency {
		c.badValue("concurrency", "", "concurrency = %d is above the plugin's limit, %d", b.spec.Concurrency, most.Concurrency)
	}
	if most.PerSecond > 0 && b.spec.Rate > most.PerSecond {
		c.badValue("rate", "", "rate = %q is above the plugin's limit, %g/s", c.text("rate"), most.PerSecond)
	}
	switch {
	case c.has("timeout"):
	case most.Timeout > 0:
		b.spec.Timeout = most.Timeout
	default:
		b.spec.Timeout = defaultTimeout
	}
	if b.spec.Timeout <= 0 {
		c.badValue("timeout", "", "timeout is zero")
	}
	if b.spec.Attempts > 100 {
		c.badValue("attempts", "", "attempts = %d: want at most 100", b.spec.Attempts)
	}
}

// rate reads N/s, N/m or N/h as operations a second.
func (c *call) rate() float64 {
	text := c.text("rate")
	count, unit, _ := strings.Cut(text, "/")
	n, err := strconv.ParseFloat(strings.TrimSpace(count), 64)
	per, known := map[string]float64{"s": 1, "m": 60, "h": 3600}[strings.TrimSpace(unit)]
	if err != nil || !known || !(n > 0) || n > 1e9 {
		c.badValue("rate", "write N/s, N/m or N/h", "rate = %q is not a rate", text)
		return 0
	}
	return n / per
}

// config checks the plugin's own settings.
func (c *call) config(b *backendValue) {
	given := map[string]starlark.Value{}
	for _, kw := range c.more {
		if kw[1] != starlark.None {
			given[textOf(kw[0])] = kw[1]
		}
	}
	if !b.known {
		return
	}
	names := fieldNames(b.desc.Config)
	for _, name := range sortedKeys(given) {
		if !slices.Contains(names, name) {
			fix := didYouMean(name, append(slices.Clone(names), c.entry.paramNames()...))
			if fix == "" {
				fix = "it has " + strings.Join(names, ", ")
			}
			c.badValue(name, fix, "%s has no setting %q", b.spec.Name, name)
		}
	}
	for _, f := range b.desc.Config {
		c.field(b, f, given)
	}
}

func fieldNames(fields []sdk.Field) []string {
	names := make([]string, len(fields))
	for i, f := range fields {
		names[i] = f.Name
	}
	return names
}

// field checks one setting and fills it in.
func (c *call) field(b *backendValue, f sdk.Field, given map[string]starlark.Value) {
	v := given[f.Name]
	if v == nil {
		switch {
		case f.Required && !c.loose(anyConfig):
			c.bad("", fieldHelp(f), "%s is missing", f.Name)
		case f.Default != nil && f.Type != sdk.Secret:
			b.spec.Values[f.Name] = normal(f.Default)
		}
		return
	}
	for _, other := range f.Conflicts {
		if given[other] != nil && f.Name < other {
			c.badValue(f.Name, "", "%s and %s cannot be given together", f.Name, other)
		}
	}
	if f.Type == sdk.Secret {
		c.secretField(b, f, v)
		return
	}
	x, bad := fieldValue(f, v, false)
	if path, ok := x.(string); ok && f.Type == sdk.Path {
		expanded, err := home.Expand(path, c.state.in.opts.Home)
		if err != nil {
			c.badValue(f.Name, "", "%s: %s", f.Name, err)
		}
		x = expanded
	}
	switch {
	case bad == nil:
		b.spec.Values[f.Name] = x
	case bad.fix == ofType:
		c.bad(f.Name, fieldHelp(f), "%s: %s", f.Name, bad.message)
	default:
		c.badValue(f.Name, bad.fix, "%s: %s", f.Name, bad.message)
	}
}

// anyConfig names no argument: a setting that is missing may come out of
// **config.
const anyConfig = "**"

// ofType marks a flaw of a value's type, which is one whatever it says.
const ofType = "type"

func fieldHelp(f sdk.Field) string {
	if f.Doc == "" {
		return ""
	}
	return f.Name + ": " + f.Doc
}

// normal is a default of a Description as sdk.Config has values.
func normal(v any) any {
	if n, ok := v.(int); ok {
		return int64(n)
	}
	return v
}

// fieldValue turns a value into that of a setting or an option.
func fieldValue(f sdk.Field, v starlark.Value, option bool) (any, *misuse) {
	want := map[sdk.FieldType]kind{sdk.String: kindText, sdk.Int: kindInt, sdk.Bool: kindBool, sdk.Duration: kindDuration,
		sdk.Choice: kindText, sdk.List: kindTexts, sdk.Path: kindText, sdk.URL: kindText, sdk.Secret: kindValue}[f.Type]
	if !want.accepts(v) {
		return nil, &misuse{want.mismatch(v), ofType}
	}
	text := textOf(v)
	switch f.Type {
	case sdk.Int:
		n, ok := v.(starlark.Int).Int64()
		if !ok {
			return nil, &misuse{"the number is too large", ""}
		}
		return n, nil
	case sdk.Bool:
		return bool(v.Truth()), nil
	case sdk.List:
		return texts(v), nil
	case sdk.Duration:
		if option { // operations carry no durations
			_, bad := parseDuration(text)
			return text, bad
		}
		d, bad := parseDuration(text)
		return d, bad
	}
	return text, textFlaw(f, text)
}

func texts(v starlark.Value) []string {
	all, _ := elements(v)
	list := []string{}
	for _, e := range all {
		list = append(list, textOf(e))
	}
	return list
}

// textFlaw says what is wrong with the text of a setting.
func textFlaw(f sdk.Field, text string) *misuse {
	switch {
	case f.Type == sdk.Choice && !slices.Contains(f.Choices, text):
		fix := didYouMean(text, f.Choices)
		if fix == "" {
			fix = "write " + listed(quoted(f.Choices))
		}
		return &misuse{fmt.Sprintf("%q is none of %s", text, strings.Join(f.Choices, ", ")), fix}
	case f.Required && text == "":
		return &misuse{"is empty", fieldHelp(f)}
	case strings.ContainsRune(text, 0):
		return &misuse{"has a zero byte", ""}
	case f.Type == sdk.URL && text != "":
		u, err := url.Parse(text)
		if err != nil {
			u, err = url.Parse(socketURL(text))
		}
		switch {
		case err != nil || u.Scheme == "":
			return &misuse{"is not a URL", "write scheme://host/path"}
		case u.User != nil:
			return &misuse{"the URL holds a login", "give it in settings of its own"}
		}
	}
	return nil
}

// socketURL writes a socket's path that stands encoded in the place of the host,
// as in ldapi://%2Frun%2Fldapi, where paths stand.
func socketURL(text string) string {
	scheme, rest, _ := strings.Cut(text, "://")
	path, err := url.PathUnescape(rest)
	if err != nil || !strings.HasPrefix(path, "/") || strings.HasPrefix(rest, "/") {
		return text
	}
	return (&url.URL{Scheme: scheme, Path: path}).String()
}

// secretField takes a reference to a secret, or the form that a configuration
// in JSON gives it: {"$secret": "env:NAME"}.
func (c *call) secretField(b *backendValue, f sdk.Field, v starlark.Value) {
	const fix = `write secret.env("NAME"), secret.file("path") or secret.prompt("label")`
	switch v := v.(type) {
	case *refValue:
		b.spec.Secrets[f.Name] = v.ref
	case starlark.String:
		b.spec.Secrets[f.Name] = SecretRef{Kind: "literal", Value: secret.New(string(v))}
		c.warn(f.Name, fix, "%s stands in the script, and so in the ledger", f.Name)
	case *starlark.Dict:
		ref, ok := secretForm(v)
		if !ok {
			c.badValue(f.Name, `write {"$secret": "env:NAME"}, with env, file or prompt`, "%s: the dict is no secret reference", f.Name)
		}
		b.spec.Secrets[f.Name] = ref
	default:
		c.bad(f.Name, fix, "%s: want a secret reference, got %s", f.Name, v.Type())
	}
}

func secretForm(d *starlark.Dict) (SecretRef, bool) {
	v, _, _ := d.Get(starlark.String("$secret"))
	text, ok := v.(starlark.String)
	form, name, found := strings.Cut(string(text), ":")
	known := form == "env" || form == "file" || form == "prompt"
	return SecretRef{Kind: form, Name: name}, ok && found && known && name != "" && d.Len() == 1
}

// warn notes what is no problem yet.
func (c *call) warn(arg, fix, format string, args ...any) {
	n := len(c.problems)
	c.bad(arg, fix, format, args...)
	c.state.in.warnings = append(c.state.in.warnings, c.problems[n])
	c.problems = c.problems[:n]
}
