"""jladkit figure: those that read predictions."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
import numpy as np

from jladkit.cli.figure import OUT, check_figure, chosen, drawing, one_category, write
from jladkit.errors import JladkitError
from jladkit.formats.dataset import SPLITS, Dataset, open_dataset
from jladkit.formats.outside import FRAMES, read_predictions
from jladkit.formats.predictions import Predictions

CATEGORY = click.option("--category", help="Only this one.")
SEED = click.option(
    "--seed", type=click.IntRange(min=0), default=0, show_default=True,
    help="Decides which are drawn.",
)  # fmt: skip


def reading(function: Any) -> Any:
    """The options that say which data and predictions are meant."""
    for option in (
        click.option("--frame", type=click.Choice(FRAMES), default="crop", show_default=True,
                     help="What x and y of others are pixels of."),
        click.option("--split", type=click.Choice(SPLITS), default="test", show_default=True,
                     help="The split that the predictions are about."),
        click.option("--predictions", "files", required=True, multiple=True,
                     type=click.Path(path_type=Path), help="A predictions file, as `jladkit "
                     "evaluate` takes it; once for each method."),
        click.option("--data", required=True, type=click.Path(path_type=Path),
                     help="A dataset.h5."),
    ):  # fmt: skip
        function = option(function)
    return function


@click.command("matches")
@reading
@click.option("--count", type=click.IntRange(1, 40), default=8, show_default=True,
              help="How many pairs, from each category its median first.")  # fmt: skip
@OUT
def matches_command(
    data: Path, files: tuple[Path, ...], split: str, frame: str, count: int, out: Path
) -> None:
    """A source with its keypoints, and for each method the target with what it made of them.

    A ring is where a keypoint is, a dot where the method put it, the line the error. The pairs are
    those of median error in each category, then quartiles, by the first file: neither picked by
    hand nor by luck.

    \b
    jladkit figure matches --data birds.h5 --predictions joint.h5 --out matches.pdf
    """
    check_figure(out)
    dataset, said = opened(data, files, split, frame)
    write(drawing("figures:matched_pairs")(dataset, said, count), out)


@click.command("landmark-pairs")
@reading
@CATEGORY
@click.option("--count", type=click.IntRange(1, 40), default=8, show_default=True,
              help="How many pairs, spread over the categories.")  # fmt: skip
@SEED
@OUT
def pairs_command(
    data: Path, files: tuple[Path, ...], split: str, frame: str, category: str | None, count: int,
    seed: int, out: Path,
) -> None:  # fmt: skip
    """The landmarks of both pictures of pairs: the same look, the same landmark.

    \b
    jladkit figure landmark-pairs --data birds.h5 --predictions joint.h5 --out fig8.pdf
    """
    check_figure(out)
    dataset, said = opened(data, files, split, frame)
    rows = dataset.pairs(split)
    code = one_category(dataset.categories, category)
    if code is not None:
        rows = rows[dataset.pair_category[rows] == code]
    ends = np.stack([dataset.pair_source[rows], dataset.pair_target[rows]])
    rows = rows[np.isin(ends, told_of(said)).all(axis=0)]
    picked = chosen(dataset.pair_category, rows, count, seed, "pair with landmarks").tolist()
    write(drawing("landmarks:landmark_pairs")(dataset, picked, said), out)


@click.command("landmarks")
@reading
@CATEGORY
@click.option("--count", type=click.IntRange(1, 200), default=16, show_default=True,
              help="How many objects.")  # fmt: skip
@click.option("--columns", type=click.IntRange(1, 20), default=8, show_default=True,
              help="Pictures in a row, where there is one file of predictions.")  # fmt: skip
@SEED
@OUT
def landmarks_command(
    data: Path, files: tuple[Path, ...], split: str, frame: str, category: str | None, count: int,
    columns: int, seed: int, out: Path,
) -> None:  # fmt: skip
    """Landmarks over many objects: the same look, the same landmark. Several files: a row each.

    Landmarks of different categories have nothing to do with each other: give --category where
    there are several.

    \b
    jladkit figure landmarks --data faces.h5 --predictions joint.h5 --out fig9.pdf
    """
    check_figure(out)
    dataset, said = opened(data, files, split, frame)
    objects = dataset.objects(split)
    code = one_category(dataset.categories, category)
    if code is not None:
        objects = objects[dataset.object_category[objects] == code]
    objects = objects[np.isin(objects, told_of(said))]
    what = "object with landmarks"
    picked = chosen(dataset.object_category, objects, count, seed, what)
    picked = picked[np.argsort(dataset.object_category[picked], kind="stable")].tolist()
    write(drawing("landmarks:landmark_faces")(dataset, picked, said, columns), out)


def opened(
    data: Path, files: Sequence[Path], split: str, frame: str
) -> tuple[Dataset, list[Predictions]]:
    """The data set, and the predictions that must have been made from it."""
    dataset = open_dataset(data)
    return dataset, [read_predictions(file, dataset, split, frame) for file in files]


def told_of(said: Sequence[Predictions]) -> np.ndarray:
    """The rows of object/* that every file has landmarks of.

    Raises:
        JladkitError: a file has none at all.
    """
    for one in said:
        if one.object_row is None:
            raise JladkitError(
                f"The predictions of {one.method} hold no landmarks: it finds none, or they were "
                "made without. Make them by `jladkit predict` with a method that detects."
            )
    rows = [one.object_row for one in said if one.object_row is not None]
    common = rows[0]
    for more in rows[1:]:
        common = np.intersect1d(common, more)
    return common
