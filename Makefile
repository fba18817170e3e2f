# Two commands are all a newcomer needs: `make lab` opens the course, `make test` checks it.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
NOTEBOOKS := $(sort $(wildcard notebooks/*.ipynb notebooks/solutions/*.ipynb))

.PHONY: lab test search notebooks badges site versions bench sample models models-names models-persian clean

lab: $(VENV)/ready
	$(BIN)/jupyter lab notebooks/00_start_here.ipynb

# Files and notebooks are shared out among WORKERS processes, each with one thread of PyTorch and up to 2 GB of memory.
WORKERS ?= 2
PYTEST := OMP_NUM_THREADS=1 $(BIN)/python -m pytest --numprocesses=$(WORKERS) --dist=loadfile
test: $(VENV)/ready
	$(PYTEST) tests -rs
	OCRKIT_PROFILE=tiny $(PYTEST) --nbval-lax --nbval-current-env $(NOTEBOOKS)

# The tests that are given random cases, TIMES as many as in `make test` and other ones each time; SEED=N tries those of
# an earlier search again.
TIMES ?= 20
SEED := $(or $(SEED),$(shell $(PYTHON) -c 'import random; print(random.randrange(10**6))'))
search: $(VENV)/ready
	@echo 'random cases with SEED=$(SEED) TIMES=$(TIMES)'
	OCRKIT_SEARCH=$(TIMES) $(PYTEST) tests -m hypothesis --hypothesis-seed=$(SEED)

# Runs every notebook with the laptop settings and keeps the outputs.
notebooks: $(VENV)/ready
	$(BIN)/python -m tools.notebooks

# Writes "open in Colab / Kaggle" into the first cell of every notebook, with the address in pyproject.toml.
badges: $(VENV)/ready
	$(BIN)/python -m tools.badges

# The oldest and the newest packages that pyproject.toml allows, each in an environment of its own. Takes minutes.
versions:
	PYTHON=$(PYTHON) tools/versions.sh

# The course as a book, from the notebooks as they are; nothing is run. Sphinx stops at the first warning.
site: $(VENV)/ready
	$(BIN)/python -m pip install --quiet --editable '.[site]'
	rm -rf site/_build
	$(BIN)/python -m sphinx --quiet --fail-on-warning --keep-going -c site -d site/_build/doctrees . site/_build/html
	@echo 'The book is in site/_build/html: open index.html in a browser.'

# Writes its tables and plot into README.md. PLATES: folders of real plates; NAMES: a folder of real names; without
# them, what needs none.
bench: $(VENV)/ready
	$(BIN)/python -m pip install --quiet --editable '.[bench]'
	$(BIN)/python -m tools.benchmarks $(PLATES) $(if $(NAMES),--names $(NAMES))

# Needs fonts, from Debian and npm; the command names those that are missing, and data/README.md has the list.
sample: $(VENV)/ready
	$(BIN)/python -m tools.atlases

# PLATES is a folder of labeled plate images; without it the model is trained on rendered plates alone.
models: $(VENV)/ready
	$(BIN)/python -m ocrkit train plates-large $(if $(PLATES),samples=$(PLATES) repeat=60) --out runs/plates
	mkdir -p data/models/plates
	cd runs/plates && cp model.safetensors config.json README.md run.json ../../data/models/plates

# NAMES is a folder of the handwritten-names set, WORDS one of handwritten words of other writers (file_name,text,writer_id),
# COUNTS a file of names and counts.
models-names: $(VENV)/ready
	$(BIN)/python -m ocrkit train names-start samples=$(WORDS) words=$(COUNTS) --out runs/names-start
	$(BIN)/python -m ocrkit train names samples=$(NAMES) words=$(COUNTS) --out runs/names
	mkdir -p data/models/names
	cd runs/names && cp model.safetensors config.json README.md run.json ../../data/models/names

# PERSIAN is a folder of printed Persian letters and digits in 43 folders of classes; without it that model learns from rendered
# ones alone. `letters` is put together from a detector and two readers.
models-persian: $(VENV)/ready
	$(BIN)/python -m ocrkit train chinese-glyphs --out runs/chinese-glyphs
	mkdir -p $(addprefix data/models/,chinese-glyphs persian-glyphs persian-letters letters/detector letters/dates letters/texts)
	cd runs/chinese-glyphs && cp model.safetensors config.json README.md run.json ../../data/models/chinese-glyphs
	$(BIN)/python -m ocrkit train persian-glyphs --out runs/persian-glyphs
	cd runs/persian-glyphs && cp model.safetensors config.json README.md run.json ../../data/models/persian-glyphs
	$(BIN)/python -m ocrkit train persian-letters $(if $(PERSIAN),samples=$(PERSIAN) use_test=true) --out runs/persian-letters
	cd runs/persian-letters && cp model.safetensors config.json README.md run.json ../../data/models/persian-letters
	$(BIN)/python -m ocrkit train letters-detector --out runs/letters-detector
	cd runs/letters-detector && cp model.safetensors config.json README.md run.json ../../data/models/letters/detector
	$(BIN)/python -m ocrkit train persian-dates --out runs/persian-dates
	cd runs/persian-dates && cp model.safetensors config.json README.md run.json ../../data/models/letters/dates
	$(BIN)/python -m ocrkit train persian-words --out runs/persian-words
	cd runs/persian-words && cp model.safetensors config.json README.md run.json ../../data/models/letters/texts

$(VENV)/ready: pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10) and "Python 3.10 or newer is needed; run make PYTHON=python3.11")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --editable '.[notebooks,dev]'
	touch $@

clean:
	rm -rf $(VENV) runs site/_build
