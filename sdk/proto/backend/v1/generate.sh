#!/bin/sh
# Makes sdk/internal/backendpb, and the messages in sdk/python/rekey.py and
# sdk/node/rekey.js, from backend.proto. Needs protoc; its two plugins for Go are
# tools of go.mod.
set -eu
cd "$(dirname "$0")"
out=../../../internal/backendpb
set_of=$(mktemp)
trap 'rm -f "$set_of"' EXIT
protoc --proto_path=. \
	--plugin=protoc-gen-go="$(go tool -n protoc-gen-go)" \
	--plugin=protoc-gen-go-grpc="$(go tool -n protoc-gen-go-grpc)" \
	--go_out="$out" --go_opt=paths=source_relative \
	--go-grpc_out="$out" --go-grpc_opt=paths=source_relative \
	--descriptor_set_out="$set_of" \
	backend.proto
sha256sum <backend.proto | cut -d' ' -f1 >"$out/backend.sha256"
# The lines between the one that begins DESCRIPTOR and the quotes that end it.
text=$(gzip -9n <"$set_of" | base64 -w 120)
for file in ../../../python/rekey.py ../../../node/rekey.js; do
	awk -v text="$text" '
		/^(const )?DESCRIPTOR = / { print; print text; inside = 1; next }
		inside && /^("""|`)/ { inside = 0 }
		!inside { print }' "$file" >"$set_of" && cat "$set_of" >"$file"
done
