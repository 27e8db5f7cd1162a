package main

import "github.com/alecthomas/kong"

// optionalValue returns the value of a flag that may have one; "" without it.
func optionalValue(ctx *kong.DecodeContext) string {
	if ctx.Scan.Peek().Type != kong.FlagValueToken {
		return ""
	}
	return ctx.Scan.Pop().String()
}

// pathFlag is a flag that may name a file: --coverage, --copy.
type pathFlag struct {
	on   bool
	path string
}

// IsBool says that the flag needs no value.
func (pathFlag) IsBool() bool { return true }

// Decode reads the value, if there is one.
func (f *pathFlag) Decode(ctx *kong.DecodeContext) error {
	f.on, f.path = true, optionalValue(ctx)
	return nil
}
