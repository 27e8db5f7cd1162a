package workflow

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.starlark.net/starlark"
	"go.starlark.net/syntax"

	"github.com/rekey-host/rekey/host/diag"
	"github.com/rekey-host/rekey/host/internal/home"
	"github.com/rekey-host/rekey/host/workflow/lang"
)

// paramType is one of param's members: how text becomes a value.
type paramType struct {
	name string
	zero starlark.Value
	// read turns text into a value, or says why it cannot.
	read func(text string) (starlark.Value, *lang.Misuse)
	// write is read backwards, for a default.
	write func(v starlark.Value) string
}

func readText(text string) (starlark.Value, *lang.Misuse) { return starlark.String(text), nil }

func evalParamString(args *arguments) (starlark.Value, error) {
	return declareParam(args, paramType{"string", starlark.String(""), readText, textOf})
}

func evalParamPath(args *arguments) (starlark.Value, error) {
	return declareParam(args, paramType{"path", starlark.String(""), func(text string) (starlark.Value, *lang.Misuse) {
		if text == "" {
			return nil, lang.Mistake("the path is empty", "")
		}
		path, err := home.Expand(text, args.in.opts.Home)
		if err != nil {
			return nil, lang.Mistake(err.Error(), "")
		}
		return readText(path)
	}, textOf})
}

func evalParamInt(args *arguments) (starlark.Value, error) {
	least, most := args.value("min"), args.value("max")
	return declareParam(args, paramType{"int", starlark.MakeInt(0), func(text string) (starlark.Value, *lang.Misuse) {
		count, err := strconv.ParseInt(strings.TrimSpace(text), 10, 64)
		if err != nil {
			return nil, lang.Mistake(fmt.Sprintf("%q is not a whole number", text), "write it in digits")
		}
		number := starlark.MakeInt64(count)
		return number, outside(number, text, least, most)
	}, func(value starlark.Value) string { return value.String() }})
}

// outside says that a value is not within the limits, which may be nil.
func outside(value starlark.Value, text string, least, most starlark.Value) *lang.Misuse {
	if least != nil && isLess(value, least) {
		return lang.Mistake(fmt.Sprintf("%s is too small", text), "want at least "+shownLimit(least))
	}
	if most != nil && isLess(most, value) {
		return lang.Mistake(fmt.Sprintf("%s is too large", text), "want at most "+shownLimit(most))
	}
	return nil
}

func isLess(one, other starlark.Value) bool {
	less, err := starlark.Compare(syntax.LT, one, other)
	return err == nil && less
}

func shownLimit(value starlark.Value) string {
	if text, ok := starlark.AsString(value); ok {
		return text
	}
	return value.String()
}

func evalParamBool(args *arguments) (starlark.Value, error) {
	return declareParam(args, paramType{"bool", starlark.False, func(text string) (starlark.Value, *lang.Misuse) {
		switch strings.ToLower(text) {
		case "true", "yes", "1":
			return starlark.True, nil
		case "false", "no", "0":
			return starlark.False, nil
		}
		return nil, lang.Mistake(fmt.Sprintf("%q is neither true nor false", text), "write true, false, yes, no, 1 or 0")
	}, func(value starlark.Value) string { return strings.ToLower(value.String()) }})
}

func evalParamDuration(args *arguments) (starlark.Value, error) {
	limit := func(name string) *time.Duration {
		if !args.has(name) {
			return nil
		}
		span := args.duration(name)
		return &span
	}
	least, most := limit("min"), limit("max")
	return declareParam(args, paramType{"duration", starlark.String("0s"), func(text string) (starlark.Value, *lang.Misuse) {
		span, bad := parseDuration(text)
		switch {
		case bad != nil:
			return nil, bad
		case least != nil && span < *least:
			return nil, lang.Mistake(text+" is too short", "want at least "+least.String())
		case most != nil && span > *most:
			return nil, lang.Mistake(text+" is too long", "want at most "+most.String())
		}
		return readText(text)
	}, textOf})
}

func evalParamChoice(args *arguments) (starlark.Value, error) {
	choices := args.texts("choices")
	if len(choices) == 0 {
		args.bad("choices", "", "choices is empty")
		return declareParam(args, paramType{"choice", starlark.String(""), readText, textOf})
	}
	spelling := map[string]string{}
	for _, word := range choices {
		spelling[strings.ToLower(word)] = word
	}
	if dict, ok := args.value("aliases").(*starlark.Dict); ok {
		readAliases(args, dict, spelling)
	}
	return declareParam(args, paramType{"choice", starlark.String(choices[0]), func(text string) (starlark.Value, *lang.Misuse) {
		if word, ok := spelling[strings.ToLower(text)]; ok {
			return starlark.String(word), nil
		}
		fix := diag.DidYouMean(text, choices)
		if fix == "" {
			fix = "write " + lang.Listed(choices)
		}
		return nil, lang.Mistake(fmt.Sprintf("%q is none of %s", text, strings.Join(choices, ", ")), fix)
	}, textOf})
}

