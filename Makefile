# make demo   install into .venv and go the whole way on drawn data
# make test   install into .venv and run the test suite
# make check  formatting, lint, types
# make lowest the tests with the lowest versions that pyproject.toml allows: gigabytes, an hour
# make lock   requirements-lock.txt: exactly the versions in .venv, with hashes
# make audit  those versions against a list of known holes (needs a network)
# make bench  the speed ratios (not part of the tests)
# make baselines DATA=folder   every method of the paper's tables on these, PF-PASCAL and PF-WILLOW: hours, resumable
# make reproduce DATA=folder   Table 1 on the folder's pascal3d_cad, animals and mtfl: hours, resumable

PYTHON ?= python3
BIN := .venv/bin

.PHONY: demo test check lowest lock audit bench reproduce baselines

demo: .venv/installed
	rm -rf jladkit-demo  # of an earlier demo
	$(BIN)/jladkit demo

test: .venv/tested
	$(BIN)/python -m pytest

check: .venv/checked
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright

lowest: .venv/tested
	test -x .lowest/bin/python || $(PYTHON) -m venv .lowest
	$(BIN)/python tests/requirements.py > .lowest/lowest.txt
	.lowest/bin/pip install --quiet --constraint .lowest/lowest.txt --editable '.[test]'
	.lowest/bin/python -m pytest --override-ini filterwarnings=

# --constraint: a lock of versions that the tests ran with, and not of the newest.
lock: .venv/checked .tools/installed
	$(BIN)/pip freeze --exclude-editable > .tools/tested.txt
	.tools/bin/uv pip compile pyproject.toml --quiet --universal --python-version 3.11 --all-extras --generate-hashes --no-annotate --constraint .tools/tested.txt --custom-compile-command "make lock" --output-file requirements-lock.txt

# --strict: a version that nothing is known of is an error, and not a good one.
audit: .tools/installed
	.tools/bin/pip-audit --requirement requirements-lock.txt --disable-pip --require-hashes --strict

bench: .venv/tested
	for name in correlation reading building shrinking pairing memory scoring regressing predicting training landmarks consensus parametric startup; do PYTHONPATH=tests $(BIN)/python tests/benchmarks/$$name.py || exit 1; done

reproduce: .venv/installed
	test -d "$(DATA)/animals" || { echo "Give DATA=folder, with pascal3d_cad, animals and mtfl in it."; exit 1; }
	test -f reproduced/cad.h5 || $(BIN)/jladkit build-dataset pascal3d $(DATA)/pascal3d_cad --name pascal3d_cad --out reproduced/cad.h5
	test -f reproduced/animals.h5 || $(BIN)/jladkit build-dataset coco $(DATA)/animals --name animals --pose-tolerance 0.4 --out reproduced/animals.h5
	test -f reproduced/mtfl.h5 || $(BIN)/jladkit build-dataset mtfl $(DATA)/mtfl --list train --out reproduced/mtfl.h5
	$(BIN)/jladkit reproduce reproduced/cad.h5 --out reproduced
	$(BIN)/jladkit reproduce reproduced/animals.h5 --out reproduced --recipe animals
	$(BIN)/jladkit reproduce reproduced/mtfl.h5 --out reproduced --recipe faces

baselines: .venv/installed
	test -d "$(DATA)/animals" || { echo "Give DATA=folder, with pascal3d_cad, animals, pf-pascal, pf-willow and mtfl in it."; exit 1; }
	test -f compared/cad.h5 || $(BIN)/jladkit build-dataset pascal3d $(DATA)/pascal3d_cad --name pascal3d_cad --out compared/cad.h5
	test -f compared/animals.h5 || $(BIN)/jladkit build-dataset coco $(DATA)/animals --name animals --pose-tolerance 0.4 --out compared/animals.h5
	test -f compared/pf_pascal.h5 || $(BIN)/jladkit build-dataset pf-pascal $(DATA)/pf-pascal --out compared/pf_pascal.h5
	test -f compared/pf_willow.h5 || $(BIN)/jladkit build-dataset pf-willow $(DATA)/pf-willow --out compared/pf_willow.h5
	test -f compared/animals_pf.h5 || $(BIN)/jladkit build-dataset join compared/animals.h5 compared/pf_pascal.h5 --out compared/animals_pf.h5 --leave-out-leakage
	test -f compared/aflw.h5 || $(BIN)/jladkit build-dataset mtfl $(DATA)/mtfl --list aflw --split 0 0 100 --name aflw --out compared/aflw.h5
	test -f compared/mtfl.h5 || $(BIN)/jladkit build-dataset mtfl $(DATA)/mtfl --list train --out compared/mtfl.h5
	$(BIN)/jladkit baselines compared/cad.h5 --metric pck --test compared/cad.h5=jlad --out compared/cad
	$(BIN)/jladkit baselines compared/animals_pf.h5 --metric pck --test compared/pf_pascal.h5=scnet,jlad --test compared/pf_willow.h5=willow-kp --test compared/animals.h5=jlad --set joint:train.warps=1 --out compared/animals
	$(BIN)/jladkit baselines compared/cad.h5 --metric iod --test compared/cad.h5=imm,recommended --out compared/cad-landmarks
	$(BIN)/jladkit baselines compared/mtfl.h5 --metric iod --method cig --method deil --method fpe --method joint --method strucrep --test compared/mtfl.h5=imm,recommended --test compared/aflw.h5=halves,halves-recommended --recipe joint:faces --out compared/faces
	$(BIN)/jladkit baselines compared/animals.h5 --metric iod --test compared/animals.h5=imm,recommended --recipe joint:animals --out compared/animals-landmarks

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

.tools/installed:
	test -x .tools/bin/python || $(PYTHON) -m venv .tools
	.tools/bin/pip install --quiet uv pip-audit
	touch $@
