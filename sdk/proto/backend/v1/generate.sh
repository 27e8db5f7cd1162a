#!/bin/sh
# Makes sdk/internal/backendpb from backend.proto. Needs protoc; the two
# plugins of protoc are tools of go.mod.
set -eu
cd "$(dirname "$0")"
out=../../../internal/backendpb
protoc --proto_path=. \
	--plugin=protoc-gen-go="$(go tool -n protoc-gen-go)" \
	--plugin=protoc-gen-go-grpc="$(go tool -n protoc-gen-go-grpc)" \
	--go_out="$out" --go_opt=paths=source_relative \
	--go-grpc_out="$out" --go-grpc_opt=paths=source_relative \
	backend.proto
sha256sum <backend.proto | cut -d' ' -f1 >"$out/backend.sha256"
