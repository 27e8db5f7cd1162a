// Package password makes and checks values: it combines the rules of a script
// and of several backends into one recipe, explains a contradiction by naming
// who wants what, generates without bias and checks what was given. It is
// pure: it knows nothing of accounts beyond the names it is handed, nor of
// backends beyond the label that owns a rule.
package password
