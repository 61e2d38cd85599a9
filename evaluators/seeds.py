"""Several runs that differ in their seed alone, as one row of a table.

An item's score is its mean over the seeds, so that intervals and tests, which draw images, are those
of statistics.py and comparison.py. They say what other pictures would give. What other seeds would
give is the standard deviation over the seeds, beside them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from jladkit.errors import JladkitError
from jladkit.evaluators.comparison import IMAGES, Difference, compare
from jladkit.evaluators.statistics import Interval, interval_of_mean


@dataclass(frozen=True)
class SeedRow:
    """One row: the mean with its interval, the standard deviation over seeds (None for one seed),
    and the row less the reference row (None for the reference itself)."""

    label: str
    mean: Interval
    deviation: float | None
    gap: Difference | None


def mean_over_seeds(tables: Sequence[pd.DataFrame], column: str) -> pd.DataFrame:
    """One table of items, `column` the mean over `tables`; NaN where one of them has no score.

    Raises:
        JladkitError: the tables are not about the same items.
    """
    key = str(tables[0].columns[0])
    ordered = [table.sort_values(key).reset_index(drop=True) for table in tables]
    if not all(table[key].equals(ordered[0][key]) for table in ordered):
        raise JladkitError(
            f"Runs of several seeds must be scored on the same {key}s, and these are not. "
            "Evaluate all of them on the same data set and split."
        )
    values = np.mean([table[column].to_numpy(float) for table in ordered], axis=0)
    return ordered[0].assign(**{column: values})


def rows_of_seeds(
    tables: Mapping[str, Sequence[pd.DataFrame]], column: str, reference: str
) -> list[SeedRow]:
    """One SeedRow a label, in order.

    Args:
        tables: by label, the per-item table of each seed, as `evaluate` returns it.
        column: the score.
        reference: the label that the others are compared with.
    """
    means = {label: mean_over_seeds(own, column) for label, own in tables.items()}
    found: list[SeedRow] = []
    for label, items in means.items():
        shown = next(names for names in IMAGES if set(names) <= set(items.columns))
        seeds = [float(np.nanmean(table[column])) for table in tables[label]]
        found.append(
            SeedRow(
                label,
                interval_of_mean(items[column].to_numpy(float), items[[*shown]].to_numpy()),
                float(np.std(seeds, ddof=1)) if len(seeds) > 1 else None,
                None if label == reference else compare(items, means[reference], column)[0],
            )
        )
    return found
