// Package vet finds mistakes in scripts by their text: names that hide the
// language's, discarded verdicts, misspelt columns, waves and
// attributes, steps that a backend cannot do, and passwords outside secrets.
//
// A plan tries rotate on one user of each wave and so comes by some of its
// steps only; what can be seen in the text of all others is checked here. The
// checks are silent about all that they do not see: a name bound twice, a
// value in a list. They read the table of the language and the syntax tree, and
// ask the evaluation for no more than Values.
package vet
