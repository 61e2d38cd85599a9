"""Shards of a split's predictions: together they are the file that one process writes, to the byte."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from drawn import drawn_dataset
from hypothesis import given
from hypothesis import strategies as st
from tiny import predicted, tiny_dataset
from torch import Tensor

from jladkit.baselines.nearest import Nearest, NearestConfig
from jladkit.errors import JladkitError, UsageError
from jladkit.formats.dataset import Dataset, open_dataset
from jladkit.formats.prediction_shards import WHOLE, Shard, merged, parse_shard
from jladkit.formats.predictions import (
    Predictions,
    check_belongs,
    open_predictions,
    write_predictions,
)
from jladkit.model.joint import JointNet, ModelConfig
from jladkit.training import encoding, prediction
from jladkit.training.joint import Joint

CPU = torch.device("cpu")


@given(st.integers(0, 200), st.integers(1, 9))
def test_every_row_is_in_one_shard_and_blocks_stay_whole(rows: int, count: int):
    order = np.random.default_rng(rows).permutation(rows)
    own = np.array([Shard(n, count).own(order) for n in range(count)])
    assert (own.sum(axis=0) == 1).all()
    for start in range(0, rows, 16):
        assert len(np.unique(own[:, order[start : start + 16]], axis=1).T) == 1
    sizes = own.sum(axis=1)
    assert sizes.max() - sizes.min() <= 16 + 16


def test_a_shard_is_spelled_as_number_and_count():
    assert parse_shard("0/2") == Shard(0, 2) and str(Shard(1, 2)) == "1/2" and str(WHOLE) == ""
    for text in ("2/2", "1", "-1/2", "0/0", "a/b", "0/2 "):
        with pytest.raises(UsageError, match="from 0/4 to 3/4"):
            parse_shard(text)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """Two categories; 112 pairs of 16 objects in test."""
    return open_dataset(
        drawn_dataset(tmp_path_factory.mktemp("shards") / "a.h5", objects=48, categories=2)
    )


class Blend:
    """What it says of a picture depends on those that it is encoded together with."""

    name, size = "blend", 16
    config: dict[str, Any] = {}  # noqa: RUF012

    def encode(self, images: Tensor) -> Tensor:
        return images.mean(dim=(2, 3)) + images.mean()

    def transfer(self, *told: Any) -> Tensor:
        raise AssertionError("the codes are to be used")

    def transfer_encoded(
        self, source: Tensor, target: Tensor, points: Tensor, category: Sequence[str]
    ) -> Tensor:
        return points + (target - source)[:, None, :2] + source.mean()

    def detect(self, images: Tensor, category: Sequence[str]) -> Tensor:
        raise AssertionError("the codes are to be used")

    def detect_encoded(self, codes: Tensor, category: Sequence[str]) -> Tensor:
        return 30 * codes[:, None, :2] + codes.mean()


def joint() -> Joint:
    """The joint method, small and untrained."""
    torch.manual_seed(0)
    config = ModelConfig(
        weights="random", layers=["blocks.2"], size=64, width=16, landmarks=3, radius=3
    )
    return Joint(JointNet(config, ["kind0", "kind1"]).eval(), {})


METHODS = {
    "blend": Blend,
    "joint": joint,
    "nearest": lambda: Nearest(NearestConfig(layers=["blocks.2"], size=64), CPU),
}


@pytest.mark.parametrize(
    ("name", "count", "kept", "wanted"),
    [
        ("blend", 2, 1 << 30, prediction.PARTS),
        ("blend", 3, 12 * 5, prediction.PARTS),  # five codes are kept, no more
        ("blend", 9, 0, (*prediction.PARTS, *prediction.FLOWS)),  # more shards than blocks
        ("joint", 2, 1 << 20, (*prediction.PARTS, *prediction.FLOWS)),
        ("nearest", 2, 1 << 30, prediction.PARTS),
    ],
)
def test_merged_shards_are_the_file_that_one_process_writes_byte_for_byte(
    data: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    name: str, count: int, kept: int, wanted: tuple[str, ...],
):  # fmt: skip
    """But for what is measured of a run, which is held still here."""
    monkeypatch.setattr(encoding, "CODES", kept)
    monkeypatch.setattr(prediction, "now", lambda: "2020-01-01T00:00:00+00:00")
    monkeypatch.setattr(prediction, "peak_memory", lambda: 1)
    monkeypatch.setattr(prediction.time, "perf_counter", lambda: 0.0)

    def stored(path: Path, shard: Shard) -> Path:
        method = METHODS[name]()
        said = prediction.ask(method, data, "test", CPU, False, wanted, 5, None, shard)
        write_predictions(path, said)
        return path

    whole = stored(tmp_path / "whole.h5", WHOLE)
    paths = [stored(tmp_path / f"{n}.h5", Shard(n, count)) for n in reversed(range(count))]
    write_predictions(tmp_path / "merged.h5", merged(paths, [open_predictions(p) for p in paths]))
    assert (tmp_path / "merged.h5").read_bytes() == whole.read_bytes()
    sizes = [len(open_predictions(path).pair_row) for path in paths]  # pyright: ignore[reportArgumentType]
    assert sum(sizes) == len(data.pairs("test")) == 112 and max(sizes) < 112


def test_the_blend_would_show_another_company(data: Dataset):
    """Without `pass_by`, which is what the test above would then see."""
    pairs = data.pairs("test")
    one, other = (
        prediction.carried(encoding.Runner(Blend(), data, CPU), part, False).points[-1]
        for part in (pairs, pairs[1:])
    )
    assert not np.array_equal(one, other)


def parts_of(data: Dataset) -> tuple[list[Path], list[Predictions]]:
    """Two shards, of pairs alone."""
    whole = predicted(data, object_row=None, object_points=None, seconds_per_item={"pair": 1.0})
    assert whole.pair_row is not None and whole.pair_points is not None
    halves = [
        replace(whole, pair_row=whole.pair_row[n::2], pair_points=whole.pair_points[n::2],
                shard=f"{n}/2", created=f"202{n}", peak_memory=n + 5)
        for n in (0, 1)
    ]  # fmt: skip
    return [Path("a.h5"), Path("b.h5")], halves


def test_what_is_measured_is_averaged_or_the_largest(tmp_path: Path):
    data = tiny_dataset(tmp_path / "tiny.h5")
    paths, parts = parts_of(data)
    rows = [len(part.pair_row) for part in parts if part.pair_row is not None]
    parts[1] = replace(parts[1], seconds_per_item={"pair": 3.0})
    found = merged(paths, parts)
    assert found.seconds_per_item["pair"] == pytest.approx((rows[0] + 3 * rows[1]) / sum(rows))
    assert (found.created, found.peak_memory, found.shard) == ("2021", 6, "")
    np.testing.assert_array_equal(found.pair_row, data.pairs("test"))


def test_log_sigma_that_one_shard_has_is_unknown_in_the_other(tmp_path: Path):
    paths, parts = parts_of(tiny_dataset(tmp_path / "tiny.h5"))
    assert parts[0].pair_points is not None
    parts[0] = replace(parts[0], pair_log_sigma=np.ones(parts[0].pair_points.shape[:2]))
    found = merged(paths, parts).pair_log_sigma
    assert found is not None
    assert (found[0::2] == 1).all() and np.isnan(found[1::2]).all()


def test_prediction_shards_that_do_not_make_a_whole_are_refused(tmp_path: Path):
    paths, (first, second) = parts_of(tiny_dataset(tmp_path / "tiny.h5"))
    for parts, said in (
        ([first], r"missing: 1/2"),
        ([first, first], r"b\.h5 and a\.h5 are both the shard 0/2"),
        ([first, replace(second, shard="")], r"b\.h5 is no shard"),
        ([first, replace(second, shard="1/3")], r"b\.h5 is the shard 1/3, but a\.h5 is one of 2"),
        ([first, replace(second, method="other")], "their method differs, 'other' and 'oracle'"),
        ([first, replace(second, config={"seed": 1})], "their config differs in seed"),
    ):
        with pytest.raises(JladkitError, match=said):
            merged(paths[: len(parts)], parts)


def test_a_shard_is_not_scored_as_if_it_were_all(tmp_path: Path):
    data = tiny_dataset(tmp_path / "tiny.h5")
    with pytest.raises(JladkitError, match="is the shard 0/2 of a split's predictions"):
        check_belongs(Path("a.h5"), replace(predicted(data), shard="0/2"), data, "test")
