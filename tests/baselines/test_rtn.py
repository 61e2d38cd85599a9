"""RTN: its equations against plain transcriptions, its starting point, and what its phases teach."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from drawn import drawn_arrays
from torch import Tensor, nn

from jladkit.baselines.fields import distance_from_warp
from jladkit.baselines.rtn import Rtn
from jladkit.baselines.rtn_net import RtnConfig, RtnNet
from jladkit.baselines.rtn_trainee import SECTIONS, RtnTrainee
from jladkit.errors import JladkitError, UsageError
from jladkit.formats.dataset import Dataset, open_dataset, write_dataset
from jladkit.methods import EncodedMatcher
from jladkit.model.affine import identity_affine, places, resize_affine
from jladkit.training import loop
from jladkit.training.loading import cells_in_boxes
from jladkit.training.recipe import fill, read_recipe

CPU = torch.device("cpu")
TINY = [
    "model.size=64",
    "model.coarse=['blocks.2']",
    "model.fine=['blocks.1']",
    "model.width=8",
    "model.depth=2",
    "model.radius=2",
    "loss.window=2",
    "train.batch=4",
    "train.synthetic_steps=2",
    "train.weak_steps=2",
    "train.validate_every=2",
    "train.precision='float32'",
]
# A backbone with plain 3x3 convolutions, which patches need.
PATCHES = [
    *TINY,
    "model.backbone='resnet10t'",
    "model.weights='random'",
    "model.reading='patches'",
    "model.coarse=['layer2.0.act1', 'layer2.0.conv2']",
    "model.fine=['layer1.0.act1', 'layer1.0.conv2']",
]


def trainee(data: Dataset, *settings: str, tiny: list[str] = TINY) -> RtnTrainee:
    config = fill(SECTIONS, read_recipe("rtn", "cpu", [*tiny, *settings]))
    return RtnTrainee(data, config, CPU, None, progress=False)


def stirred(net: RtnNet) -> RtnNet:
    """The net with a last layer that is not zero."""
    torch.manual_seed(0)
    nn.init.normal_(net.geometry.last.weight, std=0.02)
    return net


@torch.inference_mode()
def test_it_starts_as_the_identity(dots: Dataset):
    net = trainee(dots).rtn
    source, target = net.features(torch.rand(4, 3, 64, 64)).chunk(2)
    points = torch.tensor([[[3.0, 60.0], [31.5, 0.0], [float("nan")] * 2]]).expand(2, 3, 2)
    torch.testing.assert_close(
        net.carry(source, target, points), points, equal_nan=True, atol=1e-4, rtol=0
    )
    for field in net.align(source, target):
        assert torch.equal(field, identity_affine(2, field.shape[-2], field.shape[-1], CPU))


@torch.inference_mode()
@pytest.mark.parametrize("reading", ["maps", "patches"])
def test_fields_are_sums_of_residuals_of_one_network_at_both_levels(dots: Dataset, reading: str):
    tiny = PATCHES if reading == "patches" else TINY
    net = stirred(trainee(dots, tiny=tiny).rtn)
    source, target = net.features(torch.rand(2, 3, 64, 64)).chunk(2)
    maps_s, maps_t = net.features.unpack(source), net.features.unpack(target)
    field, seen = torch.zeros(0), []
    for level, times in ((net.config.coarse, 2), (net.config.fine, 1)):
        f_s = net.describe(maps_s, level)
        side = f_s.shape[-1]
        if not seen:
            field = identity_affine(1, side, side, CPU).clone()
        else:  # each of the six numbers is interpolated; places in shares of the picture
            grown = F.interpolate(
                field.flatten(1, 2), (side, side), mode="bilinear", align_corners=False
            )
            grown = grown.unflatten(1, (2, 3))
            ratio = side / field.shape[-1]
            inner = slice(1, -1)  # at the border, displacements are held, not places
            grown[:, :, 2] = (grown[:, :, 2] + 0.5) * ratio - 0.5
            resized = resize_affine(field, side, side)
            torch.testing.assert_close(
                grown[..., inner, inner], resized[..., inner, inner], atol=1e-4, rtol=1e-4
            )
            field = resized
        for _ in range(times):
            warped = naive_transformed(net, maps_t, level, field)
            volume = naive_correlation(f_s, warped, 2)
            volume = volume / volume.norm(dim=1, keepdim=True).clamp_min(1e-6)
            field = field + net.geometry(volume)
        seen.append(field)
    for found, wanted in zip(net.align(source, target), seen, strict=True):
        torch.testing.assert_close(found, wanted, atol=1e-4, rtol=1e-4)
    assert (seen[1] - identity_affine(1, 16, 16, CPU)).abs().max() > 0.1


def naive_correlation(source: Tensor, target: Tensor, radius: int) -> Tensor:
    """<f_s(p), f_t(p + d)>, 0 outside, d row by row."""
    height, width = source.shape[-2:]
    padded = F.pad(target, [radius] * 4)
    shifts = range(2 * radius + 1)
    return torch.stack(
        [
            (source * padded[:, :, dy : dy + height, dx : dx + width]).sum(dim=1)
            for dy in shifts
            for dx in shifts
        ],
        dim=1,
    )


def read_at(maps: Tensor, x: float, y: float, zero_outside: bool) -> Tensor:
    """(C,) one place of (C, H, W), bilinearly."""
    _, height, width = maps.shape
    if not zero_outside:
        x, y = min(max(x, 0), width - 1), min(max(y, 0), height - 1)
    left, top = int(np.floor(x)), int(np.floor(y))
    total = torch.zeros(maps.shape[0])
    for v in (top, top + 1):
        for u in (left, left + 1):
            if 0 <= u < width and 0 <= v < height:
                total += maps[:, v, u] * (1 - abs(x - u)) * (1 - abs(y - v))
    return total


def naive_transformed(
    net: RtnNet, maps: dict[str, Tensor], level: Sequence[str], field: Tensor
) -> Tensor:
    """The target's features under the field, cell by cell."""
    plain = net.describe(maps, level)
    out = torch.zeros_like(plain)
    conv = net.features.body.get_submodule(level[-1])
    for y in range(plain.shape[-2]):
        for x in range(plain.shape[-1]):
            matrix = field[0, :, :, y, x]
            if net.config.reading == "maps":
                found = read_at(plain[0], *matrix[:, 2].tolist(), zero_outside=False)
            else:
                assert isinstance(conv, nn.Conv2d)
                found = torch.zeros(len(conv.weight))
                for j in range(3):
                    for i in range(3):
                        offset = torch.tensor([i - 1.0, j - 1.0])
                        at = matrix[:, 2] + matrix[:, :2] @ offset
                        found += conv.weight[:, :, j, i] @ read_at(
                            maps[level[0]][0], *at.tolist(), zero_outside=True
                        )
                found = torch.relu(found if conv.bias is None else found + conv.bias)
            out[0, :, y, x] = F.normalize(found, dim=0)
    return out


