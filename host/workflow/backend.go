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

	"github.com/rekey-host/rekey/host/diag"
	"github.com/rekey-host/rekey/host/internal/home"
	"github.com/rekey-host/rekey/host/journal"
	"github.com/rekey-host/rekey/host/workflow/lang"
	"github.com/rekey-host/rekey/host/workflow/vet"
	"github.com/rekey-host/rekey/sdk"
	"github.com/rekey-host/rekey/sdk/define"
	"github.com/rekey-host/rekey/sdk/secret"
)

// backendValue is what backend() makes. Its spec is filled in as far as the
// arguments allow; of an unknown one nothing is checked.
type backendValue struct {
	*vet.Backend
	spec   BackendSpec
	method func(name string, recv starlark.Value) starlark.Value
}

var _ starlark.HasAttrs = (*backendValue)(nil)

func (b *backendValue) String() string        { return fmt.Sprintf("backend(%q)", b.Label) }
func (b *backendValue) Type() string          { return "backend" }
func (b *backendValue) Freeze()               {}
func (b *backendValue) Truth() starlark.Bool  { return true }
func (b *backendValue) Hash() (uint32, error) { return starlark.String(b.Label).Hash() }
func (b *backendValue) AttrNames() []string   { return []string{"accounts", "can", "label", "name"} }

// Attr returns accounts, can, name or label.
func (b *backendValue) Attr(name string) (starlark.Value, error) {
	switch name {
	case "accounts":
		return b.method("BACKEND.accounts", b), nil
	case "can":
		return b.method("BACKEND.can", b), nil
	case "label":
		return starlark.String(b.Label), nil
	case "name":
		return starlark.String(b.spec.Name), nil
	}
	return nil, lang.Unknown("a backend has no", name, b.AttrNames(), "")
}

// defaultTimeout is of an operation whose plugin names none.
const defaultTimeout = 30 * time.Second

// evalBackend is backend().
func evalBackend(args *arguments) (starlark.Value, error) {
	made := &backendValue{Backend: &vet.Backend{}, method: args.method}
	made.spec = BackendSpec{Name: args.text("name"), Label: args.text("label"), Attempts: args.number("attempts", 1), Patience: args.duration("patience"),
		Concurrency: args.number("concurrency", 1), Timeout: args.duration("timeout"), Values: map[string]any{}, Secrets: map[string]SecretRef{}}
	if made.spec.Label == "" {
		made.spec.Label = made.spec.Name
	}
	made.Label = made.spec.Label
	made.Named = vet.IsLiteral(args.site().Argument(args.entry, "name"))
	describeBackend(args, made)
	checkLabel(args, made.Label)
	checkLimits(args, made)
	checkSettings(args, made)
	args.in.backends = append(args.in.backends, made.Backend)
	args.in.spec.Backends = append(args.in.spec.Backends, made.spec)
	return made, nil
}

// describeBackend asks what the backend says of itself.
func describeBackend(args *arguments, to *backendValue) {
	in := args.in
	if args.unresolved("name") && to.spec.Name == "" || in.opts.Describe == nil {
		return
	}
	if len(in.opts.BackendNames) > 0 && !slices.Contains(in.opts.BackendNames, to.spec.Name) {
		misuse := lang.Unknown("there is no backend", to.spec.Name, in.opts.BackendNames, "there is "+strings.Join(in.opts.BackendNames, ", "))
		args.badValue("name", misuse.Fix, "%s", misuse.Message)
		return
	}
	definition, given := definitionOf(args)
	if given && args.unresolved(define.Setting) {
		return
	}
	args.state.watch.pause() // a plugin may have to be started for it
	description, err := in.opts.Describe(to.spec.Name, definition)
	args.state.watch.resume()
	switch {
	case err != nil && definition != "":
		args.bad(define.Setting, "", "%s: %s", to.spec.Name, err)
		return
	case err != nil:
		args.bad("name", "", "%s: %s", to.spec.Name, err)
		return
	}
	to.Desc, to.Known = description, true
}

