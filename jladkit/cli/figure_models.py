"""jladkit figure: those that run a model on pairs of a data set."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
import numpy as np

from jladkit.cli import offers
from jladkit.cli.figure import OUT, check_figure, chosen, drawing, one_category, write
from jladkit.errors import JladkitError, UsageError
from jladkit.formats.dataset import SPLITS, Dataset, open_dataset

MOST_KEYPOINTS = 5  # columns of self-similarity maps
Command = Any

DATA = click.option("--data", required=True, type=click.Path(path_type=Path), help="A dataset.h5.")
DEVICE = click.option("--device", default="cpu", show_default=True, help="Torch device.")
CHECKPOINTS = click.option(
    "--checkpoint", "checkpoints", multiple=True, metavar="[LABEL=]PATH",
    help="What `jladkit train` left, and what to call it. May be repeated.",
)  # fmt: skip
METHODS = click.option(
    "--method", "methods", multiple=True, metavar="[LABEL=]NAME", shell_complete=offers.methods,
    help="A method that needs no training. May be repeated.",
)  # fmt: skip


def which_pairs(count: int) -> Command:
    """The options that say which pairs are drawn."""

    def add(function: Command) -> Command:
        for option in reversed((
            click.option("--pair", "pairs", multiple=True, type=click.IntRange(min=0),
                         metavar="ROW", help="A row of pair/*, as contact sheets and other figures "
                         "name it. May be repeated.  [default: --count of them]"),
            click.option("--count", type=click.IntRange(1, 24), default=count, show_default=True,
                         help="How many pairs, spread over the categories."),
            click.option("--category", help="Only pairs of this one."),
            click.option("--split", type=click.Choice(SPLITS), default="test", show_default=True),
            click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True,
                         help="Decides which pairs are drawn."),
        )):  # fmt: skip
            function = option(function)
        return function

    return add


@click.command("alignment")
@DATA
@METHODS
@CHECKPOINTS
@which_pairs(6)
@OUT
@DEVICE
def alignment_command(
    data: Path, methods: tuple[str, ...], checkpoints: tuple[str, ...], pairs: tuple[int, ...],
    count: int, category: str | None, split: str, seed: int, out: Path, device: str,
) -> None:  # fmt: skip
    """A row a pair: source, target, and for each method the target warped onto the source.

    The field is the one that carries keypoints from source to target, so that in a good warp the
    target's parts lie under the source's keypoints (rings).

    \b
    jladkit figure alignment --data birds.h5 --method nearest --checkpoint runs/birds --out fig7.pdf
    """
    check_figure(out)
    dataset = open_dataset(data)
    rows = rows_of(dataset, pairs, count, category, split, seed)
    told = aligned(dataset, rows, methods, checkpoints, device)
    write(drawing("warps:alignment_grid")(dataset, rows, told), out, spelled(rows))


@click.command("uncertainty")
@DATA
@CHECKPOINTS
@which_pairs(4)
@OUT
@DEVICE
def uncertainty_command(
    data: Path, checkpoints: tuple[str, ...], pairs: tuple[int, ...], count: int,
    category: str | None, split: str, seed: int, out: Path, device: str,
) -> None:  # fmt: skip
    """As `alignment`, and beside the warp of a model that tells it, where it is unsure.

    Give a model that was trained without (--set model.uncertainty=false) beside one that was
    trained with it, as the paper's Fig. 5 does.

    \b
    jladkit figure uncertainty --data birds.h5 --checkpoint without=runs/birds-wo-um \\
        --checkpoint with=runs/birds --out fig5.pdf
    """
    check_figure(out)
    dataset = open_dataset(data)
    rows = rows_of(dataset, pairs, count, category, split, seed)
    told = aligned(dataset, rows, (), checkpoints, device)
    if all(one.matches[0].field_log_sigma is None for one in told):
        raise UsageError(
            "None of these models says how unsure it is. Give one that was trained with "
            "model.uncertainty=true, or take `jladkit figure alignment`."
        )
    figure = drawing("warps:alignment_grid")(dataset, rows, told, uncertainty=True)
    write(figure, out, spelled(rows))


@click.command("self-similarity")
@DATA
@click.option("--checkpoint", required=True, type=click.Path(path_type=Path),
              help="What `jladkit train --method joint` left.")  # fmt: skip
@which_pairs(1)
@OUT
@DEVICE
def similarity_command(
    data: Path, checkpoint: Path, pairs: tuple[int, ...], count: int, category: str | None,
    split: str, seed: int, out: Path, device: str,
) -> None:  # fmt: skip
    """How like a place is to its surroundings, at the same keypoints of two pictures.

    A map is the window of local self-similarity (3) around the cell that a keypoint lies in, over
    its picture. The landmark network reads these beside the features: what lies below each other is
    alike as far as they tell the keypoint.

    \b
    jladkit figure self-similarity --data birds.h5 --checkpoint runs/birds --out fig4.pdf
    """
    from jladkit.training.own import self_similarity
    from jladkit.training.prediction import device_named, load_method

    check_figure(out)
    if count > 1 or len(pairs) > 1:
        raise UsageError("This figure is of one pair: give one --pair, and no --count.")
    dataset = open_dataset(data)
    (row,) = rows_of(dataset, pairs, 1, category, split, seed)
    where = device_named(device)
    method = load_method(dataset, None, checkpoint, where)
    ends = [int(dataset.arrays[f"pair/{end}"][row]) for end in ("source", "target")]
    shared = np.nonzero(dataset.object_visible[ends].all(axis=0))[0]
    if not len(shared):
        raise JladkitError(f"Pair {row} of {data} shares no visible keypoint. Give another --pair.")
    spread = np.linspace(0, len(shared) - 1, min(MOST_KEYPOINTS, len(shared))).round().astype(int)
    keypoints = shared[spread]
    found = [
        self_similarity(method, dataset.image(end), dataset.object_keypoints[end, keypoints], where)
        for end in ends
    ]
    figure = drawing("similarity:similarity_figure")(dataset, row, keypoints.tolist(), found)
    write(figure, out, spelled([row]))


def rows_of(
    data: Dataset, pairs: Sequence[int], count: int, category: str | None, split: str, seed: int
) -> list[int]:
    """The rows of pair/* to draw.

    Raises:
        UsageError: a pair that is asked for is none, or a category.
        JladkitError: there are none.
    """
    if pairs:
        most = len(data.pair_split) - 1
        if max(pairs) > most:
            raise UsageError(f"--pair {max(pairs)}: the pairs of {data.path} are 0 to {most}.")
        return list(pairs)
    code = one_category(data.categories, category)
    rows = data.pairs(split)
    if code is not None:
        rows = rows[data.pair_category[rows] == code]
    return chosen(data.pair_category, rows, count, seed, "pair").tolist()


def aligned(
    data: Dataset,
    rows: Sequence[int],
    methods: Sequence[str],
    checkpoints: Sequence[str],
    device: str,
) -> list[Any]:
    """What each method says of these pairs, as jladkit.reports.warps.Aligned.

    Raises:
        UsageError: none is given, or one does not match pictures.
    """
    from jladkit.training.own import match
    from jladkit.training.prediction import device_named, load_method

    if not (methods or checkpoints):
        raise UsageError("Give --method or --checkpoint, once for each column.")
    where, kind = device_named(device), drawing("warps:Aligned")
    found: list[Any] = []
    given = [(word, False) for word in methods] + [(word, True) for word in checkpoints]
    for word, trained in given:
        label, name = labelled(word)
        path = Path(name) if trained else None
        method = load_method(data, None if trained else name, path, where)
        matches = [
            match(
                method,
                data.image(int(data.pair_source[row])),
                data.image(int(data.pair_target[row])),
                np.zeros((0, 2)),
                data.categories[data.pair_category[row]],
                where,
            )
            for row in rows
        ]
        found.append(kind(label or method.name, matches))
    return found


def labelled(word: str) -> tuple[str, str]:
    """The label and the rest of [LABEL=]REST; a file that is there has no label."""
    label, equals, rest = word.partition("=")
    return (label, rest) if equals and not Path(word).exists() else ("", word)


def spelled(rows: Sequence[int]) -> str:
    """Which pairs were drawn, so that they can be asked for again."""
    return f"pair{'s' * (len(rows) > 1)} {' '.join(map(str, rows))}"
