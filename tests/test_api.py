"""What `import jladkit` offers."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

import jladkit
from jladkit.errors import UsageError
from jladkit.formats.dataset import Dataset
from jladkit.formats.predictions import write_predictions
from tests.drawn import drawn_dataset

ROOT = Path(__file__).parent.parent


def test_importing_jladkit_is_quick_and_offers_its_functions():
    code = (
        "import sys, jladkit\n"
        "assert not {'torch', 'numpy', 'h5py', 'click'} & sys.modules.keys()\n"
        "assert set(jladkit.__all__) <= set(dir(jladkit))\n"
        "from jladkit import api\n"
        "assert all(getattr(jladkit, name) is getattr(api, name) for name in jladkit.__all__)\n"
        "assert 'torch' not in sys.modules and jladkit.__all__ == api.__all__\n"
        "try: jladkit.nothing\n"
        "except AttributeError as error: print(error)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.stdout == "module 'jladkit' has no attribute 'nothing'\n", done.stderr


def test_predictions_of_other_data_are_not_scored(dots: Dataset, tmp_path: Path):
    said = jladkit.predict(dots, jladkit.load_method("identity"))
    other = jladkit.open_dataset(drawn_dataset(tmp_path / "other.h5", seed=1))
    with pytest.raises(UsageError, match="These predictions are of dots"):
        jladkit.evaluate(other, said)
    with pytest.raises(UsageError, match="str is no method"):
        jladkit.predict(dots, "identity")
    write_predictions(tmp_path / "said.h5", said)
    assert jladkit.read_predictions(tmp_path / "said.h5", dots).method == "identity"
    result = jladkit.evaluate(dots, said, "pck", "scnet", [0.1])
    assert [row["alpha"] for row in result.results] == [0.1]
