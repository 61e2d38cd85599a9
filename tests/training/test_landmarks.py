"""What the landmark baselines share: views, phases, validation with and without annotations, and
that a collapse is told."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from drawn import drawn_arrays, drawn_dataset
from landmark_runs import trained, trainee

from jladkit.baselines.fpe import Fpe
from jladkit.errors import UsageError
from jladkit.formats.dataset import Dataset, open_dataset, write_dataset
from jladkit.model.geometry import cell_grid
from jladkit.training import loop
from jladkit.training.checkpoint import read_checkpoint
from jladkit.training.landmarks import collapses, extent
from jladkit.training.views import ViewConfig, carried, jitter

FPE = ["model.landmarks=3", "train.steps=[6]"]
METHODS = ("cig", "deil", "fpe", "strucrep")
SMALL: dict[str, list[str]] = {
    "cig": ["model.grid=8", "model.picture=16", "model.generator=16", "loss.layers=['input']"],
    "deil": ["model.virtual=4", "train.steps=[2, 2]"],
    "fpe": [],
    "strucrep": ["model.painter=[8, 8]", "model.picture=16", "model.spread=4"],
}


def test_places_carried_by_the_warp_show_the_same_in_both_views(dots: Dataset):
    own = trainee("fpe", dots, *FPE)
    own.net.features = None  # so that views are plain pictures
    view = own.views.draw(np.random.default_rng(0), 4)
    smooth = (cell_grid(32, 32) / 31)[None, [0, 1, 1]].expand(4, -1, -1, -1)
    warped = view.warp.apply(smooth)
    places = cell_grid(32, 32).flatten(1).T
    aim = carried(view.warp, places, 32)
    inside = ((aim > 1) & (aim < 30)).all(dim=-1)
    shown = warped[:, :2].flatten(2).mT * 31  # each pixel of source says where it was in target
    torch.testing.assert_close(shown[inside], aim[inside], atol=1e-2, rtol=0)


def test_views_are_drawn_from_the_step_alone(dots: Dataset):
    one, other = (trainee("fpe", dots, *FPE).views for _ in range(2))
    a, b = (v.draw(np.random.default_rng([0, 3]), 4) for v in (one, other))
    assert torch.equal(a.pictures, b.pictures) and np.array_equal(a.rows, b.rows)
    c = one.draw(np.random.default_rng([0, 4]), 4)
    assert not torch.equal(a.pictures, c.pictures)


def test_only_train_pictures_are_drawn(dots: Dataset):
    views = trainee("fpe", dots, *FPE).views
    rows = views.draw(np.random.default_rng(0), 200).rows
    assert set(rows) == set(dots.objects("train"))


def test_stored_maps_are_what_looking_gives(dots: Dataset):
    views = trainee("fpe", dots, *FPE, "model.window=24", "model.offset=4").views
    rows = dots.objects("val")
    assert views.stored is not None
    fresh = views.net.look(views.images(rows))
    torch.testing.assert_close(views.plain(rows), fresh, atol=2e-2, rtol=1e-2)  # half precision


def test_jitter_changes_each_picture_by_itself_within_bounds():
    images = torch.rand(2, 3, 8, 8, generator=torch.manual_seed(0))
    still = ViewConfig("fpe")
    assert jitter(images, still, torch.manual_seed(0)) is images
    bright = jitter(images * 0 + 0.5, ViewConfig("fpe", brightness=0.2), torch.manual_seed(0))
    assert bright.std(dim=(1, 2, 3)).max() < 1e-6
    assert 0 < (bright[0, 0, 0, 0] - bright[1, 0, 0, 0]).abs() <= 0.4
    grey = images.mean(dim=1, keepdim=True).expand(-1, 3, -1, -1)
    kept = jitter(grey, ViewConfig("fpe", saturation=1.0), torch.manual_seed(0))
    torch.testing.assert_close(kept, grey)


def unannotated(path: Path) -> Dataset:
    """The drawn data set, every keypoint unseen."""
    arrays: dict[str, Any] = drawn_arrays()
    arrays["object/visible"][:] = False
    arrays["object/keypoints"][:] = np.nan
    arrays["pair/common"][:] = 0
    write_dataset(path, arrays, name="blind", recipe={"builder": "drawn"}, source={})
    return open_dataset(path)


@pytest.mark.parametrize("method", [m for m in METHODS if m != "deil"])
def test_training_needs_no_annotation(method: str, tmp_path: Path):
    data = unannotated(tmp_path / "blind.h5")
    own = trainee(method, data, *SMALL[method], "model.landmarks=3")
    trained(own, 1)
    own.net.eval()
    with torch.inference_mode():
        first, again = (own.validate(own.phases()[0], {}) for _ in range(2))
    assert first == again and set(first) == {"loss"}
    assert [kept.score for kept in own.kept] == ["loss"]


@pytest.mark.parametrize("method", METHODS)
def test_each_category_has_landmarks_of_its_own_unless_told_otherwise(method: str, tmp_path: Path):
    data = open_dataset(drawn_dataset(tmp_path / "two.h5", objects=24, categories=2))
    images = torch.rand(1, 3, 32, 32).expand(2, -1, -1, -1)
    which = torch.tensor([0, 1])
    for apart in (True, False):
        settings = [*SMALL[method], "model.landmarks=3", f"model.per_category={str(apart).lower()}"]
        net = trainee(method, data, *settings).detector.eval()
        first, second = net.detect(net.look(images), which)
        assert torch.allclose(first, second, atol=1e-4) != apart


@pytest.mark.parametrize("count", [10, 20, 30, 50])
def test_as_many_landmarks_are_found_as_asked_for(count: int, dots: Dataset):
    net = trainee("fpe", dots, f"model.landmarks={count}").detector.eval()
    points = net.detect(net.look(torch.rand(1, 3, 32, 32)), torch.tensor([0]))
    assert points.shape == (1, count, 2)


def test_validation_says_how_far_landmarks_move_and_lie_apart(dots: Dataset):
    own = trainee("fpe", dots, *FPE)
    own.net.eval()
    with torch.inference_mode():
        found = own.validate(own.phases()[0], {})
    assert set(found) == {"iod", "spread", "distinct", "extent"}
    square = torch.tensor([[[0.0, 0], [0, 2], [2, 0], [2, 2]]])
    assert float(extent(square)) == pytest.approx(2**0.5)


def test_a_collapse_is_told_in_words():
    def record(spread: float, extent: float) -> dict[str, Any]:
        return {"step": 7, "validation": {"iod": 0.3, "spread": spread, "extent": extent}}

    assert collapses(record(0.04, 0.2)) == []
    (still,) = collapses(record(0.001, 0.2))
    assert still.startswith("The landmarks do not move at step 7")
    (heap,) = collapses(record(0.04, 0.01))
    assert heap.startswith("The landmarks lie at one place at step 7")
    doubled = record(0.04, 0.2)
    doubled["validation"]["distinct"] = 0.2
    (twins,) = collapses(doubled)
    assert twins.startswith("Landmarks lie on one another at step 7: 20% of them")


def test_the_loop_asks_for_collapses(dots: Dataset, tmp_path: Path, capsys: Any, monkeypatch: Any):
    own = trainee("fpe", dots, *FPE)
    still = {"iod": 0.3, "spread": 0.0, "extent": 0.2}
    monkeypatch.setattr(own, "validate", lambda *_: still)
    loop.train(own, tmp_path, seed=0, validate_every=5, progress=False)
    assert "Warning: The landmarks do not move at step 5" in capsys.readouterr().err


@pytest.mark.parametrize("method", METHODS)
def test_a_run_that_was_stopped_goes_on_to_the_same_weights(
    method: str, dots: Dataset, tmp_path: Path
):
    settings = [*SMALL[method], "model.landmarks=3"]
    settings += [] if method == "deil" else ["train.steps=[4]"]
    whole, parts = tmp_path / "whole", tmp_path / "parts"

    def run(out: Path, **options: Any) -> None:
        own = trainee(method, dots, *settings)
        loop.train(own, out, seed=0, validate_every=2, progress=False, **options)

    run(whole)
    run(parts, stop_after=3)
    run(parts, resume=True)
    one, other = (read_checkpoint(folder / loop.STATE)[0] for folder in (whole, parts))
    assert one.keys() == other.keys()
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_settings_that_cannot_be_are_refused(dots: Dataset):
    for setting, words in (
        ("train.steps=[1, 2]", "a number for each stage"),
        ("train.rates=[0]", "above 0"),
        ("train.precision='half'", "must be one of"),
        ("train.batch=1", "at least 2"),
        ("views.warps='none'", "must be one of"),
        ("views.contrast=-1", "must not be negative"),
    ):
        with pytest.raises(UsageError, match=words):
            trainee("fpe", dots, *FPE, setting)


def test_a_model_of_several_categories_names_them(dots: Dataset):
    own = trainee("fpe", dots, *FPE)
    assert Fpe(own.detector, {}).categories == ["kind0"]
    shared = trainee("fpe", dots, *FPE, "model.per_category=false")
    assert Fpe(shared.detector, {}).categories is None
