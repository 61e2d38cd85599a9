"""NCNet: its points, its loss, its training, and the files its authors released."""

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from jladkit.baselines.ncnet import NCNet
from jladkit.baselines.ncnet_net import NCNetConfig, NCNetNet
from jladkit.baselines.ncnet_trainee import SECTIONS, NCNetTrainee, weak_loss
from jladkit.errors import JladkitError, UsageError
from jladkit.formats.dataset import Dataset, open_dataset
from jladkit.model.consensus import (
    NeighbourhoodConsensus,
    best_matches,
    correlation_4d,
    matching_score,
)
from jladkit.training.recipe import fill, read_recipe
from tests.drawn import drawn_dataset

CPU = torch.device("cpu")
TINY = [
    "model.size=64",
    "model.layers=['blocks.2']",
    "model.kernels=[3,3]",
    "model.channels=[4,1]",
    "train.batch=3",
    "train.steps=4",
    "train.validate_every=2",
]


def trainee(data: Dataset, *settings: str) -> NCNetTrainee:
    config = fill(SECTIONS, read_recipe("ncnet", "cpu", [*TINY, *settings]))
    return NCNetTrainee(data, config, CPU, None, progress=False)


def tiny_net(**changes: Any) -> NCNetNet:
    given = {"layers": ["blocks.2"], "weights": "random", "size": 64}
    given |= {"kernels": [3, 3], "channels": [8, 1]}
    torch.manual_seed(0)
    return NCNetNet(NCNetConfig(**{**given, **changes}))


class Counted:
    """A function of two maps that notes how many pairs it was asked for."""

    def __init__(self, function: Any) -> None:
        self.function = function
        self.sizes: list[int] = []

    def __call__(self, source: Tensor, target: Tensor) -> Tensor:
        self.sizes.append(len(source))
        return self.function(source, target)


class Told(NCNetNet):
    """A net whose matches are given: each source cell goes two cells to the right, one up."""

    def field(self, source: Tensor, target: Tensor) -> Tensor:
        y, x = torch.meshgrid(torch.arange(8.0), torch.arange(8.0), indexing="ij")
        return torch.stack([x + 2, y - 1]).expand(len(source), -1, -1, -1)


@pytest.mark.parametrize(
    ("corners", "right", "up"),
    [(False, 2 * 64 / 8, 64 / 8), (True, 2 * 63 / 7, 63 / 7)],
)
def test_cells_are_the_pictures_and_not_its_corners_unless_told_so(
    corners: bool, right: float, up: float
):
    net = Told(NCNetConfig(layers=["blocks.2"], weights="random", size=64, corners=corners))
    points = torch.tensor([[[0.0, 0.0], [20.0, 31.5], [63.0, 50.0], [float("nan"), 1.0]]])
    found = net.carry(torch.zeros(1, 1, 8, 8), torch.zeros(1, 1, 8, 8), points)
    moved = found[0, :3] - points[0, :3]
    torch.testing.assert_close(moved, torch.tensor([right, -up]).expand(3, 2))
    assert found[0, 3, 0].isnan()


def test_corners_read_the_matches_at_pixels_that_their_convention_gives():
    # 64 pixels, 8 cells: cell 1 lies at pixel 9 with corners, and at 11.5 as a cell's centre.
    for corners, pixel in ((True, 9.0), (False, 11.5)):
        net = tiny_net(corners=corners)
        field = torch.zeros(1, 2, 8, 8)
        field[0, 0, 0, 1] = 7.0  # all cells match cell (0, 0) but one
        net.field = lambda source, target, told=field: told  # type: ignore[method-assign]
        y = 0.0 if corners else 3.5
        found = net.carry(torch.zeros(1, 1, 8, 8), torch.zeros(1, 1, 8, 8), torch.tensor([[[pixel, y]]]))  # fmt: skip
        assert found[0, 0, 0].item() == pytest.approx(63.0 if corners else 59.5)


