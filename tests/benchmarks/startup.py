"""Start-up: what needs no torch must not wait for it.

Wanted: `jladkit --help` and `jladkit report` in under a quarter of `python -c "import torch"`.
"""

import subprocess
import sys
import tempfile
from pathlib import Path

from timing import show, take_turns

RESULT = Path(__file__).parent.parent / "golden" / "pck-1b.json"


def run(*words: str) -> None:
    subprocess.run([sys.executable, *words], check=True, capture_output=True)


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        seconds = take_turns(
            {
                "import torch": lambda: run("-c", "import torch"),
                "jladkit --help": lambda: run("-m", "jladkit", "--help"),
                "jladkit report --help": lambda: run("-m", "jladkit", "report", "--help"),
                "jladkit report, a table and a page": lambda: run(
                    "-m", "jladkit", "report", str(RESULT), "--out", str(Path(folder) / "report")
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
