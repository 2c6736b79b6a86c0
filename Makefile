# Everything a person types. `make help` lists it.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
BIN := .venv/bin
export PATH := $(CURDIR)/$(BIN):$(PATH)
export PYTHONUNBUFFERED := 1
SNAKEMAKE := $(BIN)/snakemake
# The profile of the run that report, verify and crate are about: demo, local, slurm.
PROFILE ?= demo
# In the order of tests/conftest.py: the longest first.
PYTEST := $(BIN)/python -m pytest --dist loadscope --no-loadscope-reorder

.DEFAULT_GOAL := help
.PHONY: help setup demo test test-all check check-data check-model doctor status efficiency why gc forget report verify crate clean-results lock sample

help:  ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup:  ## create .venv from the lock; builds llama-cpp-python once and keeps it
	@bash envs/setup.sh

build/tiny/.made: workflow/scripts/make_tiny_models.py workflow/scripts/mindgauge/tiny_models.py | setup
	@$(BIN)/python workflow/scripts/make_tiny_models.py --out build/tiny
	@touch $@

demo: setup build/tiny/.made  ## raw files to report on the synthetic sample, with two tiny models
	@MINDGAUGE_PROGRESS=/proc/$$$$/fd/2 $(SNAKEMAKE) --profile profiles/demo all
	@cat results/report/results.txt
	@echo "report: $$(realpath -s results/report/index.html)"

test: setup build/tiny/.made  ## unit, config and DAG tests and one end-to-end run
	@$(PYTEST) -n 2 tests -m "not slow"

test-all: setup build/tiny/.made  ## what needs longer or more: all families, SLURM, faults
	@$(PYTEST) -n 3 tests -m "slow"

check: setup  ## ruff, types, snakefmt, snakemake --lint, option reference
	@ruff check . && ruff format --check .
	@mypy
	@snakefmt --check Snakefile workflow/Snakefile rules
	@$(SNAKEMAKE) --lint
	@$(BIN)/python workflow/scripts/document_config.py --check
	@$(BIN)/python workflow/scripts/conda_env.py --check

check-data: setup  ## what is there of the configured corpora, before any job (CONFIG=my.yaml for an overlay)
	@$(BIN)/python workflow/scripts/check_data.py --configfile $(CONFIG)

check-model: setup  ## what is missing or wrong of a model before any GPU is asked for (MODEL=name, CONFIG=my.yaml)
	@$(BIN)/python workflow/scripts/check_model.py $(or $(MODEL),$(error MODEL=<a name of config/models.yaml>)) $(if $(CONFIG),--configfile $(CONFIG))

doctor: PROFILE = slurm
doctor:  ## is this site ready? cluster, file systems, software, bases (CONFIG=my.yaml, PROFILE=local, DOCTOR_JOB=1 tries a node)
	@$(BIN)/python workflow/scripts/doctor.py --profile $(PROFILE) --configfile $(CONFIG) $(if $(DOCTOR_JOB),--job)

status:  ## how far the run is: a line a model with state, loss, time left, SLURM job (WATCH=5 looks again every 5 s)
	@$(BIN)/python workflow/scripts/status.py $(if $(WATCH),--watch $(WATCH))

efficiency:  ## after a run on SLURM: what its jobs asked for and what they used (ALL=1: of all runs here)
	@$(BIN)/python workflow/scripts/efficiency.py $(if $(ALL),--all)

why:  ## before a run: what will run and why, jobs, GPU hours, disk (TARGET=results/… or train, CONFIG="a.yaml b.yaml")
	@$(BIN)/python workflow/scripts/why.py --configfile $(CONFIG) -- $(TARGET)

gc:  ## what no configuration reaches in the store; APPLY=1 removes it (CONFIG="a.yaml b.yaml,c.yaml": two, the second of two overlays)
	@$(BIN)/python workflow/scripts/collect_garbage.py $(if $(APPLY),--apply) $(CONFIG)

forget:  ## what holds a withdrawn record (ID=…, or several); APPLY=1 removes it and keeps it out (CONFIG="a.yaml b.yaml")
	@$(BIN)/python workflow/scripts/forget.py $(if $(APPLY),--apply) $(ID) --configfile $(CONFIG)

report:  ## results/report.zip: the review in Snakemake's own viewer (CONFIG=my.yaml; default: of the demo)
	@$(SNAKEMAKE) --profile profiles/$(PROFILE) $(if $(CONFIG),--configfile $(CONFIG)) --report results/report.zip
	@echo "report: results/report.zip"

verify:  ## hash every artifact again and name what differs (CONFIG=my.yaml)
	@$(SNAKEMAKE) --profile profiles/$(PROFILE) $(if $(CONFIG),--configfile $(CONFIG)) -- verify

crate:  ## results/crate.zip: the run as an RO-Crate, without text and weights (CONFIG=my.yaml)
	@$(SNAKEMAKE) --profile profiles/$(PROFILE) $(if $(CONFIG),--configfile $(CONFIG)) -- crate
	@echo "crate: results/crate.zip"

clean-results:  ## remove results/ (and the store in it)
	@rm -rf results .snakemake

lock:  ## write envs/lock.txt and envs/conda anew (needs uv)
	@env -u UV_FIND_LINKS uv pip compile --universal --python-version 3.11 --all-extras --no-emit-index-url --no-header pyproject.toml -o envs/lock.txt
	@$(BIN)/python workflow/scripts/conda_env.py

sample:  ## write data/sample anew from its generator
	@$(BIN)/python workflow/scripts/make_sample.py --out data/sample
