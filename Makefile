# make demo   install into .venv and go the whole way on drawn data
# make test   install into .venv and run the test suite
# make check  formatting, lint, types
# make bench  the speed ratios (not part of the tests)
# make reproduce DATA=folder   Table 1 on the folder's pascal3d_cad and animals: hours, resumable

PYTHON ?= python3
BIN := .venv/bin

.PHONY: demo test check bench reproduce

demo: .venv/installed
	rm -rf jladkit-demo  # of an earlier demo
	$(BIN)/jladkit demo

test: .venv/tested
	$(BIN)/python -m pytest

check: .venv/checked
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright

bench: .venv/tested
	for name in correlation reading building shrinking pairing memory scoring regressing predicting training landmarks startup; do PYTHONPATH=tests $(BIN)/python tests/benchmarks/$$name.py || exit 1; done

reproduce: .venv/installed
	test -d "$(DATA)/animals" || { echo "Give DATA=folder, with pascal3d_cad and animals in it."; exit 1; }
	test -f reproduced/cad.h5 || $(BIN)/jladkit build-dataset pascal3d $(DATA)/pascal3d_cad --name pascal3d_cad --out reproduced/cad.h5
	test -f reproduced/animals.h5 || $(BIN)/jladkit build-dataset coco $(DATA)/animals --name animals --pose-tolerance 0.4 --out reproduced/animals.h5
	$(BIN)/jladkit reproduce reproduced/cad.h5 --out reproduced
	$(BIN)/jladkit reproduce reproduced/animals.h5 --out reproduced --set train.warps=1

.venv/installed: pyproject.toml
	@echo "Installing into .venv: a few minutes, PyTorch is large."
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --editable .
	touch $@

.venv/tested: .venv/installed
	$(BIN)/pip install --quiet --editable '.[test]'
	touch $@

.venv/checked: .venv/tested
	$(BIN)/pip install --quiet --editable '.[test,check]'
	touch $@
