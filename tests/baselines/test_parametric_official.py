"""Released weights: files with the names of the authors' code, read without running anything."""

import argparse
from pathlib import Path
from typing import Any

import pytest
import timm
import torch
import torch.nn.functional as F
from torch import Tensor

from jladkit.baselines.a2net import A2Net, AttentiveHead
from jladkit.baselines.cnngeo import CNNGeo
from jladkit.baselines.cnninlier import CNNInlier
from jladkit.baselines.parametric import CorrelationHead
from jladkit.errors import JladkitError

CPU = torch.device("cpu")
State = dict[str, Tensor]


@pytest.fixture(scope="module")
def backbone() -> State:
    """A ResNet-101 up to layer3, named as a Sequential."""
    names = {"conv1": "0", "bn1": "1", "layer1": "4", "layer2": "5", "layer3": "6"}
    state = timm.create_model("resnet101", pretrained=False).state_dict()
    found = {}
    for key, value in state.items():
        part, _, rest = key.partition(".")
        if part in names:
            found[f"FeatureExtraction.model.{names[part]}.{rest}"] = value
    return found


def head(kind: str, seed: int = 0, second: bool = False) -> State:
    torch.manual_seed(seed)
    own = CorrelationHead(15, kind).state_dict()
    prefix = "FeatureRegression2." if second else "FeatureRegression."
    return {f"{prefix}{key}": value for key, value in own.items()}


def save(path: Path, state: State) -> Path:
    settings = argparse.Namespace(lr=1e-3, geometric_model="affine")
    torch.save({"epoch": 3, "args": settings, "state_dict": state, "optimizer": {}}, path)
    return path


def test_a_head_reads_the_correlation_as_theirs_does(backbone: State, tmp_path: Path):
    state, second = head("affine"), head("tps", second=True)
    path = save(tmp_path / "weakalign.pth.tar", backbone | second | state)
    method = CNNInlier.load_official(path, CPU)
    assert method.net.config.stages == ["affine", "tps"]  # two heads in one file
    assert method.net.config.backbone == "resnet101"
    assert method.net.reach == pytest.approx(239 / 240)  # ±1 are centres of pixels
    generator = torch.manual_seed(0)
    source, target = (F.normalize(torch.randn(1, 9, 15, 15, generator=generator), dim=1) for _ in range(2))  # fmt: skip
    # Theirs: channel row + 15 * column of the target cell; ReLU, norm, then the head.
    theirs = torch.einsum("bck,bcij->bkij", target.transpose(2, 3).flatten(2), source).relu()
    theirs = theirs / (theirs.square().sum(dim=1, keepdim=True) + 1e-6).sqrt()
    plain = CorrelationHead(15, "affine").eval()
    plain.load_state_dict({k.removeprefix("FeatureRegression."): v for k, v in state.items()})
    with torch.inference_mode():
        found = method.net.estimate("affine", method.net.volume(source, target)).theta
        torch.testing.assert_close(found, plain(theirs), atol=1e-5, rtol=0)
        images = torch.rand(2, 3, 240, 240, generator=generator)
        moved = method.transfer(images[:1], images[1:], torch.full((1, 3, 2), 50.0), ["x"])
    assert moved.shape == (1, 3, 2) and moved.isfinite().all()


def test_a_folder_has_a_file_for_each_stage(backbone: State, tmp_path: Path):
    save(tmp_path / "tps.pth.tar", backbone | head("tps"))
    save(tmp_path / "affine.pth.tar", backbone | head("affine"))
    assert CNNGeo.load_official(tmp_path, CPU).net.config.stages == ["affine", "tps"]
    other = {k: v + 1 if k.endswith("model.0.weight") else v for k, v in backbone.items()}
    save(tmp_path / "affine.pth.tar", other | head("affine"))
    with pytest.raises(JladkitError, match="have different backbones"):
        CNNGeo.load_official(tmp_path, CPU)


def test_weights_of_a2net_are_read_in_the_released_order(backbone: State, tmp_path: Path):
    own = AttentiveHead(15, "affine", True).state_dict()
    state = {f"FeatureRegression.{'att.' if k.startswith('att.') else ''}{k}": v for k, v in own.items() if "num_batches" not in k}  # fmt: skip
    method = A2Net.load_official(save(tmp_path / "a2.pth.tar", backbone | state), CPU)
    assert method.net.heads["affine"].released
    loaded = dict(method.net.heads.named_parameters())["affine.att.3.weight"]
    assert torch.equal(loaded, own["att.3.weight"])


def test_old_files_call_the_vgg_backbone_vgg(tmp_path: Path):
    vgg: Any = timm.create_model("vgg16", pretrained=False)
    full = vgg.features.state_dict()
    state = {f"FeatureExtraction.vgg.{k}": v for k, v in full.items() if int(k.split(".")[0]) < 24}
    method = CNNGeo.load_official(save(tmp_path / "vgg.pth.tar", state | head("homography")), CPU)
    assert method.net.config.backbone == "vgg16" and method.net.config.stages == ["homography"]
    first = next(iter(method.net.features.body.state_dict().values()))
    assert torch.equal(first, full["0.weight"])


class Harmful:
    """Writes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.path,)


def test_a_file_that_would_run_code_is_refused_and_does_not(tmp_path: Path):
    torch.save({"state_dict": {}, "args": Harmful(tmp_path / "ran")}, tmp_path / "bad.pth.tar")
    with pytest.raises(JladkitError, match=r"bad\.pth\.tar cannot be read as a checkpoint"):
        CNNGeo.load_official(tmp_path / "bad.pth.tar", CPU)
    assert not (tmp_path / "ran").exists()


def test_what_is_no_such_file_is_refused_in_a_sentence(backbone: State, tmp_path: Path):
    with pytest.raises(JladkitError, match="must hold a backbone and heads"):
        CNNGeo.load_official(save(tmp_path / "a.pth", head("affine")), CPU)
    with pytest.raises(JladkitError, match=r"There is no checkpoint .*nowhere"):
        CNNGeo.load_official(tmp_path / "nowhere", CPU)
    (tmp_path / "empty").mkdir()
    with pytest.raises(JladkitError, match=r"no \.pth or \.pth\.tar file in"):
        CNNGeo.load_official(tmp_path / "empty", CPU)
    with pytest.raises(JladkitError, match="must hold a backbone and heads"):
        A2Net.load_official(save(tmp_path / "c.pth", backbone | head("affine")), CPU)
    nine = {k: v[:1].expand(9, *v.shape[1:]).clone() if "linear" in k else v for k, v in head("affine").items()}  # fmt: skip
    with pytest.raises(JladkitError, match="A head with 9 outputs"):
        CNNGeo.load_official(save(tmp_path / "n.pth", backbone | nine), CPU)
