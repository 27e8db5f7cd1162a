package tree

import (
	"bytes"
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"go.starlark.net/starlark"
	"go.starlark.net/syntax"

	"github.com/rekey-host/rekey/host/diag"
	"github.com/rekey-host/rekey/host/visible"
)

// dialect is strict: no recursion, no while, no reassignment of globals.
func dialect() *syntax.FileOptions { return &syntax.FileOptions{Set: true} }

// encoding finds text outside UTF-8, which the parser lets pass, and
// characters that a reader does not see.
func encoding(file string, text []byte, lines []string) *diag.Problem {
	if bytes.HasPrefix(text, []byte("\ufeff")) {
		return &diag.Problem{File: file, Line: 1, Column: 1, Message: "the file starts with a byte order mark", Fix: "save it without one"}
	}
	if utf8.Valid(text) {
		return unseen(file, lines)
	}
	for i, line := range lines {
		for at, letter := range line {
			if letter == utf8.RuneError && !strings.HasPrefix(line[at:], "\ufffd") {
				return &diag.Problem{File: file, Line: i + 1, Column: at + 1, Message: "not valid UTF-8", Fix: "save the file as UTF-8"}
			}
		}
	}
	return nil
}

// unseen finds a character that makes a reader see another script than the
// parser does.
func unseen(file string, lines []string) *diag.Problem {
	for i, line := range lines {
		if at := visible.Find(line); at >= 0 {
			letter, _ := utf8.DecodeRuneInString(line[at:])
			return &diag.Problem{File: file, Line: i + 1, Column: at + 1, Message: "the script has " + visible.Name(letter),
				Fix: "remove it; in a string that needs it, write " + strings.Trim(strconv.QuoteToASCII(string(letter)), `"`)}
		}
	}
	return nil
}

// syntaxFlaw is a flaw of the syntax in plain words, with its place and how to
// mend it: first the certain, then what people write who know another language.
func syntaxFlaw(lines []string, flaw syntax.Error) (at syntax.Position, message, fix string) {
	if plain, fix := typographicFlaw(flaw.Msg); fix != "" {
		return flaw.Pos, plain, fix
	}
	if flaw.Pos.Line < 1 || int(flaw.Pos.Line) > len(lines) {
		return flaw.Pos, flaw.Msg, ""
	}
	if found, column := slipIn(lines[flaw.Pos.Line-1]); column > 0 && isOfGrammar(flaw.Msg) {
		return syntax.MakePosition(nil, flaw.Pos.Line, int32(column)), found.message, found.fix
	}
	if plain, fix := indentation(lines, flaw); fix != "" {
		return flaw.Pos, plain, fix
	}
	if at, is := missingColon(lines, flaw); is {
		return at, "the line ends without a colon", "write : at its end"
	}
	if got, want, is := gotAndWant(flaw.Msg); is {
		return grammarFlaw(lines, flaw.Pos, got, want)
	}
	message, fix = otherFlaw(flaw.Msg)
	return flaw.Pos, message, fix
}

// isOfGrammar reports whether a flaw is that something stands where it may not.
func isOfGrammar(message string) bool {
	return strings.HasPrefix(message, "got ") || strings.HasPrefix(message, "unexpected input character")
}

// resolveFlaw is what to say of a flaw that resolving found, and what to do
// about it. names are those that the file could mean.
func resolveFlaw(flaw string, names, backends []string) (message, fix string) {
	message, theirs, _ := strings.Cut(flaw, " (did you mean ")
	name, isUndefined := strings.CutPrefix(message, "undefined: ")
	if !isUndefined {
		return resolveFlawInWords(message)
	}
	if slices.Contains(backends, name) {
		return message, fmt.Sprintf("write %s = backend(%q, …) above", name, name)
	}
	if fix := undefinedFix(name); fix != "" {
		return message, fix
	}
	names = slices.DeleteFunc(names, hiddenName)
	if theirs != "" {
		names = append(names, strings.TrimSuffix(theirs, "?)"))
	}
	return message, cmp.Or(diag.DidYouMean(name, append(names, starlark.Universe.Keys()...)), "give it a value above, or load() it")
}

// undefinedFix is for names that people expect.
func undefinedFix(name string) string {
	switch name {
	case "null", "nil", "NULL", "Null", "undefined", "NaN":
		return `did you mean "None"?`
	case "user", "step", "r":
		return fmt.Sprintf("a hook gets %s if it names it as a parameter", name)
	case "open", "os", "sys", "subprocess", "requests", "socket":
		return "scripts do no I/O: the host reads users and calls backends"
	case "time", "datetime", "random", "uuid", "secrets":
		return "scripts know no clock and no chance, so that a resume does the same; step.generate() makes passwords"
	case "Exception", "ValueError":
		return "there are no exceptions: use fail() or return failed()"
	}
	return ""
}
