"""Fixtures that several folders of tests use."""

from pathlib import Path

import pytest
from drawn import drawn_dataset

from jladkit.formats.dataset import Dataset, open_dataset


@pytest.fixture(scope="session")
def dots_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A dataset.h5 of twelve drawn objects of one category."""
    return drawn_dataset(tmp_path_factory.mktemp("dots") / "dots.h5")


@pytest.fixture(scope="session")
def dots(dots_path: Path) -> Dataset:
    """The same, opened."""
    return open_dataset(dots_path)
