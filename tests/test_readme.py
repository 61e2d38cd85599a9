"""The README's code runs, as it stands there."""

import os
import re
import runpy
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from jladkit.formats.dataset import Dataset
from jladkit.formats.predictions import open_predictions

ROOT = Path(__file__).parent.parent
# What pip writes for `jladkit = "jladkit.cli:main"`: Python puts its folder first on the path, not
# the current one.
SCRIPT = "import sys\nfrom jladkit.cli import main\nsys.exit(main())\n"
# A flow of (x / 8, 5) pixels: it says where it was read.
NETWORK = """
import torch

class Network(torch.nn.Module):
    def forward(self, source, target):
        assert source.shape == target.shape and source.shape[1:] == (3, 256, 256)
        x = torch.arange(256.0).expand(len(source), 256, 256) / 8
        return torch.stack([x, torch.full_like(x, 5)], dim=1)
"""


def code_below(title: str) -> str:
    """The first Python block below a title of the README."""
    text = (ROOT / "README.md").read_text()
    found = re.search(rf"^#+ {title}\n.*?```python\n(.*?)```", text, re.DOTALL | re.MULTILINE)
    assert found is not None
    return found[1]


def test_the_readmes_notebook_scores_and_prints(
    dots: Dataset,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
):
    place = tmp_path / "jladkit-demo"
    place.mkdir()
    shutil.copy(dots.path, place / "dataset.h5")
    monkeypatch.chdir(tmp_path)
    code = code_below("In a notebook")
    assert sum(bool(line.strip()) for line in code.splitlines()) <= 6  # an import and five lines
    (tmp_path / "notebook.py").write_text(code)
    runpy.run_path("notebook.py")
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "PCK of identity on dots, test split"
    assert any(line.startswith("0.1 ") for line in lines)


def test_the_readmes_method_runs_from_the_current_folder_by_the_installed_command(
    dots: Dataset, tmp_path: Path
):
    there = tmp_path / "there"
    for folder in (there, tmp_path / "bin"):
        folder.mkdir()
    (tmp_path / "bin" / "jladkit").write_text(SCRIPT)
    (there / "mine.py").write_text(code_below("Your own method"))
    (there / "network.py").write_text(NETWORK)
    words = [sys.executable, tmp_path / "bin" / "jladkit", "predict", "--data", dots.path,
             "--method", "mine:Mine", "--out", "mine.h5", "--quiet"]  # fmt: skip
    done = subprocess.run(
        words, cwd=there, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True,
        text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found = open_predictions(there / "mine.h5")
    assert (found.method, found.config) == ("mine", {"weights": "v1"})
    assert found.pair_row is not None and found.pair_points is not None
    source, target = dots.pair_source[found.pair_row], dots.pair_target[found.pair_row]
    square = 256 / dots.object_size[:, None]
    points = (dots.object_keypoints[source] + 0.5) * square[source] - 0.5
    points = np.stack([points[..., 0] * 9 / 8, points[..., 1] + 5], axis=-1)
    np.testing.assert_allclose(found.pair_points, (points + 0.5) / square[target] - 0.5, atol=1e-3)
