# parley: `make` lists what there is; `make test` is all that CI runs.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-print-directory

LINT      := go tool -modfile=ops/tools/lint.mod golangci-lint
BUF       := go tool -modfile=../ops/tools/buf.mod buf
BASELINE  := baseline.binpb

# What can be changed on the command line.
PKG       ?= ./...
ARGS      ?=
FUZZTIME  ?= 30s
RACETIME  ?= 20m

##@ Use

.PHONY: help
help: ## This list
	@awk 'BEGIN { FS = ":.*## " } \
	  /^##@ / { printf "\n%s\n", substr($$0, 5) } \
	  /^[a-z-]+:.*## / { printf "  make %-15s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
	@printf '\n  PKG=./domain/... narrows unit, race and lint; ARGS="…" goes to run and bench; FUZZTIME=30s is for each target.\n'

.PHONY: build
build: ## Build bin/parley
	go build -o bin/parley ./cmd/parley

.PHONY: run
run: ## Start a development server that makes an app and prints how to connect
	go run ./cmd/parley serve --dev $(ARGS)

.PHONY: bench
bench: ## Load a running server and print the figures, e.g. ARGS="direct --help"
	go run ./cmd/parley bench $(ARGS)

##@ Test

.PHONY: test
test: ## All that CI runs, in order, with its own set-up; stops at the first failing step
	@ops/check setup lint proto vet race sim conformance crash soak engines-test

.PHONY: unit
unit: ## The Go tests, quickly
	go test $$(go list $(PKG) | grep -v '/ops/crash$$')

.PHONY: race
race: ## The Go tests with the race detector
	go test -race -timeout $(RACETIME) $$(go list $(PKG) | grep -v '/ops/crash$$')

.PHONY: sim
sim: ## The simulation of the log's fence, in full: without the race detector it has twenty thousand worlds
	go test -count=1 ./domain/fence

.PHONY: crash
crash: ## Kill a loaded server again and again; nothing acknowledged may be lost
	go test -count=1 -v -timeout 15m ./ops/crash

.PHONY: engines-test
engines-test: ## On real Kafka and Cassandra, which it starts and stops: the suites of logs and stores, faults, an SDK over three nodes
	ENGINES=1 go test -count=1 -run Engine -timeout 15m ./ops/engines ./storage/kafka ./storage/cassandra ./cmd/parley
	ENGINES=1 go test -count=1 -v -run Engine -timeout 10m ./ops/crash
	ops/conformance/run --engines --nodes 3 --sdk easemob-websdk --env jsdom --limit 1200

.PHONY: faults
faults: ## Break nodes, brokers, Cassandra, disks, clocks and networks under load, with one node and with three; prints tables (45 minutes)
	ENGINES=1 FAULTS=1 go test -count=1 -v -run '^Test(Faults|SlowDisk)' -timeout 90m ./ops/crash

.PHONY: soak
soak: ## Load all shapes at once for two minutes; nothing may be lost and nothing may grow (ARGS="--duration 30m" for the long one)
	go run ./cmd/parley bench soak $(if $(ARGS),$(ARGS),--short)

.PHONY: conformance
conformance: ## The unmodified npm SDKs against a fresh server
	ops/conformance/run

.PHONY: fuzz
fuzz: ## Run every fuzz target for FUZZTIME, one after the other
	@ops/fuzz $(FUZZTIME)

.PHONY: gobench
gobench: ## The Go benchmarks
	go test -run '^$$' -bench . -benchmem $(PKG)

##@ Code

.PHONY: fmt
fmt: ## Format (gofumpt and import groups)
	$(LINT) fmt

.PHONY: lint
lint: ## Formatting, linters, import table, coverage map
	$(LINT) run $(PKG)
	go test -count=1 ./ops/architecture ./ops/coverage

.PHONY: vet
vet: ## go vet, and that go.mod is in order
	go vet $(PKG)
	go mod verify
	go mod tidy -diff

.PHONY: gen
gen: ## Generate Go from the .proto files in schemas
	cd schemas && $(BUF) generate

.PHONY: proto
proto: proto-lint gen-check proto-breaking ## All checks of the .proto files

.PHONY: proto-lint
proto-lint: ## Lint the .proto files
	cd schemas && $(BUF) lint

.PHONY: gen-check
gen-check: ## Fail if the generated code differs from what `make gen` would write
	@tmp=$$(mktemp -d); trap 'rm -rf "$$tmp"' EXIT; mkdir "$$tmp/have" "$$tmp/want"; \
	(cd schemas; $(BUF) generate -o "$$tmp/want"; find . -name '*.pb.go' | tar -cf - -T - | tar -xf - -C "$$tmp/have"); \
	diff -r "$$tmp/have" "$$tmp/want" >"$$tmp/diff" || { head -40 "$$tmp/diff"; echo "schemas: generated code is not what the .proto files say: run 'make gen'"; exit 1; }; \
	echo "schemas: generated code matches the .proto files"

.PHONY: proto-breaking
proto-breaking: ## Fail if a stored or wire form changed in a way that old data or old clients notice
	cd schemas && $(BUF) breaking --against $(BASELINE)

.PHONY: proto-baseline
proto-baseline: ## Accept the .proto files of now as what must be kept (needs a decision, see CONTRIBUTING.md)
	cd schemas && $(BUF) build --exclude-source-info -o $(BASELINE)

.PHONY: setup
setup: ## Install what the tests need, where that is allowed, and say what is missing
	@ops/setup

.PHONY: clean
clean: ## Remove what building and testing left
	rm -rf bin build ops/conformance/node_modules ops/conformance/results
