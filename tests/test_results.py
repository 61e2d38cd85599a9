"""The results that docs/results keeps: whole, scored as their tables of items say, and told as they are."""

from pathlib import Path

import pandas as pd
import pytest

from jladkit.formats.result import Result, read_result
from tests.documented import ROOT

FOLDER = ROOT / "docs" / "results"
KEPT = sorted(FOLDER.rglob("*-test.json"))
PAGE = (ROOT / "docs" / "results.md").read_text(encoding="utf-8")


def headline(result: Result) -> tuple[dict, str]:
    """The row that the page tells, and its column in the table of items."""
    if result.metric == "iod":
        return result.results[0], f"iod:{result.results[0]['variant']}"
    row = next(row for row in result.results if row["alpha"] == 0.1)
    return row, "pck@0.1"


def told(row: dict) -> str:
    """A score as the page writes it."""
    return "{value:.1f} [{low:.1f}, {high:.1f}]".format(
        **{name: 100 * row[name] for name in ("value", "low", "high")}
    )


def test_there_are_results_of_every_trained_method():
    assert {path.parent.name for path in KEPT} >= {
        "joint", "strucrep", "cig", "fpe", "deil",
        "cnngeo", "cnninlier", "a2net", "rtn", "ncnet", "parn",
    }  # fmt: skip


@pytest.mark.parametrize("path", KEPT, ids=lambda path: str(path.relative_to(FOLDER)))
def test_a_kept_result_is_the_mean_of_its_items_and_stands_on_the_page(path: Path):
    result = read_result(path)
    row, column = headline(result)
    assert result.items is not None
    items = pd.read_parquet(path.parent / result.items)
    assert items[column].dropna().to_numpy().mean() == pytest.approx(row["value"], abs=1e-12)
    assert told(row) in PAGE
