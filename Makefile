# Build, demo, tests. `make help` lists the targets.
#
# Set-up, demo and training need cargo, a linker and make. Only `make torch` and the tests need more: libtorch, which is
# put into .libtorch/ (set LIBTORCH or LIBTORCH_USE_PYTORCH to use another), python3 with pip and a C++ compiler.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
CVAE := target/release/cvae
PREDICTIONS := data/predictions.txt

.PHONY: help libtorch build torch demo seeds plots report docs test test-libraries test-report test-parity test-export test-page test-python test-kill test-faults test-slurm fuzz deny lint release bench bench-peers clean

help: ## This list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):[^#]*## */  make \1\t/' | expand -t 18

libtorch: ## Put a CPU libtorch into .libtorch/ (518 MiB to download, hash-checked), unless one is set
	@command -v python3 >/dev/null || { echo "error: python3 is missing; apt-get install python3 python3-pip, then run make again" >&2; exit 1; }
	@python3 scripts/libtorch.py

build: ## Build cvae into target/release/
	@command -v cargo >/dev/null || { echo "error: cargo is missing; install Rust 1.95 or newer, then run make again" >&2; exit 1; }
	cargo build --release --locked

torch: libtorch ## Build cvae-torch into target/release/: training on a GPU, and new kinds of model by autograd
	cargo build --release --locked -p cvae-torch

demo: build ## Data, about half a minute of training, predictions on the example input, and their score
	$(CVAE) data
	$(CVAE) train experiments/quick.toml
	$(CVAE) predict -i data/example_input.txt $(PREDICTIONS) --model "$$($(CVAE) train experiments/quick.toml --print-folder)"
	$(CVAE) eval $(PREDICTIONS)

seeds: build ## Train the quick config with seeds 1, 2 and 3, and compare them
	for seed in 1 2 3; do $(CVAE) train experiments/quick.toml --set seed=$$seed > /dev/null; done
	$(CVAE) compare --each --markdown $$(for seed in 1 2 3; do $(CVAE) train experiments/quick.toml --set seed=$$seed --print-folder; done)

plots: build ## Draw the charts of runs/ and of the released model into plots/
	$(CVAE) plot --logs runs
	$(CVAE) plot model

report: build ## Draw all charts and typeset report/*.pdf from the tables; the typesetter takes minutes to build once
	cargo build --release --locked -p cvae-report
	$(CVAE) plot model
	$(CVAE) report

docs: build ## Write the generated parts of docs/, then check links and readability of every document
	CVAE_WRITE_DOCS=1 cargo test --release --locked -p cvae --test cli docs:: -- --test-threads 1
	python3 scripts/links.py
	python3 scripts/readability.py

test: libtorch ## Run all tests
	@# The tests of licences read the sources of all crates, those of the typesetter among them.
	cargo fetch --locked
	cargo test --release --locked -p cvae -p cvae-torch

test-report: ## Typeset the documents anew and compare them with the committed PDFs
	cargo test --release --locked -p cvae-report

test-libraries: build ## Compare networks with pyAgrum and scores with sdmetrics, in a virtual environment
	python3 -m venv target/python/libraries && target/python/libraries/bin/pip install -q pyagrum==3.3.1 sdmetrics==0.32.0
	target/python/libraries/bin/python tests/libraries.py

test-parity: build ## Compare model/predict.py and model/eval.py with cvae: logits, dates, messages, exit codes
	CVAE_PYTHON="$$(python3 scripts/environment.py model/requirements.txt)" cargo test --release --locked --test parity -- --ignored
	"$$(python3 scripts/environment.py tests/requirements.txt)" tests/conda.py
	$(CVAE) data
	tests/pythons.sh

test-page: ## Test the page of cvae page in Chromium: its model against the program's, and what a reader does
	@command -v "$${CVAE_CHROMIUM:-chromium}" >/dev/null || { echo "error: chromium is missing; apt-get install chromium, then run make again" >&2; exit 1; }
	cargo test --release --locked --test page -- --ignored

test-python: build ## Build the wheel and test it: against cvae, its docstrings, and docs/notebook.ipynb
	python="$$(python3 scripts/environment.py python/tests/requirements.txt)"; \
	rm -rf target/wheels target/python/package; \
	"$${python%/bin/python}"/lib/python3.*/site-packages/bin/maturin build --quiet --release --locked --manifest-path python/Cargo.toml --out target/wheels; \
	python3 -m zipfile -e target/wheels/cvae-*.whl target/python/package; \
	PYTHONPATH="$$PWD/target/python/package" "$$python" -m pytest -q -p no:cacheprovider python/tests

test-export: build ## Read exports with TensorBoard, pandas, polars and DuckDB (Python 3.11)
	"$$(python3 scripts/environment.py tests/export-requirements.txt)" tests/export.py $(CVAE)

test-kill: build ## Kill a sweep with -9 200 times at random moments: its results must not change
	tests/kill.sh 200

test-faults: build ## Full disks, read-only folders, closed pipes, kills, lack of memory, a jumping clock (root)
	tests/faults.sh

INPUTS := 10000000
SEED := 1
fuzz: ## Parse 10 million mutated inputs of every kind; INPUTS=, SEED= for others
	cargo run --release --locked --example fuzz -- --inputs $(INPUTS) --seed $(SEED)

deny: ## Check licences, sources and duplicates of dependencies (cargo-deny), without a network
	@command -v cargo-deny >/dev/null || { echo "error: cargo-deny is missing; cargo install cargo-deny --locked, then run make deny again" >&2; exit 1; }
	cargo deny --offline --locked check licenses bans sources

test-slurm: build ## Run a sweep on a real Slurm of this machine's own, a killed task included (root)
	tests/slurm.sh

lint: libtorch ## Check formatting, lints, documents, and that the model card is in step with the weights
	cargo fmt --all --check
	cargo clippy --release --locked -p cvae -p cvae-torch --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc --release --locked --no-deps -p cvae -p cvae-torch
	python3 scripts/release.py --check
	python3 scripts/links.py
	python3 scripts/readability.py

release: build ## Measure model/ and write its card's tables; RUN=runs/... releases that finished run first
	python3 scripts/release.py $(RUN)

bench: build torch ## Measure against PyTorch and the machine's limit into benches/, some twenty minutes; QUICK=1 to try it
	QUICK=$(QUICK) python3 benches/bench.py

bench-peers: build ## Measure TabularARGN, CTGAN and TVAE beside cvae into benches/PEERS.md (Python 3.11); LIMIT= seconds of training, DATA=, TOOLS=, QUICK=1
	QUICK=$(QUICK) LIMIT=$(LIMIT) DATA=$(DATA) TOOLS=$(TOOLS) python3 benches/peers.py

clean: ## Remove what was built (libtorch, data and runs stay)
	cargo clean