def test_relocalised_matches_lie_on_the_pictures_pixels_too():
    net = tiny_net(relocalise=2, kernels=[1], channels=[1])
    layers: Any = net.consensus.layers
    maps = torch.eye(64).view(1, 64, 8, 8)
    with torch.no_grad():
        layers[0].weight.fill_(1.0)
        layers[0].bias.zero_()
        points = torch.rand(1, 20, 2) * 40 + 12
        moved = net.carry(maps, maps, points)
    torch.testing.assert_close(moved, points, atol=1e-4, rtol=0)
    with pytest.raises(UsageError, match="must divide the 8 cells"):
        tiny_net(relocalise=3)


def test_pairs_are_matched_alike_alone_and_in_a_batch(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("jladkit.baselines.ncnet_net.AT_ONCE", 8**4)
    net = tiny_net()
    source, target = (torch.rand(3, 5, 8, 8) for _ in range(2))
    points = torch.rand(3, 4, 2) * 64
    monkeypatch.setattr(net, "field", counted := Counted(net.field))
    with torch.inference_mode():
        whole = net.carry(source, target, points)
        assert counted.sizes == [1, 1, 1]
        alone = [net.carry(source[i : i + 1], target[i : i + 1], points[i : i + 1]) for i in (0, 2)]
    torch.testing.assert_close(whole[[0, 2]], torch.cat(alone))


def test_the_loss_is_the_score_of_rolled_pairs_less_that_of_pairs():
    net = tiny_net()
    source, target = (torch.rand(3, 5, 8, 8) for _ in range(2))
    terms = weak_loss(net, source, target)
    positive = matching_score(net.match(source, target))
    negative = matching_score(net.match(source[[1, 2, 0]], target))
    torch.testing.assert_close(terms["total"], negative - positive)
    other = torch.rand(3, 5, 8, 8)
    found = weak_loss(net, source, target, other)["negative"]
    torch.testing.assert_close(found, matching_score(net.match(other, target)))


def test_a_batch_of_one_is_refused(dots: Dataset):
    one = torch.rand(1, 5, 8, 8)
    with pytest.raises(ValueError, match="no other pair to make a negative of"):
        weak_loss(tiny_net(), one, one)
    with pytest.raises(UsageError, match=r"train\.batch must be at least 2, but is 1"):
        trainee(dots, "train.batch=1")


def test_a_short_training_finds_a_known_shift_that_noise_hides_from_single_cells():
    net = tiny_net()
    torch.manual_seed(0)
    net.consensus = NeighbourhoodConsensus([3, 3], [8, 1])
    generator = torch.Generator().manual_seed(0)

    def shifted(count: int) -> tuple[Tensor, Tensor]:
        """Smooth maps, and the same a cell further right and down under much noise."""
        noise = torch.randn(count, 16, 8, 8, generator=generator)
        plain = F.avg_pool2d(F.pad(noise, (1,) * 4, mode="circular"), 3, stride=1) * 3
        moved = plain.roll((1, 1), dims=(2, 3))
        moved = moved + 1.3 * torch.randn(moved.shape, generator=generator)
        return F.normalize(plain, dim=1), F.normalize(moved, dim=1)

    def right(matches: Tensor) -> float:
        y, x = torch.meshgrid(torch.arange(7.0), torch.arange(7.0), indexing="ij")
        return (
            (matches[:, :, :7, :7] == torch.stack([x + 1, y + 1])).all(dim=1).float().mean().item()
        )

    source, target = shifted(16)
    before = right(best_matches(correlation_4d(source, target)))
    rates = torch.optim.Adam(net.consensus.parameters(), lr=1e-2)
    for _ in range(16):
        rates.zero_grad()
        weak_loss(net, *shifted(4))["total"].backward()
        rates.step()
    with torch.no_grad():
        after = right(net.field(source, target))
    assert before < 0.5
    assert after > 0.9


def test_training_writes_the_best_weights_and_they_say_the_same(dots: Dataset, tmp_path: Path):
    best = NCNet.train(dots, "cpu", TINY, tmp_path / "run", device=CPU, progress=False)
    method = NCNet.load(best, CPU)
    assert method.config["config"]["model"]["kernels"] == [3, 3]
    assert "pck@0.1" in method.config["best"]
    images, points = torch.rand(2, 3, 64, 64), torch.rand(2, 5, 2) * 64
    with torch.inference_mode():
        whole = method.transfer(images, images.flip(0), points, ["kind0"] * 2)
        codes = method.encode(images)
        steps = method.transfer_encoded(codes, codes.flip(0), points, ["kind0"] * 2)
    torch.testing.assert_close(whole, steps, atol=1e-3, rtol=0)


def test_only_the_consensus_learns_until_the_backbone_is_to_be_finetuned(dots: Dataset):
    tiny = trainee(dots, "train.backbone_from=blocks.2", "train.finetune_steps=1")
    names = [[name for name, _ in tiny.parameters(phase)] for phase in tiny.phases()]
    assert all(name.startswith("consensus.") for name in names[0])
    extra = [name for name in names[1] if name.startswith("features.")]
    assert extra and all(name.startswith("features.body.blocks.2") for name in extra)
    for name, parameter in tiny.net.named_parameters():
        parameter.requires_grad_(name in names[1])
    tiny.loss(tiny.phases()[1], np.random.default_rng(0))["total"].backward()
    moved = [n for n, p in tiny.net.named_parameters() if p.grad is not None and p.grad.any()]
    assert any(name in extra for name in moved)
    with pytest.raises(UsageError, match="go together"):
        trainee(dots, "train.backbone_from=blocks.2")


def test_negatives_of_other_categories_are_of_other_categories(dots: Dataset, tmp_path: Path):
    mixed = open_dataset(drawn_dataset(tmp_path / "mixed.h5", objects=24, categories=2))
    tiny = trainee(mixed, "train.negatives=other")
    pairs = mixed.pairs("train")
    drawn = tiny.unrelated(pairs, np.random.default_rng(0))
    assert set(drawn) <= set(pairs)
    assert (mixed.pair_category[drawn] != mixed.pair_category[pairs]).all()
    assert torch.isfinite(tiny.loss(tiny.phases()[0], np.random.default_rng(0))["total"])
    with pytest.raises(JladkitError, match="pairs of two categories are needed"):
        trainee(dots, "train.negatives=other")


def test_a_network_that_has_shut_is_told_of(dots: Dataset):
    tiny = trainee(dots)
    assert tiny.collapses([{"step": 5, "phase": "consensus", "total": -0.1}]) == []
    with torch.no_grad():
        for parameter in tiny.ncnet.consensus.layers[-1].parameters():
            parameter.fill_(-1.0)
    total = tiny.loss(tiny.phases()[0], np.random.default_rng(0))["total"].item()
    assert total == 0.0
    (sentence,) = tiny.collapses([{"step": 5, "phase": "consensus", "total": total}])
    assert "score alike at step 5" in sentence


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (["model.kernels=[4,3]"], "must be odd"),
        (["model.kernels=[3]"], "a number above 0 for each of model.kernels"),
        (["model.channels=[4,2]"], "must end in 1"),
        (["train.negatives=hard"], "one of rolled, other"),
        (["train.learning_rate=0"], "above 0"),
        (["train.steps=-1"], "train.steps must be at least 0"),
    ],
)
def test_settings_that_cannot_be_are_refused(dots: Dataset, settings: list[str], words: str):
    with pytest.raises(UsageError, match=words):
        trainee(dots, *settings)