def test_the_weak_loss_asks_for_the_centre_among_the_window_inside_the_source_s_box(tmp_path: Path):
    arrays = drawn_arrays()
    arrays["object/box"][:] = [5.5, 9.5, 30.5, 50.5]
    write_dataset(tmp_path / "d.h5", arrays, name="d", recipe={}, source={})
    data = open_dataset(tmp_path / "d.h5")
    own = trainee(data, "loss.temperature=7", "loss.coarse=0")
    net = stirred(own.rtn)
    told = own.loss(own.phases()[1], np.random.default_rng(3))
    source, target, rows, _ = own.real_pairs(np.random.default_rng(3))
    field = net.align(source, target)[-1]
    level = net.config.fine
    maps_s, maps_t = net.features.unpack(source), net.features.unpack(target)
    f_s = net.describe(maps_s, level).detach()
    warped = net.describe_transformed(maps_t, net.describe(maps_t, level), level, field).detach()
    total, count = 0.0, 0
    inside = cells_in_boxes(data, rows, f_s.shape[-1])
    for b, y, x in inside.nonzero().tolist():
        scores = {
            (u, v): 7 * float(f_s[b, :, y, x] @ warped[b, :, v, u])
            for v in range(max(0, y - 2), min(16, y + 3))
            for u in range(max(0, x - 2), min(16, x + 3))
        }
        total += float(np.log(np.exp(list(scores.values())).sum())) - scores[x, y]
        count += 1
    assert 0 < count < inside.numel()
    assert float(told["total"].detach()) == pytest.approx(total / count, rel=1e-4)
    everywhere = trainee(data, "loss.temperature=7", "loss.coarse=0", "loss.box=false")
    stirred(everywhere.rtn)
    other = everywhere.loss(own.phases()[1], np.random.default_rng(3))
    assert float(other["total"].detach()) != pytest.approx(total / count, rel=1e-4)


def gradients(own: RtnTrainee, phase: int) -> dict[str, Tensor]:
    """Of the phase's parameters after one loss, by name."""
    stirred(own.rtn)
    named = dict(own.parameters(own.phases()[phase]))
    loop.freeze_all_but(own.net, named)
    own.loss(own.phases()[phase], np.random.default_rng(0))["total"].backward()
    return {n: p.grad for n, p in named.items() if p.grad is not None}


@pytest.mark.parametrize("phase", [0, 1])
def test_both_phases_reach_all_of_the_geometry_network_and_it_alone(dots: Dataset, phase: int):
    found = gradients(trainee(dots), phase)
    assert {name.split(".")[0] for name in found} == {"geometry"}
    assert len(found) == len(dict(trainee(dots).rtn.geometry.named_parameters()))
    assert all(grad.abs().sum() > 0 for name, grad in found.items() if not name.endswith("bias"))


@pytest.mark.parametrize(("tiny", "linear"), [(TINY, False), (PATCHES, True)])
def test_the_linear_part_is_taught_where_patches_are_read(
    dots: Dataset, tiny: list[str], linear: bool
):
    rows = gradients(trainee(dots, tiny=tiny), 1)["geometry.last.weight"].flatten(1).norm(dim=1)
    assert (rows[[2, 5]] > 0).all()
    assert (rows[[0, 1, 3, 4]] > 0).all() == linear
    assert (rows[[0, 1, 3, 4]] > 0).any() == linear


