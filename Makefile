# Everything a person or CI does here. `make` alone lists it.
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help demo test check bench soak eval fuzz collector backends emission docs fmt lock emission-lock supply supply-lock audit sbom proto clean

VENV := .venv
BIN := $(VENV)/bin
RUNTIME := $(VENV)/runtime.stamp
DEV := $(VENV)/dev.stamp
PROTO := $(VENV)/proto.stamp
PROTOS := $(wildcard proto/halo/v1/*.proto)
CODE := halo_otel tests proto .ci
SUPPLY = $$(.ci/supply/build --path)/bin/python -B
# One more than there are processors: many tests wait for other processes.
WORKERS = $$($(BIN)/python -c "import os; print((os.cpu_count() or 1) + 1)")
PIP := $(BIN)/python -m pip --disable-pip-version-check --no-input
LOCK := $(BIN)/uv pip compile pyproject.toml --universal --python-version 3.11 --generate-hashes \
	--no-annotate --custom-compile-command "make lock" --quiet

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-13s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: $(RUNTIME) ## show it: real and generated traces, planted faults, what is found (needs Python 3.11+)
	@collector=$$(.ci/collector/build --path); \
	if [ -x "$$collector" ]; then set -- --collector "$$collector"; else set --; fi; \
	exec $(BIN)/halo-otel demo "$$@"

test: $(PROTO) ## all tests; those that need what Go builds or the SDKs of `make emission` skip without, but never in CI
	@.ci/collector/build >/dev/null || { [ $$? -eq 69 ] && [ -z "$$CI" ]; }
	$(BIN)/python -m pytest --numprocesses $(WORKERS) --dist loadfile

check: $(PROTO) ## format, lint, types, imports: fast
	$(BIN)/ruff format --check $(CODE)
	$(BIN)/ruff check $(CODE)
	$(BIN)/mypy halo_otel tests
	$(BIN)/lint-imports

bench: $(PROTO) ## measure this machine; takes minutes
	@.ci/collector/build >/dev/null
	@for bench in tests/bench/*.py tests/analysis/eval_generated.py tests/analysis/eval_corpus.py; do echo "== $$bench"; $(BIN)/python "$$bench" || exit 1; done

soak: $(PROTO) ## traffic and faults for MINUTES (10): is anything lost, doubled or growing?
	@.ci/collector/build >/dev/null
	$(BIN)/python tests/soak/soak.py --minutes $(or $(MINUTES),10)

eval: $(PROTO) ## how good the findings are, on generated traffic nobody tuned on and on real runs; takes minutes
	$(BIN)/python tests/eval/run.py --report

fuzz: $(PROTO) ## look for inputs that crash what reads strangers' bytes: SECONDS=… of the processor for each target
	$(BIN)/python -m tests.fuzz.campaign --seconds $(or $(SECONDS),60)

collector: ## build the pinned Collector for tests and demo, once, outside the checkout (needs Go)
	@.ci/collector/build

backends: ## build the pinned Loki and Prometheus that tests/backends asks, once, outside the checkout (needs Go)
	@.ci/backends/build

emission: $(DEV) ## install the SDKs that tests run, pinned, once, outside the checkout
	@.ci/emission/build >/dev/null

supply: $(DEV) ## install what audits dependencies, pinned, once, outside the checkout
	@.ci/supply/build >/dev/null

audit: supply ## ask for known vulnerabilities of everything locked; says so where no database answers
	@for lock in requirements-dev.lock .ci/supply/wheel.lock; do $(SUPPLY) .ci/supply/audit.py $$lock || exit 1; done

sbom: supply ## write the bill of materials of what is locked, sbom.cdx.json
	@made=$$($(SUPPLY) .ci/supply/sbom.py $$($(BIN)/python -c 'import site; print(*site.getsitepackages())')) && \
	printf '%s\n' "$$made" >sbom.cdx.json

docs: $(PROTO) ## write the generated documents: tables of the README, docs/detectors.md, docs/dependencies.md
	$(BIN)/python .ci/docs.py

fmt: $(DEV) ## format and mend what can be mended by a machine
	$(BIN)/ruff format $(CODE)
	$(BIN)/ruff check --fix $(CODE)

lock: $(DEV) ## resolve the dependencies of pyproject.toml anew into the lock files
	$(LOCK) --upgrade --output-file requirements.lock
	$(LOCK) --upgrade --all-extras --group dev --constraint requirements.lock \
		--output-file requirements-dev.lock
	$(LOCK) --upgrade --all-extras --constraint requirements-dev.lock \
		--output-file requirements-image.lock

supply-lock: $(DEV) ## resolve what builds the wheel and what audits anew into their lock files
	@.ci/supply/lock

emission-lock: $(DEV) ## resolve the SDKs that tests run anew into their lock files
	@.ci/emission/lock

proto: $(DEV) ## compile proto/ into halo_otel/_pb
	$(BIN)/python proto/hatch_build.py

clean: ## remove everything that was made here; the Collector and the SDKs stay in their cache
	rm -rf $(VENV) dist build halo_otel/_pb .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	find halo_otel tests proto .ci -name __pycache__ -type d -prune -exec rm -rf {} +

# The first Python that is new enough; PYTHON=… to choose one.
$(BIN)/python:
	@for python in $(PYTHON) python3 python3.14 python3.13 python3.12 python3.11; do \
		if $$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then \
			$$python -m venv $(VENV) && exit || { rm -rf $(VENV); exit 1; }; \
		fi; \
	done; \
	echo "halo-otel needs Python 3.11 or newer: install it, or say make PYTHON=/path/to/it" >&2; exit 1

# What runs the service, and no more: enough for the demo.
$(RUNTIME): requirements.lock pyproject.toml proto/hatch_build.py $(PROTOS) | $(BIN)/python
	$(PIP) install --quiet --require-hashes -r requirements.lock
	$(PIP) install --quiet --no-deps --editable .
	@touch $@

$(DEV): requirements-dev.lock pyproject.toml | $(BIN)/python
	$(PIP) install --quiet --require-hashes -r requirements-dev.lock
	$(PIP) install --quiet --no-deps --no-build-isolation --editable .
	@touch $@ $(RUNTIME)

$(PROTO): $(DEV) $(PROTOS) proto/hatch_build.py
	$(BIN)/python proto/hatch_build.py
	@touch $@
