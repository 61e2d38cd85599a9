"""What a build says when it is done: counts, what was left out, leakage, changed inputs."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from jladkit.formats.dataset import SPLITS, input_files

FEW = 3  # names that are printed of a long list


def summary(arrays: Mapping[str, np.ndarray], source: Mapping[str, Any]) -> list[str]:
    """What was built and what was left out, as lines of text."""
    titles = [f"{what} {split}" for what in ("objects", "pairs") for split in SPLITS]
    lines = ["category        " + "".join(f"{title:>15}" for title in titles)]
    rows = []
    for code in range(len(arrays["category/name"])):
        row = [np.bincount(arrays[f"{g}/split"][arrays[f"{g}/category"] == code], minlength=3)
               for g in ("object", "pair")]  # fmt: skip
        rows.append(np.concatenate(row))
    for name, row in zip([*arrays["category/name"], "all"], [*rows, np.sum(rows, axis=0)],
                         strict=True):  # fmt: skip
        lines.append(f"{name:<16}" + "".join(f"{count:>15}" for count in row))
    for split, pairs_in_it in zip(SPLITS, np.sum(rows, axis=0)[3:], strict=True):
        if not pairs_in_it and len(arrays["pair/source"]):
            lines.append(f"No pairs in {split}.")
    if source["left_out"]:
        lines.append("left out:")
        lines += [f"{count:>8}  {reason}" for reason, count in source["left_out"].items()]
    for two, shared in source["leakage"].items():
        first, second = two.split("-")
        lines.append(
            f"{two + ':':<11} {shared['images']} pictures and {shared['pairs']} pairs are in both; "
            f"{shared['pairs_with_seen_image']:.1%} of {second}'s pairs show a picture of {first}'s"
        )
    return lines


def compare_inputs(files: Sequence[tuple[str, str]], recipe_from: Path | None) -> list[str]:
    """What differs between the input files and those of another build, as lines of text.

    Args:
        files: (name, SHA-256) of this build.
        recipe_from: the other dataset.h5, or None, of which nothing is said.
    """
    if recipe_from is None:
        return []
    now, then = dict(files), input_files(recipe_from)
    groups = {
        "changed": sorted(name for name in now.keys() & then.keys() if now[name] != then[name]),
        "new": sorted(now.keys() - then.keys()),
        "gone": sorted(then.keys() - now.keys()),
    }
    if not any(groups.values()):
        return [f"The {len(now)} input files are those that {recipe_from} was made from."]
    return [f"Input files that differ from those {recipe_from} was made from:"] + [
        f"{len(names):>8}  {what}: {', '.join(names[:FEW])}{', ...' if len(names) > FEW else ''}"
        for what, names in groups.items()
        if names
    ]
