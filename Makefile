# Every target makes the environment it needs; Python 3.11 or newer and make are enough.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
CORES ?= all
DEVICE ?= cpu
SNAKEMAKE := PATH="$(abspath $(BIN)):$$PATH" $(BIN)/snakemake --cores $(CORES)

.PHONY: demo own-task field-check many-sources tuning mini-paper beyond validated-p growth-sources growth-labels growth-students paper-check test test-slow test-slurm lint bench profiles memory load rulegraph \
	docs-figures clean

demo: $(VENV)/.installed  ## the embedded benchmark in its small size: report, tables, figures
	$(SNAKEMAKE) --logger distillweighted
	@$(BIN)/python -m distillweighted show results/demo/tables/table1_accuracy.csv
	@echo; cat results/demo/answer.txt
	@echo "Report: results/demo/report.html"

own-task: $(VENV)/.installed  ## your own task: CONFIG=FILE, filled in like configs/own_task.yaml
	@test -n "$(CONFIG)" || (echo "make own-task CONFIG=FILE (configs/own_task.yaml is a template)"; exit 2)
	@$(BIN)/python -m distillweighted check $(CONFIG)
	$(SNAKEMAKE) --logger distillweighted --configfile $(CONFIG) -- ranking student
	@$(BIN)/python -m distillweighted answer $(CONFIG)

field-check: $(VENV)/.installed  ## real pictures, real weights, from Debian's and Python's packages
	$(BIN)/python -m tests.field results/field_check_files
	$(SNAKEMAKE) --logger distillweighted --configfile tests/field/field_check.yaml -- ranking student
	@$(BIN)/python -m distillweighted answer tests/field/field_check.yaml

many-sources: $(VENV)/.installed  ## 100 sources ranked: time, memory, and what a kill costs
	PATH="$(abspath $(BIN)):$$PATH" $(BIN)/python tests/many_sources.py

tuning: $(VENV)/.installed  ## learning rates of every method, tuned alike on development tasks
	$(SNAKEMAKE) --logger distillweighted --configfile configs/tuning.yaml -- tuning
	@cat results/tuning/tables/tuning.md results/tuning/tables/learning_rates.yaml

mini-paper: $(VENV)/.installed  ## the embedded benchmark in full: 12 targets, 28 sources, 10 seeds
	$(SNAKEMAKE) --logger distillweighted --configfile configs/mini_paper.yaml
	@$(BIN)/python -m distillweighted show results/mini_paper/tables/table1_accuracy.csv
	@echo; cat results/mini_paper/answer.txt
	@echo "Report: results/mini_paper/report.html"

beyond: $(VENV)/.installed  ## metrics, objectives and choices of weights that the paper does not have
	$(SNAKEMAKE) --logger distillweighted --configfile configs/beyond.yaml
	@$(BIN)/python -m distillweighted show results/beyond/tables/table1_accuracy.csv
	@echo; cat results/beyond/tables/all_methods.md
	@echo "Report: results/beyond/report.html"

validated-p: $(VENV)/.installed  ## p chosen on validation images, against the other ways to choose it
	$(SNAKEMAKE) --logger distillweighted --configfile configs/validated_p.yaml
	@cat results/validated_p/tables/choice_of_weights.md

growth-sources: $(VENV)/.installed  ## accuracy and cost against the number of sources, 1 to 105
	$(SNAKEMAKE) --logger distillweighted --configfile configs/growth_sources.yaml -- growth_sources
	@cat results/growth_sources/tables/growth_sources.md
	@echo "Figure: results/growth_sources/figures/growth_sources.png"

growth-labels: $(VENV)/.installed  ## accuracy against the share of labelled images, 1% to 90%
	$(SNAKEMAKE) --logger distillweighted --configfile configs/growth_labels.yaml -- growth_labels
	@cat results/growth_labels/tables/growth_labels.md
	@echo "Figure: results/growth_labels/figures/growth_labels.png"

growth-students: $(VENV)/.installed  ## accuracy and cost against the student's size
	$(SNAKEMAKE) --logger distillweighted --configfile configs/growth_students.yaml -- growth_students
	@cat results/growth_students/tables/growth_students.md
	@echo "Figure: results/growth_students/figures/growth_students.png"

paper-check: $(VENV)/.installed  ## the paper's grid on miniature copies of its data sets and models
	$(BIN)/python -m tests.miniature results/paper_check_files
	$(SNAKEMAKE) --logger distillweighted --configfile configs/paper.yaml tests/miniature/paper_check.yaml
	@$(BIN)/python -m distillweighted show results/paper_check/tables/table1_accuracy.csv
	@echo; cat results/paper_check/answer.txt
	@echo "Report: results/paper_check/report.html"

test: $(VENV)/.installed  ## all tests but the slow ones
	PATH="$(abspath $(BIN)):$$PATH" $(BIN)/python -m pytest -n auto --maxprocesses 4 --dist loadfile --no-loadscope-reorder

test-slow: $(VENV)/.installed  ## the tests that take minutes
	PATH="$(abspath $(BIN)):$$PATH" $(BIN)/python -m pytest -m slow

test-slurm: $(VENV)/.installed  ## a one-node Slurm, and the tiny run through profiles/slurm; as root
	@PATH="$$PATH:/usr/sbin"; (command -v slurmctld && command -v munged) > /dev/null || \
		(apt-get update && apt-get install --yes --no-install-recommends slurm-wlm munge)
	PATH="$(abspath $(BIN)):$$PATH" $(BIN)/python -m pytest -m slurm tests/slurm --durations=0

lint: $(VENV)/.installed  ## formatting, linting, and Snakemake's own checks
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	PATH="$(abspath $(BIN)):$$PATH" $(BIN)/snakefmt --check Snakefile rules
	PATH="$(abspath $(BIN)):$$PATH" $(BIN)/snakemake --lint

bench: $(VENV)/.installed  ## speed, as ratios measured in one run; DEVICE=cuda: of training on a GPU
	@status=0; test $(DEVICE) = cuda || OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 $(BIN)/python tests/bench_similarity.py || status=1; \
		$(BIN)/python tests/bench.py --device $(DEVICE) || status=1; exit $$status

profiles: $(VENV)/.installed  ## where the time of a training step, an inference job and the demo goes
	PATH="$(abspath $(BIN)):$$PATH" $(BIN)/python tests/profiles.py

memory: $(VENV)/.installed  ## peak memory of the jobs at the size of NABirds
	$(BIN)/python tests/memory.py

load: $(VENV)/.installed  ## time and memory of plans of 20,000 students and runs of 1,000
	$(BIN)/python tests/load.py

rulegraph: $(VENV)/.installed  ## the rule graph in Mermaid, as it stands in the README
	@$(BIN)/snakemake --rulegraph mermaid-js 2>/dev/null | grep -vE "^---|^title|style id"

docs-figures:  ## the README's figures, from a finished `make mini-paper`
	cp $(foreach f,fig1_weightings fig3_single_source fig6_effect_of_p,results/mini_paper/figures/$(f).png) docs/

clean:  ## remove the environment; results stay
	rm -rf $(VENV)

$(VENV)/.installed: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --editable ".[dev]"
	@# Every job imports it, and some machines are told not to keep what Python makes of sources.
	$(BIN)/python -m compileall -q workflow_scripts
	touch $@
