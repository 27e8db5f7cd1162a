// Package tree holds scripts as text and syntax: it parses and resolves them,
// and says where calls, operations and functions stand. Evaluation and the
// static checks both look names up here. It evaluates nothing.
package tree
