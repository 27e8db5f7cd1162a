package main

import "github.com/alecthomas/kong"

// optionalValue returns the value of a flag that may have one; "" without it.
func optionalValue(ctx *kong.DecodeContext) string {
	if ctx.Scan.Peek().Type != kong.FlagValueToken {
		return ""
	}
	return ctx.Scan.Pop().String()
}

// coverageFlag is --coverage, which may name a page to write.
type coverageFlag struct {
	on   bool
	page string
}

// IsBool says that the flag needs no value.
func (coverageFlag) IsBool() bool { return true }

// Decode reads the value, if there is one.
func (f *coverageFlag) Decode(ctx *kong.DecodeContext) error {
	f.on, f.page = true, optionalValue(ctx)
	return nil
}
