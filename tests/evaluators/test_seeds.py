import numpy as np
import pandas as pd
import pytest

from jladkit.errors import JladkitError
from jladkit.evaluators.comparison import compare
from jladkit.evaluators.seeds import mean_over_seeds, rows_of_seeds


def items(values: list[float], objects: list[int] | None = None) -> pd.DataFrame:
    rows = objects or list(range(len(values)))
    return pd.DataFrame({"object": rows, "category": "cat", "image": rows, "iod": values})


def test_an_items_score_is_its_mean_over_the_seeds_whatever_the_order_of_rows():
    mean = mean_over_seeds([items([1.0, 3.0]), items([5.0, 2.0], [1, 0])], "iod")
    assert mean["iod"].tolist() == [1.5, 4.0]


def test_an_item_that_one_seed_has_no_score_of_has_none():
    mean = mean_over_seeds([items([1.0, np.nan]), items([2.0, 5.0])], "iod")
    assert mean["iod"].tolist()[0] == 1.5
    assert np.isnan(mean["iod"].tolist()[1])


def test_seeds_scored_on_other_items_are_refused():
    with pytest.raises(JladkitError, match="scored on the same objects"):
        mean_over_seeds([items([1.0, 3.0]), items([1.0, 3.0], [0, 7])], "iod")


def test_a_row_has_mean_interval_deviation_and_its_gap_to_the_reference():
    generator = np.random.default_rng(0)
    plain = [items(list(generator.uniform(0, 1, 40))) for _ in range(3)]
    better = [items(list(table["iod"] - 0.25)) for table in plain]
    reference, row = rows_of_seeds({"plain": plain, "better": better}, "iod", "plain")
    assert reference.gap is None
    means = [table["iod"].mean() for table in better]
    assert row.mean.value == pytest.approx(np.mean(means))
    assert row.deviation == pytest.approx(np.std(means, ddof=1))
    assert row.gap is not None
    assert (
        row.gap == compare(mean_over_seeds(better, "iod"), mean_over_seeds(plain, "iod"), "iod")[0]
    )
    assert row.gap.value == pytest.approx(-0.25)


def test_one_seed_has_no_deviation():
    (row,) = rows_of_seeds({"only": [items([1.0, 2.0, 4.0])]}, "iod", "only")
    assert row.deviation is None
    assert row.mean.value == pytest.approx(7 / 3)
