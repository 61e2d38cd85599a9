from pathlib import Path

import numpy as np
import pytest
import torch

from jladkit.errors import JladkitError
from jladkit.model.backbones import LITE0, Backbone
from jladkit.training.store import name_of, stored_maps

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def backbone() -> Backbone:
    return Backbone(LITE0, ["blocks.2"])


PICTURES = torch.rand(20, 3, 32, 32, generator=torch.Generator().manual_seed(0))


def stored(backbone: Backbone, folder: Path | None, count: int = 20, **key: int):
    asked: list[int] = []

    def pictures(at: np.ndarray) -> torch.Tensor:
        asked.extend(at.tolist())
        return PICTURES[at]

    maps = stored_maps(
        backbone, pictures, count, key=key, folder=folder, device=CPU, label="", progress=False
    )
    return maps, asked


def test_stored_maps_are_those_of_the_backbone_in_any_order(backbone: Backbone, tmp_path: Path):
    with torch.no_grad():
        expected = backbone(PICTURES[[17, 3, 3]])
    for folder in (None, tmp_path):
        maps, _ = stored(backbone, folder)
        found = maps(np.array([17, 3, 3]))
        assert found.dtype == torch.float32
        torch.testing.assert_close(found, expected, atol=1e-3, rtol=0)


def test_a_second_run_computes_nothing(backbone: Backbone, tmp_path: Path):
    assert stored(backbone, tmp_path, size=1)[1] == list(range(20))
    assert stored(backbone, tmp_path, size=1)[1] == []
    assert stored(backbone, tmp_path, size=2)[1] == list(range(20))


def test_the_name_goes_with_the_weights_and_layers(backbone: Backbone):
    names = {
        name_of(b, {})
        for b in (
            backbone,
            Backbone(LITE0, ["blocks.3"]),
            Backbone(LITE0, ["blocks.2"], "random"),
        )
    }
    assert len(names) == 3
    assert name_of(backbone, {}) == name_of(Backbone(LITE0, ["blocks.2"]), {})


def test_a_damaged_file_is_refused_by_name(backbone: Backbone, tmp_path: Path):
    stored(backbone, tmp_path)
    (path,) = tmp_path.iterdir()
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(JladkitError, match=rf"{path.name} must hold 20 feature maps"):
        stored(backbone, tmp_path)


def test_a_run_that_breaks_off_leaves_no_file(backbone: Backbone, tmp_path: Path):
    def pictures(at: np.ndarray) -> torch.Tensor:
        if at[0]:
            raise KeyboardInterrupt
        return PICTURES[at]

    with pytest.raises(KeyboardInterrupt):
        stored_maps(
            backbone, pictures, 20, key={}, folder=tmp_path, device=CPU, label="", progress=False
        )
    assert list(tmp_path.iterdir()) == []