// aliases adds other spellings of choices.
func readAliases(args *arguments, dict *starlark.Dict, spelling map[string]string) {
	for _, item := range dict.Items() {
		alias, choice := textOf(item[0]), textOf(item[1])
		word, known := spelling[strings.ToLower(choice)]
		if !known {
			args.badValue("aliases", diag.DidYouMean(choice, args.texts("choices")), "alias %q: %q is no choice", alias, choice)
			continue
		}
		if _, taken := spelling[strings.ToLower(alias)]; taken {
			args.badValue("aliases", "", "alias %q is there already", alias)
			continue
		}
		spelling[strings.ToLower(alias)] = word
	}
}

func evalParamList(args *arguments) (starlark.Value, error) {
	return declareParam(args, paramType{"list", starlark.NewList(nil), func(text string) (starlark.Value, *lang.Misuse) {
		var all []starlark.Value
		if strings.TrimSpace(text) == "" {
			return starlark.NewList(nil), nil
		}
		for i, word := range strings.Split(text, ",") {
			if word = strings.TrimSpace(word); word == "" {
				return nil, lang.Mistake(fmt.Sprintf("element %d is empty", i+1), "write words between commas")
			}
			all = append(all, starlark.String(word))
		}
		return starlark.NewList(all), nil
	}, func(value starlark.Value) string {
		all, _ := elements(value)
		words := make([]string, len(all))
		for i, value := range all {
			words[i] = textOf(value)
		}
		return strings.Join(words, ",")
	}})
}

func evalParamJSON(args *arguments) (starlark.Value, error) {
	return declareParam(args, paramType{"json", starlark.None, func(text string) (starlark.Value, *lang.Misuse) {
		value, err := decodeJSON(text)
		if err != nil {
			return nil, lang.Mistake(err.Error(), "write JSON")
		}
		return value, nil
	}, func(value starlark.Value) string {
		text, err := encodeJSON(value)
		if err != nil {
			return "?"
		}
		return text
	}})
}

// param declares a parameter and returns its value: what was given, else the
// default, else an empty stand-in.
func declareParam(args *arguments, paramType paramType) (starlark.Value, error) {
	in, name := args.in, args.text("name")
	given, isGiven := in.opts.Params[name]
	if !checkParamName(args, name) {
		return paramType.zero, nil
	}
	param := Param{Name: name, Type: paramType.name, Help: args.text("help"), Given: isGiven}
	if i := args.entry.Index("choices"); i >= 0 {
		param.Choices = args.texts("choices")
	}
	fallback := args.value("default")
	hasDefault := fallback != nil
	if hasDefault {
		text := ""
		fallback, text = defaultOf(args, paramType, fallback)
		param.Default = &text
	}
	in.spec.Params = append(in.spec.Params, param)
	if isGiven {
		value, bad := paramType.read(given)
		if bad == nil {
			return value, nil
		}
		args.bad("name", bad.Fix, "%s: %s", name, bad.Message)
	}
	switch {
	case hasDefault:
		return fallback, nil
	case !isGiven && !in.opts.Placeholders:
		args.bad("name", "give "+name+"=VALUE", "%s (%s) is required", name, paramType.name)
	}
	return paramType.zero, nil
}

// defaultOf checks a default and returns it, with its text.
func defaultOf(args *arguments, paramType paramType, value starlark.Value) (starlark.Value, string) {
	if value == starlark.None {
		return value, ""
	}
	text := paramType.write(value)
	if paramType.name == "json" {
		return value, text
	}
	if paramType.name == "string" || paramType.name == "list" {
		return value, text
	}
	checked, bad := paramType.read(text)
	if bad != nil {
		args.badValue("default", bad.Fix, "default: %s", bad.Message)
		return value, text
	}
	return checked, text
}

// maxName is how many bytes the name of a parameter may have.
const maxName = 100

// checkParamName checks a parameter's name, and reports whether it can be given.
func checkParamName(args *arguments, name string) bool {
	ok := name != "" && len(name) <= maxName
	for i, char := range name {
		letter := char >= 'a' && char <= 'z' || char >= 'A' && char <= 'Z' || char == '_'
		ok = ok && (letter || i > 0 && (char >= '0' && char <= '9' || char == '-'))
	}
	if !ok {
		args.badValue("name", "use letters, digits, _ and -", "%q is no name of a parameter", shorten(name, 100))
	}
	if slices.ContainsFunc(args.in.spec.Params, func(param Param) bool { return param.Name == name }) {
		args.badValue("name", "give it another name", "%s is declared twice", name)
	}
	return ok || args.unresolved("name")
}

// checkUnknownParams notes what was given and not declared.
func checkUnknownParams(in *interp) {
	var declared, open []string
	for _, param := range in.spec.Params {
		declared = append(declared, param.Name)
		if !param.Given {
			open = append(open, param.Name)
		}
	}
	for _, name := range sortedKeys(in.opts.Params) {
		if slices.Contains(declared, name) {
			continue
		}
		fix := "leave " + name + "=… out: it takes none"
		if len(declared) > 0 {
			fix = "it takes " + strings.Join(declared, ", ")
		}
		misuse := lang.Unknown("the script has no parameter", name, open, fix)
		in.notes.add(diag.Problem{File: in.script.Shown, Message: misuse.Message, Fix: misuse.Fix})
	}
}