def test_the_paper_recipe_is_the_papers(dots: Dataset):
    config = fill(SECTIONS, read_recipe("ncnet", "paper"))
    model, plan = config["model"], config["train"]
    assert (model.backbone, model.layers, model.size) == ("resnet101", ["layer3"], 400)
    assert (model.kernels, model.channels) == ([5, 5, 5], [16, 16, 1])
    assert (plan.batch, plan.learning_rate, plan.negatives) == (16, 5e-4, "rolled")
    settings = ["model.weights=random", "model.size=64", "train.batch=2", "train.steps=1"]
    config = fill(SECTIONS, read_recipe("ncnet", "paper", settings))
    paper = NCNetTrainee(dots, config, CPU, None, progress=False)
    consensus, finetune = paper.phases()
    assert torch.isfinite(paper.loss(consensus, np.random.default_rng(0))["total"])
    names = [name for name, _ in paper.parameters(finetune) if name.startswith("features.")]
    assert names and all(name.startswith("features.body.layer3.22.") for name in names)
    assert sum(p.numel() for p in paper.ncnet.consensus.parameters()) == 180_033


def released(path: Path, **changes: Any) -> dict[str, Tensor]:
    """A file with the names that the authors' code gives to everything in it."""
    import timm

    torch.manual_seed(0)
    resnet = timm.create_model("resnet101", pretrained=False).state_dict()
    parts = {"conv1": 0, "bn1": 1, "layer1": 4, "layer2": 5, "layer3": 6}
    state = {
        f"FeatureExtraction.model.{parts[key.partition('.')[0]]}.{key.partition('.')[2]}": value
        for key, value in resnet.items()
        if key.partition(".")[0] in parts
    }
    for number, (i, o) in ((0, (1, 16)), (2, (16, 1))):
        # A kernel (O, I, k, k, k, k) is stored with its first side in front.
        state[f"NeighConsensus.conv.{number}.weight"] = torch.randn(3, o, i, 3, 3, 3)
        state[f"NeighConsensus.conv.{number}.bias"] = torch.randn(o)
    args = argparse.Namespace(ncons_kernel_sizes=[3, 3], ncons_channels=[16, 1], lr=5e-4)
    saved = {"epoch": 5, "args": args, "state_dict": state, "best_test_loss": np.float64(-0.3)}
    saved |= {"train_loss": np.zeros(5), "optimizer": {"state": {}, "param_groups": []}}
    torch.save({**saved, **changes}, path)
    return state


