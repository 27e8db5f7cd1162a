// Package types finds what is certainly wrong with the types of a script: of
// those that it writes, and of those that follow from its text.
//
// A name whose value may be anything has no type, and nothing is said of it; of a
// value that may be of several types something is said only if it is wrong for
// all of them. What a script does before it comes to a place is not looked at, so
// that a check of None, or of type(x), makes no difference: it can only take types
// away. The interpreter never sees a type.
package types
