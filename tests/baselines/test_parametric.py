"""What CNNGeo, CNNInlier and A2Net share: direction, stages, training, and what must not drift."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from jladkit.baselines.cnngeo import CNNGeo
from jladkit.baselines.cnninlier import CNNInlier
from jladkit.baselines.parametric import CorrelationHead, ModelConfig, ParametricNet
from jladkit.baselines.parametric_method import Parametric
from jladkit.baselines.parametric_trainee import ParametricTrainee, random_crop
from jladkit.errors import JladkitError, UsageError
from jladkit.formats.dataset import Dataset
from jladkit.methods import EncodedMatcher
from jladkit.model.transforms import IDENTITY, identity
from jladkit.model.warp_losses import grid_loss
from jladkit.model.warps import warped
from jladkit.training import loop
from jladkit.training.checkpoint import read_checkpoint
from jladkit.training.loading import batch_of
from jladkit.training.recipe import fill, read_recipe

CPU = torch.device("cpu")
TINY = [
    "model.size=96",
    "model.layers=['blocks.2']",
    "train.batch=4",
    "train.steps=2",
    "train.cosine=0",
    "train.validate_every=2",
    "synthetic.warps=1",
    "synthetic.strength=1",
    "synthetic.noise=0",  # heads learn fast
]


def trainee(data: Dataset, *settings: str, method: type[Parametric] = CNNGeo) -> ParametricTrainee:
    config = fill(method.sections, read_recipe(method.name, "cpu", [*TINY, *settings]))
    return method.trainee(data, config, CPU, None, progress=False)


def net(*stages: str, **options: Any) -> ParametricNet:
    torch.manual_seed(0)
    config = ModelConfig(layers=["blocks.2"], size=96, stages=list(stages), **options)
    return ParametricNet(config).eval()


class Always(nn.Module):
    """A head that has one answer."""

    def __init__(self, *theta: float) -> None:
        super().__init__()
        self.theta = torch.tensor([theta])

    def forward(self, volume: Tensor) -> Tensor:
        return self.theta.expand(len(volume), -1)


def images(count: int, seed: int = 0) -> Tensor:
    return torch.rand(count, 3, 96, 96, generator=torch.manual_seed(seed))


def test_the_head_has_the_papers_size():
    counts = [sum(p.numel() for p in CorrelationHead(15, k).parameters()) for k in IDENTITY]
    assert counts == [1_626_182, 1_645_394, 1_629_384]


def test_a_homography_begins_near_the_identity_and_the_others_near_zero():
    for kind, theta in IDENTITY.items():
        bias = CorrelationHead(11, kind).linear.bias.detach()
        begin = theta if kind == "homography" else [0.0] * len(theta)
        torch.testing.assert_close(bias, torch.tensor(begin), atol=0.2, rtol=0)


def test_maps_that_are_too_small_are_refused():
    with pytest.raises(UsageError, match="have 8 x 8 cells; the head needs 11 x 11"):
        ParametricNet(ModelConfig(layers=["blocks.2"], size=64, weights="random"))


@pytest.mark.parametrize("stages", [[], ["affine", "affine"], ["projective"]])
def test_stages_that_cannot_be_are_refused(stages: list[str]):
    with pytest.raises(
        UsageError, match=r"model\.stages must list some of affine, tps, homography"
    ):
        ModelConfig(stages=stages)


def test_points_of_source_go_where_theta_says_in_pixels():
    method = CNNGeo(net("affine", weights="random"), {})
    method.net.heads["affine"] = Always(1, 0, 0.5, 0, 1, 0)  # a quarter of 96 pixels to the right
    assert isinstance(method, EncodedMatcher)
    points = torch.tensor([[[10.0, 20.0], [float("nan"), 1.0]]])
    with torch.inference_mode():
        moved = method.transfer(images(1), images(1), points, ["x"])
    torch.testing.assert_close(moved[0, 0], torch.tensor([34.0, 20.0]), atol=1e-4, rtol=0)
    assert moved[0, 1, 0].isnan()


def test_the_second_stage_sees_the_target_along_the_first_and_points_pass_it_first():
    model = net("affine", "tps", weights="random")
    model.heads["affine"] = Always(1, 0, 0.5, 0, 1, 0)
    seen: list[Tensor] = []
    model.features.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    model.heads["tps"] = Always(*(0.5 * torch.tensor(IDENTITY["tps"])).tolist())
    method, pair = CNNGeo(model, {}), images(2)
    with torch.inference_mode():
        moved = method.transfer(pair[:1], pair[1:], torch.tensor([[[10.0, 20.0]]]), ["x"])
    # Halved about the middle (47.5), then 24 pixels to the right.
    torch.testing.assert_close(moved[0, 0], torch.tensor([52.75, 33.75]), atol=1e-3, rtol=0)
    assert len(seen) == 2
    torch.testing.assert_close(seen[1][0, :, :, :70], pair[1, :, :, 24:94], atol=1e-4, rtol=0)
    mean = model.features.mean.flatten()
    torch.testing.assert_close(seen[1][0, :, 50, 90], mean)  # what was outside


@pytest.mark.parametrize("stages", [["affine"], ["affine", "tps"]])
def test_encoding_first_gives_the_same_and_batches_do_not_mix(stages: list[str]):
    method = CNNGeo(net(*stages), {})
    source, target = images(3), images(3, seed=1)
    points = torch.rand(3, 4, 2, generator=torch.manual_seed(0)) * 95
    with torch.inference_mode():
        whole = method.transfer(source, target, points, ["x"] * 3)
        codes = method.encode(source), method.encode(target)
        encoded = method.transfer_encoded(*codes, points, ["x"] * 3)
        alone = method.transfer(source[1:2], target[1:2], points[1:2], ["x"])
    torch.testing.assert_close(encoded, whole, atol=1e-3, rtol=0)
    torch.testing.assert_close(alone, whole[1:2], atol=1e-3, rtol=0)  # no batch statistics


def test_known_warps_of_pictures_are_found_after_a_short_training(dots: Dataset):
    wanted = ["model.stages=['tps']", "synthetic.preset='cnngeo'", "synthetic.warps=20"]
    tiny = trainee(dots, *wanted, "train.batch=8")
    moved = torch.optim.Adam(tiny.model.heads.parameters(), lr=1e-3)
    tiny.net.train()
    for step in range(80):
        loss = tiny.loss(loop.Phase("tps", 1, 1e-3), np.random.default_rng(step))["total"]
        moved.zero_grad()
        loss.backward()
        moved.step()
    tiny.net.eval()
    with torch.inference_mode():
        true, source, target = tiny.warped_pair("tps", np.random.default_rng(1000))
        found = tiny.model.estimate("tps", tiny.model.volume(source, target))
        still = grid_loss(identity("tps", 8), true)
        assert float(grid_loss(found, true)) < 0.5 * float(still)


@pytest.mark.parametrize("crop", [0.5, 1])
def test_a_stored_warp_is_the_one_drawn_and_takes_source_to_target(dots: Dataset, crop: float):
    tiny = trainee(dots, "synthetic.warps=2", f"synthetic.crop={crop}")
    true, source, target = tiny.warped_pair("affine", np.random.default_rng(0))
    rows = tiny.warped_objects[np.random.default_rng(0).integers(len(tiny.warped_objects), size=4)]
    pictures = batch_of(dots, rows, 96)
    with torch.inference_mode():
        seen = warped(pictures, lambda points: true(points) * crop)
        middle = warped(pictures, lambda points: points.expand(4, -1, -1) * crop)
        for maps, shown in ((source, seen), (target, middle)):
            torch.testing.assert_close(maps, tiny.model.features(shown), atol=4e-3, rtol=0)


def test_warps_drawn_anew_see_the_middle_of_the_picture(dots: Dataset, monkeypatch: Any):
    tiny = trainee(dots, "synthetic.warps=0", "synthetic.crop=0.5")
    seen: list[Tensor] = []
    monkeypatch.setattr(tiny, "encoded", lambda pictures: seen.append(pictures) or pictures)
    true, source, target = tiny.warped_pair("affine", np.random.default_rng(0))
    rows = tiny.warped_objects[np.random.default_rng(0).integers(len(tiny.warped_objects), size=4)]
    middle = torch.nn.functional.interpolate(
        batch_of(dots, rows, 96)[:, :, 24:72, 24:72], (96, 96), mode="bilinear", align_corners=False
    )
    torch.testing.assert_close(target[:, :, 2:-2, 2:-2], middle[:, :, 2:-2, 2:-2], atol=1e-3, rtol=0)  # fmt: skip
    assert len(seen) == 2 and source.shape == target.shape and len(true.theta) == 4


def test_noise_makes_known_warps_harder_and_comes_from_the_seed(dots: Dataset):
    def grid(noise: float) -> float:
        trained = trainee(dots, f"synthetic.noise={noise}")
        phase = trained.phases()[0]
        return trained.loss(phase, np.random.default_rng(0))["grid"].item()

    assert grid(2.0) == grid(2.0) != grid(0.0)


def test_each_phase_moves_its_own_head(dots: Dataset):
    tiny = trainee(dots, method=CNNInlier)
    moved = {p.name: {n.split(".")[1] for n, _ in tiny.parameters(p)} for p in tiny.phases()}
    assert moved == {"affine": {"affine"}, "tps": {"tps"}, "weak": {"affine", "tps"}}


def test_the_papers_cosine_swings(dots: Dataset):
    config = fill(CNNGeo.sections, read_recipe("cnngeo", "paper"))["train"]
    phase = loop.Phase("a", config.steps, config.learning_rates[0], cosine=config.cosine, lowest=config.lowest)  # fmt: skip
    rates = [phase.rate(done) for done in (0, 1000, 2000, 3000)]
    assert rates == pytest.approx([1e-3, 1e-6, 1e-3, 1e-6])
    assert config.steps == 20 * 844  # 20 epochs of 13,500 pictures, 16 at a time


@pytest.mark.parametrize("recipe", ["cnngeo", "cnninlier", "a2net"])
def test_a_paper_recipe_is_built_and_stepped(dots: Dataset, recipe: str, tmp_path: Path):
    from jladkit import registry

    cls = registry.load("method", recipe)
    small = ["model.backbone=resnet18", "model.weights=random", "model.size=176"]
    small += ["train.batch=2", "train.steps=1", "train.learning_rates=[1e-3]"]
    weak = recipe == "cnninlier"
    small += ["weak.steps=1", "weak.batch=2"] if weak else ["model.stages=['affine']"]
    cls.train(dots, "paper", small, tmp_path, device=CPU, progress=False)
    lines = [json.loads(line) for line in (tmp_path / loop.LOG).read_text().splitlines()]
    assert lines[-1]["phase"] == ("weak" if weak else "affine")


@pytest.mark.parametrize("phase", ["affine", "weak"])
def test_statistics_of_the_frozen_backbone_never_drift(dots: Dataset, phase: str):
    tiny = trainee(dots, method=CNNInlier)
    before = {k: v.clone() for k, v in tiny.net.state_dict().items()}
    tiny.net.train()
    tiny.loss(loop.Phase(phase, 1, 1e-3), np.random.default_rng(0))["total"].backward()
    after = tiny.net.state_dict()
    assert all(torch.equal(v, after[k]) for k, v in before.items() if k.startswith("features."))
    moved = {k for k, v in before.items() if not torch.equal(v, after[k])}
    # The head's own statistics follow the synthetic warps, and stand still on real pairs.
    assert bool(moved) == (phase == "affine")
    assert all("heads.affine.conv" in k for k in moved)


def test_the_weak_phase_raises_the_inliers_and_teaches_both_heads(dots: Dataset):
    tiny = trainee(dots, "weak.batch=4", method=CNNInlier)
    phase = loop.Phase("weak", 1, 1e-3)
    named = dict(tiny.parameters(phase))
    assert {n.split(".")[1] for n in named} == {"affine", "tps"}
    step, values = torch.optim.Adam(named.values(), lr=3e-4), []
    terms: dict[str, Tensor] = {}
    for _ in range(5):
        terms = tiny.loss(phase, np.random.default_rng(0))
        step.zero_grad()
        terms["total"].backward()
        step.step()
        values.append(float(terms["total"].detach()))
    assert values[-1] < values[0] < 0
    assert terms["total"] == -(terms["inliers affine"] + terms["inliers tps"])
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for n, p in named.items() if n.endswith("linear.weight"))  # fmt: skip


def test_a_trained_backbone_joins_the_weak_phase_from_the_named_layer_on(dots: Dataset):
    moving = ["weak.backbone_from='blocks.2'", "weak.crops=true", "weak.batch=4"]
    tiny = trainee(dots, *moving, method=CNNInlier)
    for phase in tiny.phases():
        moved = [n for n, _ in tiny.parameters(phase) if n.startswith("features.")]
        assert bool(moved) == (phase.name == "weak")
        assert all(n.startswith("features.body.blocks.2") for n in moved)
    tiny.loss(loop.Phase("weak", 1, 1e-3), np.random.default_rng(0))["total"].backward()
    grads = [p.grad for n, p in tiny.net.named_parameters() if "body.blocks.2" in n]
    assert any(g is not None and g.abs().sum() > 0 for g in grads)


def test_a_random_crop_keeps_at_least_half_of_each_side():
    ramp = torch.linspace(0, 1, 96).expand(8, 1, 96, 96)
    cropped = random_crop(ramp, np.random.default_rng(0))
    left, right = cropped[:, 0, 48, 0], cropped[:, 0, 48, -1]
    assert (left < 0.27).all() and (right > 0.73).all() and (right - left).std() > 0.01
    assert torch.equal(cropped, random_crop(ramp, np.random.default_rng(0)))


def test_the_best_weights_are_those_of_the_whole_chain(dots: Dataset, tmp_path: Path):
    best = CNNGeo.train(dots, "cpu", TINY, tmp_path, device=CPU, progress=False)
    lines = [json.loads(line) for line in (tmp_path / loop.LOG).read_text().splitlines()]
    scores = {line["step"]: line["validation"] for line in lines if "validation" in line}
    assert list(scores) == [2, 4]
    assert scores[2].keys() == {"pck@0.1 after affine"} and scores[4].keys() == {"pck@0.1"}
    assert read_checkpoint(best)[1]["best"]["pck@0.1"] == [scores[4]["pck@0.1"], 4]
    method = CNNGeo.load(best, CPU)
    assert isinstance(method, EncodedMatcher) and not method.net.training
    assert method.config["config"]["model"]["stages"] == ["affine", "tps"]


def test_a_run_that_was_stopped_goes_on_to_the_same_weights(dots: Dataset, tmp_path: Path):
    for name, stops in (("whole", [None]), ("parts", [3, None])):
        for stop in stops:
            loop.train(
                trainee(dots), tmp_path / name, seed=0, validate_every=2, progress=False,
                stop_after=stop, resume=stop != stops[0],
            )  # fmt: skip
    one, other = (read_checkpoint(tmp_path / n / loop.STATE)[0] for n in ("whole", "parts"))
    assert one.keys() == other.keys() and all(torch.equal(one[k], other[k]) for k in one)


def test_another_methods_checkpoint_is_refused(dots: Dataset, tmp_path: Path):
    best = CNNGeo.train(dots, "cpu", [*TINY, "train.steps=1", "model.stages=['affine']"], tmp_path, device=CPU, progress=False)  # fmt: skip
    with pytest.raises(JladkitError, match="of the method 'cnngeo', not of 'cnninlier'"):
        CNNInlier.load(best, CPU)


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ("synthetic.crop=2", r"synthetic\.crop must be in \(0, 1\]"),
        ("synthetic.strength=0", r"synthetic\.strength must be in \(0, 1\]"),
        ("synthetic.noise=-1", r"synthetic\.noise must not be negative"),
        ("synthetic.preset=rtx", "no preset 'rtx'"),
        ("train.batch=1", r"train\.batch must be at least 2"),
        ("train.learning_rates=[]", "learning_rates must be numbers above 0"),
        ("weak.steps=1", "Unknown section"),
    ],
)
def test_settings_that_cannot_be_are_refused(dots: Dataset, setting: str, words: str):
    with pytest.raises(UsageError, match=words):
        trainee(dots, setting)
