"""jladkit predict --shard and merge-predictions as a user calls them."""

from pathlib import Path

import numpy as np

from jladkit.formats.predictions import open_predictions
from tests.cli.conftest import Typed


def test_the_commands_shard_merge_and_refuse(jladkit: Typed, dots_path: Path, tmp_path: Path):
    words = ("predict", "--data", dots_path, "--method", "identity", "--quiet")
    parts = [tmp_path / f"{n}.h5" for n in (0, 1)]
    for n, part in enumerate(parts):
        code, _, err = jladkit(*words, "--shard", f"{n}/2", "--out", part)
        assert code == 0, err
    code, _, err = jladkit(
        "evaluate", "--metric", "pck", "--data", dots_path, "--predictions", parts[0]
    )
    assert code == 1 and "merge-predictions" in err
    code, _, err = jladkit("merge-predictions", *parts, "--out", tmp_path / "all.h5")
    assert code == 0, err
    code, _, err = jladkit(*words, "--out", tmp_path / "whole.h5")
    one, other = (open_predictions(tmp_path / f"{name}.h5") for name in ("all", "whole"))
    np.testing.assert_array_equal(one.pair_points, other.pair_points)
    assert (one.pair_row is not None) and one.shard == ""
    code, _, err = jladkit("merge-predictions", parts[0], "--out", tmp_path / "x.h5")
    assert code == 1 and "missing: 1/2" in err and not (tmp_path / "x.h5").exists()
    assert jladkit(*words, "--shard", "2/2", "--out", tmp_path / "x.h5")[0] == 2
