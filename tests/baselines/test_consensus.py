"""The field of neighbours that agree, before anything is learned."""

from dataclasses import asdict

import pytest
import torch

from jladkit import registry
from jladkit.baselines.consensus import Consensus, ConsensusConfig
from jladkit.errors import UsageError
from jladkit.formats.dataset import Dataset
from jladkit.model.geometry import cell_grid
from jladkit.model.joint import JointNet, ModelConfig
from jladkit.training.loading import batch_of

CPU = torch.device("cpu")
SMALL = ["model.weights=random", "model.size=64", "model.layers=['blocks.2']"]


def test_it_is_found_by_its_name(dots: Dataset):
    method = registry.load("method", "consensus").prepare(dots, CPU)
    assert method.config == asdict(ConsensusConfig())


@torch.inference_mode()
def test_a_picture_lies_on_itself(dots: Dataset):
    method = Consensus.prepare(dots, CPU, SMALL)
    codes = method.encode(batch_of(dots, dots.objects("train")[:2], 64))
    found = method.field(codes, codes)
    assert (found - cell_grid(found.shape[2], found.shape[3])).abs().max() < 0.5


@torch.inference_mode()
def test_what_moved_by_a_cell_is_found_a_cell_away(dots: Dataset):
    method = Consensus.prepare(dots, CPU, SMALL)
    codes = method.encode(batch_of(dots, dots.objects("train")[:2], 64))
    points = torch.tensor([[[20.0, 28.0], [36.0, 36.0], [float("nan")] * 2]]).repeat(2, 1, 1)
    moved = method.transfer_encoded(codes, codes.roll(1, dims=3), points, ["dot"] * 2)
    shift = (moved - points)[:, :2].mean(dim=(0, 1))
    torch.testing.assert_close(shift, torch.tensor([8.0, 0.0]), atol=1.0, rtol=0)
    assert moved[:, 2].isnan().all()


@torch.inference_mode()
def test_it_is_the_joint_method_before_it_has_learned(dots: Dataset):
    config = ModelConfig(
        layers=["blocks.2"],
        size=64,
        radius=3,
        temperature=20.0,
        consensus=40.0,
        spread=2.0,
        width=16,
    )
    net = JointNet(config, dots.categories).eval()
    method = Consensus.prepare(
        dots, CPU, ["model.layers=['blocks.2']", "model.size=64", "model.radius=3"]
    )
    source, target = method.encode(batch_of(dots, dots.objects("train")[:4], 64)).chunk(2)
    torch.testing.assert_close(method.field(source, target), net.align(source, target).field)


@pytest.mark.parametrize(
    "told",
    ["model.radius=0", "model.spread=0", "model.consensus=-1", "model.passes=0", "model.gain=1"],
)
def test_settings_that_cannot_be_are_refused(dots: Dataset, told: str):
    with pytest.raises(UsageError):
        Consensus.prepare(dots, CPU, [told])
