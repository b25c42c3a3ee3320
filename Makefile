# Two commands do all the set-up: `make run` and `make test`.
# Python 3.11 or newer is assumed, and nothing else: uv is fetched into .uv/.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

UV_VERSION := 0.13.8
UV := .uv/bin/uv
PY := .venv/bin/python
# The Python that is here, or a clear word that it is too old: none is fetched.
export UV_PYTHON_DOWNLOADS := never
# Of the tests: the third fills the pauses of two that talk (tests/workers.py).
WORKERS ?= 3
# The settings of .env, if there is one; what the shell itself sets wins.
WITH_ENV := kept="$$(export -p)"; set -a; [ ! -f .env ] || . ./.env; eval "$$kept"

.PHONY: help run demo test lint format bench pictures requirements sbom audit

help: ## this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-14s%s\n", $$1, $$2 }' Makefile

run: .venv/run.done ## start everything at http://localhost:8000
	@$(WITH_ENV); exec $(PY) manage.py runall

demo: .venv/run.done ## the same, with speakers who talk into it; needs no account
	@export DATA_DIR="$${DATA_DIR:-data/demo}" LOG_LEVEL="$${LOG_LEVEL:-WARNING}"; \
	  export STT_MODEL=tests/speech/model VAD_SOFT_MAX_S=8; \
	  exec $(PY) manage.py runall --demo

test: .venv/dev.done ## install what the tests need, and run them all
	@tests/prepare.sh
	@exec env PYTHONDEVMODE=1 $(PY) -m pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder $(ARGS)

lint: .venv/dev.done ## ruff, mypy, import-linter, djlint
	@$(PY) -m ruff check . && $(PY) -m ruff format --check . && $(PY) -m mypy . \
	  && .venv/bin/lint-imports && $(PY) -m djlint templates --lint --quiet

format: .venv/dev.done ## write the code the way lint wants it
	@$(PY) -m ruff check --fix . ; $(PY) -m ruff format .

bench: .venv/dev.done ## print what the road adds to the words, in milliseconds
	@tests/prepare.sh
	@$(PY) bench/latency.py

chaos: .venv/dev.done ## break everything while people talk, and count what is lost (40 min)
	@tests/prepare.sh
	@$(PY) bench/chaos.py --faults 200 --seconds 1500 --clock $(ARGS)

pictures: .venv/dev.done ## take README's pictures anew
	@tests/prepare.sh
	@$(PY) tests/pictures.py

requirements: $(UV) ## write requirements.txt anew from the lock
	@$(UV) export --frozen --no-dev --quiet -o requirements.txt

sbom: $(UV) ## write all that is installed and that pages load into sbom*.cdx.json
	@$(UV) export --frozen --no-dev --quiet --preview-features sbom-export \
	  --format cyclonedx1.5 -o sbom.cdx.json
	@bash .ci/npm sbom --package-lock-only --sbom-format cyclonedx > sbom-npm.cdx.json

audit: $(UV) ## ask osv.dev and npm for known holes in what the locks name
	@$(UV) audit --frozen
	@bash .ci/npm audit --package-lock-only

$(UV):
	@bash .ci/get-uv $(UV_VERSION)

node_modules/done: $(UV) package-lock.json
	@bash .ci/npm ci --ignore-scripts --no-audit --no-fund && touch $@

.venv/run.done: $(UV) uv.lock node_modules/done
	@bash .ci/sync --no-dev && touch $@

.venv/dev.done: $(UV) uv.lock node_modules/done
	@bash .ci/sync && touch $@ .venv/run.done
