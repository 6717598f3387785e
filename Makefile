# `make demo` and `make test` do all the set-up they need; `make help` lists the rest.
# Another Python has a virtual environment of its own: make PYTHON=python3.12 test
ifeq ($(origin PYTHON),undefined)
PYTHON := $(shell command -v python3.11 || command -v python3)
VENV ?= .venv
else
VENV ?= .venv.$(notdir $(PYTHON))
endif
# Another build of torch: make TORCH="torch --index-url https://download.pytorch.org/whl/cu128" demo
TORCH ?= $(shell grep '^torch==' constraints.txt)
DEMO ?= out/demo
SONG = $(DEMO)/corpus/test/Track00010/mix.flac
# make weights: MIDI is a folder of General MIDI songs (Debian's if empty), SOUNDS one of recorded notes (none if empty).
WEIGHTS ?= out/weights
HOURS ?= 11
PLAIN_HOURS ?= 5
STEPS ?= 20000
SCALE ?= cpu
SYSTEM_PACKAGES = mma fluidsynth fluid-soundfont-gm
SOUNDFONT = /usr/share/sounds/sf2/FluidR3_GM.sf2
# mypy and mkdocstrings can't follow package-dir: they read the package through links.
TYPED = $(VENV)/typed
INSTRUCTME = $(VENV)/bin/instructme

.DEFAULT_GOAL := help
.PHONY: help demo weights reproduce test test-all mutants docs lint setup system clean

help: ## list the targets
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

demo: setup system ## edit two songs, render a small corpus, turn it into verified shards and train a tiny editor on them
	$(INSTRUCTME) edit pipelines/editing/examples/funk.ogg "remove drums" -o $(DEMO)/funk.wav --report $(DEMO)/funk.html
	$(INSTRUCTME) corpus $(DEMO)/corpus --tier mini
	$(INSTRUCTME) edit $(SONG) "extract drums" -o $(DEMO)/song.wav --report $(DEMO)/song.html
	$(INSTRUCTME) build $(DEMO)/corpus $(DEMO)/work --total 200 --eval-count 20
	$(INSTRUCTME) verify $(DEMO)/work/shards --work $(DEMO)/work
	$(INSTRUCTME) audit $(DEMO)/work
	$(INSTRUCTME) train vae $(DEMO)/work/shards -o $(DEMO)/vae --preset tiny
	$(INSTRUCTME) train latents $(DEMO)/vae $(DEMO)/work/shards --work $(DEMO)/work
	$(INSTRUCTME) train editor $(DEMO)/work/shards --vae $(DEMO)/vae --work $(DEMO)/work -o $(DEMO)/editor --preset tiny --steps 20
	$(INSTRUCTME) edit $(SONG) "remove drums" --run $(DEMO)/editor -o $(DEMO)/edit.wav --report $(DEMO)/edit.html
	@echo "to listen to: $(DEMO)/funk.html and $(DEMO)/song.html (the editor in the package), $(DEMO)/edit.html (trained on 20 batches)"
	@echo "to look at: $(DEMO)/work/audit.html, $(DEMO)/editor/edits.html"
	@echo "with your own music: $(INSTRUCTME) build FOLDER_OF_STEMS WORK; all verbs: $(INSTRUCTME) --help"

test: setup system ## run the fast tests
	$(VENV)/bin/pytest -n auto

test-all: setup system ## run every test, the slow ones too
	$(VENV)/bin/pytest -n auto -m 'not gpu'

mutants: setup system ## make small faults in the code and print which share of them the tests notice (hours; a stopped run goes on)
	nice $(VENV)/bin/python tests/mutants.py

weights: setup system ## train the editor of the package again (hours; a stopped run goes on)
	$(INSTRUCTME) corpus $(WEIGHTS)/charts --tier standard --hours $(HOURS) --timbres varied $(SOUNDS:%=--sounds %)
	$(INSTRUCTME) corpus $(WEIGHTS)/plain --tier standard --hours $(PLAIN_HOURS)
	$(INSTRUCTME) corpus $(WEIGHTS)/songs --tier real --timbres varied $(MIDI:%=--midi %) $(SOUNDS:%=--sounds %)
	$(INSTRUCTME) scan $(WEIGHTS)/charts $(WEIGHTS)/plain $(WEIGHTS)/songs -o $(WEIGHTS)/work
	$(INSTRUCTME) prepare $(WEIGHTS)/work --rhythm none --chords none
	nice $(INSTRUCTME) train separator $(WEIGHTS)/work -o $(WEIGHTS)/run --steps $(STEPS)
	$(VENV)/bin/python tests/gpu/package_weights.py $(WEIGHTS)/run model/weights

reproduce: setup system ## train all systems of the paper on equal terms and write its tables (two hours; SCALE=gpu: weeks; a stopped run goes on)
	$(INSTRUCTME) models fetch musicnn notes
	nice env INSTRUCTME=$(INSTRUCTME) tests/reproduce.sh out/reproduce-$(SCALE) $(SCALE)

docs: setup typed ## build the manual into out/docs, without network
	TYPED=$(TYPED) NO_MKDOCS_2_WARNING=1 $(VENV)/bin/mkdocs build --strict --quiet

lint: setup typed ## check format, lint and types
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/ruff check .
	MYPYPATH=$(TYPED) $(VENV)/bin/mypy

.PHONY: typed
typed: setup
	@mkdir -p $(TYPED)/instructme && ln -sfn $(CURDIR)/manifests $(CURDIR)/dataset_tools $(CURDIR)/model $(CURDIR)/pipelines \
		$(CURDIR)/pipelines/api/__init__.py $(CURDIR)/pipelines/api/py.typed $(TYPED)/instructme/

setup: $(VENV)/.installed ## create the virtual environment and install the locked packages

# torch comes first and alone: any other package asked first would choose its build.
$(VENV)/.installed: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Python 3.11 or newer is needed: make PYTHON=/path/to/python3.11" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || \
		$(MAKE) --no-print-directory apt PACKAGES="$$(basename $$(readlink -f $(PYTHON)))-venv"
	@test ! -e $(VENV)/bin/python || test "$$($(PYTHON) -V)" = "$$($(VENV)/bin/python -V)" || \
		{ echo "$(VENV) was made by another Python: remove it, or name another folder: make VENV=FOLDER" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/pip install --quiet --disable-pip-version-check $(TORCH)
	@grep -v '^torch==' constraints.txt > $(VENV)/constraints.txt
	$(VENV)/bin/pip install --quiet --disable-pip-version-check -c $(VENV)/constraints.txt -e '.[all,docs,dev]'
	@touch $@

system: ## install the system packages of the built-in corpus where they are missing
	@{ command -v mma && command -v fluidsynth && test -e $(SOUNDFONT); } >/dev/null || \
		$(MAKE) --no-print-directory apt PACKAGES="$(SYSTEM_PACKAGES)"

.PHONY: apt
apt:
	@command -v apt-get >/dev/null || { echo "please install with your package manager: $(PACKAGES)" >&2; exit 1; }
	@sudo=; [ "$$(id -u)" = 0 ] || sudo=sudo; \
	[ -z "$$sudo" ] || command -v sudo >/dev/null || { echo "please run as root: apt-get install $(PACKAGES)" >&2; exit 1; }; \
	echo "installing system packages: $(PACKAGES)"; \
	$$sudo apt-get update -qq && \
	$$sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $(PACKAGES) >/dev/null

clean: ## remove the virtual environment and everything made by make demo
	rm -rf $(VENV) $(DEMO)