def test_a_checkpoint_of_the_authors_is_read(tmp_path: Path):
    path = tmp_path / "ncnet_pfpascal.pth.tar"
    state = released(path)
    method = NCNet.load_official(path, CPU)
    assert method.config["model"]["corners"] and method.config["official"] == path.name
    assert (method.size, method.net.cells) == (400, 25)
    layers: Any = method.net.consensus.layers
    stored = state["NeighConsensus.conv.0.weight"]
    for a in range(3):  # their loop over the first side takes stored[a]
        assert torch.equal(layers[0].weight[:, :, a], stored[a])
    assert torch.equal(layers[1].bias, state["NeighConsensus.conv.2.bias"])
    own = method.net.features.body.state_dict()
    block = "layer3.22.conv2"  # folding of batch normalisation scales it by its variance of 1
    scale = state["FeatureExtraction.model.6.22.bn2.weight"] / (1 + 1e-5) ** 0.5
    wanted = state["FeatureExtraction.model.6.22.conv2.weight"] * scale.view(-1, 1, 1, 1)
    torch.testing.assert_close(own[f"{block}.weight"], wanted)


class Harmful:
    """What a pickle can do: run a function when it is read."""

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (Path("harmed"),)


def test_a_checkpoint_runs_no_code_and_says_what_it_lacks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    torch.save({"state_dict": {}, "x": Harmful()}, "bad.pth.tar")
    with pytest.raises(JladkitError, match=r"bad\.pth\.tar cannot be read"):
        NCNet.load_official(Path("bad.pth.tar"), CPU)
    assert not Path("harmed").exists()
    torch.save({"state_dict": {}}, "empty.pth.tar")
    with pytest.raises(JladkitError, match="is no checkpoint of NCNet"):
        NCNet.load_official(Path("empty.pth.tar"), CPU)
    torch.save([1], "list.pth.tar")
    with pytest.raises(
        JladkitError, match="must hold tensors by name, alone or under the key state_dict"
    ):
        NCNet.load_official(Path("list.pth.tar"), CPU)
    with pytest.raises(JladkitError, match="There is no checkpoint"):
        NCNet.load_official(Path("none.pth.tar"), CPU)
