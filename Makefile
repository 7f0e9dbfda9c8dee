# One command to run, one to test. `make help` lists them all.

# The first interpreter that fits; name another one by `make PYTHON=... course`.
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11 python; do \
	$$p -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null \
	&& echo $$p && break; done)
RUN := .venv/bin/python

.DEFAULT_GOAL := help
.PHONY: help setup course site serve slides mirror figures lab labs handout test guards fuzz matrix audit bench train scoreboard lint store lock clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "make %-10s %s\n", $$1, $$2}' Makefile

# Named .installed because a broken-off installation leaves a .venv, too.
.venv/.installed: requirements.lock pyproject.toml
	@if [ -z '$(PYTHON)' ]; then \
		echo 'No Python 3.11, 3.12 or 3.13 found (python3 is: '"$$(python3 --version 2>&1)"').'; \
		echo 'Install one of them, then: make PYTHON=/path/to/python3.13 course'; exit 1; fi
	@'$(PYTHON)' site/environment.py

setup: .venv/.installed ## install into .venv, and nothing else (nearly 4 GB, some minutes once)
	@echo 'Set up. To use it in this terminal: source .venv/bin/activate'

course: .venv/.installed ## execute all notebooks on the best data at hand, build the site
	@$(RUN) site/course.py

site: .venv/.installed ## build the site from the stored outputs, without executing anything
	@$(RUN) site/course.py --stored

serve: .venv/.installed ## show the site at http://127.0.0.1:8000 (PORT=... for another)
	@$(RUN) site/serve.py $(or $(PORT),8000)

slides: .venv/.installed ## turn each notebook into slides with speaker notes, into build/slides
	@$(RUN) site/slides.py

mirror: .venv/.installed ## collect the course's files for a room without internet, into build/mirror
	@$(RUN) -m xai_utils mirror $(or $(FOLDER),build/mirror)

figures: .venv/.installed ## make every figure of the articles for print, and a page of them
	@$(RUN) site/gallery.py

lab: .venv/.installed ## open the notebooks in JupyterLab
	@$(RUN) -m jupyterlab notebooks

labs: .venv/.installed ## make student copies of the graded labs, for nbgrader, into build/labs
	@$(RUN) site/labs.py

handout: .venv/.installed ## commit the notebooks for students, for nbgitpuller (FOLDER=...)
	@$(RUN) site/handout.py $(or $(FOLDER),build/handout)

test: .venv/.installed ## check everything: style, types, units, notebooks, site
	@$(RUN) -m pytest --numprocesses logical --maxprocesses 4 --dist loadgroup

guards: .venv/.installed ## take away what guards against each fault, and see its test fail
	@$(RUN) tests/fault_table.py --remove-guards

fuzz: .venv/.installed ## 10,000 drawn examples, and ten minutes of broken files (SECONDS=... for another time)
	@$(RUN) tests/fuzz/run.py --seconds $(or $(SECONDS),600)

# Beside .venv, so that they bring no package into it: nox, pip-audit and uv.
build/tools/.installed: tests/tools/requirements.txt
	@'$(PYTHON)' -m venv --clear build/tools
	@build/tools/bin/python -m pip install --quiet --require-hashes -r tests/tools/requirements.txt
	@touch $@

matrix: build/tools/.installed ## test on every Python, and with the newest and lowest packages (SESSION=... for one)
	@PATH="$(CURDIR)/build/tools/bin:$$PATH" nox $(if $(SESSION),--session '$(SESSION)') -- $(TESTS)

audit: build/tools/.installed ## ask the package index which versions of the lock have known faults
	@build/tools/bin/python tests/tools/audit.py

bench: .venv/.installed ## measure speed against the floor and against other libraries
	@$(RUN) benchmarks/run.py

train: .venv/.installed ## train the shipped networks again and rewrite data/weights
	@$(RUN) -m xai_utils train

scoreboard: .venv/.installed ## measure every method of the course, into build/ and data/
	@$(RUN) data/make_scoreboard.py

lint: .venv/.installed ## style of code and notebooks, types of xai_utils
	@$(RUN) -m ruff check .
	@$(RUN) -m ruff format --check .
	@$(RUN) -m mypy xai_utils

store: .venv/.installed ## execute the notebooks on the real data and store their outputs
	@XAI_DATA=real $(RUN) site/course.py --no-site
	@$(RUN) tests/notebook_rules.py --from build/notebooks notebooks/*.ipynb
	@$(RUN) site/poster.py

lock: build/tools/.installed ## resolve the dependencies anew into requirements.lock
	build/tools/bin/uv pip compile --universal --generate-hashes --fork-strategy fewest --no-emit-index-url \
		--no-header --python-version 3.11 --extra dev --extra site --extra labs --extra scale \
		--extra hub pyproject.toml -o requirements.lock

clean: ## remove what was built; keep .venv
	rm -rf build .pytest_cache .mypy_cache .ruff_cache