def test_the_weak_phase_trains_the_backbone_from_the_named_layer_on(dots: Dataset):
    own = trainee(dots, "train.backbone_from='layer1'", tiny=PATCHES)
    names = [{n for n, _ in own.parameters(phase)} for phase in own.phases()]
    assert not any(name.startswith("features.") for name in names[0])
    found = gradients(own, 1)
    trained = {name for name in names[1] if name.startswith("features.")}
    assert trained and all(name.startswith("features.body.layer") for name in trained)
    assert all(found[f"features.body.layer1.0.{conv}.weight"].any() for conv in ("conv1", "conv2"))
    assert own.phases()[1].factors == {"geometry.last.": 1.0, "features.": 0.1}


def test_a_short_training_recovers_known_warps_far_better_than_the_identity(dots: Dataset):
    own = trainee(dots, "train.warps=1")
    optimiser = torch.optim.Adam(own.rtn.geometry.parameters(), lr=3e-3)
    apart: list[float] = []
    for step in range(41):
        warp, source, target, _ = own.synthetic.draw(np.random.default_rng(step % 2), 4)
        loss = distance_from_warp(places(own.rtn.align(source, target)[-1]), warp)
        apart.append(float(loss.detach()))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    assert np.mean(apart[-2:]) < 0.4 * np.mean(apart[:2])  # it begins as the identity


def test_a_training_leaves_a_matcher_that_says_what_it_was_told(dots: Dataset, tmp_path: Path):
    best = Rtn.train(dots, "cpu", TINY, tmp_path / "a", device=CPU, progress=False)
    model = Rtn.load(best, CPU)
    assert isinstance(model, EncodedMatcher)
    assert model.config["supervision"] == "pairs of one category, boxes of their objects"
    images, points = torch.rand(2, 3, 64, 64), torch.full((1, 2, 2), 20.0)
    with torch.inference_mode():
        whole = model.transfer(images[:1], images[1:], points, ["kind0"])
        codes = model.encode(images)
        parts = model.transfer_encoded(codes[:1], codes[1:], points, ["kind0"])
    torch.testing.assert_close(whole, parts, atol=1e-3, rtol=0)


def test_a_training_says_how_much_it_is_told(dots: Dataset):
    told = [
        trainee(dots, *settings).label["supervision"]
        for settings in ((), ("loss.box=false",), ("train.weak_steps=0",))
    ]
    assert told == [
        "pairs of one category, boxes of their objects", "pairs of one category", "none"
    ]  # fmt: skip


def test_the_paper_s_recipe_makes_the_released_code_s_network_and_takes_a_step(dots: Dataset):
    small = ["model.size=64", "model.depth=2", "model.width=4", "model.weights='random'"]
    table = read_recipe("rtn", "paper", [*small, "train.batch=1"])
    own = RtnTrainee(dots, fill(SECTIONS, table), CPU, None, progress=False)
    assert own.rtn.features.cells == {
        "features.27": 4, "features.28": 4, "features.18": 8, "features.19": 8
    }  # fmt: skip
    assert own.rtn.geometry.down[0][0][0].kernel_size == (9, 9)  # pyright: ignore
    found = gradients(own, 1)
    assert found["features.body.features.0.weight"].any()
    assert found["geometry.last.weight"].any()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"reading": "cells"}, "model.reading must be one of maps, patches"),
        ({"reading": "patches", "coarse": ["blocks.2"]}, "model.coarse must name a map"),
        ({"kernel": 4}, "model.kernel must be odd"),
        ({"groups": 3}, "model.groups must be 0 or divide"),
        ({"radius": 0}, "model.radius must be at least 1"),
    ],
)
def test_a_model_that_cannot_be_is_refused(settings: dict[str, Any], message: str):
    with pytest.raises(UsageError, match=message):
        RtnConfig(**settings)


def test_maps_too_small_for_the_depth_and_layers_without_patches_are_refused(dots: Dataset):
    with pytest.raises(UsageError, match=r"model\.depth 4 needs maps of at least 16"):
        trainee(dots, "model.depth=4")
    wrong = ["model.reading='patches'", "model.coarse=['blocks.1', 'blocks.2']",
             "model.fine=['blocks.0', 'blocks.1']"]  # fmt: skip
    with pytest.raises(UsageError, match=r"needs 3x3 convolutions.*blocks\.2 is none"):
        trainee(dots, *wrong)


def test_objects_without_a_box_are_refused_unless_boxes_are_left_out(tmp_path: Path):
    arrays = drawn_arrays()
    arrays["object/box"][0] = np.nan
    write_dataset(tmp_path / "d.h5", arrays, name="d", recipe={}, source={})
    data = open_dataset(tmp_path / "d.h5")
    with pytest.raises(JladkitError, match="1 objects of train pairs have none"):
        trainee(data)
    trainee(data, "loss.box=false")
