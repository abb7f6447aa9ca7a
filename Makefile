# On a fresh machine: 'make demo' does the main job, 'make test' passes the tests.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
OLDEST_PYTHON ?= $(shell command -v python3.10 || command -v python3)
VENV ?= .venv
BIN = $(VENV)/bin
# Processes that run the tests, each file in one of them.
JOBS ?= 2
PYTEST = -m pytest -n $(JOBS) --dist loadfile
DEBIAN_PROGRAMS = chromedriver:chromium-driver chromium:chromium dciodvfy:dicom3tools \
	dcm2niix:dcm2niix g++:g++ storescp:dcmtk Orthanc:orthanc
POLICY = /usr/sbin/policy-rc.d

.PHONY: demo test test-oldest bench faults accuracy measure cohorts lint debian-programs docker-steps clean

demo: $(VENV)/installed
	$(BIN)/gadgetron-qsm demo --output build/demo

test: $(VENV)/installed-test debian-programs lint
	$(BIN)/python $(PYTEST)

lint: $(VENV)/installed-test
	$(BIN)/ruff check gadgets tests
	$(BIN)/ruff format --check gadgets tests
	$(BIN)/mypy

# A scan through the product, its parts, and how far they are from what the machine can do.
bench: $(VENV)/installed-test
	mkdir -p build
	$(BIN)/python -m tests.benchmarks.latency --size small --preset fast standard \
		--json build/latency.json
	$(BIN)/python -m tests.benchmarks.ingest
	$(BIN)/python -m tests.benchmarks.grappa
	$(BIN)/python -m tests.benchmarks.gains
	$(BIN)/python -m tests.benchmarks.floor --size small
	$(BIN)/python -m tests.benchmarks.spool

# Streams that are spoilt, by the thousand, and hundreds of scans: a quarter of an hour. What came
# of it is in tests/benchmarks/results/2026-11-27-faults-cpu.md.
faults: $(VENV)/installed-test
	$(BIN)/python -m tests.faults.mutations --count 8000 --command serve
	$(BIN)/python -m tests.faults.mutations --count 2000 --command gadget
	$(BIN)/python -m tests.faults.soak --scans 200
	$(BIN)/python -m tests.faults.soak --scans 200 --together 8

# Every method against the truth of a head, as far as ../shared/data has one.
accuracy: $(VENV)/installed-test
	$(BIN)/python -m tests.benchmarks.accuracy

# What is measured in the maps of heads, against the truth: two hours. What came of it is in
# tests/benchmarks/results/2026-11-28-measure-cpu.md and 2026-11-28-sources-cpu.md.
measure: $(VENV)/installed-test
	$(BIN)/python -m tests.benchmarks.regions
	$(BIN)/python -m tests.benchmarks.subjects build/subjects
	$(BIN)/python -m tests.benchmarks.visits
	$(BIN)/python -m tests.benchmarks.sources
	$(BIN)/python -m tests.benchmarks.noise

# Forty scans, one and two at once, on Dask, killed and resumed; reading; rounding: half an hour. What
# came of it is in tests/benchmarks/results/2026-11-28-cohorts-cpu.md.
cohorts: $(VENV)/installed-test
	$(BIN)/python -m tests.benchmarks.cohort
	$(BIN)/python -m tests.benchmarks.reading
	$(BIN)/python -m tests.benchmarks.rounding
	$(BIN)/python -m tests.benchmarks.figures --coils 4

# The steps of the images in a clean Debian root, what they start, and a scan through it: by hand, as
# root, with debootstrap. DOCKER_STEPS="--ca-file FILE" behind a proxy that signs for others.
docker-steps: $(VENV)/installed-test
	$(BIN)/python -m tests.docker.try_steps server $(DOCKER_STEPS)
	$(BIN)/python -m tests.docker.try_steps openrecon $(DOCKER_STEPS)
	$(BIN)/python -m tests.docker.try_steps gadgetron $(DOCKER_STEPS)

test-oldest:
	$(MAKE) VENV=.venv-oldest PYTHON=$(OLDEST_PYTHON) PIP_CONSTRAINT=$(CURDIR)/tests/oldest.txt \
		.venv-oldest/installed-test
	.venv-oldest/bin/python $(PYTEST)

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); $(MAKE) python3-venv && $(PYTHON) -m venv $(VENV); }

$(VENV)/installed: pyproject.toml | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --editable .
	touch $@

$(VENV)/installed-test: pyproject.toml | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --editable '.[test]'
	touch $@ $(VENV)/installed

# Debian's own python3 comes without venv.
.PHONY: python3-venv
python3-venv:
	@[ "$$(id -u)" = 0 ] || { echo "install python3-venv, then again"; exit 1; }
	apt-get update -qq && apt-get install -y -qq python3-venv

# Validators and archives that tests ask, and the compiler of what they run in a device's place;
# without root they are only named, and their tests are skipped. The archive that Debian would start
# as a service listens to all the world: it must not start, now or at the next boot.
debian-programs:
	@missing=; for pair in $(DEBIAN_PROGRAMS); do \
		command -v $${pair%%:*} >/dev/null || missing="$$missing $${pair##*:}"; \
	done; \
	if [ -z "$$missing" ]; then exit 0; \
	elif [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
		if [ ! -e $(POLICY) ]; then \
			trap 'rm -f $(POLICY)' EXIT; printf '#!/bin/sh\nexit 101\n' >$(POLICY); chmod +x $(POLICY); \
		fi; \
		apt-get update -qq && apt-get install -y -qq --no-install-recommends $$missing || exit 1; \
		case "$$missing" in *orthanc*) systemctl disable orthanc 2>/dev/null || true;; esac; \
	else echo "not installed:$$missing; tests that need them are skipped"; fi

clean:
	rm -rf build .venv .venv-oldest .mypy_cache .pytest_cache .ruff_cache
