"""Pictures of shards behind one another: each byte once, and none that is not there."""

import h5py
import numpy as np
import pytest

from jladkit.builders import shards
from jladkit.errors import JladkitError


@pytest.fixture
def two_shards(tmp_path):
    """Shards of 100 and 50 bytes; returns their .json paths and their bytes."""
    random, paths, raw = np.random.default_rng(0), [], []
    for number, size in enumerate((100, 50)):
        raw.append(random.integers(0, 256, size, dtype=np.uint8))
        paths.append(tmp_path / f"{number:05}.json")
        with h5py.File(paths[-1].with_suffix(".h5"), "w") as file:
            file.create_dataset(shards.PICTURES, data=raw[-1])
    return paths, raw


def test_runs_are_copied_in_order_and_in_pieces(two_shards, monkeypatch):
    monkeypatch.setattr(shards, "PIECE", 7)
    paths, raw = two_shards
    runs = [(1, 10, 30), (0, 0, 100), (1, 0, 10), (0, 99, 100)]
    pieces = list(shards.copied(paths, runs))
    expected = [raw[shard][first:last] for shard, first, last in runs]
    np.testing.assert_array_equal(np.concatenate(pieces), np.concatenate(expected))
    assert max(map(len, pieces)) == 7


def test_a_shard_that_was_shortened_is_refused(two_shards):
    paths, _ = two_shards
    offset = shards.offset_of_pictures(paths[0].with_suffix(".h5"))
    pieces = shards.copied(paths, [(0, 0, 60), (0, 60, 100)])
    next(pieces)
    with paths[0].with_suffix(".h5").open("r+b") as file:
        file.truncate(offset + 80)
    with pytest.raises(JladkitError, match=r"00000\.h5 was shortened"):
        next(pieces)
