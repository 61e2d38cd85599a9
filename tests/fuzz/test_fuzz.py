"""A few mutants for every reader. `python -m fuzz` reads thousands, in processes that may die."""

from pathlib import Path

import pytest
from fuzz.readers import READERS, outcome
from fuzz.running import mutant, prepare

COUNT = 10
SLOW = {"report"}  # a page with figures for each mutant


@pytest.mark.parametrize("reader", sorted(READERS.keys() - SLOW))
def test_mutants_are_read_or_refused_in_a_sentence(reader: str, tmp_path: Path):
    cases = prepare(reader, tmp_path)
    for number in range(COUNT):
        case, raw = mutant(cases, 0, number)
        assert outcome(case, raw) in ("read", "refused")


@pytest.mark.parametrize("reader", ["coco", "recipe"])
def test_a_mutant_has_a_number_and_stays_the_same(reader: str, tmp_path: Path):
    cases = prepare(reader, tmp_path)
    again = [mutant(cases, 3, number)[1] for number in range(20)]
    assert again == [mutant(cases, 3, number)[1] for number in range(20)]
    assert len(set(again)) > 15


@pytest.mark.parametrize("reader", ["options", "dataset", "predictions"])
def test_some_mutants_of_hdf5_are_read_and_some_refused(reader: str, tmp_path: Path):
    cases = prepare(reader, tmp_path)
    found = {outcome(*mutant(cases, 1, number)) for number in range(30)}
    assert found == {"read", "refused"}
