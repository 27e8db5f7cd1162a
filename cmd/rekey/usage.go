package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/alecthomas/kong"

	"github.com/rekey-host/rekey/host"
)

// asked turns what people type who look for help or the version into what there
// is: "help run" into "run --help", "--version" into the command.
func asked(args []string) []string {
	word := slices.IndexFunc(args, func(text string) bool { return !isFlag(text) })
	switch at := slices.Index(args, "--version"); {
	case word < 0 && at >= 0:
		return append(slices.Delete(slices.Clone(args), at, at+1), "version")
	case word >= 0 && args[word] == "help":
		return append(slices.Delete(slices.Clone(args), word, word+1), "--help")
	}
	return args
}

// inWords explains a wrong command line, and where its help is.
func inWords(err error) *host.UsageError {
	command := "rekey"
	var at *kong.ParseError
	if errors.As(err, &at) && at.Context != nil && at.Context.Selected() != nil {
		command = at.Context.Selected().FullPath()
	}
	text, fix := plainly(err.Error(), command)
	if command != "rekey" && strings.HasPrefix(err.Error(), "expected one of ") {
		text = strings.TrimPrefix(command, "rekey ") + " wants one of " + strings.Join(below(at.Context.Selected()), ", ")
	}
	if fix != "" {
		fix += "; "
	}
	return &host.UsageError{Message: text, Fix: fmt.Sprintf("%ssee %q", fix, command+" --help")}
}

// below are the commands of a command, all of them: the parser's own list is cut.
func below(command *kong.Node) []string {
	var names []string
	for _, child := range command.Children {
		if child.Type == kong.CommandNode && !child.Hidden {
			names = append(names, child.Name)
		}
	}
	return names
}

// plainly turns what the parser of the command line says into plain words.
func plainly(text, command string) (plain, fix string) {
	short := strings.TrimPrefix(command, "rekey ")
	if flag, what, is := strings.Cut(text, ": "); is && strings.HasPrefix(flag, "-") {
		return flagFlaw(flag, what)
	}
	said, near, _ := strings.Cut(text, ", did you mean ")
	if near != "" && near != `"-h"?` {
		fix = "did you mean " + near
	}
	if word, is := strings.CutPrefix(said, "unexpected argument "); is && command == "rekey" {
		return fmt.Sprintf("there is no command %q", word), fix
	}
	if word, is := strings.CutPrefix(said, "unexpected argument "); is {
		return fmt.Sprintf("%s: %q is one argument too many", short, word), fix
	}
	if flag, is := strings.CutPrefix(said, "unknown flag "); is {
		return fmt.Sprintf("%s has no flag %s", short, flag), fix
	}
	if _, is := strings.CutPrefix(said, "expected one of "); is && command == "rekey" {
		return "no command is given", "begin with rekey run @rekey/quickstart.star --yes"
	}
	if wanted, is := strings.CutPrefix(said, "expected "); is {
		return short + " wants a " + strings.ToUpper(strings.NewReplacer(`"`, "", "<", "", ">", "").Replace(wanted)), ""
	}
	return text, ""
}

// flagFlaw is for a flag whose value is missing or of another kind.
func flagFlaw(flag, what string) (plain, fix string) {
	switch {
	case strings.HasPrefix(what, "expected int value but got"):
		return flag + " wants a number", fmt.Sprintf("as in %s 10", flag)
	case strings.HasPrefix(what, "missing value") || strings.Contains(what, " value but got "):
		return flag + " wants a value", ""
	}
	if _, given, is := strings.Cut(what, "bit int but got "); is {
		return fmt.Sprintf("%s: %s is not a whole number", flag, given), ""
	}
	return flag + ": " + what, ""
}
