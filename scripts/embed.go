// Package scripts holds the workflows that ship with rekey, their library and
// the made-up data of the quickstart. Scripts name them @rekey/NAME.
package scripts

import "embed"

// FS is the tree of shipped scripts: NAME.star, their tests NAME_test.star, lib/ and data/.
//
//go:embed *.star lib data
var FS embed.FS