// definitionOf returns the setting that names a file which says what the backend is.
func definitionOf(args *arguments) (path string, given bool) {
	for _, kw := range args.more {
		if textOf(kw[0]) != define.Setting {
			continue
		}
		if path, err := home.Expand(textOf(kw[1]), args.in.opts.Home); err == nil {
			return path, true
		}
		return textOf(kw[1]), true // the setting's own check says what is wrong
	}
	return "", false
}

// definitionField returns that setting of a backend; the zero Field if it has none.
func definitionField(description sdk.Description) sdk.Field {
	for _, field := range description.Config {
		if field.Name == define.Setting {
			return field
		}
	}
	return sdk.Field{}
}

// checkLabel checks that no other backend has the label.
func checkLabel(args *arguments, label string) {
	switch {
	case label == "" && !args.unresolved("label") && !args.unresolved("name"):
		args.bad("label", "", "the label is empty")
	case strings.ContainsAny(label, "/:") || strings.TrimSpace(label) != label || strings.ContainsFunc(label, unicode.IsControl):
		args.badValue("label", "use letters, digits, _ and -", "label %q has a character that reports give a meaning", label)
	case slices.ContainsFunc(args.in.backends, func(backend *vet.Backend) bool { return backend.Label == label }) && !args.unresolved("label") && !args.unresolved("name"):
		fix := fmt.Sprintf("give one of them another: label = %q", label+"-2")
		args.bad("label", fix, "two backends are labelled %q", label)
	}
}

// checkLimits checks what may only lower the plugin's own limits.
func checkLimits(args *arguments, to *backendValue) {
	if args.has("rate") {
		to.spec.Rate = readRate(args)
	}
	most := to.Desc.Limits
	if most.Concurrency > 0 && to.spec.Concurrency > most.Concurrency {
		args.badValue("concurrency", "", "concurrency = %d is above the plugin's limit, %d", to.spec.Concurrency, most.Concurrency)
	}
	if most.PerSecond > 0 && to.spec.Rate > most.PerSecond {
		args.badValue("rate", "", "rate = %q is above the plugin's limit, %g/s", args.text("rate"), most.PerSecond)
	}
	checkTimeout(args, to)
	if to.spec.Attempts > 100 {
		args.badValue("attempts", "", "attempts = %d: want at most 100", to.spec.Attempts)
	}
}

// checkTimeout fills in a missing timeout, and refuses zero.
func checkTimeout(args *arguments, to *backendValue) {
	switch {
	case args.has("timeout"):
		if span, bad := parseDuration(args.text("timeout")); bad == nil && span == 0 {
			args.badValue("timeout", "", "timeout is zero")
		}
	case to.Desc.Limits.Timeout > 0:
		to.spec.Timeout = to.Desc.Limits.Timeout
	default:
		to.spec.Timeout = defaultTimeout
	}
}

// readRate reads N/s, N/m or N/h as operations a second.
func readRate(args *arguments) float64 {
	text := args.text("rate")
	count, unit, _ := strings.Cut(text, "/")
	amount, err := strconv.ParseFloat(strings.TrimSpace(count), 64)
	per, known := map[string]float64{"s": 1, "m": 60, "h": 3600}[strings.TrimSpace(unit)]
	if err != nil || !known || !(amount > 0) || amount > 1e9 {
		args.badValue("rate", "write N/s, N/m or N/h", "rate = %q is not a rate", text)
		return 0
	}
	return amount / per
}

// checkSettings checks the plugin's own settings.
func checkSettings(args *arguments, to *backendValue) {
	given := map[string]starlark.Value{}
	for _, kw := range args.more {
		if kw[1] != starlark.None {
			given[textOf(kw[0])] = kw[1]
		}
	}
	if !to.Known {
		return
	}
	if field := definitionField(to.Desc); field.Required && given[field.Name] == nil && !args.unresolved(anyConfig) {
		args.bad("", fieldHelp(field), "%s is missing", field.Name) // whose settings the others are
		return
	}
	names := vet.FieldNames(to.Desc.Config)
	for _, name := range sortedKeys(given) {
		if !slices.Contains(names, name) {
			fix := diag.DidYouMean(name, append(slices.Clone(names), args.entry.ParamNames()...))
			if fix == "" {
				fix = "it has " + strings.Join(names, ", ")
			}
			args.badValue(name, fix, "%s has no setting %q", to.spec.Name, name)
		}
	}
	for _, field := range to.Desc.Config {
		checkSetting(args, to, field, given)
	}
}

