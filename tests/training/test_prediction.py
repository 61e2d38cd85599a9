"""Running methods over a split: frames there and back, what is refused."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from jladkit.errors import JladkitError, UsageError
from jladkit.formats.dataset import Dataset
from jladkit.training.checkpoint import write_checkpoint
from jladkit.training.prediction import device_named, load_method, predict


class Shifter:
    """Moves every point by (6, 8) of 96 pixels, finds a landmark at the centre of each picture."""

    name = "shifter"
    size = 96

    def __init__(self) -> None:
        self.config = {"shift": [6, 8]}

    @classmethod
    def prepare(cls, data: Dataset, device: torch.device) -> "Shifter":
        return cls()

    def transfer(
        self, source: Tensor, target: Tensor, points: Tensor, category: list[str]
    ) -> Tensor:
        assert source.shape == target.shape == (len(points), 3, 96, 96)
        return points + torch.tensor([6.0, 8.0])

    def detect(self, images: Tensor, category: list[str]) -> Tensor:
        assert category == ["kind0"] * len(images)
        return torch.full((len(images), 1, 2), 47.5)


SHIFTER = f"{__name__}:Shifter"


def test_points_travel_into_the_square_and_back_into_the_targets_picture(dots: Dataset):
    found = predict(dots, "test", method=SHIFTER, progress=False)
    assert found.pair_row is not None and found.pair_points is not None
    source = dots.object_keypoints[dots.pair_source[found.pair_row]]
    # 96 pixels stand for 48 across and 56 down.
    expected = source + np.array([6 * 48 / 96, 8 * 56 / 96])
    np.testing.assert_allclose(found.pair_points, expected, atol=1e-4)


def test_points_are_carried_back_into_the_sources_picture(
    dots: Dataset, monkeypatch: pytest.MonkeyPatch
):
    """The pictures change sides too: a method sees the target's first."""
    seen: list[Tensor] = []
    own = Shifter.transfer

    def transfer(self: Shifter, source: Tensor, target: Tensor, *rest: Any) -> Tensor:
        seen.append(torch.stack([source, target]))
        return own(self, source, target, *rest)

    monkeypatch.setattr(Shifter, "transfer", transfer)
    found = predict(dots, "test", method=SHIFTER, progress=False)
    assert found.pair_row is not None and found.pair_points_back is not None
    target = dots.object_keypoints[dots.pair_target[found.pair_row]]
    expected = target + np.array([6 * 48 / 96, 8 * 56 / 96])
    np.testing.assert_allclose(found.pair_points_back, expected, atol=1e-4)
    there, back = seen
    assert torch.equal(back, there.flip(0)) and not torch.equal(there[0], there[1])
    only = predict(dots, "test", method=SHIFTER, progress=False, wanted=("pair",))
    assert only.pair_points_back is None


def test_landmarks_come_for_the_split_and_for_train(dots: Dataset):
    found = predict(dots, "val", method=SHIFTER, progress=False)
    assert found.object_row is not None and found.object_points is not None
    assert set(found.object_row) == set(dots.objects("train")) | set(dots.objects("val"))
    np.testing.assert_allclose(found.object_points[:, 0], [[23.5, 27.5]] * len(found.object_row))


def test_predictions_say_where_they_come_from(dots: Dataset):
    found = predict(dots, "test", method=SHIFTER, progress=False)
    assert (found.method, found.config) == ("shifter", {"shift": [6, 8]})
    assert found.dataset_digest == dots.digest
    assert found.seconds_per_item["pair"] > 0
    assert found.environment["torch"] == torch.__version__


