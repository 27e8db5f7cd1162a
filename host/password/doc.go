// Package password knows what values a set of policies allows: it combines
// them, says in words why they cannot be combined, makes values that meet all
// of them, and checks given ones.
//
// Randomness is passed in; nothing else comes from outside. The package knows
// nothing of backends, scripts or users beyond their names.
package password
