# Two commands for a newcomer: `make demo` and `make test`. Everything else is for those who stay.
#
# Each target makes .venv when it is not there, so nothing has to be prepared but Python 3.11 or 3.12.
# PYTHON names an interpreter, ONNX the build of onnxruntime (cpu, gpu); both are found without.

BIN := .venv/bin
export PYTHON ONNX
SUNRIZA_HOME ?= $(CURDIR)/data
VISEMES ?= $(SUNRIZA_HOME)/visemes
export SUNRIZA_HOME

.PHONY: demo install test test-slow test-liveportrait test-fleet serve dev lint format bench bench-gpu bench-rerender bench-fleet bench-service bench-kills bench-kills-fleet bench-full-disk train-visemes bench-visemes quality docs fuzz fuzz-api constraints clean models help

help: ## Say what there is
	@grep -hE '^[a-z-]+:.*## ' Makefile | awk -F ':.*## ' '{printf "  make %-12s %s\n", $$1, $$2}'

demo: .venv/.installed ## Make the avatar `demo` and show what it cost
	$(BIN)/sunriza demo

install: ## Bring .venv up to date (again: after a GPU or another ONNX)
	deploy/venv.sh
	@touch .venv/.installed

# One thread a process: some that compute with all cores each would mostly wait for one another.
BY_FILES := OMP_NUM_THREADS=1 $(BIN)/python -m pytest --dist loadfile

test: .venv/.installed-dev models ## The everyday tests, two files at a time
	$(BY_FILES) --numprocesses 2

SLOW_APART := sunriza_assets_tests/fleet sunriza_assets_tests/studio/engines/liveportrait

test-slow: .venv/.installed-dev models ## The slow tests, two files at a time, but for the two sets below
	$(BY_FILES) --numprocesses 2 -m slow $(addprefix --ignore ,$(SLOW_APART))

test-liveportrait: .venv/.installed-dev models ## LivePortrait painting whole frames: six minutes on two busy cores
	$(BIN)/python -m pytest -m slow --timeout 1500 sunriza_assets_tests/studio/engines/liveportrait

# By three: most of its time is waiting for daemons to look again.
test-fleet: .venv/.installed-dev models ## The fleet with its servers (apt-get install redis-server postgresql) and faults
	$(BY_FILES) --numprocesses 3 -m slow --durations 10 $(PYTEST_FLAGS) sunriza_assets_tests/fleet

bench: models ## CPU milliseconds a frame of the mesh engine on this machine
	$(BIN)/sunriza bench mesh

bench-gpu: models ## All that a GPU has to be asked, in 8 minutes; again: what is missing
	$(BIN)/sunriza bench gpu --report $(SUNRIZA_HOME)/bench/gpu.json

bench-rerender: models ## Seconds of a cold render, a re-render, and the same command again
	$(BIN)/sunriza bench rerender

bench-fleet: .venv/.installed-dev models ## What orchestration adds to 20 avatars; how 100,000 are borne (needs postgresql)
	$(BIN)/python -m sunriza_assets_tests.fleet.bench_backfill
	$(BIN)/python -m sunriza_assets_tests.fleet.bench_backfill --storage postgres
	$(BIN)/python -m sunriza_assets_tests.fleet.bench_scale
	$(BIN)/python -m sunriza_assets_tests.fleet.bench_scale --storage postgres

bench-service: .venv/.installed-dev models ## CPU, memory and counts of the service against its bars, with the hardware
	$(BIN)/python -m sunriza_assets_tests.service.bench_service --json $(SUNRIZA_HOME)/bench/service.json

bench-kills: .venv/.installed-dev models ## Kill the service's processes at 100 random moments under 200 jobs; half an hour
	$(BIN)/python -m sunriza_assets_tests.service.kills --kills $(or $(KILLS),100) --jobs $(or $(JOBS),200)

bench-kills-fleet: .venv/.installed-dev models ## Likewise with Postgres, Redis and a Celery worker; KILLS, JOBS: fewer
	$(BIN)/python -m sunriza_assets_tests.service.kills --fleet --kills $(or $(KILLS),100) --jobs $(or $(JOBS),200)

bench-full-disk: .venv/.installed-dev models ## Fill the disk of a service under jobs and free it again (as root: it mounts)
	$(BIN)/python -m sunriza_assets_tests.service.full_disk

train-visemes: .venv/.installed-dev ## Make the listener's weights anew, forty minutes of a core; VISEMES=folder keeps its files
	$(BIN)/sunriza models pull kokoro
	$(BIN)/python -m sunriza_assets.studio.speech.training "$(VISEMES)" \
		--models "$${SUNRIZA_MODELS:-$(SUNRIZA_HOME)/models}"

bench-visemes: models ## How well it hears held back voices (SPEECH=folder, CLIPS=folder: people)
	$(BIN)/python -m sunriza_assets.studio.speech.training.bench "$(VISEMES)" \
		--models "$${SUNRIZA_MODELS:-$(SUNRIZA_HOME)/models}" \
		$(if $(SPEECH),--speech "$(SPEECH)") $(if $(CLIPS),--clips "$(CLIPS)")

quality: models ## Render, grade (MEDIA=folder: more portraits, clips), write $(SUNRIZA_HOME)/quality/quality.html
	$(BIN)/python -m sunriza_assets.studio.quality $(SUNRIZA_HOME)/quality \
		--models "$${SUNRIZA_MODELS:-$(SUNRIZA_HOME)/models}" $(if $(MEDIA),--media "$(MEDIA)")

fuzz: .venv/.installed ## Damage media at random for a minute; only named errors may come out
	$(BIN)/python -m sunriza_assets_tests.fuzz_media --seconds 60 --keep $(SUNRIZA_HOME)/fuzz

fuzz-api: .venv/.installed-dev models ## Hold the service against its OpenAPI document: EXAMPLES=200 an operation
	@test -x .venv-fuzz/bin/schemathesis || { .venv/bin/python -m venv .venv-fuzz \
		&& .venv-fuzz/bin/python -m pip install --quiet "schemathesis>=4.32,<4.33"; }
	$(BIN)/python -m sunriza_assets_tests.fuzz_api .venv-fuzz/bin/schemathesis \
		--examples $(or $(EXAMPLES),200) $(if $(SEED),--seed $(SEED))

serve: models ## The HTTP service with everything it needs, http://127.0.0.1:8080
	$(BIN)/sunriza serve

dev: models ## Dagster UI and daemon on this home, http://localhost:3000
	$(BIN)/sunriza dev

lint: .venv/.installed-dev ## ruff (format and rules), mypy, import-linter
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	$(BIN)/mypy
	$(BIN)/lint-imports

docs: .venv/.installed-dev ## Write the generated pages anew: architecture.md, settings.md, api.md
	$(BIN)/python docs/draw_architecture.py
	$(BIN)/sunriza settings --markdown > docs/settings.md
	$(BIN)/python docs/write_api.py

format: .venv/.installed-dev ## Format and fix what can be fixed
	$(BIN)/ruff format
	$(BIN)/ruff check --fix

models: .venv/.installed ## Pull the face models
	@$(BIN)/sunriza models pull face

constraints: ## Pin anew what pyproject.toml allows today
	./deploy/pin-constraints.sh

clean: ## Remove what tools leave behind; SUNRIZA_HOME stays
	rm -rf .venv .venv-fuzz .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache

.venv/.installed: pyproject.toml constraints.txt deploy/venv.sh
	@deploy/venv.sh
	@touch $@

.venv/.installed-dev: .venv/.installed
	@deploy/venv.sh dev
	@touch $@
