# Postern. `make` alone says what can be done.
SHELL := /bin/bash
GO ?= go
FUZZTIME ?= 20s
TEMPL := $(GO) run github.com/a-h/templ/cmd/templ@v0.3.977
STATICCHECK := $(GO) run honnef.co/go/tools/cmd/staticcheck@v0.7.0

.DEFAULT_GOAL := help
.PHONY: help run build test check bench soak screens fuzz deps clean generate

help: ## say what can be done
	@awk -F':.*## ' '/^[a-z]+:.*## /{printf "  make %-9s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

run: ## fetch what is missing, build, start the demo (Ctrl-C stops it)
	@.ci/deps run
	@.ci/vendor
	@$(MAKE) --no-print-directory build
	@exec bin/postern demo

build: ## build bin/postern, static, without cgo
	@mkdir -p bin
	@$(GO) version >/dev/null
	@[ -x bin/postern ] || echo "Building bin/postern (the first time takes a minute or two)"
	@CGO_ENABLED=0 $(GO) build -trimpath -o bin/postern ./cmd/postern

test: ## everything: unit, real PostgreSQL, real gpg, real browser; installs what it needs
	@.ci/deps test web
	@.ci/vendor
	@CGO_ENABLED=0 $(GO) build ./... && CGO_ENABLED=0 $(GO) vet ./...
	@set -o pipefail; $(GO) test -race -shuffle=on -timeout 14m -json ./... | $(GO) run .ci/testlog.go

check: generate ## linters, and "regenerating changes nothing"
	@test -z "$$(gofmt -l cmd internal web migrations)" || { gofmt -l cmd internal web migrations; exit 1; }
	@$(GO) vet ./...
	@$(STATICCHECK) ./...
	@git diff --exit-code -- '*_templ.go' docs/lifecycle.md

generate: ## write the generated files again (templ, docs/lifecycle.md)
	@cd web && $(TEMPL) generate >/dev/null
	@$(GO) test ./internal/disclosure -run Lifecycle -update >/dev/null

fuzz: ## fuzz every target for FUZZTIME (20s)
	@set -e; log=$$(mktemp); trap 'rm -f "$$log"' EXIT; for pkg in $$($(GO) list ./...); do \
	  for target in $$($(GO) test -list '^Fuzz' $$pkg 2>/dev/null | grep '^Fuzz' || true); do \
	    echo "fuzz $$pkg $$target $(FUZZTIME)"; \
	    $(GO) test -run '^$$' -fuzz "^$$target$$" -fuzztime $(FUZZTIME) $$pkg >"$$log" 2>&1 || { \
	      if grep -q 'context deadline exceeded' "$$log" && ! grep -q 'Failing input' "$$log"; then \
	        echo "  the time was up in the middle of an input; none failed"; \
	      else cat "$$log"; exit 1; fi; }; \
	    tail -n 3 "$$log"; \
	  done; done

soak: ## long fuzzing and the kill tests many times over (an hour or more)
	@$(MAKE) --no-print-directory fuzz FUZZTIME=5m
	@POSTERN_SOAK=1 $(GO) test -count=1 -timeout 120m ./internal/e2e/...

bench: ## measure side by side what users wait for
	@.ci/deps test
	@$(MAKE) --no-print-directory build
	@$(GO) run ./cmd/bench

screens: ## picture every page: state × width × theme, into screens/
	@.ci/deps test web
	@.ci/vendor
	@POSTERN_SCREENS=$(CURDIR)/screens $(GO) test -count=1 -timeout 20m -run Screens ./internal/e2e/browser

deps: ## install what run and test need
	@.ci/deps run test web

clean: ## remove what was built; the demo's data in var/ stays
	@rm -rf bin screens web/static/vendor web/node_modules