// checkSetting checks one setting and fills it in.
func checkSetting(args *arguments, to *backendValue, field sdk.Field, given map[string]starlark.Value) {
	value := given[field.Name]
	if value == nil {
		switch {
		case field.Required && !args.unresolved(anyConfig):
			args.bad("", fieldHelp(field), "%s is missing", field.Name)
		case field.Default != nil && field.Type != sdk.Secret:
			to.spec.Values[field.Name] = normal(field.Default)
		}
		return
	}
	for _, other := range field.Conflicts {
		if given[other] != nil && field.Name < other {
			args.badValue(field.Name, "", "%s and %s cannot be given together", field.Name, other)
		}
	}
	if field.Type == sdk.Secret {
		secretSetting(args, to, field, value)
		return
	}
	item, bad := fieldValue(field, value, false)
	if path, ok := item.(string); ok && field.Type == sdk.Path {
		expanded, err := home.Expand(path, args.in.opts.Home)
		if err != nil {
			args.badValue(field.Name, "", "%s: %s", field.Name, err)
		}
		item = expanded
	}
	switch {
	case bad == nil:
		to.spec.Values[field.Name] = item
	case bad.Fix == ofType:
		args.bad(field.Name, fieldHelp(field), "%s: %s", field.Name, bad.Message)
	default:
		args.badValue(field.Name, bad.Fix, "%s: %s", field.Name, bad.Message)
	}
}

// anyConfig names no argument: a missing setting may come out of
// **config.
const anyConfig = "**"

// ofType marks a flaw of a value's type, which is one whatever it says.
const ofType = "type"

func fieldHelp(field sdk.Field) string {
	if field.Doc == "" {
		return ""
	}
	return field.Name + ": " + field.Doc
}

// normal is a default of a Description as sdk.Config has values.
func normal(value any) any {
	if count, ok := value.(int); ok {
		return int64(count)
	}
	return value
}

// fieldValue turns a value into that of a setting or an option.
func fieldValue(field sdk.Field, value starlark.Value, option bool) (any, *lang.Misuse) {
	want := map[sdk.FieldType]lang.Kind{sdk.String: lang.KindText, sdk.Int: lang.KindInt, sdk.Bool: lang.KindBool, sdk.Duration: lang.KindDuration,
		sdk.Choice: lang.KindText, sdk.List: lang.KindTexts, sdk.Path: lang.KindText, sdk.URL: lang.KindText, sdk.Secret: lang.KindValue}[field.Type]
	if !accepts(want, value) {
		return nil, lang.Mistake(mismatch(want, value), ofType)
	}
	text := textOf(value)
	switch field.Type {
	case sdk.Int:
		count, ok := value.(starlark.Int).Int64()
		if !ok {
			return nil, lang.Mistake("the number is too large", "")
		}
		return count, nil
	case sdk.Bool:
		return bool(value.Truth()), nil
	case sdk.List:
		return texts(value), nil
	case sdk.Duration:
		if option { // operations carry no durations
			_, bad := parseDuration(text)
			return text, bad
		}
		span, bad := parseDuration(text)
		return span, bad
	}
	return text, textFlaw(field, text)
}

