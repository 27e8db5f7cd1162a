// Package lang is the language of scripts as data: every name, where it may be
// used, its arguments and result, and its description. Evaluation
// (host/workflow), the static checks (host/workflow/vet) and rekey docs read
// the one table.
//
// It runs nothing and knows no interpreter.
package lang
