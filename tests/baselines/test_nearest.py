"""The nearest neighbour: its settings, its readouts, and DINOv2."""

from pathlib import Path
from typing import Any

import pytest
import timm
import torch
import torch.nn.functional as F

from jladkit.baselines.nearest import Nearest, NearestConfig
from jladkit.errors import UsageError
from jladkit.formats.dataset import Dataset
from jladkit.model.geometry import cells_to_pixels, pixels_to_cells, sample_points
from jladkit.model.readout import read_out

CPU = torch.device("cpu")
DINO = ["model.backbone=vit_small_patch14_dinov2", "model.layers=['blocks.1']"]


@torch.inference_mode()
def test_without_settings_it_is_the_best_cell_of_lite0(dots: Dataset):
    method = Nearest.prepare(dots, CPU)
    assert (method.size, method.settings.readout) == (256, "argmax")
    source, target = torch.rand(2, 1, 3, 256, 256, generator=torch.manual_seed(0))
    points = torch.rand(1, 6, 2) * 256
    wanted = F.normalize(
        sample_points(method.encode(source), pixels_to_cells(points, 256, 16)), dim=2
    )
    best = torch.einsum("bnc,bchw->bnhw", wanted, method.encode(target)).flatten(2).argmax(dim=2)
    expected = cells_to_pixels(torch.stack([best % 16, best // 16], dim=2).float(), 256, 16)
    assert torch.equal(method.transfer(source, target, points, ["x"]), expected)


@torch.inference_mode()
@pytest.mark.parametrize("readout", ["soft", "window", "kernel"])
def test_a_softer_readout_falls_between_the_cells(dots: Dataset, readout: str):
    told = ["model.weights=random", "model.size=64", "model.layers=['blocks.2']"]
    told += [f"model.readout={readout}", "model.temperature=30", "model.reach=2"]
    method = Nearest.prepare(dots, CPU, told)
    source, target = torch.rand(2, 2, 3, 64, 64, generator=torch.manual_seed(0))
    points = torch.rand(2, 6, 2) * 64
    points[0, 0] = float("nan")
    found = method.transfer(source, target, points, ["x"] * 2)
    codes = method.encode(source), method.encode(target)
    at = pixels_to_cells(points.nan_to_num(), 64, 8)
    cosines = torch.einsum(
        "bnc,bchw->bnhw", F.normalize(sample_points(codes[0], at), dim=2), codes[1]
    )
    expected = cells_to_pixels(read_out(cosines, readout, 30.0, 2.0), 64, 8)
    assert found[0, 0].isnan().all()
    torch.testing.assert_close(found.flatten(0, 1)[1:], expected.flatten(0, 1)[1:])


@torch.inference_mode()
def test_dinov2_from_a_local_file_finds_a_patch_where_it_went(dots: Dataset, tmp_path: Path):
    torch.manual_seed(0)
    theirs: Any = timm.create_model("vit_small_patch14_dinov2", num_classes=0)
    saved = {**theirs.state_dict(), "mask_token": torch.zeros(1, 384)}  # as its authors publish it
    torch.save(saved, tmp_path / "dino.pth")
    told = [*DINO, "model.size=84", f"model.weights='{tmp_path / 'dino.pth'}'"]
    method = Nearest.prepare(dots, CPU, told)
    source = torch.rand(1, 3, 84, 84)
    target = source.roll((14, 28), dims=(2, 3))  # a patch down, two to the right
    points = torch.tensor([[[20.5, 34.5], [34.5, 48.5]]])  # centres of patches
    found = method.transfer(source, target, points, ["x"])
    torch.testing.assert_close(found, points + torch.tensor([28.0, 14.0]))


def test_a_size_that_patches_do_not_fill_is_refused_in_a_sentence(dots: Dataset):
    method = Nearest.prepare(dots, CPU, [*DINO, "model.weights=random"])
    with pytest.raises(UsageError, match=r"multiples of 14, not 256 x 256\. Change model\.size"):
        method.encode(torch.rand(1, 3, 256, 256))


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ("model.readout=mean", "one of argmax, soft, window, kernel, not 'mean'"),
        ("model.reach=0", "must be above 0"),
        ("model.redout=soft", "has no key 'redout'"),
        ("train.steps=3", r"Unknown section \[train\]"),
        ("readout=soft", "must be section.key=value"),
    ],
)
def test_settings_that_cannot_be_are_refused(dots: Dataset, setting: str, words: str):
    with pytest.raises(UsageError, match=words):
        Nearest.prepare(dots, CPU, [setting])


def test_its_config_says_how_it_was_read_out():
    config = NearestConfig(weights="random", readout="kernel", reach=5.0)
    assert Nearest(config, CPU).config["readout"] == "kernel"
