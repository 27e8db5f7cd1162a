// Package rekey is the source of what backends stand on: package sdk with all
// that it needs, and the SDKs of other languages. The module is published nowhere, so
// rekey plugin new writes it beside a new backend.
package rekey

import "embed"

// Source has the files by their paths in this repository, tests among them.
//
//go:embed LICENSE go.mod go.sum sdk/*.go sdk/backendtest sdk/dial sdk/health sdk/hlog sdk/internal sdk/rest sdk/secret sdk/serve sdk/strict
//go:embed sdk/python/rekey.py sdk/node/rekey.js sdk/node/package.json
var Source embed.FS
