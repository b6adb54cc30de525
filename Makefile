# One entry for people and for CI. Every target sets up what it needs; nothing is installed outside .venv.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# The build of onnxruntime: cpu or gpu.
RUNTIME ?= cpu
# How `make constraints` chooses versions; empty: those that are pinned stay.
UPGRADE ?= --upgrade
SETUP := $(VENV)/.installed-$(RUNTIME)
# As many processes as cores share the tests; the tests that start a service stay together in one of them.
PYTEST := $(BIN)/python -m pytest --numprocesses logical --maxprocesses 4

.PHONY: help run demo test test-unit test-examples test-manifests test-kubernetes quality bench bench-peers simulate chaos soak fuzz attack lint format hooks openapi constraints clean

help:  ## show this list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

run: $(SETUP)  ## set everything up and start the service; Ctrl-C stops it
	@exec $(BIN)/qdrant-inference up

demo: $(SETUP)  ## fill collections with texts and drawings, and search them
	@exec $(BIN)/qdrant-inference demo

test: $(SETUP)  ## run all tests
	$(BIN)/qdrant-inference models pull
	$(PYTEST)

test-unit: $(SETUP)  ## run the tests that wait for nothing (a minute on two cores)
	$(BIN)/qdrant-inference models pull
	$(PYTEST) -m 'not cluster and not slow'

test-examples: $(SETUP)  ## run the console's examples, those in Go, Java and Rust too (minutes)
	$(BIN)/qdrant-inference models pull
	COMPILED_EXAMPLES=1 $(BIN)/python -m pytest tests/cluster/test_console_examples.py

test-manifests: $(SETUP)  ## the manifests and the chart; builds programs of Kubernetes outside this folder (20 minutes the first time, then a few)
	$(BIN)/python -m tests.support.kubernetes_programs
	API_SERVER=1 $(BIN)/python -m pytest tests/k8s tests/kubernetes

test-kubernetes: $(SETUP)  ## the manifests and the image with kubelet and containerd, in a cluster made for it; root, Linux, an hour the first time
	$(BIN)/python -m tests.on_kubernetes

quality: $(SETUP)  ## do searches find what answers a question? nDCG@10 with a floor for each kind (2 minutes)
	$(BIN)/qdrant-inference models pull
	$(BIN)/python -m benchmarks.quality

bench: $(SETUP)  ## a short form of the benchmarks (10 minutes; benchmarks/README.md has all of them); AGAINST=COMMIT: of both, with ratios
	$(BIN)/qdrant-inference models pull
	$(BIN)/python -m $(if $(AGAINST),benchmarks.against $(AGAINST),benchmarks)

bench-peers:  ## what the benchmarks are compared with, in an environment of its own (large: it has PyTorch)
	$(PYTHON) -m venv .venv-peers
	@for peer in 'infinity-emb transformers<5' 'sentence-transformers<6 transformers<5' fastembed libembedding-ng; do \
		.venv-peers/bin/python -m pip install --progress-bar on qdrant-client $$peer || echo "$$peer does not install here"; \
	done  # infinity-emb installs with transformers 5, but does not run with it

simulate: $(SETUP)  ## a day's traffic on a cluster that scales itself, in 9 minutes (see docs/scaling.md)
	$(BIN)/python -m benchmarks.simulation

chaos: $(SETUP)  ## break what can break under load, and see what is kept (15 minutes; see RELIABILITY.md)
	$(BIN)/qdrant-inference models pull
	$(BIN)/python -m tests.chaos

soak: $(SETUP)  ## 10 minutes of load with garbage in it: does anything grow?
	$(BIN)/qdrant-inference models pull
	$(BIN)/python -m tests.chaos.soak

fuzz: $(SETUP)  ## 21,000 random requests, other ones on every run
	$(BIN)/qdrant-inference models pull
	FUZZ_EXAMPLES=700 $(BIN)/python -m pytest tests/cluster/test_strange_requests.py --timeout 1200 --hypothesis-show-statistics

attack: $(SETUP)  ## hostile requests over real sockets, to a service of its own: what is answered, and what it costs (5 minutes)
	$(BIN)/qdrant-inference models pull
	$(BIN)/python -m tests.attack

lint: $(SETUP)  ## check style and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(SETUP)  ## put the code into its format
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

hooks: $(SETUP)  ## have git check style and types before each commit
	$(BIN)/pre-commit install

openapi: $(SETUP)  ## renew the description of the management API from its models
	$(BIN)/python -m serve_app.api.management.schema

constraints: $(SETUP)  ## pin anew everything that is installed; UPGRADE= pins only what is new
	$(BIN)/python -m pip install --quiet uv
	$(BIN)/uv pip compile --universal --python-version 3.10 --all-extras pyproject.toml --output-file constraints.txt \
		--no-header --no-annotate $(UPGRADE) --quiet
	sed -i.old "1i # Exact versions of everything that is installed, for every supported Python and platform. 'make constraints' renews it." \
		constraints.txt && rm constraints.txt.old

clean:  ## remove what the targets here have made
	rm -rf $(VENV) build *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis

$(SETUP): pyproject.toml setup.py constraints.txt
	@echo "setting up $(VENV) with $$($(PYTHON) --version); this takes a minute or two the first time"
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10) and "Python 3.10 or newer is needed: make PYTHON=python3.12")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --disable-pip-version-check --progress-bar on --constraint constraints.txt \
		--editable '.[$(RUNTIME),dev]'
	$(BIN)/python -m compileall -q deployments serve_app  # or each of a start's processes compiles what it imports
	@touch $@