def test_a_detector_is_not_asked_about_categories_it_does_not_know(
    dots: Dataset, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(Shifter, "categories", ["zebra"], raising=False)
    found = predict(dots, "test", method=SHIFTER, progress=False)
    assert found.pair_row is not None
    assert found.object_row is None


@pytest.mark.parametrize(("wanted", "given"), [("pair", True), ("object", False)])
def test_only_what_is_wanted_is_computed(dots: Dataset, wanted: str, given: bool):
    found = predict(dots, "test", method=SHIFTER, progress=False, wanted=(wanted,))
    assert (found.pair_row is not None) == given
    assert (found.object_row is None) == given


def test_a_checkpoint_of_a_method_without_checkpoints_is_refused(dots: Dataset, tmp_path: Path):
    write_checkpoint(tmp_path / "m.safetensors", {"a": torch.zeros(1)}, {"method": "identity"})
    with pytest.raises(JladkitError, match=r"m\.safetensors is of the method identity, which"):
        load_method(dots, None, tmp_path / "m.safetensors", torch.device("cpu"))


@pytest.mark.parametrize("label", [{}, {"config": [1]}, {"config": {"model": {"kernel": 3}}}])
def test_a_checkpoint_with_another_config_than_ours_is_refused(
    dots: Dataset, tmp_path: Path, label: dict[str, Any]
):
    path = tmp_path / "m.safetensors"
    write_checkpoint(path, {"a": torch.zeros(1)}, {"method": "joint", **label})
    with pytest.raises(JladkitError, match=r"m\.safetensors does not fit this version"):
        load_method(dots, None, path, torch.device("cpu"))


def test_a_method_that_must_be_trained_is_not_run_by_name(dots: Dataset):
    with pytest.raises(UsageError, match="must be trained"):
        load_method(dots, "joint", None, torch.device("cpu"))


def test_neither_method_nor_checkpoint_is_refused(dots: Dataset):
    with pytest.raises(UsageError, match="Give --method or --checkpoint"):
        predict(dots, "test")


def test_a_checkpoint_of_its_authors_is_refused_by_a_method_that_reads_none(dots: Dataset):
    with pytest.raises(UsageError, match="identity reads no weights of its authors"):
        predict(dots, "test", method="identity", checkpoint=Path("x"))


def test_settings_are_refused_where_there_is_nothing_to_set(dots: Dataset):
    with pytest.raises(UsageError, match="identity has no settings"):
        predict(dots, "test", method="identity", settings=["model.size=3"])
    with pytest.raises(UsageError, match="--set is for a method without --checkpoint"):
        predict(dots, "test", checkpoint=Path("x"), settings=["model.size=3"])


def test_a_checkpoint_does_not_choose_what_is_imported(dots: Dataset, tmp_path: Path):
    path = tmp_path / "m.safetensors"
    write_checkpoint(path, {}, {"method": "os:system"})
    with pytest.raises(JladkitError, match="'os:system', which is not registered"):
        predict(dots, "test", checkpoint=path)


def test_what_is_no_method_is_refused(dots: Dataset):
    with pytest.raises(UsageError, match="json:dumps is no method"):
        predict(dots, "test", method="json:dumps")


def test_a_missing_checkpoint_is_named(dots: Dataset, tmp_path: Path):
    with pytest.raises(JladkitError, match=r"There is no checkpoint .*none\.safetensors"):
        predict(dots, "test", checkpoint=tmp_path / "none.safetensors")


@pytest.mark.parametrize("name", ["gpu", "cuda:99"])
def test_a_device_that_is_not_there_is_refused_in_a_sentence(name: str):
    with pytest.raises(UsageError, match=f"--device {name} cannot be used here"):
        device_named(name)


@pytest.mark.parametrize("back", [False, True])
def test_a_dense_field_is_what_the_matcher_says_of_the_cells_centres(dots: Dataset, back: bool):
    part = "flow_back" if back else "flow"
    found = predict(dots, "test", method=SHIFTER, progress=False, wanted=("pair", part), cells=5)
    field = found.pair_flow_back if back else found.pair_flow
    assert (found.pair_flow is None) == back
    assert field is not None and found.pair_row is not None
    assert field.shape == (len(found.pair_row), 2, 5, 5)
    # Pictures are 48 x 56; 96 pixels of the square stand for them, so it moves 3 and 4.667 pixels.
    x = (np.arange(5) + 0.5) * 48 / 5 - 0.5 + 6 * 48 / 96
    y = (np.arange(5) + 0.5) * 56 / 5 - 0.5 + 8 * 56 / 96
    np.testing.assert_allclose(field, np.broadcast_to(np.meshgrid(x, y), field.shape), atol=1e-4)
    assert set(found.seconds_per_item) == {"pair", part}


class Finder:
    """Sends every point to the brightest pixel of the target."""

    name = "finder"
    size = 56

    def __init__(self) -> None:
        self.config: dict[str, Any] = {}

    @classmethod
    def prepare(cls, data: Dataset, device: torch.device) -> "Finder":
        return cls()

    def transfer(
        self, source: Tensor, target: Tensor, points: Tensor, category: list[str]
    ) -> Tensor:
        best = target.sum(dim=1).flatten(1).argmax(dim=1)
        at = torch.stack([best % self.size, best // self.size], dim=1).to(points)
        return at[:, None].expand_as(points)


def test_a_field_back_swaps_the_pictures_of_a_pair(dots: Dataset):
    wanted = ("pair", "flow", "flow_back")
    found = predict(
        dots, "test", method=f"{__name__}:Finder", progress=False, wanted=wanted, cells=2
    )
    assert found.pair_flow is not None and found.pair_flow_back is not None
    rows = dots.pairs("test")
    ends = list(zip(dots.pair_source[rows], dots.pair_target[rows], strict=True))
    for pair, (source, target) in enumerate(ends):
        other = ends.index((target, source))
        np.testing.assert_array_equal(found.pair_flow_back[pair], found.pair_flow[other])
    assert len(np.unique(found.pair_flow[:, 0, 0, 0])) > 1


def test_pairs_without_keypoints_still_have_fields(dots: Dataset):
    bare = replace(dots, arrays={**dots.arrays, "object/keypoints": np.empty((12, 0, 2))})
    found = predict(
        bare, "test", method="identity", progress=False, wanted=("pair", "flow"), cells=3
    )
    assert found.pair_points is not None and found.pair_flow is not None
    assert found.pair_points.shape == (len(dots.pairs("test")), 0, 2)
    np.testing.assert_allclose(found.pair_flow[0, 0, 0], (np.arange(3) + 0.5) * 16 - 0.5, atol=1e-4)


def test_landmarks_are_found_in_as_many_training_objects_as_asked(dots: Dataset):
    few, again, all_of = (
        predict(dots, "test", method=SHIFTER, progress=False, wanted=["object"], fit_objects=n)
        for n in (3, 3, None)
    )
    assert few.object_row is not None and again.object_row is not None
    np.testing.assert_array_equal(few.object_row, again.object_row)
    assert len(np.intersect1d(few.object_row, dots.objects("train"))) == 3
    assert set(dots.objects("test")) <= set(few.object_row.tolist())
    assert all_of.object_row is not None
    assert set(dots.objects("train")) <= set(all_of.object_row.tolist())
