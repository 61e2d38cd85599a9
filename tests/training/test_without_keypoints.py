"""Training on pictures without a keypoint: nothing is scored, and the latest weights are kept."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from jladkit import registry
from jladkit.formats.dataset import Dataset, open_dataset, write_dataset
from jladkit.formats.log import LOG, read_log
from jladkit.training.checkpoint import read_checkpoint
from jladkit.training.saving import STATE
from tests.drawn import drawn_arrays
from tests.training.test_joint_training import TINY

CPU = torch.device("cpu")
SMALL = ["model.size=64", "train.batch=3", "train.validate_every=2"]
ALIGNERS = {
    "ncnet": ["model.layers=['blocks.2']", "model.kernels=[3,3]", "model.channels=[4,1]",
              "train.steps=4"],
    "rtn": ["model.coarse=['blocks.2']", "model.fine=['blocks.1']", "model.width=8",
            "model.radius=2", "loss.window=2", "train.synthetic_steps=2", "train.weak_steps=2"],
    "cnngeo": ["model.size=96", "model.layers=['blocks.2']", "train.steps=2", "train.cosine=0", "synthetic.warps=1"],
}  # fmt: skip


def without_keypoints(folder: Path, *splits: int) -> Dataset:
    """The drawn dots with keypoints visible nowhere in some splits (0, 1, 2: train, val, test)."""
    arrays = drawn_arrays()
    arrays["object/visible"][np.isin(arrays["object/split"], splits)] = False
    path = folder / "blind.h5"
    write_dataset(path, arrays, name="blind", recipe={"builder": "drawn"}, source={})
    return open_dataset(path)


def trained(method: str, data: Dataset, out: Path, settings: Sequence[str]) -> dict[str, Any]:
    """What a training keeps: its label, the names of its tensors, and which are as the last step left
    them."""
    cls = registry.load("method", method)
    best = cls.train(data, "cpu", settings, out, device=CPU, progress=False)
    kept, label = read_checkpoint(best)
    last = read_checkpoint(out / STATE)[0]
    same = {name for name, value in kept.items() if torch.equal(value, last[f"net/{name}"])}
    return {"label": label, "latest": same, "names": set(kept)}


def test_joint_trains_without_any_and_keeps_its_last_weights(tmp_path: Path, capsys: Any):
    data = without_keypoints(tmp_path, 0, 1, 2)
    found = trained("joint", data, tmp_path / "run", TINY)
    assert found["latest"] == found["names"]
    assert found["label"]["best"] == {}
    told = [r["validation"] for r in read_log(tmp_path / "run" / LOG) if "validation" in r]
    assert all(set(scores) == {"spread", "distinct"} for scores in told)
    said = capsys.readouterr().err
    assert said.count("no keypoints in val and train tell iod, pck@0.1, sigma") == 1


def test_keypoints_of_val_alone_choose_the_field_and_no_landmarks(tmp_path: Path, capsys: Any):
    data = without_keypoints(tmp_path, 0)
    found = trained("joint", data, tmp_path / "run", TINY)
    assert set(found["label"]["best"]) == {"pck@0.1", "sigma"}
    landmarks = {name for name in found["names"] if name.startswith("landmarks.")}
    assert landmarks <= found["latest"]
    assert "no keypoints in val and train tell iod," in capsys.readouterr().err


def test_a_phase_without_steps_leaves_its_snapshot_all_the_same(tmp_path: Path):
    data = without_keypoints(tmp_path, 0, 1, 2)
    settings = [*TINY, "train.snapshots=true", "train.detect_steps=0"]
    trained("joint", data, tmp_path / "run", settings)
    one, same = (tmp_path / "run" / f"after-0{n}.safetensors" for n in ("1-align", "2-detect"))
    assert one.read_bytes() == same.read_bytes()


@pytest.mark.parametrize("method", list(ALIGNERS))
def test_alignment_systems_train_without_any_too(method: str, tmp_path: Path, capsys: Any):
    data = without_keypoints(tmp_path, 0, 1, 2)
    found = trained(method, data, tmp_path / "run", [*SMALL, *ALIGNERS[method]])
    assert found["latest"] == found["names"]
    assert "no keypoints in val and train tell pck@0.1" in capsys.readouterr().err
