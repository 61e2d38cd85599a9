"""Start-up: what needs no torch must not wait for it.

Wanted: `jladkit --help` and `jladkit report` in under a quarter of `python -c "import torch"`.
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

from timing import show, take_turns

from jladkit.formats.result import Result, write_result


def a_result() -> Result:
    """The least that a report can be made from."""
    rows = [
        {
            "metric": "pck",
            "alpha": alpha,
            "value": 0.5,
            "low": 0.4,
            "high": 0.6,
            "count": 10,
            "unit": "share",
            "higher_is_better": True,
            "pooled": 0.5,
            "category_mean": 0.5,
            "categories": {"car": {"value": 0.5, "low": 0.4, "high": 0.6, "count": 10}},
        }
        for alpha in (0.05, 0.1, 0.15)
    ]
    return Result(
        method="identity",
        metric="pck",
        protocol={"name": "jlad", "version": 1},
        split="test",
        dataset="drawn",
        dataset_digest="0" * 64,
        results=rows,
        config={},
        environment={},
        created="",
    )


def run(*words: str) -> None:
    subprocess.run([sys.executable, *words], check=True, capture_output=True)


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "pck.json"
        write_result(file, a_result())
        assert json.loads(file.read_text())["method"] == "identity"
        seconds = take_turns(
            {
                "import torch": lambda: run("-c", "import torch"),
                "jladkit --help": lambda: run("-m", "jladkit", "--help"),
                "jladkit report --help": lambda: run("-m", "jladkit", "report", "--help"),
                "jladkit report, a table and a page": lambda: run(
                    "-m", "jladkit", "report", str(file), "--out", str(Path(folder) / "report")
                ),
            },
            rounds=5,
        )
    wanted = {
        f"{name} / import torch (wanted: under 0.25)": (name, "import torch")
        for name in ("jladkit --help", "jladkit report --help")
    }
    wanted["the whole report / import torch"] = (
        "jladkit report, a table and a page",
        "import torch",
    )
    show("Start-up of a fresh process", seconds, wanted)


if __name__ == "__main__":
    main()
