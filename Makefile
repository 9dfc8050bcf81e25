# Each target runs one script in scripts/; `make` alone lists the targets.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
MAKEFLAGS += --no-print-directory

.PHONY: help
help: ## print this
	@awk -F ':.*## ' '/^##@/ { printf "\n%s\n", substr($$0, 5) } { gsub(/\$$\$$/, "$$") } /^[a-z-]+:.*## / { printf "  make %-11s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

##@ Try it
.PHONY: run env stop
run: ## everything it needs, a cluster, agent-job in it, and one real run; CONTEXT=name: in that kubeconfig context
	@scripts/run
env: ## print what to eval for kubectl and agent-job to find it: eval "$$(make -s env)"
	@scripts/env
stop: ## end the embedded cluster with all in it, or the way to the server in yours
	@scripts/stop

##@ Test it
.PHONY: test unit verify check
test: ## everything it needs, and all the tests; CONTEXT=name: in that context; ONLY="unit process simulation cluster gitops node": some
	@scripts/test $(ONLY)
unit: ## laws and tables of every decision, in about a minute; they need no cluster
	@scripts/test unit
check: ## types, lint and format, in seconds
	@scripts/verify types lint format
verify: ## types, lint, format, shell scripts, which folder imports which, generated and golden files up to date, dead exports
	@scripts/verify

##@ Test it for longer
.PHONY: soak replay faults fuzz mutants kill-matrix gitops-test bench scorecard
soak: ## a million simulated schedules of faults, each crash point and pair, and each order of a small scope; SEED and SCHEDULES choose others, SCHEDULES=0 leaves them out
	@scripts/soak
replay: ## one simulated schedule again, as short as it gets: SEED=…
	@scripts/replay
faults: ## a controller killed at each of its writes, and 5,000 tasks with one answer in twenty faulty; SOAK_TASKS=n SOAK_SEED=n: others
	@scripts/test faults
fuzz: ## N=50000 requests to the server, and ten million inputs to the decoders; prints what came of them, and each that broke something
	@scripts/fuzz $(or $(N),50000)
mutants: ## plant each of more than a hundred bugs alone, and see a fast test catch it; writes docs/mutants.md
	@scripts/mutants
kill-matrix: ## each part killed at each moment of a run, on the real node; CELLS="text,text": those whose names have one
	@scripts/test kills
gitops-test: ## Flux, Argo CD, Helm, Terraform and the linters of manifests; the first time builds for half an hour
	@scripts/test gitops long
bench: ## measure what the budgets are about
	@scripts/bench
scorecard: ## print what the long tests found, and keep it in docs/reliability.md and docs/scorecard.json; what was not run says so
	@scripts/scorecard

##@ Build it
.PHONY: bundle sbom image cluster generate golden
bundle: ## the whole program as one file, dist/main.cjs
	@scripts/bundle
sbom: ## what the program is made of, dist/sbom.json (CycloneDX)
	@scripts/sbom
image: ## both container images, into the cluster when it is up
	@scripts/image
cluster: ## the embedded one-node Kubernetes alone
	@scripts/cluster
generate: ## write every generated file anew
	@scripts/generate
golden: ## write every golden file anew, for review
	@scripts/golden
