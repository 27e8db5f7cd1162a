// Package backendpb is the Go code of sdk/proto/backend/v1/backend.proto, made
// by `make generate`. Its messages print what they hold, secrets included:
// they are never logged, and only sdk/internal/wire, sdk/serve, sdk/dial and
// the raw calls of sdk/backendtest know them.
package backendpb

//go:generate ../../proto/backend/v1/generate.sh
