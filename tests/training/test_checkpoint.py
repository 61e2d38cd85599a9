"""Checkpoints: what goes in comes out, what is none is refused."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from jladkit.errors import JladkitError
from jladkit.training.checkpoint import read_checkpoint, read_label, write_checkpoint


def test_tensors_and_label_come_back(tmp_path: Path):
    path = tmp_path / "m.safetensors"
    write_checkpoint(path, {"a": torch.arange(4)}, {"method": "joint", "config": {"x": [1, 2]}})
    tensors, label = read_checkpoint(path, "joint")
    assert tensors["a"].tolist() == [0, 1, 2, 3]
    assert label == {"method": "joint", "config": {"x": [1, 2]}}


def test_a_checkpoint_of_another_method_is_refused(tmp_path: Path):
    path = tmp_path / "m.safetensors"
    write_checkpoint(path, {}, {"method": "cnngeo"})
    with pytest.raises(JladkitError, match="of the method 'cnngeo', not of 'joint'"):
        read_checkpoint(path, "joint")


def test_files_that_are_no_checkpoint_are_refused(tmp_path: Path):
    with pytest.raises(JladkitError, match="There is no checkpoint"):
        read_label(tmp_path / "none.safetensors")
    (tmp_path / "page.safetensors").write_text("<html>")
    with pytest.raises(JladkitError, match="is not a jladkit checkpoint"):
        read_label(tmp_path / "page.safetensors")
    save_file({"a": torch.zeros(1)}, tmp_path / "foreign.safetensors")
    with pytest.raises(JladkitError, match="is not a jladkit checkpoint"):
        read_label(tmp_path / "foreign.safetensors")


def test_a_cut_off_checkpoint_is_refused(tmp_path: Path):
    path = tmp_path / "m.safetensors"
    write_checkpoint(path, {"a": torch.zeros(1000)}, {"method": "joint"})
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(JladkitError):
        read_checkpoint(path)
