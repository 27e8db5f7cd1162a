//go:build !crashpoints

package main

// crashPoint is what is called at each crash point: nothing, but in the command
// that tests build with the tag crashpoints.
func crashPoint() func(point string) { return nil }