// textFlaw returns the mistake in the text of a setting.
func textFlaw(field sdk.Field, text string) *lang.Misuse {
	switch {
	case field.Type == sdk.Choice && !slices.Contains(field.Choices, text):
		fix := diag.DidYouMean(text, field.Choices)
		if fix == "" {
			fix = "write " + lang.Listed(lang.Quoted(field.Choices))
		}
		return lang.Mistake(fmt.Sprintf("%q is none of %s", text, strings.Join(field.Choices, ", ")), fix)
	case field.Required && text == "":
		return lang.Mistake("is empty", fieldHelp(field))
	case strings.ContainsRune(text, 0):
		return lang.Mistake("has a zero byte", "")
	case field.Type == sdk.URL && text != "":
		address, err := url.Parse(text)
		if err != nil {
			address, err = url.Parse(socketURL(text))
		}
		switch {
		case err != nil || address.Scheme == "":
			return lang.Mistake("is not a URL", "write scheme://host/path")
		case address.User != nil:
			return lang.Mistake("the URL holds a login", "give it in settings of its own")
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

// secretSetting takes a reference to a secret, or the form that a configuration
// in JSON gives it: {"$secret": "env:NAME"}.
func secretSetting(args *arguments, to *backendValue, field sdk.Field, value starlark.Value) {
	const fix = `write secret.env("NAME"), secret.file("path"), secret.prompt("label"), secret.command([…]) or secret.credential("name")`
	switch v := value.(type) {
	case *refValue:
		to.spec.Secrets[field.Name] = v.ref
	case starlark.String:
		to.spec.Secrets[field.Name] = SecretRef{Kind: "literal", Value: secret.New(string(v))}
		args.warn(field.Name, fix, "%s stands in the script, and so in the ledger", field.Name)
	case *starlark.Dict:
		ref, ok := secretForm(v)
		if !ok {
			args.badValue(field.Name, `write {"$secret": "env:NAME"}, with env, file, prompt or credential`, "%s: the dict is no secret reference", field.Name)
		}
		to.spec.Secrets[field.Name] = ref
	default:
		args.bad(field.Name, fix, "%s: want a secret reference, got %s", field.Name, v.Type())
	}
}

func secretForm(dict *starlark.Dict) (SecretRef, bool) {
	value, _, _ := dict.Get(starlark.String("$secret"))
	text, ok := value.(starlark.String)
	form, name, found := strings.Cut(string(text), ":")
	known := form == "env" || form == "file" || form == "prompt" || form == "credential" && !strings.ContainsRune(name, '/')
	return SecretRef{Kind: form, Name: name}, ok && found && known && name != "" && dict.Len() == 1
}

// entersAs returns the label of another backend of the script that logs in as the
// account that a step hands over, as far as settings tell: it has the same plugin and
// url, and the account's name or its secret. "": none does.
func (i *interp) entersAs(target *backendValue, step journal.Step) string {
	if step.Verb != journal.Handover {
		return ""
	}
	for _, other := range i.spec.Backends {
		if other.Label != target.Label && target.meets(other) && target.names(other, step.Account) {
			return other.Label
		}
	}
	return ""
}

// meets reports whether another backend's settings name the same server.
func (b *backendValue) meets(other BackendSpec) bool {
	return other.Name == b.spec.Name && slices.ContainsFunc(b.Desc.Config, func(field sdk.Field) bool {
		mine, given := b.spec.Values[field.Name].(string)
		theirs, _ := other.Values[field.Name].(string)
		return field.Type == sdk.URL && given && mine == theirs
	})
}

// names reports whether another backend has the name of an account among its
// settings, or a secret of this one.
func (b *backendValue) names(other BackendSpec, account string) bool {
	for _, value := range other.Values {
		if name, ok := value.(string); ok && strings.EqualFold(name, account) {
			return true
		}
	}
	for field, ref := range other.Secrets {
		if ref.Kind != "literal" && ref.sameSource(b.spec.Secrets[field]) {
			return true
		}
	}
	return false
}

// evalCan is BACKEND.can(): what the plugin says of itself. Of an unknown plugin
// nothing is known, and so nothing refused.
func evalCan(args *arguments) (starlark.Value, error) {
	target, step := args.recv.(*backendValue), args.text("step")
	if names := append(journal.StepVerbs(), "generate"); !slices.Contains(names, step) && !args.unresolved("step") {
		args.badValue("step", diag.DidYouMean(step, names), "there is no step %q", step)
	}
	return starlark.Bool(!target.Known || target.Can(step)), nil
}
