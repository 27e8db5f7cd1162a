# make test     everything, with the race detector; installs missing Debian packages
# make lint     go vet and staticcheck
# make bench    benchmarks
# make generate the code made from sdk/proto

PACKAGES = slapd ldap-utils apache2-utils nginx-light
GO ?= go

.PHONY: test lint bench generate packages

test: packages lint
	$(GO) test -race -timeout 15m ./...

lint:
	@test -z "$$(gofmt -l $$(git ls-files '*.go'))" || { echo "gofmt would change:"; gofmt -l $$(git ls-files '*.go'); exit 1; }
	$(GO) vet ./...
	$(GO) tool staticcheck ./...

bench:
	$(GO) test -run '^$$' -bench . -benchtime 1s ./...

generate:
	$(GO) generate ./...

# packages installs what the tests need of Debian: as root or with sudo,
# otherwise it names what is missing.
packages:
	@missing=""; for p in $(PACKAGES); do dpkg -s $$p >/dev/null 2>&1 || missing="$$missing $$p"; done; \
	if [ -n "$$missing" ]; then \
	  sudo=""; [ "$$(id -u)" = 0 ] || sudo="sudo -n"; \
	  { $$sudo apt-get update -q && DEBIAN_FRONTEND=noninteractive $$sudo apt-get install -q -y --no-install-recommends -o DPkg::Lock::Timeout=300 $$missing; } \
	  || { echo "make test needs these Debian packages:$$missing"; exit 1; }; \
	fi
