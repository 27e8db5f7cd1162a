#!/bin/sh
# Makes sdk/internal/backendpb and the stubs of sdk/examples/python from
# backend.proto. Needs protoc; its two plugins for Go are tools of go.mod.
set -eu
cd "$(dirname "$0")"
out=../../../internal/backendpb
protoc --proto_path=. \
	--plugin=protoc-gen-go="$(go tool -n protoc-gen-go)" \
	--plugin=protoc-gen-go-grpc="$(go tool -n protoc-gen-go-grpc)" \
	--go_out="$out" --go_opt=paths=source_relative \
	--go-grpc_out="$out" --go-grpc_opt=paths=source_relative \
	--python_out=../../../examples/python \
	backend.proto
sha256sum <backend.proto | cut -d' ' -f1 >"$out/backend.sha256"
