package main

import (
	"slices"
	"strings"

	"github.com/alecthomas/kong"
)

// together returns the arguments with words that come after a flag moved
// before the first one: the parser takes the words of a list for one as long
// as no flag is between them, and "run x.star a=1 --yes b=2" is correct.
func together(parser *kong.Kong, args []string) []string {
	first := slices.IndexFunc(args, isFlag)
	if first < 0 {
		return args
	}
	words, flags := slices.Clone(args[:first]), []string{}
	for index := first; index < len(args); index++ {
		switch {
		case args[index] == "--":
			return slices.Concat(words, flags, args[index:])
		case !isFlag(args[index]):
			words = append(words, args[index])
		case wantsValue(parser, words, args[index]) && index+1 < len(args):
			flags = append(flags, args[index], args[index+1])
			index++
		default:
			flags = append(flags, args[index])
		}
	}
	return append(words, flags...)
}

// isFlag reports whether an argument is one; "-" is a path.
func isFlag(arg string) bool { return len(arg) > 1 && arg[0] == '-' }

// wantsValue reports whether the argument after the flag belongs to it, of the
// command that the words so far begin with.
func wantsValue(parser *kong.Kong, words []string, arg string) bool {
	name, long := strings.CutPrefix(arg, "--")
	if !long || strings.Contains(name, "=") {
		return false
	}
	wants := false
	for _, flag := range flagsOf(parser, words) {
		if flag.Name == name {
			wants = !flag.IsBool()
		}
	}
	return wants
}

// flagsOf are the flags of the command that words begin with, and of those that it
// is a part of.
func flagsOf(parser *kong.Kong, words []string) []*kong.Flag {
	node := parser.Model.Node
	flags := node.Flags
	for _, word := range words {
		at := slices.IndexFunc(node.Children, func(child *kong.Node) bool {
			return child.Type == kong.CommandNode && (child.Name == word || slices.Contains(child.Aliases, word))
		})
		if at < 0 {
			break
		}
		node = node.Children[at]
		flags = append(slices.Clone(flags), node.Flags...)
	}
	return flags
}
